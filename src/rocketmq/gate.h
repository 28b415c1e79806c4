/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Gates: somebody else's word on whether a request may be written now. It is asked for right before
 * the request's first byte is given to a connection, on the I/O thread.
 */
#ifndef RMQ_GATE_H
#define RMQ_GATE_H

#include <stddef.h>

enum rmq_gate_state {
    RMQ_GATE_OPEN,
    RMQ_GATE_CLOSED, /**< Not now: nothing was written, the call ends with OMC_EAGAIN. */
    RMQ_GATE_SHUT    /**< Never again: nothing was written, the call ends with OMC_EFENCED. */
};

/** Lives until the request is done; must not block. NULL in its place = always open. */
typedef struct rmq_gate {
    enum rmq_gate_state (*look)(void *arg);
    void *arg;
} rmq_gate;

static inline enum rmq_gate_state rmq_gate_look(const rmq_gate *gate)
{
    return gate ? gate->look(gate->arg) : RMQ_GATE_OPEN;
}

#endif
