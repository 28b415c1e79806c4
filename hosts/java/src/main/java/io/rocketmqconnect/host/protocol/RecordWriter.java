// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.protocol;

import java.util.HashMap;
import java.util.Map;

/** Writes the records of one frame after the other; maps and texts are referred to per frame. */
public final class RecordWriter {
    /** How many maps are looked at: tasks have few partitions at a time. */
    private static final int PARTITIONS = 8;

    private final ValueWriter values;
    private final Map<?, ?>[] maps = new Map<?, ?>[PARTITIONS]; // seen last in this frame
    private final int[] mapRefs = new int[PARTITIONS];
    private int mapCount;
    private int turn;
    private final Map<String, Integer> texts = new HashMap<>();

    public RecordWriter(ValueWriter values) {
        this.values = values;
    }

    /** References begin anew with each frame. */
    public void beginFrame() {
        values.beginFrame();
        mapCount = 0;
        turn = 0;
        java.util.Arrays.fill(maps, null);
        texts.clear();
    }

    public void write(Out out, WireRecord r) {
        int at = out.mark();
        int bits = 0;

        out.u16(0);
        if (r.timestamp != null) {
            bits |= 0x0001;
            out.u64(r.timestamp);
        }
        if (r.keySchema != null) {
            bits |= 0x0002;
            out.u32(values.schemaId(r.keySchema));
        }
        if (r.valueSchema != null) {
            bits |= 0x0004;
            out.u32(values.schemaId(r.valueSchema));
        }
        if (r.key != null) {
            bits |= 0x0008;
            values.value(out, r.keySchema, r.key);
        }
        if (r.value != null) {
            bits |= 0x0010;
            values.value(out, r.valueSchema, r.value);
        }
        bits |= position(out, r);
        bits |= rest(out, r);
        out.patch16(at, bits);
    }

    private int position(Out out, WireRecord r) {
        int bits = 0;

        if (r.partition != null) {
            bits |= 0x0020;
            partition(out, r.partition);
        }
        if (r.counterName != null) {
            if (r.offset != null && !r.offset.isEmpty()) {
                bits |= 0x0040;
                partition(out, r.offset);
            }
            text(out, r.counterName).u64(r.counter);
            return bits | 0x0080;
        }
        if (r.offset == null || r.offset.isEmpty())
            return bits;
        if (r.offset.size() == 1 && counter(out, r.offset))
            return bits | 0x0080;
        out.u32(mapCount++);
        values.map(out, r.offset);
        return bits | 0x0040;
    }

    /** An offset that is but one INT64, as most are, goes as name and number. */
    private boolean counter(Out out, Map<String, ?> offset) {
        Map.Entry<String, ?> only = offset.entrySet().iterator().next();

        if (!(only.getValue() instanceof Long) || only.getKey() == null)
            return false;
        text(out, only.getKey()).u64((Long) only.getValue());
        return true;
    }

    /** A map that is probably one of the last few. */
    private void partition(Out out, Map<?, ?> map) {
        for (int i = 0; i < PARTITIONS && maps[i] != null; i++)
            if (maps[i] == map || maps[i].equals(map)) {
                out.u32(mapRefs[i]);
                return;
            }
        maps[turn] = map;
        mapRefs[turn] = mapCount;
        turn = (turn + 1) % PARTITIONS;
        out.u32(mapCount++);
        values.map(out, map);
    }

    private Out text(Out out, String s) {
        Integer ref = texts.get(s);

        if (ref != null)
            return out.u32(ref);
        out.u32(texts.size()).str(s);
        texts.put(s, texts.size());
        return out;
    }

    private int rest(Out out, WireRecord r) {
        int bits = 0;

        if (r.extensions != null && !r.extensions.isEmpty()) {
            bits |= 0x0100;
            out.kv(r.extensions);
        }
        if (r.properties != null && !r.properties.isEmpty()) {
            bits |= 0x0200;
            out.kv(r.properties);
        }
        if (r.topic != null) {
            bits |= 0x0400;
            text(out, r.topic);
        }
        if (r.queue != -1) {
            bits |= 0x0800;
            out.u32(r.queue);
        }
        if (r.flag != 0) {
            bits |= 0x1000;
            out.u32(r.flag);
        }
        if (r.born != null) {
            bits |= 0x2000;
            out.u64(r.born);
        }
        return bits;
    }

}
