// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.kafka;

import io.rocketmqconnect.host.protocol.Queue;

import java.util.HashMap;
import java.util.Map;

import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigException;

/**
 * Queues of RocketMQ as partitions of Kafka, and back. A queue has three parts, topic, broker and
 * number, a partition two; `rocketmq.recordPartition.kafkaTopicPartition.mapper` says how they fit.
 */
final class Partitions {
    static final String KEY = "rocketmq.recordPartition.kafkaTopicPartition.mapper";
    static final String SEPARATOR = "@#@";
    private static final int QUEUE_BITS = 16;

    /** `encodedTopic`: topic `topic@#@broker`, as the adapter of the Java runtime has it. */
    private final boolean encoded;
    private final Map<TopicPartition, Queue> queues = new HashMap<>();
    private final Map<Queue, TopicPartition> partitions = new HashMap<>();

    Partitions(Map<String, String> config) {
        String mapper = config.getOrDefault(KEY, "plainTopic");

        if (!mapper.equals("plainTopic") && !mapper.equals("encodedTopic"))
            throw new ConfigException(KEY, mapper, "has to be plainTopic or encodedTopic");
        encoded = mapper.equals("encodedTopic");
    }

    synchronized TopicPartition of(Queue q) {
        TopicPartition known = partitions.get(q);

        if (known != null)
            return known;
        TopicPartition made = encoded ? new TopicPartition(q.topic + SEPARATOR + q.broker, q.id)
                : new TopicPartition(q.topic, number(q));
        Queue other = queues.putIfAbsent(made, q);

        if (other != null)
            throw new IllegalStateException(q + " and " + other + " are both " + made + ": set "
                    + KEY + "=encodedTopic");
        partitions.put(q, made);
        return made;
    }

    /**
     * The topic keeps its name, which connectors use for tables and files. So queues of several
     * brokers differ by number: the same one in every task and after every start.
     */
    private static int number(Queue q) {
        if (q.broker.isEmpty())
            return q.id;
        return (q.broker.hashCode() & 0x7fff) << QUEUE_BITS | q.id & 0xffff;
    }

    synchronized Queue of(TopicPartition partition) {
        Queue q = queues.get(partition);

        if (q == null)
            throw new IllegalStateException(partition + " is none of this task");
        return q;
    }
}
