// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.protocol;

/** A frame that came. */
public final class Frame {
    public final int type;
    public final int flags;
    public final int instance;
    public final int request;
    public final byte[] payload;

    public Frame(int type, int flags, int instance, int request, byte[] payload) {
        this.type = type;
        this.flags = flags;
        this.instance = instance;
        this.request = request;
        this.payload = payload;
    }

    public In in() {
        return new In(payload);
    }

    public boolean isReply() {
        return (flags & Types.REPLY) != 0;
    }
}
