// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.protocol;

/** What came is against the protocol; `rule` is one of the document's names of faults. */
public final class ProtocolException extends RuntimeException {
    public ProtocolException(String rule, String what) {
        super("protocol error: " + rule + ": " + what);
    }
}
