// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.kafka;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import io.rocketmqconnect.host.protocol.Queue;
import io.rocketmqconnect.host.session.Api;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.header.ConnectHeaders;
import org.apache.kafka.connect.source.SourceRecord;
import org.junit.Test;

/** Partitions, headers, options and transforms of Kafka Connect. */
public class KafkaAdapterTest {
    private static final String SMT = "org.apache.kafka.connect.transforms.";

    private static Map<String, String> map(String... pairs) {
        Map<String, String> map = new HashMap<>();

        for (int i = 0; i < pairs.length; i += 2)
            map.put(pairs[i], pairs[i + 1]);
        return map;
    }

    @Test
    public void queuesOfOneBrokerKeepTheirNumber() {
        Partitions p = new Partitions(map());

        assertEquals(new TopicPartition("t", 3), p.of(new Queue("t", "", 3)));
        assertEquals(new Queue("t", "", 3), p.of(new TopicPartition("t", 3)));
        assertThrows(IllegalStateException.class, () -> p.of(new TopicPartition("t", 4)));
    }

    @Test
    public void queuesOfSeveralBrokersDiffer() {
        Partitions p = new Partitions(map());
        TopicPartition a = p.of(new Queue("t", "broker-a", 3));
        TopicPartition b = p.of(new Queue("t", "broker-b", 3));

        assertEquals("t", a.topic());
        assertNotEquals(a, b);
        assertTrue(a.partition() >= 0 && b.partition() >= 0);
        assertEquals("the same in every task", a,
                new Partitions(map()).of(new Queue("t", "broker-a", 3)));
        assertEquals(new Queue("t", "broker-b", 3), p.of(b));
    }

    @Test
    public void theNamesOfTheOldAdapterCanBeHad() {
        Partitions p = new Partitions(map(Partitions.KEY, "encodedTopic"));

        assertEquals(new TopicPartition("t@#@b", 3), p.of(new Queue("t", "b", 3)));
        assertThrows(ConfigException.class, () -> new Partitions(map(Partitions.KEY, "other")));
    }

    @Test
    public void topicNamesAreThoseRocketMqTakes() {
        assertEquals("server_db_table", SourceRecords.topicName("server.db.table"));
        assertEquals("a-b_c|d%e", SourceRecords.topicName("a-b_c|d%e"));
        assertNull(SourceRecords.topicName(""));
    }

    @Test
    public void headersBecomeTexts() {
        ConnectHeaders headers = new ConnectHeaders();

        headers.addString("a", "1").addLong("b", 2).addBytes("c", "x".getBytes(StandardCharsets.UTF_8))
                .addBytes("d", new byte[] {(byte) 0xff}).addString("a", "3");
        assertEquals(map("a", "3", "b", "2", "c", "x", "d", "/w=="),
                Headers.toExtensions(headers));
        assertNull(Headers.toExtensions(new ConnectHeaders()));
        assertEquals("v", Headers.fromExtensions(map("k", "v")).lastWithName("k").value());
    }

    @Test
    public void aConfigDefBecomesOptions() {
        ConfigDef def = new ConfigDef()
                .define("must", ConfigDef.Type.STRING, ConfigDef.Importance.HIGH, "doc of must")
                .define("pass", ConfigDef.Type.PASSWORD, "secret", ConfigDef.Importance.LOW, "")
                .define("mode", ConfigDef.Type.STRING, "a", ConfigDef.ValidString.in("a", "b"),
                        ConfigDef.Importance.MEDIUM, "")
                .define("list", ConfigDef.Type.LIST, "x,y", ConfigDef.Importance.LOW, "")
                .defineInternal("inner", ConfigDef.Type.INT, 1, ConfigDef.Importance.LOW);
        List<Api.Option> options = new ArrayList<>();
        Map<String, Api.Option> byName = new HashMap<>();

        Options.add(def, options);
        options.forEach(o -> byName.put(o.name, o));
        assertEquals(4, options.size());
        assertEquals(Api.Option.REQUIRED, byName.get("must").flags);
        assertEquals("doc of must", byName.get("must").doc);
        assertEquals(Api.Option.PASSWORD, byName.get("pass").type);
        assertNull("secrets are not shown", byName.get("pass").defaultValue);
        assertEquals("a|b", byName.get("mode").choices);
        assertEquals(Api.Option.CHOICE, byName.get("mode").type);
        assertEquals("x,y", byName.get("list").defaultValue);
    }

