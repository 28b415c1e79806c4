// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.session;

import io.rocketmqconnect.host.protocol.Frame;
import io.rocketmqconnect.host.protocol.In;
import io.rocketmqconnect.host.protocol.Out;
import io.rocketmqconnect.host.protocol.Types;
import io.rocketmqconnect.host.protocol.ValueReader;
import io.rocketmqconnect.host.protocol.ValueWriter;
import io.rocketmqconnect.host.protocol.WireError;

import java.io.IOException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A connector, task or component: a thread that takes its frames in order and calls the plugin. The
 * number of frames that wait is bounded by the protocol: one request, the puts of the window, and
 * receipts of records under way.
 */
abstract class Instance {
    private static final Logger LOG = LoggerFactory.getLogger(Instance.class);
    private static final ThreadLocal<Instance> CURRENT = new InheritableThreadLocal<>();

    /** A call into the plugin, for PING. */
    static final class Call {
        final String name;
        final long since = System.nanoTime();

        Call(String name) {
            this.name = name;
        }
    }

    interface Step<T> {
        T run() throws Exception;
    }

    final Host host;
    final int id;
    final Start start;
    final Api api;
    final Class<?> pluginClass;
    final ValueReader reader;
    final ValueWriter writer;
    final Thread thread;
    private final Frame startFrame;
    private final LinkedBlockingQueue<Frame> inbox = new LinkedBlockingQueue<>();
    private final Object sendLock = new Object();
    private boolean closed; // [sendLock] STOP was answered
    private volatile Call call;
    private volatile boolean stopping;
    boolean started; // thread of the instance

    /** @throws Exception when the class cannot be loaded or is no plugin. */
    Instance(Host host, Frame frame, Start start, Class<?> pluginClass, Api api) {
        this.host = host;
        this.id = frame.instance;
        this.start = start;
        this.startFrame = frame;
        this.pluginClass = pluginClass;
        this.api = api;
        this.reader = new ValueReader(api.model());
        this.writer = new ValueWriter(api.model());
        this.thread = new Thread(this::run, threadName());
        this.thread.setDaemon(true);
    }

    private String threadName() {
        return !start.task.isEmpty() ? start.task : start.connector + "-" + start.className
                .substring(start.className.lastIndexOf('.') + 1);
    }

    /** The instance whose thread, or descendant of it, this is; null = none. */
    static Instance current() {
        return CURRENT.get();
    }

    // ---- for subclasses ----------------------------------------------------------------------

    /** Makes and starts the plugin. */
    abstract void startPlugin() throws Exception;

    abstract void handle(Frame frame) throws Exception;

    /** Stops the plugin, once, also when its start failed. */
    abstract void stopPlugin() throws Exception;

    /** What is done while no frame comes, every `idleMs()`. */
    void idle() throws Exception {}

    /** 0 = never. */
    long idleMs() {
        return 0;
    }

    /** After the start, instead of waiting for frames; returns when the instance is to stop. */
    void work() throws Exception {
        while (!stopping) {
            Frame frame = idleMs() > 0 ? inbox.poll(idleMs(), TimeUnit.MILLISECONDS) : inbox.take();

            if (frame == null)
                idleOnce();
            else if (frame.type != Types.STOP)
                handleOne(frame);
            else
                inbox.put(frame);
        }
    }

    private void idleOnce() {
        try {
            if (started)
                idle();
        } catch (Throwable t) {
            fail(t);
        }
    }

    private void handleOne(Frame frame) {
        try {
            if (frame.type == Types.SCHEMAS)
                reader.schemas(frame.in());
            else if (!started)
                throw new WireError.Failure(
                        new WireError(WireError.STATE, false, "it was not started"));
            else
                handle(frame);
        } catch (Throwable t) {
            if (frame.request != 0)
                replyError(frame, WireError.of(t));
            else
                fail(t);
        }
    }

    // ---- the thread --------------------------------------------------------------------------

    private void run() {
        CURRENT.set(this);
        try {
            startPlugin();
            started = true;
            reply(startFrame, new Out());
        } catch (Throwable t) {
            replyError(startFrame, WireError.of(t));
        }
        try {
            if (started)
                work();
        } catch (Throwable t) {
            if (!stopping)
                fail(t);
        }
        finish();
    }

    private void finish() {
        Frame stop = null;

        while (stop == null)
            try {
                Frame frame = inbox.take();

                if (frame.type == Types.STOP)
                    stop = frame;
                else if (frame.request != 0)
                    replyError(frame, new WireError(WireError.STATE, false, "it is not running"));
            } catch (InterruptedException e) {
                LOG.debug("interrupted while waiting for STOP");
            }
        Thread.interrupted();
        WireError error = null;

        try {
            stopPlugin();
        } catch (Throwable t) {
            if (started)
                error = WireError.of(t);
            else
                LOG.debug("stop after a start that failed", t);
        }
        host.remove(this);
        synchronized (sendLock) {
            if (error == null)
                reply(stop, new Out());
            else
                replyError(stop, error);
            closed = true;
        }
    }

    /** Calls the plugin: with its class loader, and visible to PING. */
    <T> T call(String name, Step<T> step) throws Exception {
        call = new Call(name);
        try {
            return guarded(step);
        } finally {
            call = null;
        }
    }

    /** As call, but for threads beside the instance's own. */
    <T> T guarded(Step<T> step) throws Exception {
        Thread.currentThread().setContextClassLoader(pluginClass.getClassLoader());
        return step.run();
    }

    Call currentCall() {
        return call;
    }

    boolean stopping() {
        return stopping;
    }

    // ---- frames ------------------------------------------------------------------------------

    /** @thread that of the connection. */
    void deliver(Frame frame) {
        if (frame.type == Types.STOP) {
            stopping = true;
            stopSoon(frame.in().i32());
        }
        inbox.add(frame);
    }

    /** A call that does not end by itself is interrupted at half of the time. */
    void stopSoon(int ms) {
        host.later(ms / 2, this::interruptCall);
    }

    void interruptCall() {
        if (call != null && !isClosed())
            thread.interrupt();
    }

    private boolean isClosed() {
        synchronized (sendLock) {
            return closed;
        }
    }

    /** Sends a frame of this instance, unless it has ended. */
    boolean send(int type, int flags, int request, Out payload) {
        synchronized (sendLock) {
            if (closed)
                return false;
            try {
                host.channel().write(type, flags, id, request, payload);
                return true;
            } catch (IOException e) {
                throw new WireError.Failure(WireError.of(e));
            }
        }
    }

    boolean send(int type, Out payload) {
        return send(type, 0, 0, payload);
    }

    void sendSchemas() {
        Out schemas = writer.takeSchemas();

        if (schemas != null)
            send(Types.SCHEMAS, schemas);
    }

    void reply(Frame frame, Out payload) {
        send(frame.type, Types.REPLY, frame.request, payload);
    }

    void replyError(Frame frame, WireError error) {
        Out out = new Out();

        out.u8(0);
        error.write(out);
        send(Types.ERROR, Types.REPLY, frame.request, out);
    }

    /** The instance failed by itself. */
    void fail(Throwable t) {
        Out out = new Out();

        out.u8(1);
        WireError.of(t).write(out);
        send(Types.ERROR, out);
    }

    /** Asks the worker. @throws WireError.Failure what it answered, or when the instance ends. */
    In ask(int type, Out payload) {
        return host.ask(this, type, payload);
    }
}
