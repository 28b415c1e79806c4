// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.protocol;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Collections;

import org.junit.Test;

/** Frames, on the bytes of the document's example. */
public class ChannelTest {
    private static final String HELLO = "2f 00 00 00 01 00 00 00 00 00 00 00"
            + "43 48 50 31 01 00 01 00 92 10 00 00 21 00 00 00 00 00 00 00 00 00 10 00"
            + "04 00 00 00 64 65 6d 6f 01 00 00 00 31 02 00 00 00 47 6f 00 00 00 00";
    private static final String ERROR = "1c 00 00 00 03 02 01 00 02 00 00 00 00 08 00 01 00"
            + "ff ff ff ff ff ff ff ff 01 00 00 00 45 02 00 00 00 6e 6f 00 00 00 00";

    private final ByteArrayOutputStream written = new ByteArrayOutputStream();

    private static Channel reading(String hex) {
        return new Channel(new ByteArrayInputStream(Hex.bytes(hex)), null);
    }

    @Test
    public void writesTheHelloOfTheDocument() throws IOException {
        Out out = new Out(16);

        out.u32(Types.MAGIC).u16(1).u16(1).u32(0x1092).u64(0x21).u32(1 << 20);
        out.str("demo").str("1").str("Go").kv(Collections.emptyMap());
        new Channel(null, written).write(Types.HELLO, 0, 0, 0, out);
        assertArrayEquals(Hex.bytes(HELLO), written.toByteArray());
    }

    @Test
    public void readsFramesUpToTheEnd() throws IOException {
        Channel channel = reading(HELLO + ERROR);
        Frame hello = channel.read();
        Frame error = channel.read();

        assertEquals(Types.HELLO, hello.type);
        assertEquals(47, hello.payload.length);
        assertEquals(1, error.instance);
        assertEquals(2, error.request);
        assertTrue(error.isReply());
        In in = error.in();

        in.u8();
        WireError read = WireError.read(in);

        assertEquals(8, read.code);
        assertTrue(read.retriable);
        assertEquals("no", read.message);
        assertNull(channel.read());
        assertNull(reading(HELLO.substring(0, 60)).read());
    }

    @Test(expected = ProtocolException.class)
    public void refusesAFrameThatIsTooLong() throws IOException {
        reading("01 00 00 01 01 00 00 00 00 00 00 00").read();
    }

    @Test(expected = Channel.FrameTooLong.class)
    public void sendsNoFrameThatTheWorkerWouldNotTake() throws IOException {
        Out out = new Out();

        out.bytes(new byte[Types.FIRST_MAX]);
        new Channel(null, written).write(Types.LOG, 0, 0, 0, out);
    }

    @Test
    public void errorsNameTheirCauses() {
        WireError e = WireError.of(new IllegalStateException("cannot connect",
                new java.net.ConnectException("refused")));

        assertEquals("cannot connect: ConnectException: refused", e.message);
        assertEquals(WireError.BUG, e.code);
        assertEquals("java.lang.IllegalStateException", e.type);
        assertEquals(1000, WireError.of(new RuntimeException(new String(new char[5000])
                .replace('\0', 'x'))).message.length());
    }

    @Test
    public void errorsHaveTheCodesOfTheDocument() {
        assertEquals(WireError.BAD_CONFIG, WireError.of(
                new org.apache.kafka.common.config.ConfigException("k")).code);
        assertEquals(WireError.BAD_FORM, WireError.of(
                new org.apache.kafka.connect.errors.SchemaBuilderException("k")).code);
        assertTrue(WireError.of(
                new org.apache.kafka.connect.errors.RetriableException("k")).retriable);
        assertTrue(WireError.of(
                new io.openmessaging.connector.api.errors.TimeOutException("k")).retriable);
        assertEquals(4, WireError.of(
                new io.openmessaging.connector.api.errors.RetriableException("k", 4)).index);
    }

    @Test
    public void textIsCutBetweenCharacters() {
        assertEquals("ab", WireError.cut("ab\u00e4", 3));
        assertEquals("ab\u00e4", WireError.cut("ab\u00e4", 4));
        assertEquals("a", WireError.cut("a\ud83d\ude00", 4));
        assertEquals("a\ud83d\ude00", WireError.cut("a\ud83d\ude00", 5));
    }
}
