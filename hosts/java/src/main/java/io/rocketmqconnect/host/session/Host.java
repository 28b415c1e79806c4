// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.session;

import io.rocketmqconnect.host.log.Logs;
import io.rocketmqconnect.host.plugin.Plugins;
import io.rocketmqconnect.host.protocol.Channel;
import io.rocketmqconnect.host.protocol.Frame;
import io.rocketmqconnect.host.protocol.In;
import io.rocketmqconnect.host.protocol.Out;
import io.rocketmqconnect.host.protocol.ProtocolException;
import io.rocketmqconnect.host.protocol.Types;
import io.rocketmqconnect.host.protocol.WireError;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One connection to the worker. The thread that runs it reads all frames, answers PING, and calls no
 * plugin; so the worker always gets an answer, whatever plugins do.
 */
public final class Host {
    private static final Logger LOG = LoggerFactory.getLogger(Host.class);

    private final Channel channel;
    private final Plugins plugins;
    private final List<Api> apis;
    private final String version;
    private final Map<Integer, Instance> instances = new ConcurrentHashMap<>();
    /** Frames of instances whose class is being loaded. */
    private final Map<Integer, List<Frame>> starting = new HashMap<>(); // [starting]
    private final Map<Integer, Asked> asked = new ConcurrentHashMap<>();
    private final AtomicInteger nextRequest = new AtomicInteger();
    private final ScheduledThreadPoolExecutor timer;

    private static final class Asked {
        final Instance instance;
        final int type;
        final CompletableFuture<In> answer = new CompletableFuture<>();

        Asked(Instance instance, int type) {
            this.instance = instance;
            this.type = type;
        }
    }

    public Host(Channel channel, Plugins plugins, List<Api> apis, String version) {
        this.channel = channel;
        this.plugins = plugins;
        this.apis = apis;
        this.version = version;
        timer = new ScheduledThreadPoolExecutor(1, r -> {
            Thread thread = new Thread(r, "rc-timer");

            thread.setDaemon(true);
            return thread;
        });
    }

    /** Runs until the worker closes the connection or asks for the end. @return true = asked. */
    public boolean run() throws IOException {
        hello();
        Frame first = channel.read();

        if (first == null)
            return false;
        if (first.type != Types.WELCOME)
            throw new ProtocolException("no-hello", "the worker answered with frame "
                    + first.type + (first.type == Types.ERROR ? ": " + refusal(first.in()) : ""));
        welcome(first.in());
        for (Frame frame = channel.read(); frame != null; frame = channel.read()) {
            if (frame.type == Types.SHUTDOWN) {
                channel.write(Types.SHUTDOWN, Types.REPLY, 0, frame.request, new Out());
                return true;
            }
            take(frame);
        }
        return false;
    }

    private static String refusal(In in) {
        in.u8();
        return WireError.read(in).message;
    }

    private void hello() throws IOException {
        Map<String, String> more = new LinkedHashMap<>();
        Out out = new Out();

        more.put("java.home", System.getProperty("java.home"));
        more.put("java.vendor", System.getProperty("java.vendor"));
        more.put("heap.max", String.valueOf(Runtime.getRuntime().maxMemory()));
        out.u32(Types.MAGIC).u16(Types.VERSION).u16(Types.VERSION).u32(pid());
        out.u64(Types.CAPABILITIES).u32(Types.FRAME_MAX);
        out.str("java-host").str(version).str("Java " + System.getProperty("java.version"));
        out.kv(more);
        channel.write(Types.HELLO, 0, 0, 0, out);
    }

    private static int pid() {
        String name = ManagementFactory.getRuntimeMXBean().getName(); // pid@machine, also in Java 8

        try {
            return Integer.parseInt(name.substring(0, name.indexOf('@')));
        } catch (RuntimeException e) {
            return 0;
        }
    }

    private void welcome(In in) {
        in.u16();
        in.i64();
        channel.writeMax(in.i32());
        in.i32();
        Logs.start(new FrameLog(channel), in.u8());
    }

    // ---- frames ------------------------------------------------------------------------------

    private void take(Frame frame) throws IOException {
        if (frame.isReply()) {
            answer(frame);
            return;
        }
        switch (frame.type) {
        case Types.PING:
            channel.write(Types.PING, Types.REPLY, 0, frame.request, pong(frame.in().i64()));
            break;
        case Types.SCAN:
        case Types.VALIDATE:
            beside(() -> Inspection.answer(channel, plugins, apis, frame));
            break;
        case Types.CONNECTOR_START:
        case Types.TASK_START:
        case Types.COMPONENT_START:
            synchronized (starting) {
                starting.put(frame.instance, new ArrayList<>());
            }
            beside(() -> begin(frame));
            break;
        case Types.ERROR:
            LOG.warn("the worker gives this host up: {}", refusal(frame.in()));
            break;
        default:
            deliver(frame);
        }
    }

