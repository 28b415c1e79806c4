// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.protocol;

/** Numbers of the host protocol, version 1: types of frames, flags, tags, codes. */
public final class Types {
    public static final int VERSION = 1;
    public static final int HEAD = 12;
    public static final int FIRST_MAX = 64 << 10;
    public static final int FRAME_MAX = 16 << 20;
    public static final int MAGIC = 0x31504843; // "CHP1"
    public static final int DEPTH_MAX = 64;

    public static final int OPTIONAL = 1;
    public static final int REPLY = 2;

    public static final int HELLO = 0x01;
    public static final int WELCOME = 0x02;
    public static final int ERROR = 0x03;
    public static final int PING = 0x04;
    public static final int LOG = 0x05;
    public static final int METRICS = 0x06;
    public static final int SHUTDOWN = 0x07;
    public static final int SCAN = 0x10;
    public static final int VALIDATE = 0x12;
    public static final int CONNECTOR_START = 0x20;
    public static final int TASK_CONFIGS = 0x21;
    public static final int TASK_START = 0x22;
    public static final int COMPONENT_START = 0x23;
    public static final int STOP = 0x24;
    public static final int RECONFIGURE = 0x25;
    public static final int RAISE_ERROR = 0x26;
    public static final int SCHEMAS = 0x27;
    public static final int CREDIT = 0x30;
    public static final int BATCH = 0x31;
    public static final int ACK = 0x32;
    public static final int COMMIT = 0x33;
    public static final int OFFSET_READ = 0x34;
    public static final int OPEN = 0x40;
    public static final int CLOSE = 0x41;
    public static final int PUT = 0x42;
    public static final int PRECOMMIT = 0x43;
    public static final int PAUSE = 0x44;
    public static final int RESUME = 0x45;
    public static final int RESET_OFFSET = 0x46;
    public static final int REPORT = 0x47;
    public static final int REQUEST_COMMIT = 0x48;
    public static final int RETRY_AFTER = 0x49;
    public static final int APPLY = 0x50;
    public static final int TO_BYTES = 0x51;
    public static final int TO_VALUES = 0x52;

    public static final int NULL = 0;
    public static final int INT8 = 1;
    public static final int INT16 = 2;
    public static final int INT32 = 3;
    public static final int INT64 = 4;
    public static final int FLOAT32 = 5;
    public static final int FLOAT64 = 6;
    public static final int BOOLEAN = 7;
    public static final int STRING = 8;
    public static final int BYTES = 9;
    public static final int ARRAY = 10;
    public static final int MAP = 11;
    public static final int DATETIME = 12;
    public static final int STRUCT = 13;
    public static final int NUMBER_TEXT = 14;
    public static final int WITH_TEXT = 0x80;

    public static final int SOURCE = 1;
    public static final int SINK = 2;
    public static final int TRANSFORM = 3;
    public static final int PREDICATE = 4;
    public static final int CONVERTER = 5;

    /** Sources, sinks, transforms, predicates, converters, many connectors, SCAN. */
    public static final long CAPABILITIES = 0x7f;

    private Types() {}
}
