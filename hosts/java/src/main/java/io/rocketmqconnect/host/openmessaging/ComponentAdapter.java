// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.openmessaging;

import io.openmessaging.connector.api.component.Transform;
import io.openmessaging.connector.api.data.ConnectRecord;
import io.openmessaging.connector.api.data.RecordConverter;
import io.openmessaging.connector.api.data.Schema;
import io.openmessaging.connector.api.data.SchemaAndValue;
import io.rocketmqconnect.host.protocol.WireRecord;
import io.rocketmqconnect.host.session.Api;
import io.rocketmqconnect.host.session.Start;

import java.util.HashMap;
import java.util.Map;

/** A transform or converter of OpenMessaging. There are no predicates in that API. */
final class ComponentAdapter implements Api.ComponentPlugin {
    private final Object plugin;
    private final Start start;

    ComponentAdapter(Object plugin, Start start) {
        this.plugin = plugin;
        this.start = start;
    }

    @Override
    public void start() {
        if (plugin instanceof Transform) {
            Config config = new Config(start.config);

            ((Transform<?>) plugin).validate(config);
            ((Transform<?>) plugin).start(config);
        } else {
            Map<String, Object> config = new HashMap<>(start.config);

            config.put("isKey", String.valueOf(start.isKey));
            converter().configure(config);
        }
    }

    private RecordConverter converter() {
        return (RecordConverter) plugin;
    }

    @Override
    @SuppressWarnings("unchecked")
    public WireRecord apply(WireRecord record) {
        ConnectRecord made =
                ((Transform<ConnectRecord>) plugin).doTransform(Records.ofComponent(record));

        return made == null ? null : Records.transformed(record, made);
    }

    @Override
    public boolean test(WireRecord record) {
        throw new UnsupportedOperationException("OpenMessaging Connect has no predicates");
    }

    @Override
    public byte[] toBytes(String topic, Map<String, String> extensions, Object schema,
            Object value) {
        return converter().fromConnectData(topic, new Config(extensions), (Schema) schema, value);
    }

    @Override
    public Api.SchemaValue toValue(String topic, Map<String, String> extensions, byte[] bytes) {
        SchemaAndValue made = converter().toConnectData(topic, new Config(extensions), bytes);

        return made == null ? new Api.SchemaValue(null, null)
                : new Api.SchemaValue(made.schema(), made.value());
    }

    @Override
    public void stop() {
        if (plugin instanceof Transform)
            ((Transform<?>) plugin).stop();
    }
}
