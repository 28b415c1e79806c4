// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.kafka;

import io.rocketmqconnect.host.protocol.WireRecord;
import io.rocketmqconnect.host.session.Api;
import io.rocketmqconnect.host.session.Start;

import java.io.Closeable;
import java.util.HashMap;
import java.util.Map;

import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.storage.Converter;
import org.apache.kafka.connect.transforms.Transformation;
import org.apache.kafka.connect.transforms.predicates.Predicate;

/**
 * A transform, predicate or converter of Kafka Connect as a component of any connector. A record
 * goes through it as a SourceRecord, whose position and what else it has stay.
 */
final class KafkaComponent implements Api.ComponentPlugin {
    private final Object plugin;
    private final Start start;

    KafkaComponent(Object plugin, Start start) {
        this.plugin = plugin;
        this.start = start;
    }

    @Override
    public void start() {
        Map<String, Object> config = new HashMap<>(start.config);

        if (plugin instanceof Transformation)
            ((Transformation<?>) plugin).configure(config);
        else if (plugin instanceof Predicate)
            ((Predicate<?>) plugin).configure(config);
        else
            converter().configure(config, start.isKey);
    }

    private Converter converter() {
        return (Converter) plugin;
    }

    private static SourceRecord record(WireRecord w) {
        return new SourceRecord(w.partition, w.offset, w.topic, w.queue < 0 ? null : w.queue,
                (Schema) w.keySchema, w.key, (Schema) w.valueSchema, w.value, w.timestamp,
                Headers.fromExtensions(w.extensions));
    }

    @Override
    @SuppressWarnings("unchecked")
    public WireRecord apply(WireRecord before) {
        SourceRecord r = ((Transformation<SourceRecord>) plugin).apply(record(before));

        if (r == null)
            return null;
        WireRecord w = before.copy();

        w.timestamp = r.timestamp();
        w.keySchema = r.keySchema();
        w.key = r.key();
        w.valueSchema = r.valueSchema();
        w.value = r.value();
        w.extensions = Headers.toExtensions(r.headers());
        w.queue = r.kafkaPartition() == null ? -1 : r.kafkaPartition();
        if (r.topic() != null && !r.topic().equals(before.topic))
            w.topic = SourceRecords.topicName(r.topic());
        return w;
    }

    @Override
    @SuppressWarnings("unchecked")
    public boolean test(WireRecord record) {
        return ((Predicate<SourceRecord>) plugin).test(record(record));
    }

    @Override
    public byte[] toBytes(String topic, Map<String, String> extensions, Object schema,
            Object value) {
        return converter().fromConnectData(topic, new RecordHeaders(), (Schema) schema, value);
    }

    @Override
    public Api.SchemaValue toValue(String topic, Map<String, String> extensions, byte[] bytes) {
        SchemaAndValue made = converter().toConnectData(topic, new RecordHeaders(), bytes);

        return made == null ? new Api.SchemaValue(null, null)
                : new Api.SchemaValue(made.schema(), made.value());
    }

    @Override
    public void stop() throws Exception {
        if (plugin instanceof Closeable)
            ((Closeable) plugin).close();
        else if (plugin instanceof AutoCloseable)
            ((AutoCloseable) plugin).close();
    }
}
