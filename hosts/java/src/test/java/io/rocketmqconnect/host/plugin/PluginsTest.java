// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.plugin;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotSame;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import io.openmessaging.KeyValue;
import io.openmessaging.connector.api.component.Transform;
import io.openmessaging.connector.api.data.ConnectRecord;
import io.rocketmqconnect.host.protocol.Types;
import io.rocketmqconnect.host.protocol.WireError;

import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.zip.ZipEntry;

import org.junit.Before;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** Finding plugins, and their class loaders. */
public class PluginsTest {
    /** Abstract: no plugin. */
    public abstract static class Base implements Transform<ConnectRecord> {
        @Override
        public void start(KeyValue config) {}

        @Override
        public void stop() {}
    }

    /** One through its parent. */
    public static class Good extends Base {
        public static int loaded;

        @Override
        public ConnectRecord doTransform(ConnectRecord record) {
            loaded++;
            return record;
        }
    }

    /** Cannot be made from outside. */
    static class Hidden extends Good {}

    /** Needs an argument. */
    public static class Needy extends Good {
        public Needy(String argument) {}
    }

    @Rule
    public TemporaryFolder folder = new TemporaryFolder();
    private File root;

    @Before
    public void setUp() {
        root = folder.getRoot();
    }

    private static byte[] classFile(Class<?> c) throws IOException {
        String name = c.getName().replace('.', '/') + ".class";

        try (InputStream in = c.getClassLoader().getResourceAsStream(name)) {
            java.io.ByteArrayOutputStream out = new java.io.ByteArrayOutputStream();
            byte[] buffer = new byte[8192];

            for (int n = in.read(buffer); n > 0; n = in.read(buffer))
                out.write(buffer, 0, n);
            return out.toByteArray();
        }
    }

    private static void jar(File file, String version, Class<?>... classes) throws IOException {
        Manifest manifest = new Manifest();

        file.getParentFile().mkdirs();
        manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
        if (version != null)
            manifest.getMainAttributes().put(Attributes.Name.IMPLEMENTATION_VERSION, version);
        try (JarOutputStream out =
                new JarOutputStream(Files.newOutputStream(file.toPath()), manifest)) {
            for (Class<?> c : classes) {
                out.putNextEntry(new ZipEntry(c.getName().replace('.', '/') + ".class"));
                out.write(classFile(c));
            }
        }
    }

    private Plugins plugins() throws IOException {
        return new Plugins(getClass().getClassLoader(), null);
    }

    private Map<String, Plugins.Plugin> scan(File... paths) throws IOException {
        Map<String, Plugins.Plugin> found = new TreeMap<>();
        String[] names = Arrays.stream(paths).map(File::getPath).toArray(String[]::new);

        for (Plugins.Plugin p : plugins().scan(Arrays.asList(names)).plugins)
            found.put(p.className, p);
        return found;
    }

    @Test
    public void onlyClassesThatCanBeMadeAreFound() throws IOException {
        jar(new File(root, "a.jar"), null, Base.class, Good.class, Hidden.class, Needy.class);
        Map<String, Plugins.Plugin> found = scan(new File(root, "a.jar"));

        assertEquals(Collections.singleton(Good.class.getName()), found.keySet());
        assertEquals(Types.TRANSFORM, found.get(Good.class.getName()).kind);
        assertFalse(found.get(Good.class.getName()).kafka);
    }

    @Test
    public void aParentMayBeInAnotherJarOfTheFolder() throws IOException {
        jar(new File(root, "p/lib/base.jar"), null, Base.class);
        jar(new File(root, "p/good-2.1.jar"), null, Good.class);
        Map<String, Plugins.Plugin> found = scan(new File(root, "p"));

        assertEquals(new File(root, "p").getPath(), found.get(Good.class.getName()).location);
        assertEquals("2.1", found.get(Good.class.getName()).version);
    }

    @Test
    public void aFolderOfFoldersHasALocationEach() throws IOException {
        jar(new File(root, "one/a.jar"), "7", Base.class, Good.class);
        jar(new File(root, "two/b.zip"), null, Base.class, Good.class);
        new File(root, "empty").mkdir();
        List<File> locations = Location.in(root);

        assertEquals(Arrays.asList(new File(root, "one"), new File(root, "two")), locations);
        assertEquals("7", scan(new File(root, "one")).get(Good.class.getName()).version);
    }

