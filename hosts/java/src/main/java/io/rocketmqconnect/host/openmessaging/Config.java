// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.openmessaging;

import io.openmessaging.KeyValue;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/** A configuration, or extensions, as OpenMessaging has them: all values are texts. */
final class Config implements KeyValue {
    private final Map<String, String> map;

    Config() {
        map = new LinkedHashMap<>();
    }

    Config(Map<String, String> from) {
        map = new LinkedHashMap<>(from);
    }

    /** Any KeyValue as a map; null = none. */
    static Map<String, String> map(KeyValue kv) {
        if (kv instanceof Config)
            return ((Config) kv).map;
        if (kv == null)
            return null;
        Map<String, String> map = new LinkedHashMap<>();

        for (String key : kv.keySet())
            map.put(key, kv.getString(key));
        return map;
    }

    @Override
    public synchronized KeyValue put(String key, int value) {
        return put(key, String.valueOf(value));
    }

    @Override
    public synchronized KeyValue put(String key, long value) {
        return put(key, String.valueOf(value));
    }

    @Override
    public synchronized KeyValue put(String key, double value) {
        return put(key, String.valueOf(value));
    }

    @Override
    public synchronized KeyValue put(String key, String value) {
        map.put(key, value);
        return this;
    }

    @Override
    public int getInt(String key) {
        return getInt(key, 0);
    }

    @Override
    public synchronized int getInt(String key, int otherwise) {
        String text = map.get(key);

        return text == null ? otherwise : Integer.parseInt(number(key, text));
    }

    @Override
    public long getLong(String key) {
        return getLong(key, 0);
    }

    @Override
    public synchronized long getLong(String key, long otherwise) {
        String text = map.get(key);

        return text == null ? otherwise : Long.parseLong(number(key, text));
    }

    @Override
    public double getDouble(String key) {
        return getDouble(key, 0);
    }

    @Override
    public synchronized double getDouble(String key, double otherwise) {
        String text = map.get(key);

        return text == null ? otherwise : Double.parseDouble(number(key, text));
    }

    private static String number(String key, String text) {
        try {
            Double.parseDouble(text.trim());
            return text.trim();
        } catch (NumberFormatException e) {
            throw new NumberFormatException("'" + key + "' has to be a number, not '" + text + "'");
        }
    }

    @Override
    public synchronized String getString(String key) {
        return map.get(key);
    }

    @Override
    public synchronized String getString(String key, String otherwise) {
        String text = map.get(key);

        return text == null ? otherwise : text;
    }

    @Override
    public synchronized Set<String> keySet() {
        return new java.util.LinkedHashSet<>(map.keySet());
    }

    @Override
    public synchronized boolean containsKey(String key) {
        return map.containsKey(key);
    }

    @Override
    public synchronized String toString() {
        return map.keySet().toString(); // values may be secrets
    }
}
