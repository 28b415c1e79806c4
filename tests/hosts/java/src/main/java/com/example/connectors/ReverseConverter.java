// SPDX-License-Identifier: Apache-2.0
package com.example.connectors;

import io.openmessaging.connector.api.data.RecordConverter;
import io.openmessaging.connector.api.data.Schema;
import io.openmessaging.connector.api.data.SchemaAndValue;
import io.openmessaging.connector.api.data.SchemaBuilder;

import java.nio.charset.StandardCharsets;
import java.util.Map;

/** Texts from the last letter to the first. */
public class ReverseConverter implements RecordConverter {
    private String mark = "";

    @Override
    public void configure(Map<String, ?> configs) {
        Object given = configs.get("mark");

        mark = given == null ? "" : given.toString();
    }

    @Override
    public byte[] fromConnectData(String topic, Schema schema, Object value) {
        return value == null ? null : (mark + new StringBuilder(value.toString()).reverse())
                .getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public SchemaAndValue toConnectData(String topic, byte[] value) {
        String text = new String(value, StandardCharsets.UTF_8).substring(mark.length());

        return new SchemaAndValue(SchemaBuilder.string().build(),
                new StringBuilder(text).reverse().toString());
    }
}
