// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.kafka;

import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

import org.apache.kafka.connect.storage.Converter;

/** Configurations as Kafka's runtime would hand them out. */
final class Configs {
    /** Keys that of() adds. */
    static final Set<String> ADDED =
            new HashSet<>(Arrays.asList("name", "connector.class", "topics"));

    private Configs() {}

    /**
     * With `name` and `connector.class`; and for sinks `topics`, which is `connect.topicnames` here.
     * Converters are those of Kafka: the worker's say nothing to a connector, which could not load
     * them.
     */
    static Map<String, String> of(Map<String, String> config, String connector, String className,
            boolean sink) {
        Map<String, String> made = new HashMap<>(config);

        if (!connector.isEmpty())
            made.putIfAbsent("name", connector);
        made.putIfAbsent("connector.class", className);
        if (sink && !made.containsKey("topics") && !made.containsKey("topics.regex")) {
            String topics = config.getOrDefault("connect.topicnames",
                    config.get("connect.topicname"));

            if (topics != null)
                made.put("topics", topics.replace(';', ','));
        }
        converter(made, "key.converter");
        converter(made, "value.converter");
        return made;
    }

    /**
     * A task's configuration as the worker has to have it: connectors hand on what of() has made of
     * the converters, and the worker's own would be lost.
     */
    static Map<String, String> back(Map<String, String> task, Map<String, String> given) {
        Map<String, String> made = new HashMap<>(task);

        for (String key : new String[] {"key.converter", "value.converter"})
            if (given.containsKey(key))
                made.put(key, given.get(key));
            else
                made.remove(key);
        return made;
    }

    private static void converter(Map<String, String> made, String key) {
        String type = made.getOrDefault(Smts.PREFIX + key, made.get(key));

        if (type != null && isConverter(type.trim()))
            made.put(key, type.trim());
        else
            made.remove(key);
    }

    private static boolean isConverter(String type) {
        try {
            return Converter.class.isAssignableFrom(Class.forName(type, false,
                    Thread.currentThread().getContextClassLoader()));
        } catch (ClassNotFoundException | LinkageError e) {
            return false;
        }
    }
}
