// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.plugin;

import java.io.File;
import java.io.IOException;
import java.net.MalformedURLException;
import java.net.URL;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Where one plugin with its libraries is: a jar, a zip, or a folder with archives or classes in it,
 * which means all archives below it. A path that is none of these is a folder of such places.
 */
final class Location {
    private static final int DEPTH_MAX = 16;

    private Location() {}

    /** Locations in a path of a SCAN, sorted by name. */
    static List<File> in(File path) throws IOException {
        if (!path.exists())
            throw new IOException("there is no such file or folder; check pluginPaths");
        if (path.isFile() && !isArchive(path.getName()))
            throw new IOException("it is neither a folder nor a .jar or .zip");
        if (path.isFile() || holdsCode(path))
            return Collections.singletonList(path);
        List<File> found = new ArrayList<>();
        File[] children = path.listFiles();

        if (children == null)
            throw new IOException("it cannot be read; give the worker's user the right to");
        for (File child : children)
            if (child.isDirectory() && (!archives(child).isEmpty() || hasClasses(child)))
                found.add(child);
        Collections.sort(found);
        return found;
    }

    /** Whether archives or classes are in the folder itself, not only somewhere below. */
    private static boolean holdsCode(File folder) {
        String[] names =
                folder.list((dir, name) -> isArchive(name) || name.endsWith(".class"));

        return names != null && names.length > 0;
    }

    static boolean isArchive(String name) {
        String lower = name.toLowerCase(Locale.ROOT);

        return lower.endsWith(".jar") || lower.endsWith(".zip");
    }

    /** The files and folders whose classes the location has. */
    static List<File> parts(File location) throws IOException {
        if (!location.isDirectory())
            return Collections.singletonList(location);
        List<File> archives = archives(location);

        if (archives.isEmpty() || hasLooseClasses(location)) {
            List<File> all = new ArrayList<>();

            all.add(location);
            all.addAll(archives);
            return all;
        }
        return archives;
    }

    /**
     * Archives that lie beside an archive. Jars of one connector that were put into a folder of
     * pluginPaths without a folder of their own find their libraries so.
     */
    static List<File> beside(File location) {
        List<File> found = new ArrayList<>();
        File folder = location.getAbsoluteFile().getParentFile();
        File[] files = location.isFile() && folder != null ? folder.listFiles() : null;

        if (files != null)
            for (File file : files)
                if (isArchive(file.getName()) && file.isFile()
                        && !file.getName().equals(location.getName()))
                    found.add(file);
        Collections.sort(found);
        return found;
    }

    private static List<File> archives(File folder) throws IOException {
        return walk(folder, p -> isArchive(p.getFileName().toString()));
    }

    private static boolean hasClasses(File folder) throws IOException {
        return !walk(folder, p -> p.toString().endsWith(".class")).isEmpty();
    }

    private static boolean hasLooseClasses(File folder) {
        String[] names = folder.list((dir, name) -> name.endsWith(".class"));

        return names != null && names.length > 0;
    }

    private static List<File> walk(File folder, java.util.function.Predicate<Path> wanted)
            throws IOException {
        try (Stream<Path> all = Files.walk(folder.toPath(), DEPTH_MAX,
                FileVisitOption.FOLLOW_LINKS)) {
            return all.filter(Files::isRegularFile).filter(wanted).map(Path::toFile).sorted()
                    .collect(Collectors.toList());
        } catch (java.io.UncheckedIOException e) {
            throw e.getCause();
        }
    }

    static URL[] urls(List<File> files) throws MalformedURLException {
        URL[] urls = new URL[files.size()];

        for (int i = 0; i < urls.length; i++)
            urls[i] = files.get(i).toURI().toURL();
        return urls;
    }
}
