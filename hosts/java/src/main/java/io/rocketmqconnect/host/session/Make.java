// SPDX-License-Identifier: Apache-2.0
package io.rocketmqconnect.host.session;

import java.lang.reflect.InvocationTargetException;

/** Objects of plugin classes. */
public final class Make {
    private Make() {}

    /** What the constructor throws is thrown as it is. */
    public static <T> T one(Class<?> c, Class<T> as) throws Exception {
        try {
            return as.cast(c.getDeclaredConstructor().newInstance());
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof Exception)
                throw (Exception) e.getCause();
            throw e;
        }
    }

    /** A task of the class that its connector names. */
    public static <T> T task(Class<?> connectorClass, Class<?> taskClass, Class<T> as)
            throws Exception {
        if (taskClass == null)
            throw new IllegalStateException(connectorClass.getName() + ".taskClass() gave none");
        return one(taskClass, as);
    }
}
