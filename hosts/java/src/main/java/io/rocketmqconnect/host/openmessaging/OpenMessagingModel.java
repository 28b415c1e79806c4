// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.openmessaging;

import io.openmessaging.connector.api.data.Field;
import io.openmessaging.connector.api.data.FieldType;
import io.openmessaging.connector.api.data.Schema;
import io.openmessaging.connector.api.data.Struct;
import io.openmessaging.connector.api.data.logical.Decimal;
import io.rocketmqconnect.host.protocol.DataModel;
import io.rocketmqconnect.host.protocol.Logical;
import io.rocketmqconnect.host.protocol.Types;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Schemas and structs of OpenMessaging Connect. */
final class OpenMessagingModel implements DataModel {
    private static final FieldType[] TYPES = {null, FieldType.INT8, FieldType.INT16,
        FieldType.INT32, FieldType.INT64, FieldType.FLOAT32, FieldType.FLOAT64, FieldType.BOOLEAN,
        FieldType.STRING, FieldType.BYTES, FieldType.ARRAY, FieldType.MAP, FieldType.DATETIME,
        FieldType.STRUCT};
    private static final int[] TAGS = new int[FieldType.values().length];

    static {
        for (int tag = 1; tag < TYPES.length; tag++)
            TAGS[TYPES[tag].ordinal()] = tag;
    }

    @Override
    public int type(Object schema) {
        return TAGS[((Schema) schema).getFieldType().ordinal()];
    }

    @Override
    public String name(Object schema) {
        return ((Schema) schema).getName();
    }

    @Override
    public Integer version(Object schema) {
        return ((Schema) schema).getVersion();
    }

    @Override
    public String doc(Object schema) {
        return ((Schema) schema).getDoc();
    }

    @Override
    public boolean optional(Object schema) {
        return ((Schema) schema).isOptional();
    }

    @Override
    public Object defaultValue(Object schema) {
        return ((Schema) schema).getDefaultValue();
    }

    @Override
    public Map<String, String> parameters(Object schema) {
        return ((Schema) schema).getParameters();
    }

    @Override
    public int fieldCount(Object schema) {
        List<Field> fields = ((Schema) schema).getFields();

        return fields == null ? 0 : fields.size();
    }

    @Override
    public String fieldName(Object schema, int i) {
        return ((Schema) schema).getFields().get(i).getName();
    }

    @Override
    public Object fieldSchema(Object schema, int i) {
        return ((Schema) schema).getFields().get(i).getSchema();
    }

    @Override
    public Object keySchema(Object schema) {
        return ((Schema) schema).getKeySchema();
    }

    @Override
    public Object valueSchema(Object schema) {
        return ((Schema) schema).getValueSchema();
    }

    @Override
    public boolean isStruct(Object value) {
        return value instanceof Struct;
    }

    @Override
    public Object structSchema(Object struct) {
        return ((Struct) struct).getSchema();
    }

    @Override
    public Object structGet(Object struct, Object schema, int i) {
        Object[] values = ((Struct) struct).getValues();
        int at = ((Schema) schema).getFields().get(i).getIndex();

        return at >= 0 && at < values.length ? values[at] : null;
    }

    @Override
    public Object toBase(Object schema, Object value) {
        Schema s = (Schema) schema;

        if (value instanceof BigDecimal && Decimal.LOGICAL_NAME.equals(s.getName()))
            return unscaled(s, (BigDecimal) value);
        return Logical.dateToBase(s.getName(), value);
    }

    private static byte[] unscaled(Schema schema, BigDecimal value) {
        int scale = scale(schema, value.scale());

        return value.setScale(scale).unscaledValue().toByteArray();
    }

    private static int scale(Schema schema, int otherwise) {
        Map<String, String> parameters = schema.getParameters();
        String scale = parameters == null ? null : parameters.get(Decimal.SCALE_FIELD);

        return scale == null ? otherwise : Integer.parseInt(scale.trim());
    }

    @Override
    public Object fromBase(Object schema, Object value) {
        Schema s = (Schema) schema;

        if (value instanceof byte[] && Decimal.LOGICAL_NAME.equals(s.getName()))
            return new BigDecimal(new BigInteger((byte[]) value), scale(s, 0));
        return Logical.dateFromBase(s.getName(), value);
    }

    @Override
    public Object dateTime(long ms) {
        return new Date(ms);
    }

    /** As the Java runtime's JSON reader does: Integer, Long, BigInteger or BigDecimal. */
    @Override
    public Object number(String text) {
        BigDecimal n = new BigDecimal(text);

        if (text.indexOf('.') >= 0 || text.indexOf('e') >= 0 || text.indexOf('E') >= 0)
            return n;
        BigInteger whole = n.toBigIntegerExact();

        if (whole.bitLength() < 32)
            return whole.intValue();
        return whole.bitLength() < 64 ? (Object) whole.longValue() : whole;
    }

    /** A struct that is its schema's default has one without default: Schema.hashCode would run in
     * circles else. */
    @Override
    public Object makeSchema(SchemaParts parts) {
        Schema schema = build(parts);

        if (parts.defaultValue != null)
            schema.setDefaultValue(parts.reader.value(parts.defaultValue, build(parts)));
        return schema;
    }

    private static Schema build(SchemaParts parts) {
        List<Field> fields = new ArrayList<>();
        Map<String, Field> byName = new HashMap<>();

        for (int i = 0; i < parts.fieldNames.size(); i++) {
            Field field = new Field(i, parts.fieldNames.get(i),
                    (Schema) parts.fieldSchemas.get(i));

            fields.add(field);
            byName.put(field.getName(), field);
        }
        Schema schema = new Schema(parts.name, TYPES[parts.type], parts.optional, null,
                parts.version, parts.doc, fields, (Schema) parts.keySchema,
                (Schema) parts.valueSchema, parts.parameters.isEmpty() ? null
                        : Collections.unmodifiableMap(parts.parameters));

        schema.setFieldsByName(byName);
        return schema;
    }

    @Override
    public Object makeStruct(Object schema, Object[] values) {
        Struct struct = new Struct((Schema) schema);

        struct.setValues(values);
        return struct;
    }
}
