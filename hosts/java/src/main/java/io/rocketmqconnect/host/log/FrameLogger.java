// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.log;

import org.slf4j.Marker;
import org.slf4j.event.Level;
import org.slf4j.helpers.LegacyAbstractLogger;
import org.slf4j.helpers.MessageFormatter;

/** A logger of slf4j whose lines become LOG frames. */
final class FrameLogger extends LegacyAbstractLogger {
    FrameLogger(String name) {
        this.name = name;
    }

    @Override
    protected String getFullyQualifiedCallerName() {
        return null;
    }

    @Override
    protected void handleNormalizedLoggingCall(Level level, Marker marker, String pattern,
            Object[] arguments, Throwable t) {
        Logs.log(number(level), name, MessageFormatter.basicArrayFormat(pattern, arguments), t);
    }

    private static int number(Level level) {
        switch (level) {
        case ERROR:
            return LogSink.ERROR;
        case WARN:
            return LogSink.WARN;
        case INFO:
            return LogSink.INFO;
        default:
            return LogSink.DEBUG;
        }
    }

    @Override
    public boolean isTraceEnabled() {
        return false;
    }

    @Override
    public boolean isDebugEnabled() {
        return Logs.shows(LogSink.DEBUG);
    }

    @Override
    public boolean isInfoEnabled() {
        return Logs.shows(LogSink.INFO);
    }

    @Override
    public boolean isWarnEnabled() {
        return Logs.shows(LogSink.WARN);
    }

    @Override
    public boolean isErrorEnabled() {
        return true;
    }
}
