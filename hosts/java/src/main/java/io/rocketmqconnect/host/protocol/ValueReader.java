// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.protocol;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads values, and keeps the schemas that the worker has sent to one instance. */
public final class ValueReader {
    private final DataModel model;
    private final Map<Integer, Object> schemas = new HashMap<>();

    public ValueReader(DataModel model) {
        this.model = model;
    }

    public DataModel model() {
        return model;
    }

    /** A SCHEMAS frame. */
    public void schemas(In in) {
        for (int n = in.count(4); n > 0; n--)
            define(in.enter());
    }

    private void define(In in) {
        DataModel.SchemaParts parts = new DataModel.SchemaParts();
        int id = in.i32();

        parts.type = in.u8();
        if (id < 1 || id > 65535 || parts.type < Types.INT8 || parts.type > Types.STRUCT)
            throw new ProtocolException("bad-schema", "id " + id + " of type " + parts.type);
        int bits = in.u8();
        int version = in.i32();

        parts.optional = (bits & 1) != 0;
        parts.version = (bits & 2) != 0 ? version : null;
        parts.name = in.optionalStr();
        parts.doc = in.optionalStr();
        parts.parameters = in.kv();
        int count = in.count(8);

        parts.fieldNames = new ArrayList<>(count);
        parts.fieldSchemas = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            parts.fieldNames.add(in.str());
            parts.fieldSchemas.add(known(in.i32()));
        }
        parts.keySchema = schema(in.i32());
        parts.valueSchema = schema(in.i32());
        parts.defaultValue = (bits & 4) != 0 ? in : null;
        parts.reader = this;
        schemas.put(id, model.makeSchema(parts));
    }

    private Object known(int id) {
        Object schema = schemas.get(id);

        if (schema == null)
            throw new ProtocolException("unknown-schema", "id " + (id & 0xffffffffL));
        return schema;
    }

    /** The schema of an id, null for 0. */
    public Object schema(int id) {
        return id == 0 ? null : known(id);
    }

    public Object value(In in, Object schema) {
        return read(in, schema, 1);
    }

    /** The body of a MAP, e.g. of an offset. Keys that are not texts are made texts. */
    public Map<String, Object> map(In in) {
        int count = in.count(2);
        Map<String, Object> map = new LinkedHashMap<>(count * 2);

        for (int i = 0; i < count; i++) {
            Object key = read(in, null, 2);

            map.put(String.valueOf(key), read(in, null, 2));
        }
        return map;
    }

    private Object read(In in, Object schema, int depth) {
        int tag = in.u8();
        Object v;

        if (depth > Types.DEPTH_MAX)
            throw new ProtocolException("too-deep", "a value");
        switch (tag & ~Types.WITH_TEXT) {
        case Types.NULL:
            return null;
        case Types.INT8:
            v = (byte) in.u8();
            break;
        case Types.INT16:
            v = in.i16();
            break;
        case Types.INT32:
            v = in.i32();
            break;
        case Types.INT64:
            v = in.i64();
            break;
        case Types.FLOAT32:
            v = Float.intBitsToFloat(in.i32());
            break;
        case Types.FLOAT64:
            v = Double.longBitsToDouble(in.i64());
            break;
        case Types.BOOLEAN:
            return in.bool();
        case Types.STRING:
            return in.str();
        case Types.BYTES:
            v = in.bytes();
            break;
        case Types.ARRAY:
            return array(in, schema, depth);
        case Types.MAP:
            return mapOf(in, schema, depth);
        case Types.DATETIME:
            v = model.dateTime(in.i64());
            break;
        case Types.STRUCT:
            return struct(in, schema, depth);
        case Types.NUMBER_TEXT:
            v = model.number(in.str());
            break;
        default:
            throw new ProtocolException("bad-value", "tag " + tag);
        }
        if ((tag & Types.WITH_TEXT) != 0)
            skipText(in, tag);
        return schema == null ? v : model.fromBase(schema, fit(schema, v));
    }

    private static void skipText(In in, int tag) {
        int kind = tag & ~Types.WITH_TEXT;

        if (kind > Types.FLOAT64 && kind != Types.DATETIME)
            throw new ProtocolException("bad-value", "text on tag " + kind);
        in.skip(in.i32());
    }

    /** A number in the class that its schema wants; the worker may keep a narrower or wider one. */
    private Object fit(Object schema, Object v) {
        if (!(v instanceof Number))
            return v;
        Number n = (Number) v;

        switch (model.type(schema)) {
        case Types.INT8:
            return v instanceof Byte ? v : (Object) n.byteValue();
        case Types.INT16:
            return v instanceof Short ? v : (Object) n.shortValue();
        case Types.INT32:
            return v instanceof Integer ? v : (Object) n.intValue();
        case Types.INT64:
            return v instanceof Long ? v : (Object) n.longValue();
        case Types.FLOAT32:
            return v instanceof Float ? v : (Object) n.floatValue();
        case Types.FLOAT64:
            return v instanceof Double ? v : (Object) n.doubleValue();
        default:
            return v;
        }
    }

    private List<Object> array(In in, Object schema, int depth) {
        Object items = schema != null && model.type(schema) == Types.ARRAY
                ? model.valueSchema(schema) : null;
        int count = in.count(1);
        List<Object> list = new ArrayList<>(count);

        for (int i = 0; i < count; i++)
            list.add(read(in, items, depth + 1));
        return list;
    }

    private Map<Object, Object> mapOf(In in, Object schema, int depth) {
        boolean typed = schema != null && model.type(schema) == Types.MAP;
        Object keys = typed ? model.keySchema(schema) : null;
        Object values = typed ? model.valueSchema(schema) : null;
        int count = in.count(2);
        Map<Object, Object> map = new LinkedHashMap<>(count * 2);

        for (int i = 0; i < count; i++) {
            Object key = read(in, keys, depth + 1);

            map.put(key, read(in, values, depth + 1));
        }
        return map;
    }

    private Object struct(In in, Object placeSchema, int depth) {
        int id = in.i32();
        Object schema = id == 0 ? placeSchema : known(id);

        if (schema == null || model.type(schema) != Types.STRUCT)
            throw new ProtocolException("unknown-schema", "struct of id " + (id & 0xffffffffL));
        Object[] values = new Object[model.fieldCount(schema)];

        for (int i = 0; i < values.length; i++)
            values[i] = read(in, model.fieldSchema(schema, i), depth + 1);
        return model.makeStruct(schema, values);
    }
}
