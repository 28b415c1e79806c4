// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.openmessaging;

import io.openmessaging.KeyValue;
import io.openmessaging.connector.api.component.task.source.SourceTask;
import io.openmessaging.connector.api.component.task.source.SourceTaskContext;
import io.openmessaging.connector.api.data.ConnectRecord;
import io.openmessaging.connector.api.data.RecordOffset;
import io.openmessaging.connector.api.data.RecordPartition;
import io.openmessaging.connector.api.storage.OffsetStorageReader;
import io.rocketmqconnect.host.protocol.WireRecord;
import io.rocketmqconnect.host.session.Api;
import io.rocketmqconnect.host.session.Start;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A source task of OpenMessaging. */
final class SourceAdapter implements Api.SourcePlugin {
    private final SourceTask task;
    private final Start start;
    private final Api.SourceCalls calls;
    private final Config config;

    SourceAdapter(SourceTask task, Start start, Api.SourceCalls calls) {
        this.task = task;
        this.start = start;
        this.calls = calls;
        this.config = new Config(start.config);
    }

    @Override
    public void start() {
        task.init((SourceTaskContext) new Context());
        task.start(config);
    }

    @Override
    public List<?> poll() throws InterruptedException {
        return task.poll();
    }

    @Override
    public WireRecord toWire(Object record) {
        return Records.toWire((ConnectRecord) record);
    }

    /** The names of the Java runtime's metadata; null for a record that was not stored. */
    @Override
    public void acked(Object record, Api.Receipt receipt) {
        task.commit((ConnectRecord) record, receipt == null ? null : metadata(receipt));
    }

    private static Map<String, String> metadata(Api.Receipt r) {
        Map<String, String> map = new HashMap<>();

        map.put("send.status", "SEND_OK");
        map.put("topic", r.topic);
        map.put("broker.name", r.broker);
        map.put("queue.id", String.valueOf(r.queue));
        map.put("queue.offset", String.valueOf(r.offset));
        if (r.messageId != null)
            map.put("msg.id", r.messageId);
        return map;
    }

    @Override
    public void commit() {
        task.commit();
    }

    @Override
    public void stop() {
        task.stop();
    }

    private final class Context implements SourceTaskContext, OffsetStorageReader {
        @Override
        public OffsetStorageReader offsetStorageReader() {
            return this;
        }

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
        public RecordOffset readOffset(RecordPartition partition) {
            Map<String, Object> offset = calls
                    .readOffsets(Collections.singletonList(partition.getPartition())).get(0);

            return offset == null ? null : new RecordOffset(offset);
        }

        @Override
        public Map<RecordPartition, RecordOffset> readOffsets(Collection<RecordPartition> of) {
            List<RecordPartition> list = new ArrayList<>(of);
            List<Map<String, ?>> partitions = new ArrayList<>();
            Map<RecordPartition, RecordOffset> found = new HashMap<>();

            for (RecordPartition p : list)
                partitions.add(p.getPartition());
            List<Map<String, Object>> offsets = calls.readOffsets(partitions);

            for (int i = 0; i < list.size(); i++)
                if (offsets.get(i) != null)
                    found.put(list.get(i), new RecordOffset(offsets.get(i)));
            return found;
        }
    }
}
