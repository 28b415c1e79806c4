// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.openmessaging;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import io.openmessaging.connector.api.data.Schema;
import io.openmessaging.connector.api.data.SchemaBuilder;
import io.openmessaging.connector.api.data.Struct;
import io.openmessaging.connector.api.data.logical.Decimal;
import io.openmessaging.connector.api.data.logical.Timestamp;
import io.rocketmqconnect.host.protocol.Hex;
import io.rocketmqconnect.host.protocol.In;
import io.rocketmqconnect.host.protocol.Out;
import io.rocketmqconnect.host.protocol.ProtocolException;
import io.rocketmqconnect.host.protocol.RecordReader;
import io.rocketmqconnect.host.protocol.RecordWriter;
import io.rocketmqconnect.host.protocol.ValueReader;
import io.rocketmqconnect.host.protocol.ValueWriter;
import io.rocketmqconnect.host.protocol.WireRecord;

import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.junit.Test;

/** Values, schemas and records, on the bytes of the document's example. */
public class OpenMessagingCodecTest {
    private static final String SCHEMAS = "01 00 00 00 26 00 00 00 01 00 00 00 08 00 00 00 00 00"
            + "04 00 00 00 6c 69 6e 65 ff ff ff ff"
            + "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00";
    private static final String RECORDS = "02 00 00 00"
            + "74 00 01 00 00 00 08 01 00 00 00 61 00 00 00 00"
            + "01 00 00 00 08 01 00 00 00 66 08 01 00 00 00 78 01 00 00 00"
            + "01 00 00 00 08 01 00 00 00 6e 04 01 00 00 00 00 00 00 00"
            + "74 00 01 00 00 00 08 01 00 00 00 62 00 00 00 00 02 00 00 00"
            + "01 00 00 00 08 01 00 00 00 6e 04 02 00 00 00 00 00 00 00";

    private final OpenMessagingModel model = new OpenMessagingModel();
    private final ValueWriter writer = new ValueWriter(model);
    private final ValueReader reader = new ValueReader(model);

    private static Schema line() {
        return SchemaBuilder.string().name("line").required().build();
    }

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
        Object back = reader.value(in, read);

