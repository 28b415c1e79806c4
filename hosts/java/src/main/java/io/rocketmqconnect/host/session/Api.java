// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.session;

import io.rocketmqconnect.host.protocol.DataModel;
import io.rocketmqconnect.host.protocol.Queue;
import io.rocketmqconnect.host.protocol.WireRecord;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;

/**
 * An API that plugins are written for: OpenMessaging Connect or Kafka Connect. Its plugins are
 * handed out as the interfaces below, so that the session knows nothing of either.
 *
 * <p>All calls of one plugin come from the thread of its instance, unless said otherwise.
 */
public interface Api {
    /** Whether this class is a plugin of the API. */
    boolean owns(Class<?> pluginClass);

    DataModel model();

    Description describe(int kind, Class<?> pluginClass) throws Exception;

    /**
     * @param connector its name, or "" when nothing is known of it.
     * @return the problems found; an exception: it could not be checked at all.
     */
    List<Problem> validate(int kind, Class<?> pluginClass, String connector,
            Map<String, String> config) throws Exception;

    ConnectorPlugin connector(Class<?> pluginClass, Start start, ConnectorCalls calls) throws Exception;

    /** @param connector the started one of this host, or null. */
    SourcePlugin source(Class<?> connectorClass, ConnectorPlugin connector, Start start, SourceCalls calls)
            throws Exception;

    SinkPlugin sink(Class<?> connectorClass, ConnectorPlugin connector, Start start, SinkCalls calls)
            throws Exception;

    ComponentPlugin component(Class<?> pluginClass, Start start) throws Exception;

    interface ConnectorPlugin {
        void start() throws Exception;

        List<Map<String, String>> taskConfigs(int max) throws Exception;

        /** Any thread. */
        Class<?> taskClass() throws Exception;

        void stop() throws Exception;
    }

    /** What a connector may ask. Any thread. */
    interface ConnectorCalls {
        void requestReconfiguration();

        void raiseError(Throwable why);
    }

    interface SourcePlugin {
        void start() throws Exception;

        /** The plugin's own records; null or empty = none now. */
        List<?> poll() throws Exception;

        /** null = the plugin's own transforms dropped it. */
        WireRecord toWire(Object record) throws Exception;

        /** @param receipt null = dropped or skipped. On the thread of receipts. */
        void acked(Object record, Receipt receipt) throws Exception;

        /** On the thread of receipts. */
        void commit() throws Exception;

        /** Once. On the task's thread, or on another one when a poll does not end. */
        void stop() throws Exception;
    }

    interface SourceCalls {
        /** The committed offsets of these partitions, null for those without. */
        List<Map<String, Object>> readOffsets(List<? extends Map<String, ?>> partitions);
    }

    /** Where a record was stored. */
    final class Receipt {
        public final String topic;
        public final String broker;
        public final int queue;
        public final long offset;
        /** null = unknown. */
        public final String messageId;

        public Receipt(String topic, String broker, int queue, long offset, String messageId) {
            this.topic = topic;
            this.broker = broker;
            this.queue = queue;
            this.offset = offset;
            this.messageId = messageId;
        }
    }

    interface SinkPlugin {
        void start() throws Exception;

        void open(List<Queue.Offset> queues) throws Exception;

        void close(List<Queue> queues) throws Exception;

        /** May be empty: a sink gets a chance to do what time asks for. */
        void put(List<WireRecord> records) throws Exception;

        List<Queue.Offset> preCommit(List<Queue.Offset> offsets) throws Exception;

        void stop() throws Exception;
    }

    /** What a sink task may ask. Any thread. */
    interface SinkCalls {
        void pause(List<Queue> queues);

        void resume(List<Queue> queues);

        void resetOffset(List<Queue.Offset> offsets);

        /** @param index of the record in the put that is open. */
        Future<Void> report(int index, Throwable why);

        void requestCommit();

        void retryAfter(long ms);
    }

    interface ComponentPlugin {
        void start() throws Exception;

        /** null = dropped. */
        WireRecord apply(WireRecord record) throws Exception;

        boolean test(WireRecord record) throws Exception;

        byte[] toBytes(String topic, Map<String, String> extensions, Object schema, Object value)
                throws Exception;

        SchemaValue toValue(String topic, Map<String, String> extensions, byte[] bytes)
                throws Exception;

        void stop() throws Exception;
    }

    /** A value with its schema, which may be null. */
    final class SchemaValue {
        public final Object schema;
        public final Object value;

        public SchemaValue(Object schema, Object value) {
            this.schema = schema;
            this.value = value;
        }
    }

    /** A plugin as SCAN shows it. */
    final class Description {
        public int flags;
        /** null = as its archive says. */
        public String version;
        public String doc = "";
        public final List<Option> options = new ArrayList<>();
    }

    /** An option of a plugin; types as in the protocol. */
    final class Option {
        public static final int STRING = 1;
        public static final int BOOLEAN = 2;
        public static final int INTEGER = 3;
        public static final int NUMBER = 4;
        public static final int LIST = 7;
        public static final int CHOICE = 8;
        public static final int PASSWORD = 9;
        public static final int CLASS = 10;

        public static final int REQUIRED = 1;

        public String name;
        public int type;
        public int flags;
        public String defaultValue;
        public String doc = "";
        public String choices = "";
        public String group;
        public int importance;
    }

    /** A problem of a configuration. */
    final class Problem {
        public final String key;
        public final String value;
        public final String text;

        public Problem(String key, String value, String text) {
            this.key = key;
            this.value = value;
            this.text = text;
        }
    }
}