    @Test
    public void looseClassesAreFound() throws IOException {
        Path at = root.toPath().resolve(Good.class.getName().replace('.', '/') + ".class");

        Files.createDirectories(at.getParent());
        Files.write(at, classFile(Good.class));
        Files.write(at.resolveSibling("PluginsTest$Base.class"), classFile(Base.class));
        assertTrue(scan(root).containsKey(Good.class.getName()));
    }

    @Test
    public void whatCannotBeReadIsToldAndNothingElse() throws IOException {
        File broken = new File(root, "broken.jar");

        Files.write(broken.toPath(), new byte[] {1, 2, 3});
        jar(new File(root, "good.jar"), null, Base.class, Good.class);
        Plugins.Scan scan = plugins().scan(Arrays.asList(broken.getPath(),
                new File(root, "good.jar").getPath(), new File(root, "none").getPath()));

        assertEquals(2, scan.refused.size());
        assertEquals(broken.getPath(), scan.refused.get(0).path);
        assertTrue(scan.refused.get(0).why, scan.refused.get(0).why.startsWith("broken.jar is no"));
        assertEquals(1, scan.plugins.size());
    }

    @Test
    public void jarsSideBySideAreTheirOwnFirstAndLibrariesOfEachOther() throws Exception {
        jar(new File(root, "base.jar"), null, Base.class);
        jar(new File(root, "good.jar"), null, Good.class);
        jar(new File(root, "other.jar"), null, Base.class, Good.class);
        Plugins plugins = plugins();
        Class<?> good = plugins.load(Good.class.getName(), new File(root, "good.jar").getPath());
        Class<?> other = plugins.load(Good.class.getName(), new File(root, "other.jar").getPath());

        assertEquals(Collections.singleton(Good.class.getName()),
                scan(new File(root, "good.jar")).keySet());
        assertTrue(scan(new File(root, "base.jar")).isEmpty());
        assertTrue(at(good).endsWith("good.jar") && at(good.getSuperclass()).endsWith("base.jar"));
        assertTrue(at(other).endsWith("other.jar"));
        assertTrue(at(other.getSuperclass()).endsWith("other.jar"));
        assertNotSame(good, other);
    }

    private static String at(Class<?> c) {
        return c.getProtectionDomain().getCodeSource().getLocation().getPath();
    }

    @Test
    public void aClassOfALaterJavaIsRefusedWithTheVersions() throws IOException {
        byte[] bytes = classFile(Good.class);
        File loose = new File(root, "Good.class");

        bytes[7] = (byte) 200; // the class file's major version
        Files.write(loose.toPath(), bytes);
        Plugins.Scan scan = plugins().scan(Collections.singletonList(root.getPath()));

        assertTrue(scan.plugins.isEmpty());
        assertEquals(1, scan.refused.size());
        assertTrue(scan.refused.get(0).why, scan.refused.get(0).why.contains(
                Good.class.getName() + " needs Java 156, and this is Java "));
        assertTrue(scan.refused.get(0).why.contains("host.java"));
    }

