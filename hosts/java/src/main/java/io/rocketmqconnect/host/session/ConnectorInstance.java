// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.session;

import io.rocketmqconnect.host.protocol.Frame;
import io.rocketmqconnect.host.protocol.Out;
import io.rocketmqconnect.host.protocol.ProtocolException;
import io.rocketmqconnect.host.protocol.Types;
import io.rocketmqconnect.host.protocol.WireError;

import java.util.List;
import java.util.Map;

/** A connector. */
final class ConnectorInstance extends Instance implements Api.ConnectorCalls {
    private volatile Api.ConnectorPlugin connector;

    ConnectorInstance(Host host, Frame frame, Start start, Class<?> pluginClass, Api api) {
        super(host, frame, start, pluginClass, api);
    }

    Api.ConnectorPlugin connector() {
        return connector;
    }

    @Override
    void startPlugin() throws Exception {
        call("start", () -> {
            connector = api.connector(pluginClass, start, this);
            connector.start();
            return null;
        });
    }

    @Override
    void handle(Frame frame) throws Exception {
        if (frame.type != Types.TASK_CONFIGS)
            throw new ProtocolException("wrong-kind", "a connector");
        int max = frame.in().i32();
        List<Map<String, String>> configs =
                call("taskConfigs", () -> connector.taskConfigs(max));
        Out out = new Out();

        if (configs.size() > max)
            throw new IllegalStateException("the connector gave " + configs.size()
                    + " task configurations, at most " + max + " were asked for");
        out.u32(configs.size());
        for (Map<String, String> config : configs)
            out.kv(config);
        reply(frame, out);
    }

    @Override
    void stopPlugin() throws Exception {
        if (connector != null)
            call("stop", () -> {
                connector.stop();
                return null;
            });
    }

    @Override
    public void requestReconfiguration() {
        send(Types.RECONFIGURE, new Out());
    }

    @Override
    public void raiseError(Throwable why) {
        Out out = new Out();

        WireError.of(why).write(out);
        send(Types.RAISE_ERROR, out);
    }
}
