// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host;

import io.rocketmqconnect.host.kafka.KafkaApi;
import io.rocketmqconnect.host.openmessaging.OpenMessagingApi;
import io.rocketmqconnect.host.plugin.Plugins;
import io.rocketmqconnect.host.protocol.Channel;
import io.rocketmqconnect.host.session.Host;

import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.util.Arrays;

/**
 * The Java host: runs connectors of OpenMessaging Connect and Kafka Connect for a worker that speaks
 * the connector host protocol on descriptor 0. Workers start it; it is of no use by hand.
 */
public final class Main {
    private static final int SHUTDOWN_MAX_MS = 4000;

    private Main() {}

    public static void main(String[] args) {
        Channel channel = new Channel(new FileInputStream(FileDescriptor.in),
                new FileOutputStream(FileDescriptor.in));
        int status = 0;

        System.setIn(new ByteArrayInputStream(new byte[0]));
        if (System.getenv("CHP_VERSION") == null) {
            System.err.println("This is the Java host of rocketmq-connect-c. Workers start it by "
                    + "themselves; see docs/java-connectors.md.");
            System.exit(2);
        }
        try {
            Plugins plugins = new Plugins(Main.class.getClassLoader(), home());
            Host host = new Host(channel, plugins,
                    Arrays.asList(new OpenMessagingApi(), new KafkaApi()), version());

            if (host.run())
                exitInOrder();
        } catch (IOException e) {
            status = 0; // the worker is gone
        } catch (Throwable t) {
            System.err.println("the Java host cannot go on: " + t);
            status = 1;
        }
        Runtime.getRuntime().halt(status);
    }

    /** Shutdown hooks of plugins run, but not for ever. */
    private static void exitInOrder() throws InterruptedException {
        Thread exit = new Thread(() -> System.exit(0), "rc-exit");

        exit.start();
        exit.join(SHUTDOWN_MAX_MS);
    }

    /** The folder of our jar, or null when classes come from elsewhere. */
    private static File home() {
        String at = Main.class.getProtectionDomain().getCodeSource().getLocation().getPath();
        File jar = new File(at);

        return jar.isFile() ? jar.getAbsoluteFile().getParentFile() : null;
    }

    private static String version() {
        String version = Main.class.getPackage().getImplementationVersion();

        return version == null ? "undefined" : version;
    }
}
