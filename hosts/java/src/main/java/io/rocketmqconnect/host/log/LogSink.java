// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.log;

/** Where log lines go: the session, or standard error before there is one. */
public interface LogSink {
    int DEBUG = 0;
    int INFO = 1;
    int WARN = 2;
    int ERROR = 3;

    /** Returns at once. @param stack null = none. */
    void log(int level, String logger, String text, String stack);
}
