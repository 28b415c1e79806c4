// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.plugin;

import io.rocketmqconnect.host.protocol.WireError;

import java.io.File;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.sql.Driver;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The plugins of this process: what is where, and one class loader per location. Any thread. */
public final class Plugins {
    private static final Logger LOG = LoggerFactory.getLogger(Plugins.class);
    /** Our Java: 8, 11, 17 ... */
    private static final int JAVA =
            (int) Float.parseFloat(System.getProperty("java.class.version")) - 44;

    /** A plugin that was found. */
    public static final class Plugin {
        public final int kind;
        public final String className;
        public final String location;
        public final String version;
        /** Whether it is one of Kafka Connect. */
        public final boolean kafka;

        Plugin(int kind, String className, String location, String version, boolean kafka) {
            this.kind = kind;
            this.className = className;
            this.location = location;
            this.version = version;
            this.kafka = kafka;
        }
    }

    /** A place that cannot be used, or something in it. */
    public static final class Refusal {
        public final String path;
        /** What is wrong, and what to do. */
        public final String why;

        public Refusal(String path, String why) {
            this.path = path;
            this.why = why;
        }
    }

    /** What a scan found, and what it could not use. */
    public static final class Scan {
        public final List<Plugin> plugins = new ArrayList<>();
        public final List<Refusal> refused = new ArrayList<>();
    }

    private final ClassLoader host;
    private final ClassLoader parent;
    private final File[] libraries;
    private final Map<String, Place> places = new HashMap<>(); // [this]

    /** A location in the state that `print` stands for. */
    private static final class Place {
        final String print;
        final List<Scanner.Found> found;
        ClassLoader loader; // [Plugins] null until a class was wanted

        Place(String print, List<Scanner.Found> found) {
            this.print = print;
            this.found = found;
        }
    }

    /**
     * @param home the host's folder: `lib` in it has plugins too (Kafka's transforms, converters),
     *        and so has `compat`, what plugins expect of the class path of the runtime they were
     *        written for; null = neither.
     */
    public Plugins(ClassLoader host, File home) throws IOException {
        this.host = host;
        File compat = new File(home, "compat");

        this.libraries = home == null ? new File[0] : new File[] {new File(home, "lib"), compat};
        this.parent = home == null ? host : compat(host, compat);
    }

    private static ClassLoader compat(ClassLoader host, File folder) throws IOException {
        if (!folder.isDirectory())
            return host;
        URL[] urls = Location.urls(Location.parts(folder));

        return urls.length == 0 ? host : new URLClassLoader(urls, host);
    }

    /** @param paths files and folders; "" = what the host brings along. */
    public Scan scan(List<String> paths) {
        Scan scan = new Scan();

        for (String path : paths)
            try {
                if (path.isEmpty())
                    scanLibrary(scan);
                else
                    for (File location : Location.in(new File(path)))
                        scanLocation(location, location.getPath(), scan);
            } catch (IOException e) {
                scan.refused.add(new Refusal(path, WireError.message(e)));
            }
        return scan;
    }

    /** Kafka's converters, transforms and predicates, which the host brings along. */
    private void scanLibrary(Scan scan) {
        for (File library : libraries)
            for (String name : sorted(library.list()))
                if (name.startsWith("connect-"))
                    scanLocation(new File(library, name), "", scan);
    }

    private static List<String> sorted(String[] names) {
        List<String> list = new ArrayList<>();

        if (names != null)
            Collections.addAll(list, names);
        Collections.sort(list);
        return list;
    }

    private void scanLocation(File files, String location, Scan scan) {
        try {
            for (Scanner.Found f : location.isEmpty() ? Scanner.scan(files, parent)
                    : place(location).found)
                if (f.java > JAVA)
                    scan.refused.add(new Refusal(files.getPath(), f.className + " needs Java "
                            + f.java + ", and this is Java " + JAVA
                            + ": name a newer one with host.java"));
                else
                    scan.plugins.add(new Plugin(f.kind, f.className, location, f.version,
                            f.kafka));
        } catch (IOException e) {
            scan.refused.add(new Refusal(files.getPath(), WireError.message(e)));
        } catch (RuntimeException e) {
            LOG.warn("{} cannot be looked through", files, e);
            scan.refused.add(new Refusal(files.getPath(), WireError.message(e)));
        }
    }

    /** A location as it is now: when its files have changed, its classes are loaded anew. */
    private synchronized Place place(String location) throws IOException {
        File files = new File(location);
        Place place = places.get(location);

        if (!files.exists())
            throw new IOException("there is no such file or folder");
        String print = print(files);

        if (place == null || !place.print.equals(print)) {
            place = new Place(print, found(files));
            places.put(location, place);
        }
        return place;
    }

    private List<Scanner.Found> found(File files) throws IOException {
        URL[] beside = Location.urls(Location.beside(files));

        try (URLClassLoader parents = new URLClassLoader(beside, parent)) {
            return Scanner.scan(files, parents);
        }
    }

    /** The classes of a location, and behind them those of the archives beside it. */
    private static List<File> files(File location) throws IOException {
        List<File> files = new ArrayList<>(Location.parts(location));

        files.addAll(Location.beside(location));
        return files;
    }

    private static String print(File files) throws IOException {
        StringBuilder print = new StringBuilder();

        for (File part : files(files))
            print.append(part).append(':').append(part.length()).append(':')
                    .append(part.lastModified()).append('\n');
        return print.toString();
    }

    /** Loads a class of a location; "" is the host's own library. */
    public Class<?> load(String className, String location) throws ClassNotFoundException {
        ClassLoader loader = loader(location);
        ClassLoader before = Thread.currentThread().getContextClassLoader();

        Thread.currentThread().setContextClassLoader(loader);
        try {
            return Class.forName(className, true, loader);
        } catch (ClassNotFoundException e) {
            throw className.equals(e.getMessage()) ? new ClassNotFoundException("there is no class "
                    + className + " in " + (location.isEmpty() ? "the host" : location)
                    + ": check the name and that its jar is there", e) : e;
        } finally {
            Thread.currentThread().setContextClassLoader(before);
        }
    }

    private synchronized ClassLoader loader(String location) throws ClassNotFoundException {
        if (location.isEmpty())
            return parent;
        try {
            Place place = place(location);

            if (place.loader == null) {
                boolean kafka = place.found.stream().anyMatch(f -> f.kafka);

                place.loader = new PluginLoader(Location.urls(files(new File(location))), host,
                        parent, kafka);
                registerDrivers(place.loader);
            }
            return place.loader;
        } catch (IOException e) {
            throw new ClassNotFoundException(location + ": " + e.getMessage(), e);
        }
    }

    /** JDBC drivers register themselves when they are loaded, and DriverManager would not see those
     * of a loader that is not its own. */
    private static void registerDrivers(ClassLoader loader) {
        ClassLoader before = Thread.currentThread().getContextClassLoader();

        Thread.currentThread().setContextClassLoader(loader);
        try {
            Iterator<Driver> drivers = ServiceLoader.load(Driver.class, loader).iterator();

            while (next(drivers)) { }
        } catch (LinkageError | RuntimeException e) {
            LOG.debug("a JDBC driver could not be loaded", e);
        } finally {
            Thread.currentThread().setContextClassLoader(before);
        }
    }

    private static boolean next(Iterator<Driver> drivers) {
        try {
            if (!drivers.hasNext())
                return false;
            drivers.next();
        } catch (ServiceConfigurationError e) {
            LOG.debug("a JDBC driver could not be loaded", e);
        }
        return true;
    }

    public ClassLoader host() {
        return host;
    }
}
