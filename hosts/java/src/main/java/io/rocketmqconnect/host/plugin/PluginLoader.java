// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.plugin;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Enumeration;
import java.util.List;

/**
 * Loads the classes of one location: those of the JDK from the JDK, those of the APIs from the host,
 * all others from the location, and what is not there from the folder `compat`. So plugins may have
 * whatever versions of libraries they like, and still talk to the host with the same classes.
 */
public final class PluginLoader extends URLClassLoader {
    static {
        registerAsParallelCapable();
    }

    private static final ClassLoader JDK = ClassLoader.getSystemClassLoader().getParent();

    private final ClassLoader host;
    private final boolean kafka;

    /**
     * @param host has the APIs.
     * @param parent the host, with what plugins expect beside the APIs.
     * @param kafka whether the location has Kafka plugins, which share Kafka's classes with us.
     */
    public PluginLoader(URL[] urls, ClassLoader host, ClassLoader parent, boolean kafka) {
        super(urls, parent);
        this.host = host;
        this.kafka = kafka;
    }

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
        synchronized (getClassLoadingLock(name)) {
            Class<?> c = findLoadedClass(name);

            if (c == null)
                c = find(name);
            if (resolve)
                resolveClass(c);
            return c;
        }
    }

    private Class<?> find(String name) throws ClassNotFoundException {
        Class<?> c = of(JDK, name);

        if (c == null && isShared(name))
            c = of(host, name);
        if (c != null)
            return c;
        try {
            return findClass(name);
        } catch (ClassNotFoundException e) {
            return getParent().loadClass(name);
        }
    }

    private static Class<?> of(ClassLoader loader, String name) {
        try {
            return loader.loadClass(name);
        } catch (ClassNotFoundException e) {
            return null;
        }
    }

    private boolean isShared(String name) {
        return name.startsWith("io.openmessaging.connector.api.")
                || name.equals("io.openmessaging.KeyValue")
                || name.equals("io.openmessaging.internal.DefaultKeyValue")
                || name.startsWith("org.slf4j.")
                || name.startsWith("org.apache.rocketmq.")
                || kafka && isSharedKafka(name);
    }

    /** Kafka's own packages, but for those that are plugins themselves. */
    static boolean isSharedKafka(String name) {
        if (!name.startsWith("org.apache.kafka."))
            return false;
        String rest = name.substring("org.apache.kafka.".length());

        if (rest.startsWith("common.config.provider."))
            return rest.equals("common.config.provider.ConfigProvider");
        if (!rest.startsWith("connect."))
            return true;
        rest = rest.substring("connect.".length());
        if (rest.startsWith("transforms."))
            return rest.equals("transforms.Transformation")
                    || rest.equals("transforms.predicates.Predicate");
        return !rest.startsWith("json.") && !rest.startsWith("file.")
                && !rest.startsWith("mirror.") && !rest.startsWith("converters.")
                && !rest.equals("storage.StringConverter")
                && !rest.equals("storage.SimpleHeaderConverter");
    }

    @Override
    public URL getResource(String name) {
        URL url = findResource(name);

        return url != null ? url : getParent().getResource(name);
    }

    /**
     * Those of the location only for services, or a plugin would be offered the host's providers of
     * an interface that it loads itself.
     */
    @Override
    public Enumeration<URL> getResources(String name) throws IOException {
        List<URL> all = new ArrayList<>(Collections.list(findResources(name)));

        if (all.isEmpty() || !name.startsWith("META-INF/services/"))
            all.addAll(Collections.list(getParent().getResources(name)));
        return Collections.enumeration(all);
    }
}