    @Test
    public void whatTheHostAddsNobodyHasToGive() {
        List<Api.Option> options = new ArrayList<>();

        Options.add(new ConfigDef().define("name", ConfigDef.Type.STRING,
                ConfigDef.Importance.HIGH, ""), options);
        assertEquals(0, options.get(0).flags);
        assertEquals(map("name", "c", "connector.class", "X", "topics", "a,b",
                "connect.topicnames", "a;b"), Configs.of(map("connect.topicnames", "a;b"), "c", "X",
                true));
        assertEquals("a check without a connector", map("connector.class", "X"),
                Configs.of(map(), "", "X", false));
    }

    @Test
    public void connectorsSeeConvertersOfKafkaOnly() {
        String json = "org.apache.kafka.connect.json.JsonConverter";
        Map<String, String> seen = Configs.of(map("key.converter", "json", "value.converter",
                "bytes", "kafka.value.converter", json), "c", "X", false);

        assertNull(seen.get("key.converter"));
        assertEquals(json, seen.get("value.converter"));
        assertEquals(json, Configs.of(map("key.converter", json), "c", "X", false)
                .get("key.converter"));
    }

    private static SourceRecord record(String topic) {
        return new SourceRecord(Collections.singletonMap("p", 1),
                Collections.singletonMap("o", 1L), topic, Schema.STRING_SCHEMA, "v");
    }

    @Test
    public void transformsWithPredicatesAreApplied() {
        Smts<SourceRecord> smts = new Smts<>(map("kafka.transforms", "drop, route",
                "kafka.transforms.drop.type", SMT + "Filter",
                "kafka.transforms.drop.predicate", "named",
                "kafka.transforms.route.type", SMT + "RegexRouter",
                "kafka.transforms.route.regex", "(.*)",
                "kafka.transforms.route.replacement", "new-$1",
                "kafka.predicates", "named",
                "kafka.predicates.named.type", SMT + "predicates.TopicNameMatches",
                "kafka.predicates.named.pattern", "drop.*"), getClass().getClassLoader());

        assertNull(smts.apply(record("drop-me")));
        assertEquals("new-t", smts.apply(record("t")).topic());
        smts.close();
    }

    @Test
    public void aWrongTransformIsNamed() {
        ConfigException e = assertThrows(ConfigException.class,
                () -> new Smts<SourceRecord>(map("kafka.transforms", "x",
                        "kafka.transforms.x.type", "no.Such"), getClass().getClassLoader()));

        assertTrue(e.getMessage(), e.getMessage().contains("kafka.transforms.x.type"));
        e = assertThrows(ConfigException.class,
                () -> new Smts<SourceRecord>(map("kafka.transforms", "x",
                        "kafka.transforms.x.type", SMT + "Filter",
                        "kafka.transforms.x.predicate", "none"), getClass().getClassLoader()));
        assertTrue(e.getMessage(), e.getMessage().contains("kafka.predicates"));
    }

    @Test
    public void convertersOfTheConfigurationGiveAndTakeBytes() {
        Converters c = new Converters(map("kafka.value.converter",
                "org.apache.kafka.connect.json.JsonConverter",
                "kafka.value.converter.schemas.enable", "false"), getClass().getClassLoader());

        assertTrue(c.hasValue() && !c.hasKey());
        assertEquals("{\"a\":1}", new String(c.valueBytes("t", null,
                Collections.singletonMap("a", 1)), StandardCharsets.UTF_8));
        assertEquals(Collections.singletonMap("a", 1L),
                c.value("t", "{\"a\":1}".getBytes(StandardCharsets.UTF_8)).value());
    }
}
