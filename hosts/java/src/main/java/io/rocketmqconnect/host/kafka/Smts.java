// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.kafka;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.transforms.Transformation;
import org.apache.kafka.connect.transforms.predicates.Predicate;

/**
 * Kafka's transforms of a connector's configuration: `kafka.transforms` with `kafka.transforms.X.type`
 * and so on, which only this host reads.
 */
final class Smts<R extends ConnectRecord<R>> implements AutoCloseable {
    static final String PREFIX = "kafka.";
    private static final String TRANSFORMS = PREFIX + "transforms";
    private static final String PREDICATES = PREFIX + "predicates";

    private static final class Step<R extends ConnectRecord<R>> {
        Transformation<R> transform;
        Predicate<R> predicate;
        boolean negate;
    }

    private final List<Step<R>> steps = new ArrayList<>();
    private final Map<String, Predicate<R>> predicates = new HashMap<>();
    private final Map<String, String> config;
    private final ClassLoader loader;

    Smts(Map<String, String> config, ClassLoader loader) {
        this.config = config;
        this.loader = loader;
        try {
            for (String alias : aliases(PREDICATES))
                predicates.put(alias, predicate(alias));
            for (String alias : aliases(TRANSFORMS))
                steps.add(step(alias));
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private List<String> aliases(String key) {
        List<String> list = new ArrayList<>();

        for (String alias : config.getOrDefault(key, "").split(","))
            if (!alias.trim().isEmpty())
                list.add(alias.trim());
        return list;
    }

    /** Its keys without their prefix, and the class. */
    private Map<String, String> own(String prefix) {
        Map<String, String> map = new LinkedHashMap<>();

        config.forEach((k, v) -> {
            if (k.startsWith(prefix))
                map.put(k.substring(prefix.length()), v);
        });
        return map;
    }

    private <T> T make(String prefix, Map<String, String> own, Class<T> as) {
        String type = own.remove("type");

        if (type == null)
            throw new ConfigException(prefix + "type", null, "names the class, and is missing");
        try {
            return as.cast(Class.forName(type.trim(), true, loader).getDeclaredConstructor()
                    .newInstance());
        } catch (ReflectiveOperationException | ClassCastException e) {
            throw new ConfigException(prefix + "type", type,
                    "cannot be used as a " + as.getSimpleName() + ": " + e);
        }
    }

    @SuppressWarnings("unchecked")
    private Predicate<R> predicate(String alias) {
        String prefix = PREDICATES + "." + alias + ".";
        Map<String, String> own = own(prefix);
        Predicate<R> made = make(prefix, own, Predicate.class);

        made.configure(own);
        return made;
    }

    @SuppressWarnings("unchecked")
    private Step<R> step(String alias) {
        String prefix = TRANSFORMS + "." + alias + ".";
        Map<String, String> own = own(prefix);
        Step<R> step = new Step<>();

        step.transform = make(prefix, own, Transformation.class);
        String predicate = own.remove("predicate");

        step.negate = Boolean.parseBoolean(own.remove("negate"));
        if (predicate != null) {
            step.predicate = predicates.get(predicate.trim());
            if (step.predicate == null)
                throw new ConfigException(prefix + "predicate", predicate,
                        "is not among " + PREDICATES);
        }
        step.transform.configure(own);
        return step;
    }

    boolean isEmpty() {
        return steps.isEmpty();
    }

    /** null = dropped. */
    R apply(R record) {
        R r = record;

        for (int i = 0; r != null && i < steps.size(); i++) {
            Step<R> step = steps.get(i);

            if (step.predicate == null || step.predicate.test(r) != step.negate)
                r = step.transform.apply(r);
        }
        return r;
    }

    @Override
    public void close() {
        for (Step<R> step : steps)
            quietly(step.transform);
        for (Predicate<R> predicate : predicates.values())
            quietly(predicate);
    }

    private static void quietly(AutoCloseable what) {
        try {
            what.close();
        } catch (Exception e) {
            org.slf4j.LoggerFactory.getLogger(Smts.class).warn("closing {} failed",
                    what.getClass().getName(), e);
        }
    }
}
