// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.session;

import io.rocketmqconnect.host.protocol.Frame;
import io.rocketmqconnect.host.protocol.In;
import io.rocketmqconnect.host.protocol.Out;
import io.rocketmqconnect.host.protocol.ProtocolException;
import io.rocketmqconnect.host.protocol.RecordReader;
import io.rocketmqconnect.host.protocol.RecordWriter;
import io.rocketmqconnect.host.protocol.Types;
import io.rocketmqconnect.host.protocol.WireError;
import io.rocketmqconnect.host.protocol.WireRecord;

import java.util.List;
import java.util.Map;

/** A transform, predicate or converter. An error of one record is told with that record. */
final class ComponentInstance extends Instance {
    private static final int KEEP = 0;
    private static final int DROPPED = 1;
    private static final int FAILED = 2;

    private final RecordReader records;
    private final RecordWriter results;
    private Api.ComponentPlugin component;

    ComponentInstance(Host host, Frame frame, Start start, Class<?> pluginClass, Api api) {
        super(host, frame, start, pluginClass, api);
        records = new RecordReader(reader);
        results = new RecordWriter(writer);
    }

    private interface One {
        void run() throws Exception;
    }

    @Override
    void startPlugin() throws Exception {
        call("start", () -> {
            component = api.component(pluginClass, start);
            component.start();
            return null;
        });
    }

    @Override
    void handle(Frame frame) throws Exception {
        Out out = new Out(frame.payload.length + 64);
        In in = frame.in();

        results.beginFrame();
        switch (frame.type) {
        case Types.APPLY:
            call("apply", () -> {
                apply(in, out);
                return null;
            });
            break;
        case Types.TO_BYTES:
            call("fromConnectData", () -> {
                toBytes(in, out);
                return null;
            });
            break;
        case Types.TO_VALUES:
            call("toConnectData", () -> {
                toValues(in, out);
                return null;
            });
            break;
        default:
            throw new ProtocolException("wrong-kind", "a component");
        }
        sendSchemas();
        reply(frame, out);
    }

    /** One result; when it fails, the error is in its place. */
    private void result(Out out, int index, One one) {
        int mark = out.mark();

        try {
            one.run();
        } catch (Exception | LinkageError | StackOverflowError e) {
            out.cut(mark);
            out.u8(FAILED);
            WireError.of(e, index).write(out);
        }
    }

    private void apply(In in, Out out) {
        List<WireRecord> list = records.list(in);

        out.u32(list.size());
        for (int i = 0; i < list.size(); i++) {
            WireRecord record = list.get(i);

            result(out, i, () -> {
                if (start.kind == Types.PREDICATE)
                    out.u8(component.test(record) ? 1 : 0);
                else
                    transform(record, out);
            });
        }
    }

    private void transform(WireRecord record, Out out) throws Exception {
        WireRecord made = component.apply(record);

        if (made == null) {
            out.u8(DROPPED);
            return;
        }
        out.u8(KEEP);
        results.write(out, made);
    }

    private void toBytes(In in, Out out) {
        int count = in.count(13);

        out.u32(count);
        for (int i = 0; i < count; i++) {
            String topic = in.str();
            Map<String, String> extensions = in.kv();
            Object schema = reader.schema(in.i32());
            Object value = reader.value(in, schema);

            result(out, i, () -> {
                byte[] bytes = component.toBytes(topic, extensions, schema, value);

                out.u8(KEEP).optional(bytes);
            });
        }
    }

    private void toValues(In in, Out out) {
        int count = in.count(12);

        out.u32(count);
        for (int i = 0; i < count; i++) {
            String topic = in.str();
            Map<String, String> extensions = in.kv();
            byte[] bytes = in.optionalBytes();

            result(out, i, () -> {
                Api.SchemaValue made = component.toValue(topic, extensions, bytes);

                out.u8(KEEP).u32(writer.schemaId(made.schema));
                writer.value(out, made.schema, made.value);
            });
        }
    }

    @Override
    void stopPlugin() throws Exception {
        if (component != null)
            call("stop", () -> {
                component.stop();
                return null;
            });
    }
}
