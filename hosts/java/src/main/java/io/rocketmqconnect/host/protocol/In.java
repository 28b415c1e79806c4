// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.protocol;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** Reads a payload; what is against the protocol is a {@link ProtocolException}. */
public final class In {
    private final byte[] data;
    private final ByteBuffer view;
    private final int end;
    private int at;

    public In(byte[] data) {
        this(data, 0, data.length);
    }

    private In(byte[] data, int from, int to) {
        this.data = data;
        this.view = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
        this.at = from;
        this.end = to;
    }

    private int take(int n) {
        int from = at;

        if (n < 0 || end - at < n)
            throw new ProtocolException("truncated", "at byte " + at + " of " + end);
        at += n;
        return from;
    }

    public int left() {
        return end - at;
    }

    public int u8() {
        return data[take(1)] & 0xff;
    }

    public boolean bool() {
        int v = u8();

        if (v > 1)
            throw new ProtocolException("bad-value", "bool " + v);
        return v == 1;
    }

    public int u16() {
        return view.getShort(take(2)) & 0xffff;
    }

    public short i16() {
        return view.getShort(take(2));
    }

    /** Also a u32: above 2^31 it is negative. */
    public int i32() {
        return view.getInt(take(4));
    }

    public long i64() {
        return view.getLong(take(8));
    }

    /** A count of things of at least `least` bytes each. */
    public int count(int least) {
        int n = i32();

        if (n < 0 || (long) n * least > left())
            throw new ProtocolException("truncated", "count " + (n & 0xffffffffL));
        return n;
    }

    public String str() {
        int n = i32();
        int from = take(n);

        return new String(data, from, n, StandardCharsets.UTF_8);
    }

    public String optionalStr() {
        if (isNone())
            return null;
        return str();
    }

    public byte[] bytes() {
        int n = i32();
        int from = take(n);
        byte[] copy = new byte[n];

        System.arraycopy(data, from, copy, 0, n);
        return copy;
    }

    public byte[] optionalBytes() {
        return isNone() ? null : bytes();
    }

    private boolean isNone() {
        int n = i32();

        if (n == -1)
            return true;
        at -= 4;
        return false;
    }

    public void skip(int n) {
        take(n);
    }

    public Map<String, String> kv() {
        int count = count(8);
        Map<String, String> map = new LinkedHashMap<>(count * 2);

        for (int i = 0; i < count; i++) {
            String key = str();

            map.put(key, str());
        }
        return map;
    }

    /** Goes into a sized part, and over it here: what it has that we do not know is skipped. */
    public In enter() {
        int n = i32();
        int from = take(n);

        return new In(data, from, from + n);
    }
}
