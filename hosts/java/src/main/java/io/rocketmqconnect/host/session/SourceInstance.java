// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.session;

import io.rocketmqconnect.host.protocol.Frame;
import io.rocketmqconnect.host.protocol.In;
import io.rocketmqconnect.host.protocol.Out;
import io.rocketmqconnect.host.protocol.RecordWriter;
import io.rocketmqconnect.host.protocol.Types;
import io.rocketmqconnect.host.protocol.WireError;
import io.rocketmqconnect.host.protocol.WireRecord;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A source task. Its thread polls while there is credit; receipts and commits are told to the plugin
 * on a thread beside it, as both Java runtimes do, because a poll may wait as long as it likes.
 * Records are kept until their receipt.
 */
final class SourceInstance extends Instance implements Api.SourceCalls {
    /** How long a poll under way may go on after STOP before the plugin is stopped beside it. */
    private static final int POLL_GRACE_MS = 500;
    private static final int IDLE_MAX_MS = 100;

    private final RecordWriter records;
    private final Out batch = new Out(64 << 10);
    private final Receipts receipts;
    private volatile Api.SourcePlugin source;
    private final Object credit = new Object();
    private long creditRecords; // [credit]
    private long creditBytes; // [credit]
    private boolean held; // [credit] after a retriable error, until the next CREDIT
    private long nextSeq = 1;
    private int idleMs;
    private boolean stopped; // [this] the plugin was stopped, or is being

    SourceInstance(Host host, Frame frame, Start start, Class<?> pluginClass, Api api) {
        super(host, frame, start, pluginClass, api);
        records = new RecordWriter(writer);
        receipts = new Receipts(this, start.task);
    }

    Api.SourcePlugin source() {
        return source;
    }

    @Override
    void startPlugin() throws Exception {
        call("start", () -> {
            ConnectorInstance connector = host.connector(start.connectorInstance);

            source = api.source(pluginClass, connector == null ? null : connector.connector(),
                    start, this);
            source.start();
            return null;
        });
    }

    // ---- poll --------------------------------------------------------------------------------

    @Override
    void work() throws Exception {
        while (awaitCredit()) {
            List<?> polled;

            try {
                polled = call("poll", source::poll);
                sendAll(polled);
            } catch (Throwable t) {
                if (stopping())
                    return;
                hold(t);
                if (!WireError.isRetriable(t))
                    return;
                continue;
            }
            if (polled == null || polled.isEmpty())
                pause();
            else
                idleMs = 0;
        }
    }

    private void hold(Throwable t) {
        synchronized (credit) {
            held = true;
        }
        fail(t);
    }

    /** A poll that returns nothing at once is not called again at once. */
    private void pause() throws InterruptedException {
        idleMs = Math.min(IDLE_MAX_MS, Math.max(1, idleMs * 2));
        synchronized (credit) {
            if (!stopping())
                credit.wait(idleMs);
        }
    }

    private boolean awaitCredit() {
        synchronized (credit) {
            while (!stopping() && (creditRecords <= 0 || creditBytes <= 0 || held))
                try {
                    credit.wait();
                } catch (InterruptedException e) {
                    continue; // only `stopping` ends this wait
                }
        }
        return !stopping();
    }

    private void sendAll(List<?> polled) throws Exception {
        if (polled == null)
            return;
        List<Object> taken = new ArrayList<>();

        beginBatch();
        for (Object record : polled) {
            WireRecord wire = guarded(() -> source.toWire(record));

            if (wire == null) {
                receipts.dropped(record);
                continue;
            }
            int mark = batch.mark();

            records.write(batch, wire);
            if (batch.length() > start.bytesMax && !taken.isEmpty()) {
                batch.cut(mark);
                if (!sendBatch(taken))
                    return;
                beginBatch();
                records.write(batch, wire);
            }
            taken.add(record);
            if (taken.size() >= start.recordsMax || batch.length() > start.bytesMax) {
                if (!sendBatch(taken))
                    return;
                beginBatch();
            }
        }
        if (!taken.isEmpty())
            sendBatch(taken);
    }

    private void beginBatch() {
        records.beginFrame();
        batch.clear().u64(0).u32(0);
    }

    /** @return false when the task stops instead. */
    private boolean sendBatch(List<Object> taken) {
        batch.patch(Types.HEAD, (int) nextSeq);
        batch.patch(Types.HEAD + 4, (int) (nextSeq >>> 32));
        batch.patch(Types.HEAD + 8, taken.size());
        if (!awaitCredit())
            return false;
        synchronized (credit) {
            creditRecords -= taken.size();
            creditBytes -= batch.length();
        }
        sendSchemas();
        receipts.expect(taken);
        nextSeq += taken.size();
        taken.clear();
        return send(Types.BATCH, batch);
    }

    // ---- frames ------------------------------------------------------------------------------

    @Override
    void deliver(Frame frame) {
        switch (frame.type) {
        case Types.CREDIT:
            credit(frame.in());
            break;
        case Types.ACK:
        case Types.COMMIT:
            receipts.add(frame);
            break;
        default:
            super.deliver(frame);
        }
    }

    private void credit(In in) {
        synchronized (credit) {
            creditRecords += in.i64();
            creditBytes += in.i64();
            held = false;
            credit.notifyAll();
        }
    }

    @Override
    void handle(Frame frame) {
        throw new UnsupportedOperationException("frame " + frame.type);
    }

    // ---- stop --------------------------------------------------------------------------------

    @Override
    void stopSoon(int ms) {
        synchronized (credit) {
            credit.notifyAll();
        }
        host.later(Math.min(POLL_GRACE_MS, ms / 4), this::stopBeside);
        super.stopSoon(ms);
    }

    /** A poll that waits is told to end as the APIs say: by stop from another thread. */
    private void stopBeside() {
        if (currentCall() == null)
            return;
        Thread beside = new Thread(() -> {
            try {
                stopOnce();
            } catch (Throwable t) {
                fail(t);
            }
        }, start.task + "-stop");

        beside.setDaemon(true);
        beside.start();
    }

    private void stopOnce() throws Exception {
        synchronized (this) {
            if (stopped || source == null)
                return;
            stopped = true;
        }
        guarded(() -> {
            source.stop();
            return null;
        });
    }

    @Override
    void stopPlugin() throws Exception {
        receipts.end();
        call("stop", () -> {
            stopOnce();
            return null;
        });
    }

    // ---- what the plugin asks ----------------------------------------------------------------

    @Override
    public List<Map<String, Object>> readOffsets(List<? extends Map<String, ?>> partitions) {
        Out out = new Out();
        List<Map<String, Object>> offsets = new ArrayList<>();

        out.u32(partitions.size());
        for (Map<String, ?> partition : partitions)
            writer.map(out, partition);
        In in = ask(Types.OFFSET_READ, out);
        int count = in.count(1);

        for (int i = 0; i < count; i++)
            offsets.add(in.bool() ? reader.map(in) : null);
        if (count != partitions.size())
            throw new IllegalStateException("the worker answered " + count + " of "
                    + partitions.size() + " offsets");
        return offsets;
    }
}
