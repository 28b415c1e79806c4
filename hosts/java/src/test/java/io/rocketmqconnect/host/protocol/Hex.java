// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.protocol;

/** Bytes as docs/host-protocol.md shows them. */
public final class Hex {
    private Hex() {}

    public static byte[] bytes(String hex) {
        String digits = hex.replaceAll("\\s", "");
        byte[] bytes = new byte[digits.length() / 2];

        for (int i = 0; i < bytes.length; i++)
            bytes[i] = (byte) Integer.parseInt(digits.substring(2 * i, 2 * i + 2), 16);
        return bytes;
    }

    public static String text(byte[] bytes) {
        StringBuilder text = new StringBuilder();

        for (byte b : bytes)
            text.append(String.format("%02x", b));
        return text.toString();
    }
}
