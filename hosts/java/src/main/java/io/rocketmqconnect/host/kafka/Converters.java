// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.kafka;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.storage.Converter;

/**
 * Kafka's converters of a connector's configuration, `kafka.key.converter` and
 * `kafka.value.converter`: the task then gives and takes bytes, and the worker's converter has to be
 * the one for bytes.
 */
final class Converters {
    private final Converter key;
    private final Converter value;

    Converters(Map<String, String> config, ClassLoader loader) {
        key = make(config, "key.converter", true, loader);
        value = make(config, "value.converter", false, loader);
    }

    private static Converter make(Map<String, String> config, String name, boolean isKey,
            ClassLoader loader) {
        String key = Smts.PREFIX + name;
        String type = config.get(key);

        if (type == null || type.trim().isEmpty())
            return null;
        Map<String, String> own = new HashMap<>();

        config.forEach((k, v) -> {
            if (k.startsWith(key + "."))
                own.put(k.substring(key.length() + 1), v);
        });
        try {
            Converter made = (Converter) Class.forName(type.trim(), true, loader)
                    .getDeclaredConstructor().newInstance();

            made.configure(own, isKey);
            return made;
        } catch (ReflectiveOperationException | ClassCastException e) {
            throw new ConfigException(key, type, "cannot be used as a converter: " + e);
        }
    }

    boolean hasKey() {
        return key != null;
    }

    boolean hasValue() {
        return value != null;
    }

    byte[] keyBytes(String topic, Schema schema, Object v) {
        return key.fromConnectData(topic, new RecordHeaders(), schema, v);
    }

    byte[] valueBytes(String topic, Schema schema, Object v) {
        return value.fromConnectData(topic, new RecordHeaders(), schema, v);
    }

    /** What came from the worker; texts count as their bytes. */
    SchemaAndValue key(String topic, Object wire) {
        return key.toConnectData(topic, new RecordHeaders(), bytes(wire));
    }

    SchemaAndValue value(String topic, Object wire) {
        return value.toConnectData(topic, new RecordHeaders(), bytes(wire));
    }

    private static byte[] bytes(Object wire) {
        if (wire == null || wire instanceof byte[])
            return (byte[]) wire;
        if (wire instanceof String)
            return ((String) wire).getBytes(StandardCharsets.UTF_8);
        throw new org.apache.kafka.connect.errors.DataException(
                "with kafka.key.converter or kafka.value.converter the worker's converter has to "
                        + "give bytes, not " + wire.getClass().getName());
    }
}
