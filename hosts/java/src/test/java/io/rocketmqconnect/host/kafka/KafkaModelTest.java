// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.kafka;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;

import io.rocketmqconnect.host.protocol.In;
import io.rocketmqconnect.host.protocol.Out;
import io.rocketmqconnect.host.protocol.ValueReader;
import io.rocketmqconnect.host.protocol.ValueWriter;

import java.math.BigDecimal;
import java.util.Arrays;
import java.util.Collections;

import org.apache.kafka.connect.data.Date;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Time;
import org.apache.kafka.connect.data.Timestamp;
import org.junit.Test;

/** Kafka's schemas and structs through the wire. */
public class KafkaModelTest {
    private final KafkaModel model = new KafkaModel();
    private final ValueWriter writer = new ValueWriter(model);
    private final ValueReader reader = new ValueReader(model);

    private Object throughTheWire(Schema schema, Object value) {
        Out out = new Out();

        writer.beginFrame();
        out.u32(writer.schemaId(schema));
        writer.value(out, schema, value);
        Out schemas = writer.takeSchemas();

        if (schemas != null)
            reader.schemas(new In(schemas.payload()));
        In in = new In(out.payload());
        Object read = reader.schema(in.i32());

        assertEquals(schema, read);
        return reader.value(in, read);
    }

    @Test
    public void logicalTypesHaveTheNamesOfTheProtocol() {
        assertEquals("io.openmessaging.connector.api.data.logical.Decimal",
                model.name(Decimal.schema(2)));
        assertEquals("io.openmessaging.connector.api.data.logical.Date", model.name(Date.SCHEMA));
        assertEquals("io.openmessaging.connector.api.data.logical.Time", model.name(Time.SCHEMA));
        assertEquals("io.openmessaging.connector.api.data.logical.Timestamp",
                model.name(Timestamp.SCHEMA));
        assertEquals("io.debezium.time.Date",
                model.name(SchemaBuilder.int32().name("io.debezium.time.Date").build()));
    }

    @Test
    public void structsComeBackAsTheyWere() {
        Schema inner = SchemaBuilder.struct().name("inner").optional()
                .field("t", Time.SCHEMA).field("d", Date.SCHEMA).build();
        Schema schema = SchemaBuilder.struct().name("row").version(2).doc("a row")
                .field("price", Decimal.schema(3)).field("at", Timestamp.SCHEMA)
                .field("id", SchemaBuilder.int64().defaultValue(7L).build())
                .field("list", SchemaBuilder.array(Schema.OPTIONAL_FLOAT64_SCHEMA).build())
                .field("map", SchemaBuilder.map(Schema.STRING_SCHEMA, inner).build())
                .field("none", Schema.OPTIONAL_BYTES_SCHEMA).build();
        Struct in = new Struct(inner).put("t", new java.util.Date(1000))
                .put("d", new java.util.Date(-86400000L));
        Struct struct = new Struct(schema).put("price", new BigDecimal("-1.500"))
                .put("at", new java.util.Date(99)).put("id", 4L)
                .put("list", Arrays.asList(1.5, null))
                .put("map", Collections.singletonMap("k", in));

        assertEquals(struct, throughTheWire(schema, struct));
    }

    @Test
    public void fieldsWithoutValueDoNotTurnIntoTheirDefault() {
        Schema schema = SchemaBuilder.struct()
                .field("n", SchemaBuilder.int64().optional().defaultValue(7L).build()).build();
        Struct back = (Struct) throughTheWire(schema, new Struct(schema));

        assertNull(back.getWithoutDefault("n"));
    }

    @Test
    public void aDefaultMayBeAStruct() {
        SchemaBuilder b = SchemaBuilder.struct().name("s").field("n", Schema.INT32_SCHEMA);
        Schema schema = b.defaultValue(new Struct(b).put("n", 1)).build();
        int id = writer.schemaId(schema);

        reader.schemas(new In(writer.takeSchemas().payload()));
        Schema back = (Schema) reader.schema(id);

        assertEquals(1, ((Struct) back.defaultValue()).get("n"));
    }

    @Test
    public void numbersWithoutSchemaAreLongAndDouble() {
        assertEquals(5L, model.number("5"));
        assertEquals(1.1, model.number("1.10"));
    }
}
