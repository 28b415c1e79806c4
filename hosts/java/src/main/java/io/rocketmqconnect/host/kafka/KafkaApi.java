// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.kafka;

import io.rocketmqconnect.host.protocol.DataModel;
import io.rocketmqconnect.host.protocol.Types;
import io.rocketmqconnect.host.protocol.WireError;
import io.rocketmqconnect.host.session.Api;
import io.rocketmqconnect.host.session.Make;
import io.rocketmqconnect.host.session.Start;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.apache.kafka.common.config.Config;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigValue;
import org.apache.kafka.connect.components.Versioned;
import org.apache.kafka.connect.connector.Connector;
import org.apache.kafka.connect.sink.SinkTask;
import org.apache.kafka.connect.source.ExactlyOnceSupport;
import org.apache.kafka.connect.source.SourceConnector;
import org.apache.kafka.connect.source.SourceTask;
import org.apache.kafka.connect.storage.Converter;
import org.apache.kafka.connect.transforms.Transformation;
import org.apache.kafka.connect.transforms.predicates.Predicate;

/** Kafka Connect 3.9. */
public final class KafkaApi implements Api {
    private static final int REPLAYS = 1;

    private final DataModel model = new KafkaModel();

    @Override
    public boolean owns(Class<?> c) {
        return Connector.class.isAssignableFrom(c) || Transformation.class.isAssignableFrom(c)
                || Predicate.class.isAssignableFrom(c) || Converter.class.isAssignableFrom(c);
    }

    @Override
    public DataModel model() {
        return model;
    }

    @Override
    public Description describe(int kind, Class<?> pluginClass) throws Exception {
        Object plugin = Make.one(pluginClass, Object.class);
        Description d = new Description();

        Options.add(configDef(plugin), d.options);
        if (plugin instanceof Versioned)
            d.version = ((Versioned) plugin).version();
        if (plugin instanceof SourceConnector && replays((SourceConnector) plugin))
            d.flags |= REPLAYS;
        return d;
    }

    /** A connector that wants to see its configuration first does not say it, and counts as no. */
    private static boolean replays(SourceConnector connector) {
        try {
            return connector.exactlyOnceSupport(Collections.emptyMap())
                    == ExactlyOnceSupport.SUPPORTED;
        } catch (RuntimeException e) {
            return false;
        }
    }

    private static ConfigDef configDef(Object plugin) {
        if (plugin instanceof Connector)
            return ((Connector) plugin).config();
        if (plugin instanceof Transformation)
            return ((Transformation<?>) plugin).config();
        if (plugin instanceof Predicate)
            return ((Predicate<?>) plugin).config();
        return plugin instanceof Converter ? ((Converter) plugin).config() : null;
    }

    // ---- validate ----------------------------------------------------------------------------

    @Override
    public List<Problem> validate(int kind, Class<?> pluginClass, String connector,
            Map<String, String> config) throws Exception {
        Object plugin = Make.one(pluginClass, Object.class);
        Map<String, String> given = kind > Types.SINK ? config
                : Configs.of(config, connector, pluginClass.getName(), kind == Types.SINK);
        List<Problem> problems = new ArrayList<>();
        ConfigDef def = configDef(plugin);

        try {
            if (plugin instanceof Connector)
                add(((Connector) plugin).validate(given), secrets(def), problems);
            else if (def != null)
                add(new Config(def.validate(given)), secrets(def), problems);
            if (plugin instanceof Connector)
                checkOurs(given, plugin.getClass().getClassLoader());
        } catch (RuntimeException e) {
            problems.add(new Problem("", "", WireError.message(e)));
        }
        return problems;
    }

    /** Transforms, converters and keys that this host reads. */
    private static void checkOurs(Map<String, String> config, ClassLoader loader) {
        new Partitions(config);
        new Smts<>(config, loader).close();
        new Converters(config, loader);
    }

    private static Set<String> secrets(ConfigDef def) {
        Set<String> names = new HashSet<>();

        if (def != null)
            for (ConfigDef.ConfigKey key : def.configKeys().values())
                if (key.type == ConfigDef.Type.PASSWORD)
                    names.add(key.name);
        return names;
    }

    private static void add(Config checked, Set<String> secrets, List<Problem> problems) {
        if (checked == null)
            return;
        for (ConfigValue v : checked.configValues())
            for (String message : v.errorMessages())
                problems.add(new Problem(v.name(), v.value() == null || secrets.contains(v.name())
                        ? "" : String.valueOf(v.value()), message));
    }

    // ---- make --------------------------------------------------------------------------------

    @Override
    public Api.ConnectorPlugin connector(Class<?> pluginClass, Start start, ConnectorCalls calls)
            throws Exception {
        return new KafkaConnector(Make.one(pluginClass, Connector.class), start, calls);
    }

    private static <T> T task(Class<?> connectorClass, Api.ConnectorPlugin connector, Class<T> as)
            throws Exception {
        return Make.task(connectorClass, connector != null ? connector.taskClass()
                : Make.one(connectorClass, Connector.class).taskClass(), as);
    }

    @Override
    public SourcePlugin source(Class<?> connectorClass, Api.ConnectorPlugin connector, Start start,
            SourceCalls calls) throws Exception {
        return new KafkaSource(task(connectorClass, connector, SourceTask.class), start,
                calls);
    }

    @Override
    public SinkPlugin sink(Class<?> connectorClass, Api.ConnectorPlugin connector, Start start,
            SinkCalls calls) throws Exception {
        return new KafkaSink(task(connectorClass, connector, SinkTask.class), start,
                calls);
    }

    @Override
    public Api.ComponentPlugin component(Class<?> pluginClass, Start start) throws Exception {
        return new KafkaComponent(Make.one(pluginClass, Object.class), start);
    }
}
