// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.plugin;

import io.rocketmqconnect.host.protocol.Types;

import java.io.BufferedInputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Enumeration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.jar.Attributes;
import java.util.jar.JarFile;
import java.util.jar.Manifest;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;

/** Finds the plugin classes of a location by reading class files; loads nothing. */
final class Scanner {
    static final String UNDEFINED = "undefined";

    private static final Pattern VERSION =
            Pattern.compile("-(\\d[0-9A-Za-z.]*(?:[-.][0-9A-Za-z.]+)*)\\.(?:jar|zip)$");

    /** Base class of plugins and their kind. Order matters: the first that fits counts. */
    private static final Map<String, Integer> KINDS = new LinkedHashMap<>();

    static {
        KINDS.put("io.openmessaging.connector.api.component.task.source.SourceConnector",
                Types.SOURCE);
        KINDS.put("io.openmessaging.connector.api.component.task.sink.SinkConnector", Types.SINK);
        KINDS.put("io.openmessaging.connector.api.component.Transform", Types.TRANSFORM);
        KINDS.put("io.openmessaging.connector.api.data.RecordConverter", Types.CONVERTER);
        KINDS.put("org.apache.kafka.connect.source.SourceConnector", Types.SOURCE);
        KINDS.put("org.apache.kafka.connect.sink.SinkConnector", Types.SINK);
        KINDS.put("org.apache.kafka.connect.transforms.Transformation", Types.TRANSFORM);
        KINDS.put("org.apache.kafka.connect.transforms.predicates.Predicate", Types.PREDICATE);
        KINDS.put("org.apache.kafka.connect.storage.Converter", Types.CONVERTER);
    }

    /** A plugin as its class file shows it. */
    static final class Found {
        final int kind;
        final String className;
        final String version;
        final boolean kafka;
        /** The Java version its class needs. */
        final int java;

        Found(int kind, String className, String version, boolean kafka, int java) {
            this.kind = kind;
            this.className = className;
            this.version = version;
            this.kafka = kafka;
            this.java = java;
        }
    }

    private static final class Seen {
        final ClassHeader header;
        final String version;

        Seen(ClassHeader header, String version) {
            this.header = header;
            this.version = version;
        }
    }

    private final ClassLoader parents;
    private final Map<String, Seen> classes = new HashMap<>();
    private final Map<String, String> bases = new HashMap<>();

    private Scanner(ClassLoader parents) {
        this.parents = parents;
    }

    /** @param parents where parents of classes are looked for that the location does not have. */
    static List<Found> scan(File location, ClassLoader parents) throws IOException {
        Scanner scanner = new Scanner(parents);

        for (File part : Location.parts(location))
            if (part.isDirectory())
                scanner.readFolder(part.toPath());
            else
                scanner.readArchive(part);
        return scanner.found();
    }

    private List<Found> found() {
        List<Found> found = new ArrayList<>();
        List<String> names = new ArrayList<>(classes.keySet());

        java.util.Collections.sort(names);
        for (String name : names) {
            Seen seen = classes.get(name);
            String base = seen.header.canBeMade ? base(name, 0) : "";

            if (!base.isEmpty())
                found.add(new Found(KINDS.get(base), name, seen.version,
                        base.startsWith("org.apache.kafka."), seen.header.java));
        }
        return found;
    }

    /** The base class of a plugin that a class comes from, or "". */
    private String base(String name, int depth) {
        if (KINDS.containsKey(name))
            return name;
        String known = bases.get(name);

        if (known != null)
            return known;
        bases.put(name, ""); // against classes that are their own parents
        String base = depth > 100 || name.startsWith("java.") ? "" : parents(header(name), depth);

        bases.put(name, base);
        return base;
    }

    private String parents(ClassHeader header, int depth) {
        if (header == null)
            return "";
        String base = header.parent == null ? "" : base(header.parent, depth + 1);

        for (int i = 0; base.isEmpty() && i < header.interfaces.length; i++)
            base = base(header.interfaces[i], depth + 1);
        return base;
    }

    private ClassHeader header(String name) {
        Seen seen = classes.get(name);

        if (seen != null)
            return seen.header;
        try (InputStream in = parents.getResourceAsStream(name.replace('.', '/') + ".class")) {
            return in == null ? null : ClassHeader.read(new BufferedInputStream(in));
        } catch (IOException e) {
            return null;
        }
    }

    private void readArchive(File file) throws IOException {
        try (ZipFile zip = new ZipFile(file)) {
            String version = version(zip, file.getName());
            Enumeration<? extends ZipEntry> entries = zip.entries();
            boolean archives = false;

            while (entries.hasMoreElements()) {
                ZipEntry entry = entries.nextElement();

                archives |= Location.isArchive(entry.getName());
                if (isPluginClass(entry.getName()))
                    try (InputStream in = new BufferedInputStream(zip.getInputStream(entry))) {
                        add(in, version);
                    }
            }
            if (archives && classes.isEmpty())
                throw new IOException(file.getName() + " has jars inside, which Java cannot use "
                        + "there: unpack it into a folder of its own");
        } catch (ZipException e) {
            throw new IOException(file.getName() + " is no archive that can be read ("
                    + e.getMessage() + "): get it again, or remove it", e);
        }
    }

    private void readFolder(Path folder) throws IOException {
        List<Path> files;

        try (Stream<Path> all = Files.walk(folder, 32, FileVisitOption.FOLLOW_LINKS)) {
            files = all.filter(p -> isPluginClass(p.getFileName().toString()))
                    .collect(Collectors.toList());
        }
        for (Path file : files)
            try (InputStream in = new BufferedInputStream(new FileInputStream(file.toFile()))) {
                add(in, UNDEFINED);
            }
    }

    private static boolean isPluginClass(String entry) {
        return entry.endsWith(".class") && !entry.startsWith("META-INF/")
                && !entry.endsWith("module-info.class") && !entry.endsWith("package-info.class");
    }

    private void add(InputStream in, String version) {
        ClassHeader header;

        try {
            header = ClassHeader.read(in);
        } catch (IOException | RuntimeException e) {
            return; // a class that we cannot read is none that can be run
        }
        if (header != null)
            classes.putIfAbsent(header.name, new Seen(header, version));
    }

    private static String version(ZipFile zip, String fileName) throws IOException {
        ZipEntry entry = zip.getEntry(JarFile.MANIFEST_NAME);
        Matcher name = VERSION.matcher(fileName);

        if (entry != null)
            try (InputStream in = zip.getInputStream(entry)) {
                Attributes main = new Manifest(in).getMainAttributes();
                String version = main.getValue(Attributes.Name.IMPLEMENTATION_VERSION);

                if (version != null && !version.trim().isEmpty())
                    return version.trim();
            } catch (IOException e) {
                return name.find() ? name.group(1) : UNDEFINED;
            }
        return name.find() ? name.group(1) : UNDEFINED;
    }
}
