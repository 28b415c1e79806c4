// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.protocol;

import java.lang.reflect.Array;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.util.Collection;
import java.util.Date;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.Map;

/**
 * Writes values, and keeps the schemas that one instance has sent: each distinct one goes out once,
 * in {@link #takeSchemas}, before the frame that uses it. One thread at a time.
 */
public final class ValueWriter {
    private static final int IDS_MAX = 65535;
    private static final int IDENTITIES_MAX = 10000;

    private final DataModel model;
    private final Map<Object, Known> bySame = new IdentityHashMap<>();
    private final Map<Object, Known> byEqual = new HashMap<>();
    private final Out schemas = new Out(1024);
    private int schemaCount;
    private int nextId = 1;

    /** OpenMessaging's schemas can be changed after use: the count of fields shows the likely case. */
    private static final class Known {
        final int id;
        final int fields;

        Known(int id, int fields) {
            this.id = id;
            this.fields = fields;
        }
    }

    public ValueWriter(DataModel model) {
        this.model = model;
    }

    public DataModel model() {
        return model;
    }

    /**
     * To be called before each frame. When ids run short all are given out anew, which is allowed
     * between frames only.
     */
    public void beginFrame() {
        if (nextId > IDS_MAX / 2) {
            bySame.clear();
            byEqual.clear();
            nextId = 1;
        }
        if (bySame.size() > IDENTITIES_MAX)
            bySame.clear();
    }

    /** Payload of a SCHEMAS frame that has to go out now, or null. */
    public Out takeSchemas() {
        if (schemaCount == 0)
            return null;
        Out frame = new Out(schemas.length() + 64);
        byte[] body = schemas.payload();

        frame.u32(schemaCount).raw(body, 0, body.length);
        schemas.clear();
        schemaCount = 0;
        return frame;
    }

    /** The id of a schema, which is defined when it is new; 0 for null. */
    public int schemaId(Object schema) {
        if (schema == null)
            return 0;
        Known known = bySame.get(schema);
        int fields = model.type(schema) == Types.STRUCT ? model.fieldCount(schema) : 0;

        if (known != null && known.fields == fields)
            return known.id;
        known = byEqual.get(schema);
        if (known == null || known.fields != fields) {
            known = new Known(define(schema, 1), fields);
            byEqual.put(schema, known);
        }
        bySame.put(schema, known);
        return known.id;
    }

    private int partId(Object schema, int depth) {
        if (schema == null)
            return 0;
        Known known = byEqual.get(schema);

        if (known != null)
            return known.id;
        int id = define(schema, depth);

        byEqual.put(schema, new Known(id,
                model.type(schema) == Types.STRUCT ? model.fieldCount(schema) : 0));
        return id;
    }

    private int define(Object schema, int depth) {
        if (depth > Types.DEPTH_MAX)
            throw new IllegalArgumentException(
                    "a schema nests deeper than " + Types.DEPTH_MAX + ": make it flatter");
        int type = model.type(schema);
        int count = type == Types.STRUCT ? model.fieldCount(schema) : 0;
        int[] fields = new int[count];

        for (int i = 0; i < count; i++)
            fields[i] = partId(model.fieldSchema(schema, i), depth + 1);
        int key = type == Types.MAP ? partId(model.keySchema(schema), depth + 1) : 0;
        int value = type == Types.MAP || type == Types.ARRAY
                ? partId(model.valueSchema(schema), depth + 1) : 0;

        if (nextId > IDS_MAX)
            throw new IllegalArgumentException("more than " + IDS_MAX / 2
                    + " schemas in one batch: let the connector use schemas again");
        int id = nextId++;

        append(schema, id, type, fields, key, value);
        return id;
    }

    private void append(Object schema, int id, int type, int[] fields, int key, int value) {
        Integer version = model.version(schema);
        Object def = model.defaultValue(schema);
        Map<String, String> parameters = model.parameters(schema);
        int from = schemas.mark();
        int sized = schemas.begin();

        try {
            schemas.u32(id).u8(type);
            schemas.u8((model.optional(schema) ? 1 : 0) | (version != null ? 2 : 0)
                    | (def != null ? 4 : 0));
            schemas.u32(version != null ? version : 0);
            schemas.optional(model.name(schema)).optional(model.doc(schema));
            if (parameters == null)
                schemas.u32(0);
            else
                schemas.kv(parameters);
            schemas.u32(fields.length);
            for (int i = 0; i < fields.length; i++)
                schemas.str(model.fieldName(schema, i)).u32(fields[i]);
            schemas.u32(key).u32(value);
            if (def != null)
                write(schemas, schema, def, 1, true);
            schemas.end(sized);
            schemaCount++;
        } catch (RuntimeException e) {
            schemas.cut(from);
            throw e;
        }
    }

    /** A value with its schema, or null for none. */
    public void value(Out out, Object schema, Object value) {
        write(out, schema, value, 1, false);
    }

    /** The body of a MAP. */
    public void map(Out out, Map<?, ?> map) {
        mapBody(out, null, null, map, 1, false);
    }

