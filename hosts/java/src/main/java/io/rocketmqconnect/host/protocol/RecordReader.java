// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.protocol;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Reads the records of one frame. Equal maps are one object, not to be changed. */
public final class RecordReader {
    private static final int KNOWN = 0x3fff;

    private final ValueReader values;
    private final List<Map<String, Object>> maps = new ArrayList<>();
    private final List<String> texts = new ArrayList<>();

    public RecordReader(ValueReader values) {
        this.values = values;
    }

    public List<WireRecord> list(In in) {
        maps.clear();
        texts.clear();
        int count = in.count(2);
        List<WireRecord> list = new ArrayList<>(count);

        for (int i = 0; i < count; i++)
            list.add(read(in));
        return list;
    }

    private WireRecord read(In in) {
        WireRecord r = new WireRecord();
        int bits = in.u16();

        if ((bits & ~KNOWN) != 0)
            throw new ProtocolException("bad-record", "bits " + Integer.toHexString(bits));
        if ((bits & 0x0001) != 0)
            r.timestamp = in.i64();
        if ((bits & 0x0002) != 0)
            r.keySchema = values.schema(in.i32());
        if ((bits & 0x0004) != 0)
            r.valueSchema = values.schema(in.i32());
        if ((bits & 0x0008) != 0)
            r.key = values.value(in, r.keySchema);
        if ((bits & 0x0010) != 0)
            r.value = values.value(in, r.valueSchema);
        if ((bits & 0x0020) != 0)
            r.partition = mapRef(in);
        if ((bits & 0x0040) != 0)
            r.offset = mapRef(in);
        if ((bits & 0x0080) != 0) {
            r.counterName = textRef(in);
            r.counter = in.i64();
        }
        if ((bits & 0x0100) != 0)
            r.extensions = in.kv();
        if ((bits & 0x0200) != 0)
            r.properties = in.kv();
        if ((bits & 0x0400) != 0)
            r.topic = textRef(in);
        if ((bits & 0x0800) != 0)
            r.queue = in.i32();
        if ((bits & 0x1000) != 0)
            r.flag = in.i32();
        if ((bits & 0x2000) != 0)
            r.born = in.i64();
        return r;
    }

    private Map<String, Object> mapRef(In in) {
        int i = in.i32();

        if (i < 0 || i > maps.size())
            throw new ProtocolException("bad-reference", "map " + (i & 0xffffffffL));
        if (i == maps.size())
            maps.add(values.map(in));
        return maps.get(i);
    }

    private String textRef(In in) {
        return textRef(in, texts);
    }

    /** A text reference with the texts seen so far. */
    public static String textRef(In in, List<String> texts) {
        int i = in.i32();

        if (i < 0 || i > texts.size())
            throw new ProtocolException("bad-reference", "text " + (i & 0xffffffffL));
        if (i == texts.size())
            texts.add(in.str());
        return texts.get(i);
    }
}
