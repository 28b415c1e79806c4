// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.openmessaging;

import io.openmessaging.KeyValue;
import io.openmessaging.connector.api.component.task.sink.ErrorRecordReporter;
import io.openmessaging.connector.api.component.task.sink.SinkTask;
import io.openmessaging.connector.api.component.task.sink.SinkTaskContext;
import io.openmessaging.connector.api.data.ConnectRecord;
import io.openmessaging.connector.api.data.RecordOffset;
import io.openmessaging.connector.api.data.RecordPartition;
import io.openmessaging.connector.api.errors.ConnectException;
import io.rocketmqconnect.host.protocol.Queue;
import io.rocketmqconnect.host.protocol.WireRecord;
import io.rocketmqconnect.host.session.Api;
import io.rocketmqconnect.host.session.Start;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;

/** A sink task of OpenMessaging. Partitions and offsets are maps of texts. */
final class SinkAdapter implements Api.SinkPlugin {
    private final SinkTask task;
    private final Start start;
    private final Api.SinkCalls calls;
    private final Config config;
    private final Map<Queue, RecordPartition> assigned =
            Collections.synchronizedMap(new HashMap<>());
    /** Of the put that is open. */
    private volatile List<ConnectRecord> putting = Collections.emptyList();

    SinkAdapter(SinkTask task, Start start, Api.SinkCalls calls) {
        this.task = task;
        this.start = start;
        this.calls = calls;
        this.config = new Config(start.config);
    }

    @Override
    public void start() {
        task.init((SinkTaskContext) new Context());
        task.start(config);
    }

    @Override
    public void open(List<Queue.Offset> queues) {
        for (Queue.Offset q : queues)
            assigned.put(q.queue, Records.partition(q.queue));
    }

    @Override
    public void close(List<Queue> queues) {
        for (Queue q : queues)
            assigned.remove(q);
    }

    @Override
    public void put(List<WireRecord> records) {
        List<ConnectRecord> list = new ArrayList<>(records.size());
        Map<String, ?> lastMap = null;
        RecordPartition last = null;

        for (WireRecord w : records) {
            if (w.partition != lastMap || last == null) { // equal maps of a frame are one object
                lastMap = w.partition;
                last = new RecordPartition(w.partition);
            }
            list.add(Records.ofSink(w, last));
        }
        putting = new ArrayList<>(list);
        try {
            task.put(list);
        } finally {
            putting = Collections.emptyList();
        }
    }

    @Override
    public List<Queue.Offset> preCommit(List<Queue.Offset> offsets) {
        Map<RecordPartition, RecordOffset> map = new HashMap<>();
        List<Queue.Offset> made = new ArrayList<>();

        for (Queue.Offset o : offsets)
            map.put(Records.partition(o.queue), Records.offset(o.offset));
        Map<RecordPartition, RecordOffset> said = task.preCommit(map);

        if (said != null)
            said.forEach((p, o) -> made
                    .add(new Queue.Offset(Records.queue(p), Records.offset(o), null)));
        return made;
    }

    @Override
    public void stop() {
        task.stop();
    }

    private final class Context implements SinkTaskContext {
        @Override
        public String getConnectorName() {
            return start.connector;
        }

        @Override
        public String getTaskName() {
            return start.task;
        }

        @Override
        public KeyValue configs() {
            return config;
        }

        @Override
        public void resetOffset(RecordPartition partition, RecordOffset offset) {
            resetOffset(Collections.singletonMap(partition, offset));
        }

        @Override
        public void resetOffset(Map<RecordPartition, RecordOffset> offsets) {
            List<Queue.Offset> list = new ArrayList<>();

            offsets.forEach((p, o) -> list
                    .add(new Queue.Offset(Records.queue(p), Records.offset(o), null)));
            calls.resetOffset(list);
        }

        @Override
        public void pause(List<RecordPartition> partitions) {
            calls.pause(queues(partitions));
        }

        @Override
        public void resume(List<RecordPartition> partitions) {
            calls.resume(queues(partitions));
        }

        private List<Queue> queues(List<RecordPartition> partitions) {
            List<Queue> list = new ArrayList<>();

            for (RecordPartition p : partitions)
                list.add(Records.queue(p));
            return list;
        }

        @Override
        public Set<RecordPartition> assignment() {
            synchronized (assigned) {
                return new HashSet<>(assigned.values());
            }
        }

        @Override
        public ErrorRecordReporter errorRecordReporter() {
            return SinkAdapter.this::report;
        }
    }

    /** Returns when the worker has taken the record away; else the put has to fail. */
    private void report(ConnectRecord record, Throwable why) {
        try {
            calls.report(indexOf(record), why).get();
        } catch (ExecutionException e) {
            throw new ConnectException(e.getCause().getMessage(), e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new ConnectException("interrupted while a record was reported", e);
        }
    }

    private int indexOf(ConnectRecord record) {
        List<ConnectRecord> list = putting;

        for (int i = 0; i < list.size(); i++)
            if (list.get(i) == record)
                return i;
        return list.indexOf(record);
    }
}
