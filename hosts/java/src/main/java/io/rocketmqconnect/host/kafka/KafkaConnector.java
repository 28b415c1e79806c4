// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.kafka;

import io.rocketmqconnect.host.session.Api;
import io.rocketmqconnect.host.session.Start;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.kafka.common.config.Config;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.config.ConfigValue;
import org.apache.kafka.connect.connector.Connector;
import org.apache.kafka.connect.connector.ConnectorContext;
import org.apache.kafka.connect.sink.SinkConnector;
import org.apache.kafka.connect.sink.SinkConnectorContext;
import org.apache.kafka.connect.source.SourceConnectorContext;
import org.apache.kafka.connect.storage.OffsetStorageReader;

/** A connector of Kafka Connect: initialize, validate, start, taskConfigs, stop. */
final class KafkaConnector implements Api.ConnectorPlugin {
    private final Connector connector;
    private final Map<String, String> config;
    private final Map<String, String> given;
    private final Api.ConnectorCalls calls;

    KafkaConnector(Connector connector, Start start, Api.ConnectorCalls calls) {
        this.connector = connector;
        this.given = start.config;
        this.config =
                Configs.of(start.config, start.connector, start.className,
                        connector instanceof SinkConnector);
        this.calls = calls;
    }

    @Override
    public void start() {
        connector.initialize(connector instanceof SinkConnector ? new SinkContext()
                : new SourceContext());
        check(connector.validate(config));
        connector.start(config);
    }

    private static void check(Config checked) {
        StringBuilder all = new StringBuilder();

        if (checked == null)
            return;
        for (ConfigValue value : checked.configValues())
            for (String message : value.errorMessages())
                all.append(all.length() == 0 ? "" : "; ").append(message);
        if (all.length() > 0)
            throw new ConfigException(all.toString());
    }

    @Override
    public List<Map<String, String>> taskConfigs(int max) {
        List<Map<String, String>> configs = new ArrayList<>();

        for (Map<String, String> config : connector.taskConfigs(max))
            configs.add(Configs.back(config, given));
        return configs;
    }

    @Override
    public Class<?> taskClass() {
        return connector.taskClass();
    }

    @Override
    public void stop() {
        connector.stop();
    }

    private class Context implements ConnectorContext {
        @Override
        public void requestTaskReconfiguration() {
            calls.requestReconfiguration();
        }

        @Override
        public void raiseError(Exception e) {
            calls.raiseError(e);
        }
    }

    private final class SinkContext extends Context implements SinkConnectorContext {}

    private final class SourceContext extends Context implements SourceConnectorContext {
        @Override
        public OffsetStorageReader offsetStorageReader() {
            return NO_OFFSETS;
        }
    }

    /** Offsets are read by tasks; a connector that asks sees none. */
    private static final OffsetStorageReader NO_OFFSETS = new OffsetStorageReader() {
        @Override
        public <T> Map<String, Object> offset(Map<String, T> partition) {
            return null;
        }

        @Override
        public <T> Map<Map<String, T>, Map<String, Object>> offsets(
                Collection<Map<String, T>> partitions) {
            return new HashMap<>();
        }
    };
}
