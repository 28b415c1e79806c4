// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.protocol;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;

/** A queue of a topic, and with it an offset and what the sink keeps with it. */
public final class Queue {
    public final String topic;
    public final String broker;
    public final int id;

    public Queue(String topic, String broker, int id) {
        this.topic = topic;
        this.broker = broker;
        this.id = id;
    }

    @Override
    public boolean equals(Object o) {
        if (!(o instanceof Queue))
            return false;
        Queue q = (Queue) o;

        return id == q.id && topic.equals(q.topic) && broker.equals(q.broker);
    }

    @Override
    public int hashCode() {
        return (topic.hashCode() * 31 + broker.hashCode()) * 31 + id;
    }

    @Override
    public String toString() {
        return topic + (broker.isEmpty() ? "" : "@" + broker) + "/" + id;
    }

    public static Queue read(In in) {
        String topic = in.str();
        String broker = in.str();

        return new Queue(topic, broker, in.i32());
    }

    public void write(Out out) {
        out.str(topic).str(broker).u32(id);
    }

    public static List<Queue> list(In in) {
        int count = in.count(12);
        List<Queue> list = new ArrayList<>(count);

        for (int i = 0; i < count; i++)
            list.add(read(in));
        return list;
    }

    public static Out list(Collection<Queue> queues) {
        Out out = new Out();

        out.u32(queues.size());
        for (Queue q : queues)
            q.write(out);
        return out;
    }

    /** A queue with the offset of its next record. */
    public static final class Offset {
        public final Queue queue;
        public final long offset;
        /** What the sink keeps with the offset, or null. */
        public final Map<String, ?> state;

        public Offset(Queue queue, long offset, Map<String, ?> state) {
            this.queue = queue;
            this.offset = offset;
            this.state = state;
        }

        public static List<Offset> list(In in, ValueReader values) {
            int count = in.count(21);
            List<Offset> list = new ArrayList<>(count);

            for (int i = 0; i < count; i++) {
                Queue queue = read(in);
                long offset = in.i64();

                list.add(new Offset(queue, offset, in.bool() ? values.map(in) : null));
            }
            return list;
        }

        public static Out list(Collection<Offset> offsets, ValueWriter values) {
            Out out = new Out();

            out.u32(offsets.size());
            for (Offset o : offsets) {
                o.queue.write(out);
                out.u64(o.offset).bool(o.state != null);
                if (o.state != null)
                    values.map(out, o.state);
            }
            return out;
        }
    }
}
