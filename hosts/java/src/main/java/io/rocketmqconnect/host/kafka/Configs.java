// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.kafka;

import java.util.HashMap;
import java.util.Map;

/** Configurations as Kafka's runtime would hand them out. */
final class Configs {
    private Configs() {}

    /** With `name` and `connector.class`; and for sinks `topics`, which is `connect.topicnames` here. */
    static Map<String, String> of(Map<String, String> config, String connector, String className,
            boolean sink) {
        Map<String, String> made = new HashMap<>(config);

        made.putIfAbsent("name", connector);
        made.putIfAbsent("connector.class", className);
        if (sink && !made.containsKey("topics") && !made.containsKey("topics.regex")) {
            String topics = config.getOrDefault("connect.topicnames",
                    config.get("connect.topicname"));

            if (topics != null)
                made.put("topics", topics.replace(';', ','));
        }
        return made;
    }
}
