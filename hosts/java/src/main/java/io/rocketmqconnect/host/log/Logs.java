// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.log;

import io.rocketmqconnect.host.protocol.WireError;

import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.LogRecord;
import java.util.logging.SimpleFormatter;

/** The one place that log lines of slf4j and java.util.logging pass. */
public final class Logs {
    private static volatile LogSink sink = new LogSink() {
        @Override
        public void log(int level, String logger, String text, String stack) {
            System.err.println(logger + ": " + text);
            if (stack != null)
                System.err.println(stack);
        }
    };
    private static volatile int least = LogSink.INFO;

    private Logs() {}

    public static void start(LogSink to, int leastLevel) {
        sink = to;
        least = leastLevel;
        java.util.logging.Logger root = LogManager.getLogManager().getLogger("");

        for (Handler h : root.getHandlers())
            root.removeHandler(h);
        root.addHandler(new Jul());
    }

    static boolean shows(int level) {
        return level >= least;
    }

    static void log(int level, String logger, String text, Throwable t) {
        if (shows(level))
            sink.log(level, logger, t == null ? text : text + ": " + WireError.message(t),
                    t == null ? null : WireError.stack(t));
    }

    private static final class Jul extends Handler {
        private final SimpleFormatter formatter = new SimpleFormatter();

        @Override
        public void publish(LogRecord r) {
            int value = r.getLevel().intValue();
            int level = value >= Level.SEVERE.intValue() ? LogSink.ERROR
                    : value >= Level.WARNING.intValue() ? LogSink.WARN
                    : value >= Level.INFO.intValue() ? LogSink.INFO : LogSink.DEBUG;

            if (shows(level))
                log(level, String.valueOf(r.getLoggerName()), formatter.formatMessage(r),
                        r.getThrown());
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
    }
}
