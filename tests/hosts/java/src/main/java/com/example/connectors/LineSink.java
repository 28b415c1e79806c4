// SPDX-License-Identifier: Apache-2.0
package com.example.connectors;

import io.openmessaging.KeyValue;
import io.openmessaging.connector.api.component.task.Task;
import io.openmessaging.connector.api.component.task.sink.SinkConnector;

import java.util.ArrayList;
import java.util.List;

/** A connector whose tasks write a line per record to `file`. */
public class LineSink extends SinkConnector {
    private KeyValue config;

    @Override
    public void start(KeyValue config) {
        this.config = config;
    }

    @Override
    public void stop() {}

    @Override
    public List<KeyValue> taskConfigs(int maxTasks) {
        List<KeyValue> configs = new ArrayList<>();

        for (int i = 0; i < maxTasks; i++)
            configs.add(config);
        return configs;
    }

    @Override
    public Class<? extends Task> taskClass() {
        return LineTask.class;
    }
}
