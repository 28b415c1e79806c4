// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.kafka;

import io.rocketmqconnect.host.session.Api;

import java.util.List;
import java.util.stream.Collectors;

import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.types.Password;

/** A ConfigDef as a list of options. */
final class Options {
    private Options() {}

    static void add(ConfigDef def, List<Api.Option> to) {
        if (def == null)
            return;
        for (ConfigDef.ConfigKey key : def.configKeys().values())
            if (!key.internalConfig)
                to.add(option(key));
    }

    private static Api.Option option(ConfigDef.ConfigKey key) {
        Api.Option o = new Api.Option();

        o.name = key.name;
        o.type = type(key.type);
        // What the host adds itself nobody has to give.
        o.flags = key.hasDefault() || Configs.ADDED.contains(key.name) ? 0 : Api.Option.REQUIRED;
        o.defaultValue = key.hasDefault() ? text(key) : null;
        o.doc = key.documentation == null ? "" : key.documentation;
        o.group = key.group;
        o.importance = key.importance == null ? 1 : Math.min(key.importance.ordinal(), 2);
        if (o.type == Api.Option.STRING && key.validator instanceof ConfigDef.ValidString)
            choices(o, key.validator.toString());
        return o;
    }

    /** A ValidString shows its words as `[a, b]`, and has no other way to ask for them. */
    private static void choices(Api.Option o, String text) {
        if (!text.startsWith("[") || !text.endsWith("]") || text.contains("|"))
            return;
        o.choices = text.substring(1, text.length() - 1).replace(", ", "|");
        if (!o.choices.isEmpty())
            o.type = Api.Option.CHOICE;
    }

    private static String text(ConfigDef.ConfigKey key) {
        if (key.defaultValue == null)
            return null;
        if (key.defaultValue instanceof Password || key.type == ConfigDef.Type.PASSWORD)
            return null;
        if (key.defaultValue instanceof List)
            return ((List<?>) key.defaultValue).stream().map(String::valueOf)
                    .collect(Collectors.joining(","));
        return ConfigDef.convertToString(key.defaultValue, key.type);
    }

    private static int type(ConfigDef.Type type) {
        switch (type) {
        case BOOLEAN:
            return Api.Option.BOOLEAN;
        case INT:
        case SHORT:
        case LONG:
            return Api.Option.INTEGER;
        case DOUBLE:
            return Api.Option.NUMBER;
        case LIST:
            return Api.Option.LIST;
        case CLASS:
            return Api.Option.CLASS;
        case PASSWORD:
            return Api.Option.PASSWORD;
        default:
            return Api.Option.STRING;
        }
    }
}
