// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.session;

import io.rocketmqconnect.host.plugin.Plugins;
import io.rocketmqconnect.host.protocol.Channel;
import io.rocketmqconnect.host.protocol.Frame;
import io.rocketmqconnect.host.protocol.In;
import io.rocketmqconnect.host.protocol.Out;
import io.rocketmqconnect.host.protocol.Types;
import io.rocketmqconnect.host.protocol.WireError;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Answers SCAN and VALIDATE. */
final class Inspection {
    private static final Logger LOG = LoggerFactory.getLogger(Inspection.class);
    private static final int PLUGINS_MAX = 10000;
    private static final int OPTIONS_MAX = 1000;
    private static final int DOC_MAX = 4096;
    private static final int VERSION_MAX = 64;
    private static final int CLASS_MAX = 256;
    private static final int ANY_KEY = 8;

    private final Plugins plugins;
    private final List<Api> apis;

    private Inspection(Plugins plugins, List<Api> apis) {
        this.plugins = plugins;
        this.apis = apis;
    }

    /** @thread one of its own: plugins run. */
    static void answer(Channel channel, Plugins plugins, List<Api> apis, Frame frame) {
        Inspection inspection = new Inspection(plugins, apis);
        Out out = new Out();
        int type = frame.type;

        try {
            inspection.run(frame.type, frame.in(), out);
        } catch (LinkageError e) { // not a word about the configuration: it cannot run at all
            type = Types.ERROR;
            out.clear().u8(0);
            new WireError(WireError.UNSUPPORTED, false, WireError.message(e)).write(out);
        } catch (Throwable t) {
            type = Types.ERROR;
            out.clear().u8(0);
            WireError.of(t).write(out);
        }
        try {
            channel.write(type, Types.REPLY, 0, frame.request, out);
        } catch (IOException e) {
            LOG.warn("the answer to frame {} could not be sent", frame.type, e);
        }
    }

    private void run(int type, In in, Out out) throws Exception {
        if (type == Types.SCAN)
            scan(in, out);
        else
            validate(in, out);
    }

    static Api api(List<Api> apis, Class<?> pluginClass) {
        for (Api api : apis)
            if (api.owns(pluginClass))
                return api;
        throw new IllegalArgumentException(pluginClass.getName()
                + " is no plugin of OpenMessaging Connect or Kafka Connect");
    }

    // ---- scan --------------------------------------------------------------------------------

    private void scan(In in, Out out) {
        List<String> paths = new ArrayList<>();

        for (int n = in.count(4); n > 0; n--)
            paths.add(in.str());
        Plugins.Scan scan = plugins.scan(paths);
        int at = out.mark();
        int count = 0;

        out.u32(0);
        for (Plugins.Plugin p : scan.plugins) {
            if (p.className.length() > CLASS_MAX || count == PLUGINS_MAX)
                continue;
            Api.Description d = describe(p, scan);

            plugin(out, p.kind, d.flags | ANY_KEY, p.className, p.location,
                    d.version != null ? d.version : p.version, d);
            count++;
        }
        out.patch(at, count);
        out.u32(scan.refused.size());
        for (Plugins.Refusal refusal : scan.refused) {
            out.str(refusal.path);
            new WireError(WireError.BAD_FORM, false, refusal.why).write(out);
        }
    }

    /**
     * Kafka's plugins show their options once they are made, so those are loaded. One that cannot be
     * is listed without options: it may need something that only its start brings.
     */
    private Api.Description describe(Plugins.Plugin p, Plugins.Scan scan) {
        if (!p.kafka)
            return new Api.Description();
        try {
            return with(p.className, p.location, (api, c) -> api.describe(p.kind, c));
        } catch (Exception | LinkageError e) {
            scan.refused.add(new Plugins.Refusal(p.location,
                    p.className + " cannot show its options: " + WireError.message(e)));
            return new Api.Description();
        }
    }

    private static void plugin(Out out, int kind, int flags, String className, String location,
            String version, Api.Description description) {
        int part = out.begin();
        int count = Math.min(OPTIONS_MAX, description.options.size());

        out.u8(kind).u32(flags).str(className).str(location);
        out.str(WireError.cut(version, VERSION_MAX));
        out.str(WireError.cut(description.doc, DOC_MAX));
        out.u32(count);
        for (Api.Option option : description.options.subList(0, count))
            option(out, option);
        out.end(part);
    }

    private static void option(Out out, Api.Option o) {
        int part = out.begin();

        out.str(o.name).u8(o.type).u32(o.flags).optional(o.defaultValue);
        out.str(WireError.cut(o.doc, DOC_MAX)).u64(0).u64(0).str(o.choices).optional(o.group);
        out.u8(o.importance);
        out.end(part);
    }

    // ---- validate ----------------------------------------------------------------------------

    private interface Use<T> {
        T run(Api api, Class<?> pluginClass) throws Exception;
    }

    private <T> T with(String className, String location, Use<T> use) throws Exception {
        Class<?> c = plugins.load(className, location);

        Thread.currentThread().setContextClassLoader(c.getClassLoader());
        return use.run(api(apis, c), c);
    }

    private void validate(In in, Out out) throws Exception {
        int kind = in.u8();
        String className = in.str();
        String location = in.str();
        Map<String, String> config = in.kv();
        String connector = in.left() > 0 ? in.str() : "";
        List<Api.Problem> problems =
                with(className, location, (api, c) -> api.validate(kind, c, connector, config));

        out.u32(problems.size());
        for (Api.Problem p : problems)
            out.bool(false).str(p.key).str(p.value).str(WireError.cut(p.text, 1000));
    }
}
