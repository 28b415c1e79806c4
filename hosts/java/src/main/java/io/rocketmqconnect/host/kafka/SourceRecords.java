// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.kafka;

import io.rocketmqconnect.host.protocol.WireRecord;

import org.apache.kafka.connect.source.SourceRecord;

/** SourceRecord to the protocol. */
final class SourceRecords {
    private final Converters converters;

    SourceRecords(Converters converters) {
        this.converters = converters;
    }

    /** @param position the record as the connector gave it; transforms may not change its position. */
    WireRecord toWire(SourceRecord r, SourceRecord position) {
        WireRecord w = new WireRecord();

        w.timestamp = r.timestamp();
        w.partition = position.sourcePartition();
        w.offset = position.sourceOffset();
        if (converters.hasKey()) {
            w.key = converters.keyBytes(r.topic(), r.keySchema(), r.key());
        } else {
            w.keySchema = r.keySchema();
            w.key = r.key();
        }
        if (converters.hasValue()) {
            w.value = converters.valueBytes(r.topic(), r.valueSchema(), r.value());
        } else {
            w.valueSchema = r.valueSchema();
            w.value = r.value();
        }
        w.extensions = Headers.toExtensions(r.headers());
        w.topic = topicName(r.topic());
        w.queue = r.kafkaPartition() == null ? -1 : r.kafkaPartition();
        return w;
    }

    /** RocketMQ's topics have letters, digits, and `_ - | %`; anything else becomes `_`. */
    static String topicName(String topic) {
        if (topic == null || topic.isEmpty())
            return null;
        for (int i = 0; i < topic.length(); i++)
            if (!isAllowed(topic.charAt(i)))
                return replaced(topic);
        return topic;
    }

    private static String replaced(String topic) {
        StringBuilder name = new StringBuilder(topic);

        for (int i = 0; i < name.length(); i++)
            if (!isAllowed(name.charAt(i)))
                name.setCharAt(i, '_');
        return name.toString();
    }

    private static boolean isAllowed(char c) {
        return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
                || c == '-' || c == '|' || c == '%';
    }
}
