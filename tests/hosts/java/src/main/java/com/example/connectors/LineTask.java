// SPDX-License-Identifier: Apache-2.0
package com.example.connectors;

import io.openmessaging.KeyValue;
import io.openmessaging.connector.api.component.task.sink.SinkTask;
import io.openmessaging.connector.api.data.ConnectRecord;
import io.openmessaging.connector.api.data.RecordOffset;
import io.openmessaging.connector.api.data.RecordPartition;
import io.openmessaging.connector.api.errors.RetriableException;

import java.io.FileWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/**
 * Writes `topic/queue/offset data`. A record that is `reject` is reported, `again` is refused once,
 * `rewind` resets the offset of its queue to 3, `hold` pauses its queue, `late` is
 * reported in the next flush, and nobody looks at what becomes of that.
 */
public class LineTask extends SinkTask {
    private Writer out;
    private ConnectRecord late;
    private boolean refused;

    @Override
    public void start(KeyValue config) {
        try {
            out = new FileWriter(config.getString("file"), true);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void put(List<ConnectRecord> records) {
        for (ConnectRecord r : records)
            one(r);
    }

    @SuppressWarnings("unchecked")
    private void one(ConnectRecord r) {
        RecordPartition at = r.getPosition().getPartition();
        // As many connectors do: these are texts.
        Map<String, String> partition = (Map<String, String>) at.getPartition();
        String offset = (String) r.getPosition().getOffset().getOffset().get("queueOffset");

        if ("again".equals(r.getData()) && !refused) {
            refused = true;
            throw new RetriableException("not now");
        }
        if ("reject".equals(r.getData())) {
            sinkTaskContext.errorRecordReporter().report(r, new IllegalArgumentException("ugly"));
            return;
        }
        if ("late".equals(r.getData())) {
            late = r;
            return;
        }
        if ("rewind".equals(r.getData()))
            sinkTaskContext.resetOffset(at,
                    new RecordOffset(Collections.singletonMap("queueOffset", "3")));
        if ("hold".equals(r.getData()))
            sinkTaskContext.pause(Collections.singletonList(at));
        try {
            out.write(partition.get("topic") + "/" + partition.get("queueId") + "/" + offset + " "
                    + r.getData() + "\n");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void flush(Map<RecordPartition, RecordOffset> offsets) {
        try {
            if (late != null)
                sinkTaskContext.errorRecordReporter().report(late, new IOException("too ugly"));
        } catch (RuntimeException ignored) {
            late = null;
        }
        try {
            out.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void stop() {
        try {
            if (out != null)
                out.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