    private void write(Out out, Object schema, Object given, int depth, boolean inDefault) {
        Object v = given != null && schema != null ? model.toBase(schema, given) : given;

        if (v == null)
            out.u8(Types.NULL);
        else if (v instanceof String)
            out.u8(Types.STRING).text((String) v);
        else if (v instanceof Integer)
            out.u8(Types.INT32).u32((Integer) v);
        else if (v instanceof Long)
            out.u8(Types.INT64).u64((Long) v);
        else if (v instanceof byte[])
            out.u8(Types.BYTES).bytes((byte[]) v);
        else if (v instanceof Boolean)
            out.u8(Types.BOOLEAN).bool((Boolean) v);
        else if (v instanceof Double)
            out.u8(Types.FLOAT64).u64(Double.doubleToRawLongBits((Double) v));
        else if (model.isStruct(v))
            struct(out, schema, v, depth, inDefault);
        else if (v instanceof Map)
            mapOf(out, schema, (Map<?, ?>) v, depth, inDefault);
        else if (v instanceof Collection)
            array(out, schema, (Collection<?>) v, depth, inDefault);
        else
            rare(out, schema, v, depth, inDefault);
    }

    private void rare(Out out, Object schema, Object v, int depth, boolean inDefault) {
        if (v instanceof Float)
            out.u8(Types.FLOAT32).u32(Float.floatToRawIntBits((Float) v));
        else if (v instanceof Short)
            out.u8(Types.INT16).u16((Short) v);
        else if (v instanceof Byte)
            out.u8(Types.INT8).u8((Byte) v);
        else if (v instanceof ByteBuffer)
            out.u8(Types.BYTES).bytes((ByteBuffer) v);
        else if (v instanceof Date)
            out.u8(Types.DATETIME).u64(((Date) v).getTime());
        else if (v instanceof BigDecimal)
            out.u8(Types.NUMBER_TEXT).str(((BigDecimal) v).toPlainString());
        else if (v instanceof Number)
            out.u8(Types.NUMBER_TEXT).str(v.toString());
        else if (v instanceof CharSequence || v instanceof Character || v instanceof Enum
                || v instanceof java.util.UUID)
            out.u8(Types.STRING).text(v.toString());
        else if (v.getClass().isArray())
            javaArray(out, schema, v, depth, inDefault);
        else
            throw new IllegalArgumentException("a value of class " + v.getClass().getName()
                    + " cannot be sent: use the classes of the API's schema types");
    }

    private static void deeper(int depth) {
        if (depth > Types.DEPTH_MAX)
            throw new IllegalArgumentException(
                    "a value nests deeper than " + Types.DEPTH_MAX + ": make it flatter");
    }

    private void struct(Out out, Object placeSchema, Object v, int depth, boolean inDefault) {
        deeper(depth);
        Object schema = inDefault && placeSchema != null ? placeSchema : model.structSchema(v);
        int id = inDefault ? 0 : schemaId(schema);
        int count = model.fieldCount(schema);

        out.u8(Types.STRUCT).u32(id);
        for (int i = 0; i < count; i++)
            write(out, model.fieldSchema(schema, i), model.structGet(v, schema, i), depth + 1,
                    inDefault);
    }

    private void mapOf(Out out, Object schema, Map<?, ?> map, int depth, boolean inDefault) {
        boolean typed = schema != null && model.type(schema) == Types.MAP;

        deeper(depth);
        out.u8(Types.MAP);
        mapBody(out, typed ? model.keySchema(schema) : null,
                typed ? model.valueSchema(schema) : null, map, depth, inDefault);
    }

    private void mapBody(Out out, Object keys, Object values, Map<?, ?> map, int depth,
            boolean inDefault) {
        int at = out.mark();
        int count = 0;

        out.u32(0);
        for (Map.Entry<?, ?> e : map.entrySet()) {
            write(out, keys, e.getKey(), depth + 1, inDefault);
            write(out, values, e.getValue(), depth + 1, inDefault);
            count++;
        }
        out.patch(at, count);
    }

    private void array(Out out, Object schema, Collection<?> list, int depth, boolean inDefault) {
        Object items = schema != null && model.type(schema) == Types.ARRAY
                ? model.valueSchema(schema) : null;
        int at;
        int count = 0;

        deeper(depth);
        at = out.u8(Types.ARRAY).mark();
        out.u32(0);
        for (Object item : list) {
            write(out, items, item, depth + 1, inDefault);
            count++;
        }
        out.patch(at, count);
    }

    private void javaArray(Out out, Object schema, Object v, int depth, boolean inDefault) {
        Object items = schema != null && model.type(schema) == Types.ARRAY
                ? model.valueSchema(schema) : null;
        int count = Array.getLength(v);

        deeper(depth);
        out.u8(Types.ARRAY).u32(count);
        for (int i = 0; i < count; i++)
            write(out, items, Array.get(v, i), depth + 1, inDefault);
    }
}
