// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.protocol;

import java.util.Date;

/**
 * The logical types of the protocol that are a java.util.Date in both APIs: days, milliseconds of a
 * day, milliseconds since 1970.
 */
public final class Logical {
    private static final String PREFIX = "io.openmessaging.connector.api.data.logical.";
    public static final String DECIMAL = PREFIX + "Decimal";
    public static final String DATE = PREFIX + "Date";
    public static final String TIME = PREFIX + "Time";
    public static final String TIMESTAMP = PREFIX + "Timestamp";

    private static final long DAY_MS = 86400000L;

    private Logical() {}

    /**
     * @param name of the schema as on the wire, may be null.
     * @return the value's base type; any other value unchanged.
     */
    public static Object dateToBase(String name, Object value) {
        if (!(value instanceof Date) || name == null)
            return value;
        long ms = ((Date) value).getTime();

        switch (name) {
        case DATE:
            return (int) Math.floorDiv(ms, DAY_MS);
        case TIME:
            return (int) Math.floorMod(ms, DAY_MS);
        case TIMESTAMP:
            return ms;
        default:
            return value;
        }
    }

    /** The way back. */
    public static Object dateFromBase(String name, Object value) {
        if (name == null)
            return value;
        if (value instanceof Integer && name.equals(DATE))
            return new Date((Integer) value * DAY_MS);
        if (value instanceof Integer && name.equals(TIME))
            return new Date((Integer) value);
        return value instanceof Long && name.equals(TIMESTAMP) ? new Date((Long) value) : value;
    }
}
