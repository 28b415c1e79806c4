// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.openmessaging;

import io.openmessaging.KeyValue;
import io.openmessaging.connector.api.component.connector.Connector;
import io.openmessaging.connector.api.component.connector.ConnectorContext;
import io.rocketmqconnect.host.session.Api;
import io.rocketmqconnect.host.session.Start;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A connector of OpenMessaging: init, validate, start, taskConfigs, stop. */
final class ConnectorAdapter implements Api.ConnectorPlugin {
    private final Connector<?> connector;
    private final Start start;
    private final Api.ConnectorCalls calls;

    ConnectorAdapter(Connector<?> connector, Start start, Api.ConnectorCalls calls) {
        this.connector = connector;
        this.start = start;
        this.calls = calls;
    }

    @Override
    public void start() {
        Config config = new Config(start.config);

        connector.init(new Context());
        connector.validate(config);
        connector.start(config);
    }

    @Override
    public List<Map<String, String>> taskConfigs(int max) {
        List<Map<String, String>> configs = new ArrayList<>();
        List<KeyValue> made = connector.taskConfigs(max);

        if (made != null)
            for (KeyValue one : made)
                configs.add(Config.map(one));
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

    private final class Context implements ConnectorContext {
        @Override
        public void requestTaskReconfiguration() {
            calls.requestReconfiguration();
        }

        @Override
        public void raiseError(Exception e) {
            calls.raiseError(e);
        }
    }
}
