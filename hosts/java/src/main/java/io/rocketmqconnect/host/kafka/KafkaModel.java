// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.kafka;

import io.rocketmqconnect.host.protocol.DataModel;
import io.rocketmqconnect.host.protocol.Logical;
import io.rocketmqconnect.host.protocol.Types;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.kafka.connect.data.Date;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Time;
import org.apache.kafka.connect.data.Timestamp;

/**
 * Schemas and structs of Kafka Connect. Its logical types have other names than on the wire and the
 * same base types.
 */
final class KafkaModel implements DataModel {
    private static final Map<String, String> TO_WIRE = new HashMap<>();
    private static final Map<String, String> FROM_WIRE = new HashMap<>();
    private static final Schema.Type[] TYPES = {null, Schema.Type.INT8, Schema.Type.INT16,
        Schema.Type.INT32, Schema.Type.INT64, Schema.Type.FLOAT32, Schema.Type.FLOAT64,
        Schema.Type.BOOLEAN, Schema.Type.STRING, Schema.Type.BYTES, Schema.Type.ARRAY,
        Schema.Type.MAP, Schema.Type.INT64, Schema.Type.STRUCT};
    private static final int[] TAGS = new int[Schema.Type.values().length];

    static {
        for (int tag = TYPES.length - 1; tag > 0; tag--)
            TAGS[TYPES[tag].ordinal()] = tag;
        rename(Decimal.LOGICAL_NAME, Logical.DECIMAL);
        rename(Date.LOGICAL_NAME, Logical.DATE);
        rename(Time.LOGICAL_NAME, Logical.TIME);
        rename(Timestamp.LOGICAL_NAME, Logical.TIMESTAMP);
    }

    private static void rename(String kafka, String wire) {
        TO_WIRE.put(kafka, wire);
        FROM_WIRE.put(wire, kafka);
    }

    @Override
    public int type(Object schema) {
        return TAGS[((Schema) schema).type().ordinal()];
    }

    @Override
    public String name(Object schema) {
        String name = ((Schema) schema).name();

        return name == null ? null : TO_WIRE.getOrDefault(name, name);
    }

    @Override
    public Integer version(Object schema) {
        return ((Schema) schema).version();
    }

    @Override
    public String doc(Object schema) {
        return ((Schema) schema).doc();
    }

    @Override
    public boolean optional(Object schema) {
        return ((Schema) schema).isOptional();
    }

    @Override
    public Object defaultValue(Object schema) {
        return ((Schema) schema).defaultValue();
    }

    @Override
    public Map<String, String> parameters(Object schema) {
        return ((Schema) schema).parameters();
    }

    @Override
    public int fieldCount(Object schema) {
        return ((Schema) schema).fields().size();
    }

    @Override
    public String fieldName(Object schema, int i) {
        return ((Schema) schema).fields().get(i).name();
    }

    @Override
    public Object fieldSchema(Object schema, int i) {
        return ((Schema) schema).fields().get(i).schema();
    }

    @Override
    public Object keySchema(Object schema) {
        return ((Schema) schema).keySchema();
    }

    @Override
    public Object valueSchema(Object schema) {
        return ((Schema) schema).valueSchema();
    }

    @Override
    public boolean isStruct(Object value) {
        return value instanceof Struct;
    }

    @Override
    public Object structSchema(Object struct) {
        return ((Struct) struct).schema();
    }

    @Override
    public Object structGet(Object struct, Object schema, int i) {
        return ((Struct) struct).getWithoutDefault(((Schema) schema).fields().get(i).name());
    }

    @Override
    public Object toBase(Object schema, Object value) {
        Schema s = (Schema) schema;

        if (value instanceof BigDecimal && Decimal.LOGICAL_NAME.equals(s.name()))
            return Decimal.fromLogical(s, (BigDecimal) value);
        return Logical.dateToBase(name(schema), value);
    }

    @Override
    public Object fromBase(Object schema, Object value) {
        Schema s = (Schema) schema;

        if (value instanceof byte[] && Decimal.LOGICAL_NAME.equals(s.name()))
            return Decimal.toLogical(s, (byte[]) value);
        return Logical.dateFromBase(name(schema), value);
    }

    @Override
    public Object dateTime(long ms) {
        return new java.util.Date(ms);
    }

    /** As Kafka's JSON converter: Long or Double. */
    @Override
    public Object number(String text) {
        BigDecimal n = new BigDecimal(text);

        if (text.indexOf('.') >= 0 || text.indexOf('e') >= 0 || text.indexOf('E') >= 0)
            return n.doubleValue();
        BigInteger whole = n.toBigIntegerExact();

        return whole.bitLength() < 64 ? (Object) whole.longValue() : (Object) n.doubleValue();
    }

    @Override
    public Object makeSchema(SchemaParts parts) {
        SchemaBuilder b = builder(parts);
        String name = parts.name == null ? null : FROM_WIRE.getOrDefault(parts.name, parts.name);

        if (parts.type == Types.DATETIME && name == null)
            name = Timestamp.LOGICAL_NAME;
        if (parts.optional)
            b.optional();
        if (name != null)
            b.name(name);
        if (parts.version != null)
            b.version(parts.version);
        if (parts.doc != null)
            b.doc(parts.doc);
        parts.parameters.forEach(b::parameter);
        for (int i = 0; i < parts.fieldNames.size(); i++)
            b.field(parts.fieldNames.get(i), (Schema) parts.fieldSchemas.get(i));
        if (parts.defaultValue != null) // a struct that is a default has the builder as schema
            b.defaultValue(parts.reader.value(parts.defaultValue, b));
        return b.build();
    }

    /** Arrays and maps need schemas of their parts here; one that has none has optional texts. */
    private static SchemaBuilder builder(SchemaParts parts) {
        Schema value = parts.valueSchema == null ? Schema.OPTIONAL_STRING_SCHEMA
                : (Schema) parts.valueSchema;
        Schema key = parts.keySchema == null ? Schema.STRING_SCHEMA : (Schema) parts.keySchema;

        if (parts.type == Types.ARRAY)
            return SchemaBuilder.array(value);
        if (parts.type == Types.MAP)
            return SchemaBuilder.map(key, value);
        return SchemaBuilder.type(TYPES[parts.type]);
    }

    @Override
    public Object makeStruct(Object schema, Object[] values) {
        Struct struct = new Struct((Schema) schema);
        List<Field> fields = ((Schema) schema).fields();

        for (int i = 0; i < values.length; i++)
            if (values[i] != null)
                struct.put(fields.get(i), values[i]);
        return struct;
    }
}
