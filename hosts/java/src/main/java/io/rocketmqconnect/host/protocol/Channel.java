// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.protocol;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Frames over descriptor 0. One thread reads, any thread writes.
 *
 * <p>Streams, not a FileChannel, do the writing: a thread that is interrupted in a FileChannel
 * closes it for all, and plugins interrupt their threads as they like.
 */
public final class Channel {
    private final InputStream in;
    private final OutputStream out;
    private final byte[] head = new byte[Types.HEAD];
    private volatile int writeMax = Types.FIRST_MAX;

    public Channel(InputStream in, OutputStream out) {
        this.in = in;
        this.out = out;
    }

    /** The worker's max_frame, from WELCOME on. */
    public void writeMax(int bytes) {
        writeMax = bytes;
    }

    public int writeMax() {
        return writeMax;
    }

    /** The next frame, or null at the end. */
    public Frame read() throws IOException {
        if (!fill(head))
            return null;
        ByteBuffer h = ByteBuffer.wrap(head).order(ByteOrder.LITTLE_ENDIAN);
        int length = h.getInt(0);

        if (length < 0 || length > Types.FRAME_MAX)
            throw new ProtocolException("frame-too-long", (length & 0xffffffffL) + " bytes");
        byte[] payload = new byte[length];

        if (!fill(payload))
            return null;
        return new Frame(head[4] & 0xff, head[5] & 0xff, h.getShort(6) & 0xffff, h.getInt(8),
                payload);
    }

    private boolean fill(byte[] to) throws IOException {
        int at = 0;

        while (at < to.length) {
            int got = in.read(to, at, to.length - at);

            if (got < 0)
                return false;
            at += got;
        }
        return true;
    }

    /** Sends a frame; `payload` may be used again after it. An end of the worker is none of ours
     * here: the reader sees it and ends the process. */
    public void write(int type, int flags, int instance, int request, Out payload)
            throws IOException {
        if (payload.length() > writeMax)
            throw new FrameTooLong(payload.length(), writeMax);
        synchronized (out) {
            out.write(payload.frame(type, flags, instance, request), 0, payload.frameLength());
        }
    }

    /** A frame that the worker would not take. */
    public static final class FrameTooLong extends IOException {
        FrameTooLong(int length, int max) {
            super("a frame of " + length + " bytes is above the worker's limit of " + max
                    + ": make records smaller");
        }
    }
}
