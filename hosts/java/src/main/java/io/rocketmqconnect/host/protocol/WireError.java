// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.protocol;

import java.io.PrintWriter;
import java.io.StringWriter;

/** An error on the wire, made from an exception or read from a frame. */
public final class WireError {
    public static final int BAD_CONFIG = 1;
    public static final int NOT_FOUND = 2;
    public static final int DEADLINE = 5;
    public static final int BAD_FORM = 9;
    public static final int CANCELED = 10;
    public static final int UNSUPPORTED = 11;
    public static final int TOO_LARGE = 12;
    public static final int STATE = 13;
    public static final int BUG = 16;

    private static final int MESSAGE_MAX = 1000;
    private static final int STACK_MAX = 60 << 10;

    public final int code;
    public final boolean retriable;
    public final long index;
    public final String type;
    public final String message;
    public final String stack;

    public WireError(int code, boolean retriable, String message) {
        this(code, retriable, -1, "", message, "");
    }

    private WireError(int code, boolean retriable, long index, String type, String message,
            String stack) {
        this.code = code;
        this.retriable = retriable;
        this.index = index;
        this.type = type;
        this.message = message;
        this.stack = stack;
    }

    public static WireError of(Throwable t) {
        return of(t, -1);
    }

    public static WireError of(Throwable t, long index) {
        if (t instanceof Failure)
            return ((Failure) t).error;
        return new WireError(code(t), isRetriable(t), index >= 0 ? index : putIndex(t),
                t.getClass().getName(), message(t), stack(t));
    }

    /** Whether it is a RetriableException, of whichever API and class loader. */
    public static boolean isRetriable(Throwable t) {
        return is(t, "RetriableException");
    }

    private static int code(Throwable t) {
        if (is(t, "ConfigException"))
            return BAD_CONFIG;
        if (is(t, "DataException") || is(t, "SchemaBuilderException"))
            return BAD_FORM;
        if (t instanceof ClassNotFoundException)
            return NOT_FOUND;
        if (t instanceof OutOfMemoryError || t instanceof Channel.FrameTooLong)
            return TOO_LARGE;
        return BUG;
    }

    private static boolean is(Throwable t, String name) {
        for (Class<?> c = t.getClass(); c != null; c = c.getSuperclass())
            if (c.getSimpleName().equals(name) && (c.getName().startsWith("io.openmessaging.")
                    || c.getName().startsWith("org.apache.kafka.")))
                return true;
        return false;
    }

    private static long putIndex(Throwable t) {
        if (t instanceof io.openmessaging.connector.api.errors.RetriableException) {
            int i = ((io.openmessaging.connector.api.errors.RetriableException) t).getPutIndex();

            return i > 0 ? i : -1;
        }
        return -1;
    }

    /**
     * The message and, as many exceptions only wrap others, those of its causes; behind them what
     * to do, for what happens to plugins most.
     */
    public static String message(Throwable t) {
        String cure = cure(t, 0);

        return cure.isEmpty() ? messages(t)
                : cut(messages(t), MESSAGE_MAX - cure.length() - 3) + " (" + cure + ")";
    }

    private static String cure(Throwable t, int depth) {
        if (t == null || depth > 5)
            return "";
        if (t instanceof UnsupportedClassVersionError)
            return "name a newer Java with host.java";
        if (t instanceof NoClassDefFoundError)
            return String.valueOf(t.getMessage()).startsWith("Could not initialize") ? ""
                    : "put the jar with that class into the connector's folder";
        if (t instanceof NoSuchMethodError || t instanceof NoSuchFieldError
                || t instanceof AbstractMethodError)
            return "a library has another version than the connector was built with";
        if (t.getClass().getSimpleName().equals("InaccessibleObjectException"))
            return "add --add-opens as it says to host.java.options";
        return cure(t.getCause(), depth + 1);
    }

    private static String messages(Throwable t) {
        StringBuilder all = new StringBuilder();

        for (int i = 0; t != null && i < 5; i++, t = t.getCause()) {
            String m = t.getMessage();
            String text = m == null || m.isEmpty() ? t.getClass().getSimpleName()
                    : i == 0 && !(t instanceof LinkageError)
                            && !(t instanceof ClassNotFoundException) ? m
                    : t.getClass().getSimpleName() + ": " + m;

            if (all.indexOf(m == null ? text : m) >= 0)
                continue;
            if (all.length() > 0)
                all.append(": ");
            all.append(text);
        }
        return cut(all.toString(), MESSAGE_MAX);
    }

    public static String stack(Throwable t) {
        StringWriter text = new StringWriter();

        t.printStackTrace(new PrintWriter(text));
        return cut(text.toString(), STACK_MAX);
    }

    /** At most so many bytes of UTF-8, not in the middle of a character. */
    public static String cut(String s, int bytes) {
        int n = 0;

        for (int i = 0; i < s.length(); i++) {
            char c = s.charAt(i);

            n += c < 0x80 ? 1 : c < 0x800 ? 2 : Character.isSurrogate(c) ? 2 : 3;
            if (n > bytes)
                return s.substring(0, i > 0 && Character.isHighSurrogate(s.charAt(i - 1)) ? i - 1
                        : i);
        }
        return s;
    }

    public void write(Out out) {
        out.u16(code).u16(retriable ? 1 : 0).u64(index);
        out.str(cut(type, 256)).str(cut(message, MESSAGE_MAX)).str(stack);
    }

    public static WireError read(In in) {
        int code = in.u16();
        int flags = in.u16();
        long index = in.i64();
        String type = in.str();
        String message = in.str();

        return new WireError(code, (flags & 1) != 0, index, type, message, in.str());
    }

    /** A failure whose error is known, as an exception. */
    public static final class Failure extends RuntimeException {
        private final transient WireError error;

        public Failure(WireError error) {
            super(error.message);
            this.error = error;
        }

        public WireError error() {
            return error;
        }
    }
}