    @Test
    public void anArchiveOfArchivesIsToBeUnpacked() throws IOException {
        File zip = new File(root, "all.zip");

        try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(zip.toPath()))) {
            out.putNextEntry(new ZipEntry("all/lib/a.jar"));
            out.write(1);
        }
        Plugins.Scan scan = plugins().scan(Collections.singletonList(zip.getPath()));

        assertTrue(scan.refused.get(0).why, scan.refused.get(0).why.contains("unpack it"));
    }

    @Test
    public void whatIsMissingComesWithACure() throws Exception {
        jar(new File(root, "p/good.jar"), null, Good.class); // and nowhere its parent
        Plugins plugins = new Plugins(ClassLoader.getSystemClassLoader().getParent(), null);
        Throwable e = assertThrows(LinkageError.class,
                () -> plugins.load(Good.class.getName(), new File(root, "p").getPath()));

        assertTrue(WireError.message(e), WireError.message(e).endsWith(
                "(put the jar with that class into the connector's folder)"));
    }

    @Test
    public void aClassFileThatIsCutIsNoPlugin() throws IOException {
        byte[] whole = classFile(Good.class);

        for (int n = 0; n < whole.length - 200; n += 7) {
            int length = n;

            assertThrows(IOException.class, () -> ClassHeader.read(
                    new ByteArrayInputStream(Arrays.copyOf(whole, length))));
        }
    }

    @Test
    public void eachLocationHasItsOwnClassesAndSharesTheApi() throws Exception {
        jar(new File(root, "one/a.jar"), null, Base.class, Good.class);
        jar(new File(root, "two/a.jar"), null, Base.class, Good.class);
        Plugins plugins = plugins();
        Class<?> one = plugins.load(Good.class.getName(), new File(root, "one").getPath());
        Class<?> two = plugins.load(Good.class.getName(), new File(root, "two").getPath());

        assertNotSame(Good.class, one);
        assertNotSame(one, two);
        assertSame(one, plugins.load(Good.class.getName(), new File(root, "one").getPath()));
        assertTrue(Transform.class.isAssignableFrom(one) && Transform.class.isAssignableFrom(two));
        one.getField("loaded").setInt(null, 5);
        assertEquals(0, two.getField("loaded").getInt(null));
    }

    @Test
    public void whatALocationLacksIsInCompat() throws Exception {
        jar(new File(root, "home/compat/base.jar"), null, Base.class);
        jar(new File(root, "thin/thin.jar"), null, Good.class); // not beside the other
        jar(new File(root, "whole/whole.jar"), null, Base.class, Good.class);
        ClassLoader none = new ClassLoader(getClass().getClassLoader()) {
            @Override
            protected Class<?> loadClass(String name, boolean resolve)
                    throws ClassNotFoundException {
                if (name.startsWith(PluginsTest.class.getName()))
                    throw new ClassNotFoundException(name);
                return super.loadClass(name, resolve);
            }
        };
        Plugins plugins = new Plugins(none, new File(root, "home"));
        Class<?> thin = plugins.load(Good.class.getName(), new File(root, "thin").getPath());
        Class<?> whole = plugins.load(Good.class.getName(), new File(root, "whole").getPath());

        assertNotSame(thin.getClassLoader(), thin.getSuperclass().getClassLoader());
        assertSame("its own first", whole.getClassLoader(),
                whole.getSuperclass().getClassLoader());
    }

    @Test
    public void changedFilesAreLoadedAnew() throws Exception {
        File jar = new File(root, "one/a.jar");
        String location = jar.getParent();
        Plugins plugins = plugins();

        jar(jar, null, Base.class, Good.class);
        Class<?> before = plugins.load(Good.class.getName(), location);

        assertSame(before, plugins.load(Good.class.getName(), location));
        jar(jar, "2.0", Base.class, Good.class, Needy.class);
        assertNotSame(before, plugins.load(Good.class.getName(), location));
    }

    @Test
    public void aMissingClassIsNamedWithItsPlace() throws IOException {
        jar(new File(root, "a.jar"), null, Base.class);
        ClassNotFoundException e = assertThrows(ClassNotFoundException.class,
                () -> plugins().load("com.example.None", new File(root, "a.jar").getPath()));

        assertTrue(e.getMessage(), e.getMessage().contains("com.example.None")
                && e.getMessage().contains("a.jar"));
    }

    @Test
    public void kafkasOwnPackagesAreSharedButForItsPlugins() {
        assertTrue(PluginLoader.isSharedKafka("org.apache.kafka.connect.source.SourceTask"));
        assertTrue(PluginLoader.isSharedKafka("org.apache.kafka.clients.consumer.Consumer"));
        assertTrue(PluginLoader.isSharedKafka("org.apache.kafka.connect.transforms.Transformation"));
        for (String own : new String[] {"org.apache.kafka.connect.file.FileStreamSourceTask",
            "org.apache.kafka.connect.transforms.InsertField",
            "org.apache.kafka.connect.mirror.MirrorSourceConnector",
            "org.apache.kafka.connect.json.JsonConverter", "com.example.Any"})
            assertFalse(own, PluginLoader.isSharedKafka(own));
    }
}
