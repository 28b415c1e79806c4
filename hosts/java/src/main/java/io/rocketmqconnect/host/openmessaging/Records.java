// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.openmessaging;

import io.openmessaging.connector.api.data.ConnectRecord;
import io.openmessaging.connector.api.data.RecordOffset;
import io.openmessaging.connector.api.data.RecordPartition;
import io.openmessaging.connector.api.data.RecordPosition;
import io.openmessaging.connector.api.data.Schema;
import io.rocketmqconnect.host.protocol.Queue;
import io.rocketmqconnect.host.protocol.WireRecord;

import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

/** ConnectRecord and its position, to and from the protocol. */
final class Records {
    static final String TOPIC = "topic";
    static final String BROKER = "brokerName";
    static final String QUEUE = "queueId";
    static final String OFFSET = "queueOffset";

    private Records() {}

    static WireRecord toWire(ConnectRecord r) {
        WireRecord w = new WireRecord();

        values(r, w);
        RecordPosition position = r.getPosition();

        if (position != null && position.getPartition() != null) {
            w.partition = position.getPartition().getPartition();
            w.offset = position.getOffset() == null ? null : position.getOffset().getOffset();
        }
        return w;
    }

    private static void values(ConnectRecord r, WireRecord w) {
        w.timestamp = r.getTimestamp();
        w.keySchema = r.getKeySchema();
        w.key = r.getKey();
        w.valueSchema = r.getSchema();
        w.value = r.getData();
        w.extensions = Config.map(r.getExtensions());
    }

    /** A record that a transform made of `before`: what it does not know stays. */
    static WireRecord transformed(WireRecord before, ConnectRecord r) {
        WireRecord w = before.copy();

        values(r, w);
        return w;
    }

    /** The record of a transform, whose position is whatever the source or log gave it. */
    static ConnectRecord ofComponent(WireRecord w) {
        Map<String, Object> offset = new HashMap<>();

        if (w.offset != null)
            offset.putAll(w.offset);
        if (w.counterName != null)
            offset.put(w.counterName, w.counterName.equals(OFFSET)
                    ? (Object) String.valueOf(w.counter) : (Object) w.counter);
        return make(w, new RecordPartition(w.partition == null ? new HashMap<>() : w.partition),
                new RecordOffset(offset));
    }

    /** The record of a sink: partition and offset are texts, as the Java runtime has them. */
    static ConnectRecord ofSink(WireRecord w, RecordPartition partition) {
        return make(w, partition, offset(w.queueOffset()));
    }

    private static ConnectRecord make(WireRecord w, RecordPartition partition,
            RecordOffset offset) {
        ConnectRecord r = new ConnectRecord(partition, offset, w.timestamp,
                (Schema) w.keySchema, w.key, (Schema) w.valueSchema, w.value);

        r.setExtensions(w.extensions == null ? new Config() : new Config(w.extensions));
        return r;
    }

    static RecordOffset offset(long offset) {
        return new RecordOffset(Collections.singletonMap(OFFSET, String.valueOf(offset)));
    }

    static RecordPartition partition(Queue q) {
        Map<String, String> map = new LinkedHashMap<>();

        map.put(TOPIC, q.topic);
        map.put(BROKER, q.broker);
        map.put(QUEUE, String.valueOf(q.id));
        return new RecordPartition(map);
    }

    static Queue queue(RecordPartition partition) {
        Map<String, ?> map = partition.getPartition();
        Object topic = map.get(TOPIC);
        Object broker = map.get(BROKER);
        Object id = map.get(QUEUE);

        if (topic == null || id == null)
            throw new IllegalArgumentException("a partition of a sink needs '" + TOPIC + "', '"
                    + BROKER + "' and '" + QUEUE + "'; this one has " + map.keySet());
        return new Queue(topic.toString(), broker == null ? "" : broker.toString(),
                Integer.parseInt(id.toString()));
    }

    /** -1 when there is none. */
    static long offset(RecordOffset offset) {
        Object value = offset == null || offset.getOffset() == null ? null
                : offset.getOffset().get(OFFSET);

        return value == null ? -1 : Long.parseLong(value.toString());
    }
}
