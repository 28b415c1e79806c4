// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.kafka;

import io.rocketmqconnect.host.protocol.Queue;
import io.rocketmqconnect.host.protocol.WireRecord;
import io.rocketmqconnect.host.session.Api;
import io.rocketmqconnect.host.session.Start;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;

import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.errors.RetriableException;
import org.apache.kafka.connect.sink.ErrantRecordReporter;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTask;
import org.apache.kafka.connect.sink.SinkTaskContext;

/** A sink task of Kafka Connect. */
final class KafkaSink implements Api.SinkPlugin {
    private final SinkTask task;
    private final Api.SinkCalls calls;
    private final Map<String, String> config;
    private final Smts<SinkRecord> smts;
    private final Converters converters;
    private final Partitions partitions;
    private final Set<TopicPartition> assigned = Collections.synchronizedSet(new HashSet<>());
    /** Of the put that is open: to the index of the record it was made from. */
    private volatile Map<SinkRecord, Integer> putting = Collections.emptyMap();
    private volatile long timeoutMs = -1;

    KafkaSink(SinkTask task, Start start, Api.SinkCalls calls) {
        ClassLoader loader = Thread.currentThread().getContextClassLoader();

        this.task = task;
        this.calls = calls;
        this.config = Configs.of(start.config, start.connector, start.className, true);
        this.partitions = new Partitions(config);
        this.smts = new Smts<>(config, loader);
        this.converters = new Converters(config, loader);
    }

    @Override
    public void start() {
        task.initialize(new Context());
        task.start(config);
    }

    @Override
    public void open(List<Queue.Offset> queues) {
        List<TopicPartition> opened = new ArrayList<>();

        for (Queue.Offset q : queues)
            opened.add(partitions.of(q.queue));
        assigned.addAll(opened);
        task.open(opened);
    }

    @Override
    public void close(List<Queue> queues) {
        List<TopicPartition> closed = new ArrayList<>();

        for (Queue q : queues)
            closed.add(partitions.of(q));
        task.close(closed);
        assigned.removeAll(closed);
    }

    @Override
    public void put(List<WireRecord> records) {
        List<SinkRecord> list = new ArrayList<>(records.size());
        Map<SinkRecord, Integer> indexes = new IdentityHashMap<>();
        Map<String, ?> lastMap = null;
        TopicPartition last = null;

        for (int i = 0; i < records.size(); i++) {
            WireRecord w = records.get(i);

            if (w.partition != lastMap || last == null) { // equal maps of a frame are one object
                lastMap = w.partition;
                last = partitions.of(queue(w.partition));
            }
            SinkRecord r = smts.apply(make(w, last));

            if (r == null)
                continue;
            indexes.put(r, i);
            list.add(r);
        }
        callPut(list, indexes);
    }

    private void callPut(List<SinkRecord> list, Map<SinkRecord, Integer> indexes) {
        putting = indexes;
        timeoutMs = -1;
        try {
            task.put(list);
        } catch (RetriableException e) {
            if (timeoutMs >= 0)
                calls.retryAfter(timeoutMs);
            throw e;
        } finally {
            putting = Collections.emptyMap();
        }
    }

    private static Queue queue(Map<String, ?> partition) {
        return new Queue(String.valueOf(partition.get("topic")),
                String.valueOf(partition.get("brokerName")),
                Integer.parseInt(String.valueOf(partition.get("queueId"))));
    }

    private SinkRecord make(WireRecord w, TopicPartition at) {
        Schema keySchema = (Schema) w.keySchema;
        Schema valueSchema = (Schema) w.valueSchema;
        Object key = w.key;
        Object value = w.value;

        if (converters.hasKey()) {
            SchemaAndValue made = converters.key(at.topic(), key);

            keySchema = made.schema();
            key = made.value();
        }
        if (converters.hasValue()) {
            SchemaAndValue made = converters.value(at.topic(), value);

            valueSchema = made.schema();
            value = made.value();
        }
        return new SinkRecord(at.topic(), at.partition(), keySchema, key, valueSchema, value,
                w.queueOffset(), w.timestamp, w.timestamp == null ? TimestampType.NO_TIMESTAMP_TYPE
                        : TimestampType.CREATE_TIME, Headers.fromExtensions(w.extensions));
    }

    @Override
    public List<Queue.Offset> preCommit(List<Queue.Offset> offsets) {
        Map<TopicPartition, OffsetAndMetadata> asked = new HashMap<>();
        List<Queue.Offset> made = new ArrayList<>();

        for (Queue.Offset o : offsets)
            if (o.offset >= 0)
                asked.put(partitions.of(o.queue), new OffsetAndMetadata(o.offset));
        Map<TopicPartition, OffsetAndMetadata> said = task.preCommit(asked);

        if (said != null)
            said.forEach((p, o) -> {
                if (o != null && asked.containsKey(p))
                    made.add(new Queue.Offset(partitions.of(p), o.offset(), null));
            });
        return made;
    }

    @Override
    public void stop() {
        try {
            if (!assigned.isEmpty())
                close(queues(new ArrayList<>(assigned)));
        } finally {
            try {
                task.stop();
            } finally {
                smts.close();
            }
        }
    }

    private List<Queue> queues(Collection<TopicPartition> of) {
        List<Queue> list = new ArrayList<>();

        for (TopicPartition p : of)
            list.add(partitions.of(p));
        return list;
    }

    private final class Context implements SinkTaskContext {
        @Override
        public Map<String, String> configs() {
            return config;
        }

        @Override
        public void offset(Map<TopicPartition, Long> offsets) {
            List<Queue.Offset> list = new ArrayList<>();

            offsets.forEach((p, o) -> list.add(new Queue.Offset(partitions.of(p), o, null)));
            calls.resetOffset(list);
        }

        @Override
        public void offset(TopicPartition p, long offset) {
            offset(Collections.singletonMap(p, offset));
        }

        @Override
        public void timeout(long ms) {
            timeoutMs = ms;
        }

        @Override
        public Set<TopicPartition> assignment() {
            synchronized (assigned) {
                return new HashSet<>(assigned);
            }
        }

        @Override
        public void pause(TopicPartition... of) {
            calls.pause(queues(java.util.Arrays.asList(of)));
        }

        @Override
        public void resume(TopicPartition... of) {
            calls.resume(queues(java.util.Arrays.asList(of)));
        }

        @Override
        public void requestCommit() {
            calls.requestCommit();
        }

        @Override
        public ErrantRecordReporter errantRecordReporter() {
            return KafkaSink.this::report;
        }
    }

    private Future<Void> report(SinkRecord record, Throwable why) {
        Integer index = putting.get(record);
        CompletableFuture<Void> failed = new CompletableFuture<>();

        try {
            return calls.report(index == null ? -1 : index, why);
        } catch (RuntimeException e) {
            failed.completeExceptionally(e);
            return failed;
        }
    }
}
