// SPDX-License-Identifier: Apache-2.0
package com.example.connectors;

import io.openmessaging.KeyValue;
import io.openmessaging.connector.api.component.Transform;
import io.openmessaging.connector.api.data.ConnectRecord;

/** Texts in capitals; drops `drop`, fails on `fail`. */
public class UpperTransform implements Transform<ConnectRecord> {
    private String end;

    @Override
    public void start(KeyValue config) {
        end = config.getString("end", "");
    }

    @Override
    public ConnectRecord doTransform(ConnectRecord record) {
        if ("drop".equals(record.getData()))
            return null;
        if ("fail".equals(record.getData()))
            throw new IllegalStateException("cannot be in capitals");
        record.setData(record.getData().toString().toUpperCase() + end);
        record.addExtension("transformed", "yes");
        return record;
    }

    @Override
    public void stop() {}
}
