// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.plugin;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;

/**
 * What a class file says of itself: name, parents, whether `new` can make one. Read without loading
 * the class, so that nothing of a plugin runs while plugins are looked for.
 */
final class ClassHeader {
    private static final int PUBLIC = 0x0001;
    private static final int NOT_CONCRETE = 0x0200 | 0x0400 | 0x1000 | 0x2000 | 0x4000;

    final String name;
    /** null for java.lang.Object. */
    final String parent;
    final String[] interfaces;
    /** A public class that is not abstract, with a public constructor without arguments. */
    final boolean canBeMade;
    /** The Java version it needs: 8, 11, 17 ... */
    final int java;

    private ClassHeader(int java, String name, String parent, String[] interfaces,
            boolean canBeMade) {
        this.java = java;
        this.name = name;
        this.parent = parent;
        this.interfaces = interfaces;
        this.canBeMade = canBeMade;
    }

    /** @return null when it is no class file, or one of a module or package description. */
    static ClassHeader read(InputStream stream) throws IOException {
        DataInputStream in = new DataInputStream(stream);

        if (in.readInt() != 0xCAFEBABE)
            return null;
        in.readUnsignedShort();
        int java = in.readUnsignedShort() - 44;
        Object[] pool = pool(in);
        int access = in.readUnsignedShort();
        String name = className(pool, in.readUnsignedShort());
        int parent = in.readUnsignedShort();
        String[] interfaces = new String[in.readUnsignedShort()];

        if (name == null || (access & 0x8000) != 0)
            return null;
        for (int i = 0; i < interfaces.length; i++)
            interfaces[i] = className(pool, in.readUnsignedShort());
        boolean concrete = (access & PUBLIC) != 0 && (access & NOT_CONCRETE) == 0;

        return new ClassHeader(java, name, parent == 0 ? null : className(pool, parent),
                interfaces, concrete && hasConstructor(in, pool));
    }

    /** Texts, and for classes the index of their name; the rest is skipped. */
    private static Object[] pool(DataInputStream in) throws IOException {
        Object[] pool = new Object[in.readUnsignedShort()];

        for (int i = 1; i < pool.length; i++) {
            int tag = in.readUnsignedByte();

            switch (tag) {
            case 1:
                pool[i] = in.readUTF();
                break;
            case 7:
                pool[i] = in.readUnsignedShort();
                break;
            case 5:
            case 6:
                in.readLong();
                i++;
                break;
            case 8:
            case 16:
            case 19:
            case 20:
                in.readUnsignedShort();
                break;
            case 15:
                in.readUnsignedByte();
                in.readUnsignedShort();
                break;
            case 3:
            case 4:
            case 9:
            case 10:
            case 11:
            case 12:
            case 17:
            case 18:
                in.readInt();
                break;
            default:
                throw new IOException("unknown constant " + tag);
            }
        }
        return pool;
    }

    private static String className(Object[] pool, int index) throws IOException {
        if (index <= 0 || index >= pool.length || !(pool[index] instanceof Integer))
            throw new IOException("no class at " + index);
        Object name = pool[(Integer) pool[index]];

        return name == null ? null : ((String) name).replace('/', '.');
    }

    private static boolean hasConstructor(DataInputStream in, Object[] pool) throws IOException {
        for (int n = in.readUnsignedShort(); n > 0; n--) {
            in.readUnsignedShort();
            in.readInt();
            skipAttributes(in);
        }
        for (int n = in.readUnsignedShort(); n > 0; n--) {
            int access = in.readUnsignedShort();
            Object name = pool[in.readUnsignedShort()];
            Object descriptor = pool[in.readUnsignedShort()];

            if ((access & PUBLIC) != 0 && "<init>".equals(name) && "()V".equals(descriptor))
                return true;
            skipAttributes(in);
        }
        return false;
    }

    private static void skipAttributes(DataInputStream in) throws IOException {
        for (int n = in.readUnsignedShort(); n > 0; n--) {
            in.readUnsignedShort();
            long left = in.readInt() & 0xffffffffL;

            while (left > 0) {
                long skipped = in.skip(left);

                if (skipped <= 0) {
                    in.readByte();
                    skipped = 1;
                }
                left -= skipped;
            }
        }
    }
}
