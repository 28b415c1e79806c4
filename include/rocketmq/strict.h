/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Reading topics that connectors write with exactly.once.support=strict.
 *
 * A message may land long after its sender was given up: it waited in a broker that stood still.
 * Whoever takes over appends a *barrier* to the queue before it looks what is stored and sends what
 * is missing; what the given-up writer's messages say that lie behind the barrier was sent again.
 * So a reader that leaves them out sees each record once, whatever the delays were. That is all
 * this filter does: it remembers the highest barrier per writer, and only barriers move it. Readers
 * that start in the middle are exact when they are told what was known there
 * (rmq_strict_text(), kept beside the offset).
 *
 * Not for several threads at a time.
 */
#ifndef RMQ_STRICT_H
#define RMQ_STRICT_H

#include <rocketmq/message.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default) /* librmq.so exports these, and nothing else */

/** TAGS of a barrier. Its body is a sentence for people. */
#define RMQ_BARRIER_TAG "rc-barrier"
/** Property with the stamp, of data messages and of barriers. */
#define RMQ_STAMP_PROPERTY "__rc.gen"

/** Where a message stands in what one writer has written: `<generation>.<sequence>.<writer>`,
 *  two decimal numbers and 16 hexadecimal digits. */
typedef struct rmq_stamp {
    uint64_t writer;    /**< Hash of connector and task; 0 = no stamp. */
    int64_t generation; /**< Goes up whenever somebody takes over. */
    int64_t sequence;   /**< Goes up within a generation. */
} rmq_stamp;
/** Digits of a sequence as text: always as many, so that it can be written over in place. */
#define RMQ_STAMP_DIGITS 15
/** Beyond all sequences: the barrier behind a writer that has been given up. */
#define RMQ_STAMP_LAST INT64_C(999999999999999)
/** Text of a stamp, with NUL. */
#define RMQ_STAMP_TEXT 64
/** @return its length. */
size_t rmq_stamp_text(const rmq_stamp *stamp, char out[RMQ_STAMP_TEXT]);
/** @return false: this is none (messages of writers that are not strict have none). */
bool rmq_stamp_parse(rmq_slice text, rmq_stamp *ret);

/** What a reader knows of one queue. */
typedef struct rmq_strict rmq_strict;
/** Writers with a barrier that a filter remembers; beyond that it forgets the one that was met
 *  least lately. */
#define RMQ_STRICT_WRITERS_MAX 1024

rmq_strict *rmq_strict_new(void);
void rmq_strict_free(rmq_strict *filter); /**< NULL is allowed. */

enum rmq_strict_verdict {
    RMQ_STRICT_TAKE = 0,   /**< A message as any other. */
    RMQ_STRICT_STALE = 1,  /**< Lies behind its writer's barrier: leave it out. */
    RMQ_STRICT_BARRIER = 2 /**< Is a barrier: leave it out; the filter has moved if it was news. */
};
/** Shows the filter the next message of the queue; each one, in the order of offsets. A consumer
 *  with a tag filter has to ask for RMQ_BARRIER_TAG too. */
enum rmq_strict_verdict rmq_strict_see(rmq_strict *filter, const rmq_message *message);
/** As a barrier with this stamp would. @return true: it was news. */
bool rmq_strict_raise(rmq_strict *filter, const rmq_stamp *barrier);
/** Goes up with each barrier that was news. */
uint64_t rmq_strict_version(const rmq_strict *filter);

/** What the filter knows, as printable ASCII without quotes, to be kept with the offset behind the
 *  last message it has seen. NULL: nothing. free() it. */
char *rmq_strict_text(const rmq_strict *filter);
/** Knows what the text says, and nothing else; an empty text: nothing.
 *  @return 0; -RMQ_EFORMAT (no such text; the filter knows nothing then). */
int rmq_strict_restore(rmq_strict *filter, rmq_slice text, rmq_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
