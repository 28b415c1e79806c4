// SPDX-License-Identifier: Apache-2.0
package com.example.connectors;

import io.openmessaging.KeyValue;
import io.openmessaging.connector.api.component.task.Task;
import io.openmessaging.connector.api.component.task.source.SourceConnector;
import io.openmessaging.internal.DefaultKeyValue;

import java.util.ArrayList;
import java.util.List;

/** A connector whose tasks count from 1 to `count`. */
public class TickSource extends SourceConnector {
    private KeyValue config;

    @Override
    public void validate(KeyValue config) {
        if (config.getInt("count", 1) < 0)
            throw new IllegalArgumentException("count has to be 0 or more");
    }

    @Override
    public void start(KeyValue config) {
        this.config = config;
    }

    @Override
    public void stop() {}

    @Override
    public List<KeyValue> taskConfigs(int maxTasks) {
        List<KeyValue> configs = new ArrayList<>();

        for (int i = 0; i < maxTasks; i++) {
            KeyValue one = new DefaultKeyValue();

            for (String key : config.keySet())
                one.put(key, config.getString(key));
            one.put("task.number", i);
            configs.add(one);
        }
        return configs;
    }

    @Override
    public Class<? extends Task> taskClass() {
        return TickTask.class;
    }
}
