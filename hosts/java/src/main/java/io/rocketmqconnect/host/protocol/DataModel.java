// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.protocol;

import java.util.List;
import java.util.Map;

/**
 * Schemas and structs of one API (OpenMessaging, Kafka), as the codec sees them. A schema is an
 * Object here; its types are the protocol's tags.
 */
public interface DataModel {
    int type(Object schema);

    String name(Object schema);

    /** null = none. */
    Integer version(Object schema);

    String doc(Object schema);

    boolean optional(Object schema);

    /** null = none. */
    Object defaultValue(Object schema);

    /** null = none. */
    Map<String, String> parameters(Object schema);

    int fieldCount(Object schema);

    String fieldName(Object schema, int i);

    Object fieldSchema(Object schema, int i);

    Object keySchema(Object schema);

    Object valueSchema(Object schema);

    boolean isStruct(Object value);

    Object structSchema(Object struct);

    /** The value of a field; the schema's default is not put in its place. */
    Object structGet(Object struct, Object schema, int i);

    /** A value of a logical type as its base type; any other value unchanged. */
    Object toBase(Object schema, Object value);

    /** The way back. */
    Object fromBase(Object schema, Object value);

    /** What a DATETIME without schema is in this API. */
    Object dateTime(long ms);

    /** What a number without schema is in this API. */
    Object number(String text);

    Object makeSchema(SchemaParts parts);

    Object makeStruct(Object schema, Object[] values);

    /** A schema as it came. */
    final class SchemaParts {
        public int type;
        public boolean optional;
        public Integer version;
        public String name;
        public String doc;
        public Map<String, String> parameters;
        public List<String> fieldNames;
        public List<Object> fieldSchemas;
        public Object keySchema;
        public Object valueSchema;
        /** Reads the default, given the schema without it; null = none. */
        public In defaultValue;
        public ValueReader reader;
    }
}
