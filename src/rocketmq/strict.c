/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter of strict topics. Data messages do not move it, only barriers do: so it is the same
 * for readers that see all messages and for those with a tag filter, changes rarely, and what a
 * reader has to remember beside its offset is a few words.
 */
#include "base/base.h"
#include "base/units.h"

#include <inttypes.h>
#include <rocketmq/strict.h>
#include <stdio.h>

#define WRITER_DIGITS 16

typedef struct known {
    rmq_stamp barrier;
    uint64_t met;
} known;

struct rmq_strict {
    known *items;
    size_t count, cap;
    size_t last; /* most often the same writer again */
    uint64_t seen;
    uint64_t version;
};

/* ---- stamps ---------------------------------------------------------------------------------- */

size_t rmq_stamp_text(const rmq_stamp *stamp, char out[RMQ_STAMP_TEXT])
{
    return (size_t)snprintf(out, RMQ_STAMP_TEXT, "%" PRId64 ".%0*" PRId64 ".%016" PRIx64,
                            stamp->generation, RMQ_STAMP_DIGITS, stamp->sequence, stamp->writer);
}

static bool parse_writer(rmq_slice text, uint64_t *ret)
{
    uint64_t value = 0;

    if (text.len != WRITER_DIGITS)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.base[i];

        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *ret = value;
    return value != 0;
}

bool rmq_stamp_parse(rmq_slice text, rmq_stamp *ret)
{
    const char *first = text.base ? memchr(text.base, '.', text.len) : NULL;
    const char *end = text.base + text.len, *second;

    second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    return second &&
           rc_parse_int64(omc_slice_of(text.base, (size_t)(first - text.base)), &ret->generation) ==
               0 &&
           rc_parse_int64(omc_slice_of(first + 1, (size_t)(second - first - 1)), &ret->sequence) ==
               0 &&
           ret->generation >= 0 && ret->sequence >= 0 && ret->sequence <= RMQ_STAMP_LAST &&
           parse_writer(omc_slice_of(second + 1, (size_t)(end - second - 1)), &ret->writer);
}

/* ---- the filter ------------------------------------------------------------------------------ */

rmq_strict *rmq_strict_new(void)
{
    return rc_calloc(1, sizeof(rmq_strict));
}

void rmq_strict_free(rmq_strict *filter)
{
    if (!filter)
        return;
    free(filter->items);
    free(filter);
}

static known *find(rmq_strict *filter, uint64_t writer)
{
    for (size_t i = 0; i < filter->count; i++) {
        size_t at = (filter->last + i) % filter->count;

        if (filter->items[at].barrier.writer == writer) {
            filter->last = at;
            return &filter->items[at];
        }
    }
    return NULL;
}

/* Room for one more, if need be that of the one met least lately. */
static known *make(rmq_strict *filter)
{
    known *oldest;

    if (filter->count < RMQ_STRICT_WRITERS_MAX) {
        if (filter->count == filter->cap) {
            filter->cap = filter->cap ? 2 * filter->cap : 4;
            filter->items = rc_realloc(filter->items, filter->cap * sizeof *filter->items);
        }
        return &filter->items[filter->count++];
    }
    oldest = filter->items;
    for (size_t i = 1; i < filter->count; i++)
        if (filter->items[i].met < oldest->met)
            oldest = &filter->items[i];
    return oldest;
}

static bool below(const rmq_stamp *a, const rmq_stamp *b)
{
    return a->generation != b->generation ? a->generation < b->generation
                                          : a->sequence < b->sequence;
}

bool rmq_strict_raise(rmq_strict *filter, const rmq_stamp *barrier)
{
    known *at = find(filter, barrier->writer);

    filter->seen++;
    if (at)
        at->met = filter->seen;
    if (at && !below(&at->barrier, barrier))
        return false;
    if (!at)
        at = make(filter);
    *at = (known){*barrier, filter->seen};
    filter->version++;
    return true;
}

static bool is_barrier(const rmq_message *message)
{
    return message->tags.len == sizeof RMQ_BARRIER_TAG - 1 &&
           memcmp(message->tags.base, RMQ_BARRIER_TAG, message->tags.len) == 0;
}

enum rmq_strict_verdict rmq_strict_see(rmq_strict *filter, const rmq_message *message)
{
    bool barrier = is_barrier(message);
    rmq_stamp stamp;
    known *at;

    /* Nearly always there has been none, and a message costs a look at its tag. */
    if ((!barrier && filter->count == 0) ||
        !rmq_stamp_parse(rmq_message_property(message, RMQ_STAMP_PROPERTY), &stamp))
        return RMQ_STRICT_TAKE;
    if (barrier) {
        (void)rmq_strict_raise(filter, &stamp);
        return RMQ_STRICT_BARRIER;
    }
    at = find(filter, stamp.writer);
    if (!at)
        return RMQ_STRICT_TAKE;
    at->met = ++filter->seen;
    return below(&stamp, &at->barrier) ? RMQ_STRICT_STALE : RMQ_STRICT_TAKE;
}

uint64_t rmq_strict_version(const rmq_strict *filter)
{
    return filter->version;
}

/* ---- as text --------------------------------------------------------------------------------- */

char *rmq_strict_text(const rmq_strict *filter)
{
    char *text, *at;

    if (filter->count == 0)
        return NULL;
    at = text = rc_malloc(filter->count * RMQ_STAMP_TEXT);
    for (size_t i = 0; i < filter->count; i++) {
        if (i)
            *at++ = ' ';
        at += rmq_stamp_text(&filter->items[i].barrier, at);
    }
    return text;
}

int rmq_strict_restore(rmq_strict *filter, rmq_slice text, rmq_error *err)
{
    filter->count = filter->last = 0;
    filter->version++;
    while (text.len > 0) {
        const char *blank = memchr(text.base, ' ', text.len);
        size_t len = blank ? (size_t)(blank - text.base) : text.len;
        rmq_stamp stamp;

        if (!rmq_stamp_parse(omc_slice_of(text.base, len), &stamp)) {
            filter->count = filter->last = 0;
            return rc_fail(err, OMC_EFORMAT,
                           "what was known of barriers is damaged at '%.*s': no "
                           "<generation>.<sequence>.<writer>",
                           (int)RC_MIN(len, (size_t)RMQ_STAMP_TEXT), text.base);
        }
        (void)rmq_strict_raise(filter, &stamp);
        len += blank ? 1 : 0;
        text = omc_slice_of(text.base + len, text.len - len);
    }
    return 0;
}