        assertEquals(0, in.left());
        if (schema != null)
            assertEquals(schema, read);
        return back;
    }

    @Test
    public void writesTheSchemaOfTheDocument() {
        assertEquals(1, writer.schemaId(line()));
        assertArrayEquals(Hex.bytes(SCHEMAS), writer.takeSchemas().payload());
        assertEquals("an equal one is the same", 1, writer.schemaId(line()));
        assertNull(writer.takeSchemas());
    }

    @Test
    public void readsTheRecordsOfTheDocument() {
        reader.schemas(new In(Hex.bytes(SCHEMAS)));
        List<WireRecord> list = new RecordReader(reader).list(new In(Hex.bytes(RECORDS)));

        assertEquals("a", list.get(0).value);
        assertEquals("line", ((Schema) list.get(1).valueSchema).getName());
        assertEquals(Collections.singletonMap("n", 2L), list.get(1).offset);
        assertEquals(Collections.singletonMap("f", "x"), list.get(1).partition);
        assertSame(list.get(0).partition, list.get(1).partition);
    }

    @Test
    public void everyBrokenPrefixIsRefused() {
        byte[] good = Hex.bytes(RECORDS);

        reader.schemas(new In(Hex.bytes(SCHEMAS)));
        for (int n = 0; n < good.length; n++) {
            In in = new In(Arrays.copyOf(good, n));

            assertThrows(ProtocolException.class, () -> new RecordReader(reader).list(in));
        }
    }

    @Test
    public void recordsKeepEverythingTheyHave() {
        RecordWriter records = new RecordWriter(writer);
        Out out = new Out();
        WireRecord r = new WireRecord();

        r.timestamp = 5L;
        r.keySchema = line();
        r.key = "k";
        r.value = Arrays.asList(1, 2L, null, "\u00e4\0");
        r.partition = Collections.singletonMap("p", "1");
        r.offset = map("a", 1L, "b", "x");
        r.extensions = Collections.singletonMap("e", "1");
        r.properties = Collections.singletonMap("q", "2");
        r.topic = "t";
        r.queue = 3;
        r.flag = 4;
        r.born = 6L;
        records.beginFrame();
        out.u32(3);
        for (int i = 0; i < 3; i++)
            records.write(out, r);
        reader.schemas(new In(writer.takeSchemas().payload()));
        WireRecord back = new RecordReader(reader).list(new In(out.payload())).get(2);

        assertEquals(r.timestamp, back.timestamp);
        assertEquals(r.key, back.key);
        assertEquals(r.value, back.value);
        assertEquals(r.partition, back.partition);
        assertEquals(r.offset, back.offset);
        assertEquals(r.extensions, back.extensions);
        assertEquals(r.properties, back.properties);
        assertEquals("t3" + "46", back.topic + back.queue + back.flag + back.born);
    }

    private static Map<String, Object> map(Object... pairs) {
        Map<String, Object> map = new LinkedHashMap<>();

        for (int i = 0; i < pairs.length; i += 2)
            map.put((String) pairs[i], pairs[i + 1]);
        return map;
    }

    @Test
    public void aLoneNumberTravelsAsCounter() {
        RecordWriter records = new RecordWriter(writer);
        Out out = new Out();
        WireRecord r = new WireRecord();

        r.partition = Collections.singletonMap("p", "1");
        r.offset = Collections.singletonMap("position", 9L);
        records.beginFrame();
        out.u32(2);
        records.write(out, r);
        int first = out.length();

        records.write(out, r);
        assertEquals("fields, partition, name, number", 18, out.length() - first);
        WireRecord back = new RecordReader(reader).list(new In(out.payload())).get(1);

        assertEquals("position", back.counterName);
        assertEquals(9, back.queueOffset());
    }

    @Test
    public void valuesOfAllKindsComeBack() {
        Object[] values = {(byte) -1, (short) 300, 70000, 1L << 40, 1.5f, -2.25, true, "text",
            new ArrayList<>(Arrays.asList("a", null)), map("k", 1, "l", map("m", 2L)), null};

        for (Object v : values)
            assertEquals(v, throughTheWire(null, v));
        assertArrayEquals(new byte[] {1, 2}, (byte[]) throughTheWire(null, new byte[] {1, 2}));
        assertArrayEquals(new byte[] {2}, (byte[]) throughTheWire(null,
                ByteBuffer.wrap(new byte[] {1, 2}, 1, 1)));
        assertEquals(Arrays.asList(1, 2), throughTheWire(null, new int[] {1, 2}));
        assertEquals(new Date(7), throughTheWire(null, new Date(7)));
    }

    @Test
    public void numbersWithoutSchemaAreThoseOfTheJavaRuntime() {
        assertEquals(5, model.number("5"));
        assertEquals(5000000000L, model.number("5000000000"));
        assertEquals(new BigDecimal("1.10"), model.number("1.10"));
    }

    @Test
    public void structsAndLogicalTypesComeBack() {
        Schema inner = SchemaBuilder.struct().name("inner").optional()
                .field("at", Timestamp.builder().build()).build();
        Schema schema = SchemaBuilder.struct().name("outer").required().version(3).doc("d")
                .parameter("p", "q").field("price", Decimal.builder(2).build())
                .field("inner", inner).field("list", SchemaBuilder.array(inner).build())
                .field("map", SchemaBuilder.map(SchemaBuilder.string().build(),
                        SchemaBuilder.int32().build()).build())
                .field("missing", SchemaBuilder.int16().build()).build();
        Struct in = new Struct(inner).put("at", new Date(77));
        Struct struct = new Struct(schema).put("price", new BigDecimal("12.34")).put("inner", in)
                .put("list", Arrays.asList(in, in)).put("map", Collections.singletonMap("a", 1));
        Struct back = (Struct) throughTheWire(schema, struct);

        assertEquals(new BigDecimal("12.34"), back.get("price"));
        assertEquals(new Date(77), back.getStruct("inner").get("at"));
        assertEquals(2, back.getArray("list").size());
        assertEquals(Collections.singletonMap("a", 1), back.getMap("map"));
        assertNull(back.get("missing"));
        assertNotNull(back.schema().getField("price"));
    }

    @Test
    public void defaultsComeBackAlsoThoseOfStructs() {
        Schema inner = SchemaBuilder.struct().name("inner").field("n",
                SchemaBuilder.int64().build()).build();
        Schema schema = SchemaBuilder.int32().defaultValue(5).build();

        assertEquals(1, throughTheWire(schema, 1));
        Schema withDefault = new Schema("d", inner.getFieldType(), true, null, null, null,
                inner.getFields(), null, null, null);

        withDefault.setFieldsByName(inner.getFieldsByName());
        withDefault.setDefaultValue(new Struct(inner).put("n", 8L));
        int id = writer.schemaId(withDefault);

        reader.schemas(new In(writer.takeSchemas().payload()));
        Schema back = (Schema) reader.schema(id);

        assertEquals(8L, ((Struct) back.getDefaultValue()).get("n"));
    }

    @Test
    public void whatNestsTooDeepIsRefusedAtBothEnds() {
        Object deep = "x";
        StringBuilder hex = new StringBuilder();

        for (int i = 0; i < 65; i++) {
            deep = Collections.singletonList(deep);
            hex.append("0a 01 00 00 00");
        }
        Object value = deep;

        assertThrows(IllegalArgumentException.class, () -> throughTheWire(null, value));
        assertThrows(ProtocolException.class,
                () -> reader.value(new In(Hex.bytes(hex + "00")), null));
        assertThrows(IllegalArgumentException.class, () -> throughTheWire(null, new Object()));
    }

    @Test
    public void idsAreGivenOutAnewBetweenFrames() {
        for (int i = 0; i < 40000; i++) {
            writer.beginFrame();
            int id = writer.schemaId(SchemaBuilder.string().name("n" + i).build());

            assertTrue("id " + id, id >= 1 && id <= 65535);
            reader.schemas(new In(writer.takeSchemas().payload()));
            assertEquals("n" + i, ((Schema) reader.schema(id)).getName());
        }
    }
}
