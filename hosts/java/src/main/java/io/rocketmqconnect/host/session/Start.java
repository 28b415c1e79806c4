// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.session;

import io.rocketmqconnect.host.protocol.In;

import java.util.Map;

/** What CONNECTOR_START, TASK_START and COMPONENT_START say. */
public final class Start {
    public final int kind;
    public final String className;
    public final String location;
    public final String connector;
    public final Map<String, String> config;
    public final int connectorInstance;
    public final String task;
    public final int taskId;
    public final int taskCount;
    public final boolean isKey;
    public final int recordsMax;
    public final int bytesMax;

    public Start(In in) {
        kind = in.u8();
        className = in.str();
        location = in.str();
        connector = in.str();
        config = in.kv();
        connectorInstance = in.u16();
        task = in.str();
        taskId = in.i32();
        taskCount = in.i32();
        isKey = in.bool();
        recordsMax = in.i32();
        bytesMax = in.i32();
        in.i32(); // the put window: puts wait here in any number
    }
}
