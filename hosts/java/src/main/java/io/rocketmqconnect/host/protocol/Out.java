// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.protocol;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;

/**
 * A frame that is being written: little-endian, with room for the header in front, so that it goes
 * out in one write. Not for several threads.
 */
public final class Out {
    private byte[] data;
    private int at;

    public Out() {
        this(256);
    }

    public Out(int room) {
        data = new byte[Math.max(room, Types.HEAD + 4)];
        at = Types.HEAD;
    }

    /** Begins a new frame in the same memory; a very large one is given back. */
    public Out clear() {
        if (data.length > 4 << 20)
            data = new byte[64 << 10];
        at = Types.HEAD;
        return this;
    }

    private void room(int n) {
        if (data.length - at < n)
            data = Arrays.copyOf(data, (int) Math.min(Integer.MAX_VALUE - 64,
                    Math.max((long) data.length * 2, (long) at + n)));
    }

    /** Bytes of the payload so far. */
    public int length() {
        return at - Types.HEAD;
    }

    /** Where the payload ends; for {@link #cut} and {@link #patch}. */
    public int mark() {
        return at;
    }

    /** Forgets everything after a mark. */
    public void cut(int mark) {
        at = mark;
    }

    public Out u8(int v) {
        room(1);
        data[at++] = (byte) v;
        return this;
    }

    public Out bool(boolean v) {
        return u8(v ? 1 : 0);
    }

    public Out u16(int v) {
        room(2);
        data[at++] = (byte) v;
        data[at++] = (byte) (v >> 8);
        return this;
    }

    public Out u32(int v) {
        room(4);
        put32(at, v);
        at += 4;
        return this;
    }

    public Out u64(long v) {
        room(8);
        put32(at, (int) v);
        put32(at + 4, (int) (v >>> 32));
        at += 8;
        return this;
    }

    public Out raw(byte[] bytes, int from, int n) {
        room(n);
        System.arraycopy(bytes, from, data, at, n);
        at += n;
        return this;
    }

    public Out bytes(byte[] bytes) {
        return bytes(bytes, 0, bytes.length);
    }

    public Out bytes(byte[] bytes, int from, int n) {
        return u32(n).raw(bytes, from, n);
    }

    public Out bytes(ByteBuffer buffer) {
        int n = buffer.remaining();

        u32(n);
        room(n);
        buffer.duplicate().get(data, at, n);
        at += n;
        return this;
    }

    /** Text; one that is plain ASCII, as most are, is written without another array. */
    public Out str(String s) {
        int n = s.length();
        int from = at;

        room(n + 4);
        at += 4;
        for (int i = 0; i < n; i++) {
            char c = s.charAt(i);

            if (c >= 0x80 || c == 0) {
                at = from;
                return bytes(s.replace("\0", "").getBytes(StandardCharsets.UTF_8));
            }
            data[at++] = (byte) c;
        }
        put32(from, n);
        return this;
    }

    /** A STRING value may hold NULs, names may not. */
    public Out text(String s) {
        return s.indexOf('\0') < 0 ? str(s) : bytes(s.getBytes(StandardCharsets.UTF_8));
    }

    public Out optional(String s) {
        return s == null ? u32(-1) : str(s);
    }

    public Out optional(byte[] b) {
        return b == null ? u32(-1) : bytes(b);
    }

    public Out kv(Map<String, String> map) {
        int count = 0;
        int from = at;

        u32(0);
        for (Map.Entry<String, String> e : map.entrySet()) {
            if (e.getKey() == null || e.getValue() == null)
                continue;
            str(e.getKey()).str(e.getValue());
            count++;
        }
        put32(from, count);
        return this;
    }

    /** Begins a sized part. @return for {@link #end}. */
    public int begin() {
        u32(0);
        return at;
    }

    public void end(int begun) {
        put32(begun - 4, at - begun);
    }

    /** Writes over a u32 that was written at `mark`. */
    public void patch(int mark, int v) {
        put32(mark, v);
    }

    public void patch16(int mark, int v) {
        data[mark] = (byte) v;
        data[mark + 1] = (byte) (v >> 8);
    }

    private void put32(int i, int v) {
        data[i] = (byte) v;
        data[i + 1] = (byte) (v >> 8);
        data[i + 2] = (byte) (v >> 16);
        data[i + 3] = (byte) (v >> 24);
    }

    /** The whole frame with its header: valid until the next change. */
    byte[] frame(int type, int flags, int instance, int request) {
        put32(0, length());
        data[4] = (byte) type;
        data[5] = (byte) flags;
        data[6] = (byte) instance;
        data[7] = (byte) (instance >> 8);
        put32(8, request);
        return data;
    }

    int frameLength() {
        return at;
    }

    /** A copy of the payload, for tests. */
    public byte[] payload() {
        return Arrays.copyOfRange(data, Types.HEAD, at);
    }
}
