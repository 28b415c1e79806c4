// SPDX-License-Identifier: Apache-2.0
package com.example.connectors;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.lang.reflect.Field;
import java.util.Arrays;
import java.util.Random;

/** What a connector can do to the process it lives in. */
final class Havoc {
    private static final long FLOOD = 1L << 30;

    private Havoc() {}

    static void make(String what) {
        try {
            switch (what) {
            case "segv":
                segv();
                break;
            case "flood":
                flood();
                break;
            case "garbage":
                garbage();
                break;
            default:
                throw new IllegalArgumentException(what);
            }
        } catch (IOException | ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    /** As native code of a JDBC driver would: writes where nothing is. */
    private static void segv() throws ReflectiveOperationException {
        Class<?> unsafe = Class.forName("sun.misc.Unsafe");
        Field f = unsafe.getDeclaredField("theUnsafe");

        f.setAccessible(true);
        unsafe.getMethod("putAddress", long.class, long.class).invoke(f.get(null), 0L, 0L);
    }

    /** 1 GiB of lines, then it goes on as if nothing were. */
    private static void flood() {
        byte[] lines = new byte[1 << 16];

        Arrays.fill(lines, (byte) 'x');
        for (int i = 99; i < lines.length; i += 100)
            lines[i] = '\n';
        for (long done = 0; done < FLOOD; done += lines.length)
            System.out.write(lines, 0, lines.length);
        System.out.flush();
    }

    /** Into the very socket on which the host speaks with its worker. */
    private static void garbage() throws IOException {
        byte[] bytes = new byte[100000];

        new Random(1).nextBytes(bytes);
        try (FileOutputStream socket = new FileOutputStream(FileDescriptor.in)) {
            socket.write(bytes);
        }
    }
}
