// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.protocol;

import java.util.Map;

/** A record with everything the protocol knows of one; schemas and values are those of one API. */
public final class WireRecord implements Cloneable {
    public Long timestamp;
    public Object keySchema;
    public Object valueSchema;
    public Object key;
    public Object value;
    /** null = no point to resume from. Equal ones that are the same object are written once. */
    public Map<String, ?> partition;
    public Map<String, ?> offset;
    public String counterName;
    public long counter;
    public Map<String, String> extensions;
    public Map<String, String> properties;
    public String topic;
    public int queue = -1;
    public int flag;
    public Long born;

    /** Of a sink's record. */
    public long queueOffset() {
        return counterName == null ? -1 : counter;
    }

    public WireRecord copy() {
        try {
            return (WireRecord) clone();
        } catch (CloneNotSupportedException e) {
            throw new AssertionError(e);
        }
    }
}
