/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a reader knows of the barriers of one queue (rocketmq/strict.h), and what it knew at offsets
 * that may still be committed: a sink commits how far it is durable, which may be long behind what
 * it has read. So a list of times is kept, each from behind a barrier that was news to the next
 * one, with the filter's text.
 *
 * What is kept with an offset is "<from> <until> <text>": the text is true from one offset to the
 * other. The second is the committed one, unless so many barriers came that the list had to forget
 * some times between. Whoever begins above it reads what lies between for its barriers only, so a
 * reader knows exactly what it would know without the restart. Only one that begins below <from>,
 * because somebody has moved the offset back, does not know the barriers before.
 */
#include "log/rocketmq/internal.h"

#include "base/diag.h"
#include "base/units.h"

#define TIMES_MAX 64

/* From `from` to `until` (both included) the filter's text was this one. */
typedef struct period {
    int64_t from, until;
    char *text; /* NULL: nothing was known */
} period;

struct rc_barriers {
    rmq_strict *filter;
    uint64_t version; /* of the filter, when the last period began */
    int64_t begin;    /* what lies below is read for its barriers only */
    period *periods;
    size_t count, cap;
};

static void forget(rc_barriers *b, size_t at)
{
    free(b->periods[at].text);
    memmove(&b->periods[at], &b->periods[at + 1], (--b->count - at) * sizeof *b->periods);
}

static void add_period(rc_barriers *b, int64_t from)
{
    if (b->count == TIMES_MAX)
        forget(b, 1); /* the first one may be the next to be committed */
    if (b->count == b->cap) {
        b->cap = b->cap ? 2 * b->cap : 2;
        b->periods = rc_realloc(b->periods, b->cap * sizeof *b->periods);
    }
    b->periods[b->count++] = (period){from, INT64_MAX, rmq_strict_text(b->filter)};
    b->version = rmq_strict_version(b->filter);
}

rc_barriers *rc_barriers_new(int64_t offset)
{
    rc_barriers *b = rc_calloc(1, sizeof *b);

    b->filter = rmq_strict_new();
    b->begin = offset;
    add_period(b, offset);
    return b;
}

void rc_barriers_free(rc_barriers *b)
{
    if (!b)
        return;
    while (b->count > 0)
        forget(b, b->count - 1);
    rmq_strict_free(b->filter);
    free(b->periods);
    free(b);
}

/* Knows `text` at `from`, and nothing before. */
static void know(rc_barriers *b, int64_t from, rc_slice text)
{
    rc_error err = {0};

    if (rmq_strict_restore(b->filter, text, &err) < 0)
        rc_warn("rocketmq", "barriers of strict writers that were read before are not known: %s",
                err.msg);
    while (b->count > 0)
        forget(b, b->count - 1);
    add_period(b, from);
}

/* Takes a number and the blank behind it off `text`. */
static bool number(rc_slice *text, int64_t *ret)
{
    const char *blank = text->base ? memchr(text->base, ' ', text->len) : NULL;
    size_t len = blank ? (size_t)(blank - text->base) : 0;

    if (!blank || rc_parse_int64(omc_slice_of(text->base, len), ret) < 0)
        return false;
    *text = omc_slice_of(blank + 1, text->len - len - 1);
    return true;
}

int64_t rc_barriers_recall(rc_barriers *b, rc_slice kept, int64_t offset)
{
    int64_t from, until;

    b->begin = offset;
    if (!number(&kept, &from) || !number(&kept, &until) || until < from || from > offset) {
        know(b, offset, omc_slice_of(NULL, 0));
        return offset;
    }
    know(b, from, kept);
    return RC_MIN(offset, until);
}

/* The last period that begins at or below `offset`; count = none. */
static size_t period_of(const rc_barriers *b, int64_t offset)
{
    size_t at = b->count;

    for (size_t i = 0; i < b->count && b->periods[i].from <= offset; i++)
        at = i;
    return at;
}

/* Forward beyond what was read, barriers in between stay unknown: who skips messages skips them. */
int64_t rc_barriers_seek(rc_barriers *b, int64_t offset)
{
    size_t at = period_of(b, offset);
    RC_AUTO_FREE char *text = NULL;
    int64_t from = offset, begin = offset;

    b->begin = offset;
    if (at < b->count) {
        text = RC_TAKE(b->periods[at].text);
        from = b->periods[at].from;
        begin = RC_MIN(offset, b->periods[at].until);
    }
    know(b, from, text ? omc_slice_str(text) : omc_slice_of(NULL, 0));
    return begin;
}

bool rc_barriers_take(rc_barriers *b, const rmq_message *message)
{
    bool take = rmq_strict_see(b->filter, message) == RMQ_STRICT_TAKE;

    if (b->version != rmq_strict_version(b->filter)) {
        b->periods[b->count - 1].until = message->queue_offset;
        add_period(b, message->queue_offset + 1);
    }
    return take && message->queue_offset >= b->begin;
}

rc_slice rc_barriers_keep(rc_barriers *b, int64_t offset, omc_arena *arena)
{
    size_t at = period_of(b, offset);
    const period *p;

    if (at == b->count)
        return omc_slice_of(NULL, 0);
    while (at-- > 0)
        forget(b, 0);
    p = &b->periods[0];
    if (!p->text && offset <= p->until)
        return omc_slice_of(NULL, 0);
    return omc_slice_str(rc_arena_format(arena, "%lld %lld %s", (long long)p->from,
                                         (long long)RC_MIN(offset, p->until),
                                         p->text ? p->text : ""));
}

int64_t rc_barriers_begin(const rc_barriers *b)
{
    return b->begin;
}