    private void deliver(Frame frame) throws IOException {
        synchronized (starting) {
            List<Frame> waiting = starting.get(frame.instance);

            if (waiting != null) {
                waiting.add(frame);
                return;
            }
        }
        Instance instance = instances.get(frame.instance);

        if (instance != null)
            instance.deliver(frame);
        else if (frame.type == Types.STOP) // its class could not be loaded
            channel.write(Types.STOP, Types.REPLY, frame.instance, frame.request, new Out());
        else if (frame.request != 0)
            refuse(frame, new WireError(WireError.NOT_FOUND, false,
                    "no instance " + frame.instance + " takes frame " + frame.type));
        else if ((frame.flags & Types.OPTIONAL) == 0)
            LOG.debug("frame {} of instance {} came too late", frame.type, frame.instance);
    }

    private void refuse(Frame frame, WireError error) throws IOException {
        Out out = new Out();

        out.u8(0);
        error.write(out);
        channel.write(Types.ERROR, Types.REPLY, frame.instance, frame.request, out);
    }

    private static void beside(Runnable work) {
        Thread thread = new Thread(work, "rc-control");

        thread.setDaemon(true);
        thread.start();
    }

    private Out pong(long token) {
        Runtime runtime = Runtime.getRuntime();
        Out out = new Out();
        int count = 0;

        out.u64(token).u64(runtime.totalMemory() - runtime.freeMemory()).u64(runtime.maxMemory());
        int at = out.mark();

        out.u32(0);
        for (Instance instance : instances.values()) {
            Instance.Call call = instance.currentCall();

            if (call == null)
                continue;
            int part = out.begin();
            long ms = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - call.since);

            out.u16(instance.id).u32((int) Math.min(ms, Integer.MAX_VALUE)).str(call.name);
            out.end(part);
            count++;
        }
        out.patch(at, count);
        return out;
    }

    // ---- instances ---------------------------------------------------------------------------

    /** Loading a class runs code of the plugin, so not on the connection's thread. */
    private void begin(Frame frame) {
        try {
            try {
                Instance instance = make(frame);

                instances.put(frame.instance, instance);
                instance.thread.start();
            } catch (Throwable t) {
                refuse(frame, WireError.of(t));
            }
            begun(frame.instance);
        } catch (IOException e) {
            LOG.debug("the worker is gone", e);
        }
    }

    /** What came for the instance meanwhile. */
    private void begun(int id) throws IOException {
        synchronized (starting) {
            for (Frame frame : starting.remove(id)) {
                Instance instance = instances.get(id);

                if (instance != null)
                    instance.deliver(frame);
                else
                    deliver(frame);
            }
        }
    }

    private Instance make(Frame frame) throws Exception {
        Start start = new Start(frame.in());
        ConnectorInstance connector = connector(start.connectorInstance);
        Class<?> c = connector != null && connector.start.className.equals(start.className)
                ? connector.pluginClass : plugins.load(start.className, start.location);
        Api api = Inspection.api(apis, c);

        if (frame.type == Types.CONNECTOR_START)
            return new ConnectorInstance(this, frame, start, c, api);
        if (frame.type == Types.COMPONENT_START)
            return new ComponentInstance(this, frame, start, c, api);
        if (start.kind == Types.SOURCE)
            return new SourceInstance(this, frame, start, c, api);
        return new SinkInstance(this, frame, start, c, api);
    }

    ConnectorInstance connector(int id) {
        Instance instance = id == 0 ? null : instances.get(id);

        return instance instanceof ConnectorInstance ? (ConnectorInstance) instance : null;
    }

    /** The instance stopped; nobody waits for answers to it any more. */
    void remove(Instance instance) {
        instances.remove(instance.id, instance);
        for (Map.Entry<Integer, Asked> e : asked.entrySet())
            if (e.getValue().instance == instance && asked.remove(e.getKey(), e.getValue()))
                e.getValue().answer.completeExceptionally(new WireError.Failure(
                        new WireError(WireError.CANCELED, true, "the task has stopped")));
    }

    Channel channel() {
        return channel;
    }

    /** Runs something short in so many ms. */
    void later(long ms, Runnable what) {
        timer.schedule(what, ms, TimeUnit.MILLISECONDS);
    }

    // ---- requests of ours --------------------------------------------------------------------

    CompletableFuture<In> askLater(Instance instance, int type, Out payload) {
        Asked one = new Asked(instance, type);
        int request;

        do
            request = nextRequest.incrementAndGet();
        while (request == 0 || asked.putIfAbsent(request, one) != null);
        if (!instance.send(type, 0, request, payload)) {
            asked.remove(request);
            one.answer.completeExceptionally(new WireError.Failure(
                    new WireError(WireError.CANCELED, true, "the task has stopped")));
        }
        return one.answer;
    }

    In ask(Instance instance, int type, Out payload) {
        try {
            return askLater(instance, type, payload).get();
        } catch (ExecutionException e) {
            throw e.getCause() instanceof WireError.Failure ? (WireError.Failure) e.getCause()
                    : new WireError.Failure(WireError.of(e.getCause()));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new WireError.Failure(
                    new WireError(WireError.CANCELED, true, "interrupted while asking the worker"));
        }
    }

    private void answer(Frame frame) {
        Asked one = asked.remove(frame.request);

        if (one == null) {
            LOG.debug("an answer to request {} came too late", frame.request);
            return;
        }
        if (frame.type == one.type) {
            one.answer.complete(frame.in());
            return;
        }
        In in = frame.in();

        in.u8();
        one.answer.completeExceptionally(new WireError.Failure(WireError.read(in)));
    }
}
