// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.kafka;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;

import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.Values;
import org.apache.kafka.connect.header.ConnectHeaders;
import org.apache.kafka.connect.header.Header;

/** Headers of Kafka Connect as extensions, which are texts, and back. */
final class Headers {
    private Headers() {}

    /** Of several headers with one name the last counts. */
    static Map<String, String> toExtensions(org.apache.kafka.connect.header.Headers headers) {
        if (headers == null || headers.isEmpty())
            return null;
        Map<String, String> map = new LinkedHashMap<>();

        for (Header h : headers)
            map.put(h.key(), text(h.schema(), h.value()));
        return map;
    }

    private static String text(Schema schema, Object value) {
        if (value == null)
            return "";
        if (value instanceof byte[])
            return text((byte[]) value);
        if (value instanceof ByteBuffer) {
            byte[] bytes = new byte[((ByteBuffer) value).remaining()];

            ((ByteBuffer) value).duplicate().get(bytes);
            return text(bytes);
        }
        return value instanceof String ? (String) value : Values.convertToString(schema, value);
    }

    /** Bytes that are UTF-8 as what they say, others in Base64. */
    private static String text(byte[] bytes) {
        try {
            CharBuffer chars = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes));

            return chars.toString();
        } catch (CharacterCodingException e) {
            return Base64.getEncoder().encodeToString(bytes);
        }
    }

    static ConnectHeaders fromExtensions(Map<String, String> extensions) {
        ConnectHeaders headers = new ConnectHeaders();

        if (extensions != null)
            extensions.forEach((k, v) ->
                    headers.add(k, new SchemaAndValue(Schema.STRING_SCHEMA, v)));
        return headers;
    }
}
