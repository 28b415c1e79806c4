// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.openmessaging;

import io.openmessaging.connector.api.component.Component;
import io.openmessaging.connector.api.component.Transform;
import io.openmessaging.connector.api.component.connector.Connector;
import io.openmessaging.connector.api.component.task.sink.SinkTask;
import io.openmessaging.connector.api.component.task.source.SourceTask;
import io.openmessaging.connector.api.data.RecordConverter;
import io.rocketmqconnect.host.protocol.DataModel;
import io.rocketmqconnect.host.protocol.WireError;
import io.rocketmqconnect.host.session.Api;
import io.rocketmqconnect.host.session.Make;
import io.rocketmqconnect.host.session.Start;

import java.util.Collections;
import java.util.List;
import java.util.Map;

/** OpenMessaging Connect 0.1.4. */
public final class OpenMessagingApi implements Api {
    private final DataModel model = new OpenMessagingModel();

    @Override
    public boolean owns(Class<?> c) {
        return Connector.class.isAssignableFrom(c) || Transform.class.isAssignableFrom(c)
                || RecordConverter.class.isAssignableFrom(c);
    }

    @Override
    public DataModel model() {
        return model;
    }

    /** The API has no way to ask for options, so making one shows that its classes are there. */
    @Override
    public Description describe(int kind, Class<?> pluginClass) throws Exception {
        Make.one(pluginClass, Object.class);
        return new Description();
    }

    @Override
    public List<Problem> validate(int kind, Class<?> pluginClass, String connector,
            Map<String, String> config) throws Exception {
        Object plugin = Make.one(pluginClass, Object.class);

        if (!(plugin instanceof Component))
            return Collections.emptyList();
        try {
            ((Component) plugin).validate(new Config(config));
            return Collections.emptyList();
        } catch (RuntimeException e) {
            return Collections.singletonList(new Problem("", "", WireError.message(e)));
        }
    }

    @Override
    public Api.ConnectorPlugin connector(Class<?> pluginClass, Start start, ConnectorCalls calls)
            throws Exception {
        return new ConnectorAdapter(Make.one(pluginClass, Connector.class), start, calls);
    }

    private static <T> T task(Class<?> connectorClass, Api.ConnectorPlugin connector, Class<T> as)
            throws Exception {
        return Make.task(connectorClass, connector != null ? connector.taskClass()
                : Make.one(connectorClass, Connector.class).taskClass(), as);
    }

    @Override
    public SourcePlugin source(Class<?> connectorClass, Api.ConnectorPlugin connector, Start start,
            SourceCalls calls) throws Exception {
        return new SourceAdapter(task(connectorClass, connector, SourceTask.class),
                start, calls);
    }

    @Override
    public SinkPlugin sink(Class<?> connectorClass, Api.ConnectorPlugin connector, Start start,
            SinkCalls calls) throws Exception {
        return new SinkAdapter(task(connectorClass, connector, SinkTask.class), start,
                calls);
    }

    @Override
    public Api.ComponentPlugin component(Class<?> pluginClass, Start start) throws Exception {
        return new ComponentAdapter(Make.one(pluginClass, Object.class), start);
    }
}
