// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.session;

import io.rocketmqconnect.host.log.LogSink;
import io.rocketmqconnect.host.protocol.Channel;
import io.rocketmqconnect.host.protocol.Out;
import io.rocketmqconnect.host.protocol.Types;
import io.rocketmqconnect.host.protocol.WireError;

import java.io.IOException;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Log lines on their way to the worker. Data never waits for them: when the queue is full a line is
 * dropped and counted.
 */
final class FrameLog implements LogSink {
    private static final int QUEUE_MAX = 1000;
    private static final int TEXT_MAX = 4 << 10;
    private static final int NAME_MAX = 256;

    private static final class Line {
        final Instance instance = Instance.current();
        final long ms = System.currentTimeMillis();
        final String thread = Thread.currentThread().getName();
        final int level;
        final String logger;
        final String text;
        final String stack;

        Line(int level, String logger, String text, String stack) {
            this.level = level;
            this.logger = logger;
            this.text = text;
            this.stack = stack;
        }
    }

    private final Channel channel;
    private final ArrayBlockingQueue<Line> lines = new ArrayBlockingQueue<>(QUEUE_MAX);
    private final AtomicLong dropped = new AtomicLong();

    FrameLog(Channel channel) {
        this.channel = channel;
        Thread thread = new Thread(this::run, "rc-log");

        thread.setDaemon(true);
        thread.start();
    }

    @Override
    public void log(int level, String logger, String text, String stack) {
        if (!lines.offer(new Line(level, logger, WireError.cut(String.valueOf(text), TEXT_MAX),
                stack)))
            dropped.incrementAndGet();
    }

    private void run() {
        try {
            while (true) {
                write(lines.take());
                long lost = lines.isEmpty() ? dropped.getAndSet(0) : 0;

                if (lost > 0)
                    write(new Line(WARN, "host", lost + " log lines were dropped", null));
            }
        } catch (InterruptedException | IOException e) {
            Thread.currentThread().interrupt(); // the connection is gone, and the process with it
        }
    }

    private void write(Line line) throws IOException {
        Out out = new Out();

        out.u8(line.level).u64(line.ms).str(WireError.cut(line.logger, NAME_MAX))
                .str(WireError.cut(line.thread, NAME_MAX)).str(line.text).optional(line.stack);
        if (line.instance == null || !line.instance.send(Types.LOG, Types.OPTIONAL, 0, out))
            channel.write(Types.LOG, Types.OPTIONAL, 0, 0, out);
    }
}
