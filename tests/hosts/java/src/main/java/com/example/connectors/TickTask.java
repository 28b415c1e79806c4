// SPDX-License-Identifier: Apache-2.0
package com.example.connectors;

import io.openmessaging.KeyValue;
import io.openmessaging.connector.api.component.task.source.SourceTask;
import io.openmessaging.connector.api.data.ConnectRecord;
import io.openmessaging.connector.api.data.RecordOffset;
import io.openmessaging.connector.api.data.RecordPartition;
import io.openmessaging.connector.api.data.Schema;
import io.openmessaging.connector.api.data.SchemaBuilder;
import io.openmessaging.connector.api.data.Struct;
import io.openmessaging.connector.api.data.logical.Decimal;
import io.openmessaging.connector.api.errors.ConnectException;
import io.openmessaging.connector.api.errors.RetriableException;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

/**
 * Gives the numbers of its task, and goes wrong when `fault` says so. Behind the record `fault.after` it
 * waits until there is a file `gate`. With `receipts`, what the
 * runtime tells of each record becomes a line of standard output.
 */
public class TickTask extends SourceTask {
    private static final Schema POINT = SchemaBuilder.struct().name("point").required()
            .field("n", SchemaBuilder.int64().required().build())
            .field("price", Decimal.builder(2).optional().build())
            .field("tags", SchemaBuilder.array(SchemaBuilder.string().build()).build()).build();

    private final CountDownLatch never = new CountDownLatch(1);
    private RecordPartition partition;
    private KeyValue config;
    private String pad = "";
    private long next = 1;
    private long count;
    private volatile boolean running = true;

    @Override
    public void start(KeyValue config) {
        this.config = config;
        count = config.getLong("count", 10);
        for (long i = config.getLong("pad", 0); i > 0; i--)
            pad += "x";
        partition = new RecordPartition(
                Collections.singletonMap("task", config.getString("task.number", "0")));
        RecordOffset offset = sourceTaskContext.offsetStorageReader().readOffset(partition);

        if (offset != null)
            next = ((Number) offset.getOffset().get("n")).longValue() + 1;
        fault("start");
    }

    @Override
    public List<ConnectRecord> poll() throws InterruptedException {
        List<ConnectRecord> list = new ArrayList<>();

        if (next > config.getLong("fault.after", 0)) {
            fault("poll");
            if (config.containsKey("gate") && !new File(config.getString("gate")).exists()) {
                Thread.sleep(1);
                return list;
            }
        }
        for (int i = 0; i < 500 && next <= count; i++)
            list.add(record(next++));
        if (list.isEmpty())
            Thread.sleep(10);
        return list;
    }

    private ConnectRecord record(long n) {
        boolean struct = Boolean.parseBoolean(config.getString("struct", "false"));
        Object data = "tick " + n + pad;
        Schema schema = SchemaBuilder.string().build();

        if (struct) {
            schema = POINT;
            data = new Struct(POINT).put("n", n).put("price", new BigDecimal(n + ".50"))
                    .put("tags", Collections.singletonList("t" + n));
        }
        ConnectRecord r = new ConnectRecord(partition,
                new RecordOffset(Collections.singletonMap("n", n)), 1000 + n, schema, data);

        r.addExtension("color", "blue");
        return r;
    }

    private void fault(String where) {
        String fault = config.getString("fault", "");

        if (!fault.startsWith(where + "-") || happened())
            return;
        switch (fault.substring(where.length() + 1)) {
        case "throw":
            throw new ConnectException("the tick is broken", new IllegalStateException("no clock"));
        case "retry":
            config.put("fault", "");
            throw new RetriableException("the tick is late");
        case "error":
            throw new NoClassDefFoundError("com/example/Missing");
        case "exit":
            System.exit(7);
            break;
        case "heap":
            heap();
            break;
        case "block":
            block();
            break;
        case "deadlock":
            deadlock();
            break;
        case "spin":
            while (true) { }
        default:
            Havoc.make(fault.substring(where.length() + 1));
        }
    }

    /** With `fault.once`, a file, a fault happens only as long as the file is not there. */
    private boolean happened() {
        String once = config.getString("fault.once", "");

        try {
            return !once.isEmpty() && !new File(once).createNewFile();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void heap() {
        List<byte[]> all = new ArrayList<>();

        while (true)
            all.add(new byte[1 << 20]);
    }

    /** Does not even listen to interrupts. */
    private void block() {
        while (running)
            try {
                never.await();
            } catch (InterruptedException e) {
                continue;
            }
    }

    private void deadlock() {
        Object a = new Object();
        Object b = new Object();
        CountDownLatch both = new CountDownLatch(2);
        Thread other = new Thread(() -> locked(b, a, both));

        other.setDaemon(true);
        other.start();
        locked(a, b, both);
    }

    private static void locked(Object first, Object second, CountDownLatch both) {
        synchronized (first) {
            both.countDown();
            try {
                both.await();
            } catch (InterruptedException e) {
                return;
            }
            synchronized (second) {
                return;
            }
        }
    }

    @Override
    public void commit(ConnectRecord record, Map<String, String> metadata) {
        if (config.containsKey("receipts"))
            System.out.println("receipt " + record.getPosition().getOffset().getOffset() + " "
                    + (metadata == null ? "none" : metadata.get("queue.offset")));
    }

    @Override
    public void commit() {
        if (config.containsKey("receipts"))
            System.out.println("committed");
    }

    @Override
    public void stop() {
        fault("stop");
        running = false;
        never.countDown();
        System.out.println("tick stopped");
    }
}
