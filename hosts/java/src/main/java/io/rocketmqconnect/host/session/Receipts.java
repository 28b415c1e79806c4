// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.session;

import io.rocketmqconnect.host.protocol.Frame;
import io.rocketmqconnect.host.protocol.In;
import io.rocketmqconnect.host.protocol.ProtocolException;
import io.rocketmqconnect.host.protocol.RecordReader;
import io.rocketmqconnect.host.protocol.Types;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/**
 * The records of a source task that wait for their receipt, and the thread that tells the plugin of
 * receipts and commits. Of several commits that wait only the last is told.
 */
final class Receipts {
    private final SourceInstance task;
    private final Thread thread;
    private final ArrayDeque<Object> underWay = new ArrayDeque<>(); // [this]
    private final ArrayDeque<Frame> frames = new ArrayDeque<>(); // [this]
    private boolean ended; // [this]
    private boolean running; // [this] the thread was started
    private boolean failed;

    Receipts(SourceInstance task, String name) {
        this.task = task;
        thread = new Thread(this::run, name + "-receipts");
        thread.setDaemon(true);
    }

    /** Records that are about to be sent. */
    synchronized void expect(Collection<?> records) {
        underWay.addAll(records);
    }

    /** A record that is not sent, for the plugin's own transforms dropped it. */
    void dropped(Object record) throws Exception {
        task.guarded(() -> {
            task.source().acked(record, null);
            return null;
        });
    }

    synchronized void add(Frame frame) {
        Frame last = frames.peekLast();

        if (last != null && last.type == Types.COMMIT && frame.type == Types.COMMIT)
            return;
        frames.add(frame);
        if (!running && !ended) {
            running = true;
            thread.start();
        }
        notifyAll();
    }

    /** Tells the plugin what has come so far, and ends; waits for it while the plugin returns. */
    void end() throws InterruptedException {
        synchronized (this) {
            ended = true;
            notifyAll();
            if (!running)
                return;
        }
        thread.join();
    }

    private synchronized Frame next() throws InterruptedException {
        while (frames.isEmpty() && !ended)
            wait();
        return frames.poll();
    }

    private void run() {
        try {
            for (Frame frame = next(); frame != null; frame = next())
                if (!failed)
                    tell(frame);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void tell(Frame frame) {
        try {
            if (frame.type == Types.COMMIT)
                task.guarded(() -> {
                    task.source().commit();
                    return null;
                });
            else
                ack(frame.in());
        } catch (Throwable t) {
            failed = true;
            if (!task.stopping())
                task.fail(t);
        }
    }

    private void ack(In in) throws Exception {
        List<String> texts = new ArrayList<>();

        in.i64(); // first seq: they come without gaps
        for (int runs = in.count(6); runs > 0; runs--)
            ackRun(in, texts);
    }

    private void ackRun(In in, List<String> texts) throws Exception {
        int count = in.i32();
        boolean stored = in.u8() == 0;
        boolean withIds = (in.u8() & 1) != 0;
        String topic = stored ? RecordReader.textRef(in, texts) : null;
        String broker = stored ? RecordReader.textRef(in, texts) : null;
        int queue = stored ? in.i32() : 0;
        long offset = stored ? in.i64() : 0;

        for (int i = 0; i < count; i++) {
            String id = withIds ? in.str() : null;
            Api.Receipt receipt =
                    stored ? new Api.Receipt(topic, broker, queue, offset + i, id) : null;
            Object record = take();

            task.guarded(() -> {
                task.source().acked(record, receipt);
                return null;
            });
        }
    }

    private synchronized Object take() {
        Object record = underWay.poll();

        if (record == null)
            throw new ProtocolException("wrong-sequence", "an ACK for more than was sent");
        return record;
    }
}
