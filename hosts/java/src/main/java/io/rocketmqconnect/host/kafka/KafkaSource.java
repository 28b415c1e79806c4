// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.kafka;

import io.rocketmqconnect.host.protocol.WireRecord;
import io.rocketmqconnect.host.session.Api;
import io.rocketmqconnect.host.session.Start;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.source.SourceTask;
import org.apache.kafka.connect.source.SourceTaskContext;
import org.apache.kafka.connect.source.TransactionContext;
import org.apache.kafka.connect.storage.OffsetStorageReader;

/** A source task of Kafka Connect. */
final class KafkaSource implements Api.SourcePlugin {
    private final SourceTask task;
    private final Api.SourceCalls calls;
    private final Map<String, String> config;
    private final Smts<SourceRecord> smts;
    private final SourceRecords records;

    KafkaSource(SourceTask task, Start start, Api.SourceCalls calls) {
        ClassLoader loader = Thread.currentThread().getContextClassLoader();

        this.task = task;
        this.calls = calls;
        this.config = Configs.of(start.config, start.connector, start.className, false);
        this.smts = new Smts<>(config, loader);
        this.records = new SourceRecords(new Converters(config, loader));
    }

    @Override
    public void start() {
        task.initialize(new Context());
        task.start(config);
    }

    @Override
    public List<?> poll() throws InterruptedException {
        return task.poll();
    }

    @Override
    public WireRecord toWire(Object record) {
        SourceRecord r = smts.apply((SourceRecord) record);

        return r == null ? null : records.toWire(r, (SourceRecord) record);
    }

    @Override
    public void acked(Object record, Api.Receipt receipt) throws InterruptedException {
        SourceRecord r = (SourceRecord) record;

        task.commitRecord(r, receipt == null ? null : metadata(r, receipt));
    }

    private static RecordMetadata metadata(SourceRecord r, Api.Receipt receipt) {
        Long timestamp = r.timestamp();

        return new RecordMetadata(new TopicPartition(receipt.topic, receipt.queue),
                receipt.offset, 0, timestamp == null ? -1 : timestamp, -1, -1);
    }

    @Override
    public void commit() throws InterruptedException {
        task.commit();
    }

    @Override
    public void stop() {
        try {
            task.stop();
        } finally {
            smts.close();
        }
    }

    private final class Context implements SourceTaskContext, OffsetStorageReader {
        @Override
        public Map<String, String> configs() {
            return config;
        }

        @Override
        public OffsetStorageReader offsetStorageReader() {
            return this;
        }

        @Override
        public TransactionContext transactionContext() {
            return null;
        }

        @Override
        public <T> Map<String, Object> offset(Map<String, T> partition) {
            return calls.readOffsets(Collections.singletonList(partition)).get(0);
        }

        @Override
        public <T> Map<Map<String, T>, Map<String, Object>> offsets(
                Collection<Map<String, T>> partitions) {
            List<Map<String, T>> list = new ArrayList<>(partitions);
            List<Map<String, Object>> offsets = calls.readOffsets(list);
            Map<Map<String, T>, Map<String, Object>> map = new HashMap<>();

            for (int i = 0; i < list.size(); i++)
                map.put(list.get(i), offsets.get(i));
            return map;
        }
    }
}
