// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.session;

import io.rocketmqconnect.host.protocol.Frame;
import io.rocketmqconnect.host.protocol.In;
import io.rocketmqconnect.host.protocol.Out;
import io.rocketmqconnect.host.protocol.ProtocolException;
import io.rocketmqconnect.host.protocol.Queue;
import io.rocketmqconnect.host.protocol.RecordReader;
import io.rocketmqconnect.host.protocol.Types;
import io.rocketmqconnect.host.protocol.WireError;
import io.rocketmqconnect.host.protocol.WireRecord;

import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Future;

/** A sink task. */
final class SinkInstance extends Instance implements Api.SinkCalls {
    /** How often a sink without records is called with none: some act on time in put only. */
    private static final long IDLE_PUT_MS = 5000;

    private final RecordReader records;
    private Api.SinkPlugin sink;
    private long nextPut = 1;
    private volatile long openPut; // 0 = none
    /** Why the worker did not take a report. Plugins may not look at the future, but the record
     * must not be committed: the next put or commit fails. */
    private Throwable unreported; // [this]
    private long unreportedPut; // [this] the record's; 0 = one that had returned
    private boolean opened;

    SinkInstance(Host host, Frame frame, Start start, Class<?> pluginClass, Api api) {
        super(host, frame, start, pluginClass, api);
        records = new RecordReader(reader);
    }

    @Override
    void startPlugin() throws Exception {
        call("start", () -> {
            ConnectorInstance connector = host.connector(start.connectorInstance);

            sink = api.sink(pluginClass, connector == null ? null : connector.connector(), start,
                    this);
            sink.start();
            return null;
        });
    }

    @Override
    void handle(Frame frame) throws Exception {
        In in = frame.in();

        switch (frame.type) {
        case Types.OPEN:
            List<Queue.Offset> opening = Queue.Offset.list(in, reader);

            call("open", () -> {
                sink.open(opening);
                return null;
            });
            opened = true;
            break;
        case Types.CLOSE:
            List<Queue> closing = Queue.list(in);

            call("close", () -> {
                sink.close(closing);
                return null;
            });
            break;
        case Types.PUT:
            put(in);
            break;
        case Types.PRECOMMIT:
            List<Queue.Offset> asked = Queue.Offset.list(in, reader);

            List<Queue.Offset> made = call("preCommit", () -> sink.preCommit(asked));

            checkReports(); // preCommit may have made some
            reply(frame, Queue.Offset.list(made, writer));
            return;
        default:
            throw new ProtocolException("wrong-kind", "a sink task");
        }
        reply(frame, new Out());
    }

    /** After a put that failed, those behind it are sent back until it comes again. */
    private void put(In in) throws Exception {
        long number = in.i64();

        if (number != nextPut)
            throw new WireError.Failure(new WireError(WireError.CANCELED, true,
                    "put " + number + " has to wait for put " + nextPut));
        List<WireRecord> list = records.list(in);

        checkReports();
        openPut = number;
        try {
            call("put", () -> {
                sink.put(list);
                return null;
            });
            nextPut++;
        } catch (Exception e) {
            forgetReports(number);
            throw e;
        } finally {
            openPut = 0;
        }
    }

    /** This put has failed: its records come again, or the task ends. */
    private synchronized void forgetReports(long put) {
        if (unreportedPut == put)
            unreported = null;
    }

    private synchronized void noteReport(long put, Throwable why) {
        if (unreported != null && put != 0)
            return;
        unreported = why;
        unreportedPut = put;
    }

    private synchronized void checkReports() {
        Throwable why = unreported;

        if (why != null)
            throw new WireError.Failure(new WireError(WireError.STATE, false,
                    "a record the sink refused could not be reported, so nothing behind it may be "
                            + "committed, and its records come again: " + WireError.message(why)));
    }

    @Override
    long idleMs() {
        return IDLE_PUT_MS;
    }

    @Override
    void idle() throws Exception {
        if (!opened)
            return;
        try {
            call("put", () -> {
                sink.put(Collections.emptyList());
                return null;
            });
        } catch (Exception e) {
            if (!WireError.isRetriable(e))
                throw e;
        }
    }

    @Override
    void stopPlugin() throws Exception {
        if (sink != null)
            call("stop", () -> {
                sink.stop();
                return null;
            });
    }

    // ---- what the plugin asks ----------------------------------------------------------------

    @Override
    public void pause(List<Queue> queues) {
        send(Types.PAUSE, Queue.list(queues));
    }

    @Override
    public void resume(List<Queue> queues) {
        send(Types.RESUME, Queue.list(queues));
    }

    @Override
    public void resetOffset(List<Queue.Offset> offsets) {
        send(Types.RESET_OFFSET, Queue.Offset.list(offsets, writer));
    }

    @Override
    public void requestCommit() {
        send(Types.REQUEST_COMMIT, new Out());
    }

    @Override
    public void retryAfter(long ms) {
        send(Types.RETRY_AFTER, new Out().u64(Math.max(0, ms)));
    }

    @Override
    public Future<Void> report(int index, Throwable why) {
        long put = openPut;
        Out out = new Out();

        if (put == 0 || index < 0) {
            CompletableFuture<Void> late = new CompletableFuture<>();

            late.completeExceptionally(new WireError.Failure(new WireError(WireError.STATE, false,
                    "a record can be reported only while the put that brought it is open ("
                            + WireError.message(why) + ")")));
            return watched(0, late);
        }
        out.u64(put).u32(index);
        WireError.of(why, index).write(out);
        return watched(put, host.askLater(this, Types.REPORT, out).thenApply(in -> null));
    }

    private Future<Void> watched(long put, CompletableFuture<Void> report) {
        return report.whenComplete((nothing, why) -> {
            if (why != null)
                noteReport(put, why instanceof CompletionException ? why.getCause() : why);
        });
    }
}
