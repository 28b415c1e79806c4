// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import io.openmessaging.KeyValue;
import io.openmessaging.connector.api.component.task.Task;
import io.openmessaging.connector.api.component.task.sink.SinkConnector;
import io.openmessaging.connector.api.component.task.sink.SinkTask;
import io.openmessaging.connector.api.data.ConnectRecord;
import io.openmessaging.connector.api.data.RecordOffset;
import io.openmessaging.connector.api.data.RecordPartition;
import io.rocketmqconnect.host.kafka.KafkaApi;
import io.rocketmqconnect.host.openmessaging.OpenMessagingApi;
import io.rocketmqconnect.host.protocol.In;
import io.rocketmqconnect.host.protocol.Out;
import io.rocketmqconnect.host.protocol.Queue;
import io.rocketmqconnect.host.protocol.Types;
import io.rocketmqconnect.host.session.Api;
import io.rocketmqconnect.host.session.Start;

import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.sink.SinkRecord;
import org.junit.Test;

/** What a sink says it has is what is committed, in both APIs: less than it was asked about. */
public class CommitTest {
    private static final Queue FIRST = new Queue("t", "", 0);
    private static final Queue SECOND = new Queue("t", "", 1);

    /** Has all but the last 3 of its first queue, and tells nothing of others. */
    public static class Slow extends SinkConnector {
        @Override
        public void start(KeyValue config) {}

        @Override
        public void stop() {}

        @Override
        public List<KeyValue> taskConfigs(int maxTasks) {
            return Collections.emptyList();
        }

        @Override
        public Class<? extends Task> taskClass() {
            return SlowTask.class;
        }
    }

    /** Of Slow. */
    public static class SlowTask extends SinkTask {
        @Override
        public void start(KeyValue config) {}

        @Override
        public void stop() {}

        @Override
        public void put(List<ConnectRecord> records) {}

        @Override
        public Map<RecordPartition, RecordOffset> preCommit(
                Map<RecordPartition, RecordOffset> offsets) {
            Map<RecordPartition, RecordOffset> have = new HashMap<>();

            offsets.forEach((p, o) -> {
                if ("0".equals(String.valueOf(p.getPartition().get("queueId"))))
                    have.put(p, new RecordOffset(Collections.singletonMap("queueOffset",
                            Long.parseLong(String.valueOf(o.getOffset().get("queueOffset"))) - 3)));
            });
            return have;
        }
    }

    /** The same for Kafka. */
    public static class KafkaSlow extends org.apache.kafka.connect.sink.SinkConnector {
        @Override
        public void start(Map<String, String> config) {}

        @Override
        public void stop() {}

        @Override
        public ConfigDef config() {
            return new ConfigDef();
        }

        @Override
        public String version() {
            return "1";
        }

        @Override
        public List<Map<String, String>> taskConfigs(int maxTasks) {
            return Collections.emptyList();
        }

        @Override
        public Class<? extends org.apache.kafka.connect.connector.Task> taskClass() {
            return KafkaSlowTask.class;
        }
    }

    /** Of KafkaSlow. */
    public static class KafkaSlowTask extends org.apache.kafka.connect.sink.SinkTask {
        @Override
        public void start(Map<String, String> config) {}

        @Override
        public void stop() {}

        @Override
        public String version() {
            return "1";
        }

        @Override
        public void put(Collection<SinkRecord> records) {}

        @Override
        public Map<TopicPartition, OffsetAndMetadata> preCommit(
                Map<TopicPartition, OffsetAndMetadata> offsets) {
            Map<TopicPartition, OffsetAndMetadata> have = new HashMap<>();

            offsets.forEach((p, o) -> {
                if (p.partition() == 0)
                    have.put(p, new OffsetAndMetadata(o.offset() - 3));
            });
            return have;
        }
    }

    private static void hasLess(Api api, Class<?> connector) throws Exception {
        Out task = new Out().u8(Types.SINK).str(connector.getName()).str("").str("c")
                .kv(Collections.emptyMap()).u16(0).str("c-0").u32(0).u32(1).bool(false).u32(1000)
                .u32(1 << 20).u32(1);
        Start start = new Start(new In(task.payload()));
        Api.SinkPlugin sink = api.sink(connector, null, start, null);

        sink.start();
        sink.open(Arrays.asList(new Queue.Offset(FIRST, 0, null),
                new Queue.Offset(SECOND, 0, null)));
        List<Queue.Offset> said = sink.preCommit(Arrays.asList(
                new Queue.Offset(FIRST, 10, null), new Queue.Offset(SECOND, 20, null)));

        assertEquals(1, said.size());
        assertEquals(FIRST, said.get(0).queue);
        assertEquals(7, said.get(0).offset);
        assertTrue(sink.preCommit(Collections.emptyList()).isEmpty());
    }

    @Test
    public void anOpenMessagingSinkCommitsWhatItSaysItHas() throws Exception {
        hasLess(new OpenMessagingApi(), Slow.class);
    }

    @Test
    public void aKafkaSinkCommitsWhatItSaysItHas() throws Exception {
        hasLess(new KafkaApi(), KafkaSlow.class);
    }
}
