/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Messages into chunks in the caller's thread, chunks to the lanes, answers back to the callers.
 */
#include "rocketmq/producer_impl.h"

#include <stdio.h>
#include <utlist.h>

/* ---- chunks ---------------------------------------------------------------------------------- */

static rmq_chunk *chunk_of(rmq_parcel *parcel)
{
    return parcel->owner;
}

static rmq_chunk *chunk_new(rmq_producer *p, rmq_out *out, size_t cap)
{
    rmq_chunk *chunk = p->spare;

    if (cap == RMQ_CHUNK_BYTES && chunk) {
        rmq_entry *entries = chunk->entries;
        size_t entry_cap = chunk->entry_cap;

        p->spare = chunk->parcel.next ? chunk_of(chunk->parcel.next) : NULL;
        p->spare_count--;
        *chunk = (rmq_chunk){.entries = entries, .entry_cap = entry_cap};
    } else {
        chunk = rc_malloc(sizeof *chunk + cap);
        *chunk = (rmq_chunk){0};
    }
    chunk->cap = cap;
    chunk->out = out;
    chunk->parcel.owner = chunk;
    chunk->parcel.topic = out->topic->wire;
    chunk->parcel.broker = out->broker->name;
    chunk->parcel.queue_id = out->id;
    chunk->parcel.items = chunk->bytes;
    return chunk;
}

/* Answered and told. Under the lock. */
static void chunk_done(rmq_producer *p, rmq_chunk *chunk)
{
    p->pending -= chunk->parcel.count;
    p->pending_bytes -= chunk->charged;
    if (chunk->cap == RMQ_CHUNK_BYTES && p->spare_count < RMQ_CHUNKS_KEPT) {
        chunk->parcel.next = p->spare ? &p->spare->parcel : NULL;
        p->spare = chunk;
        p->spare_count++;
        return;
    }
    free(chunk->entries);
    free(chunk);
}

static rmq_entry *entry_add(rmq_chunk *chunk)
{
    if (chunk->parcel.count == chunk->entry_cap) {
        chunk->entry_cap = chunk->entry_cap ? chunk->entry_cap * 2 : 16;
        chunk->entries = rc_realloc(chunk->entries, chunk->entry_cap * sizeof *chunk->entries);
    }
    return &chunk->entries[chunk->parcel.count++];
}

/* ---- handing over ---------------------------------------------------------------------------- */

static void want_io(rmq_producer *p)
{
    if (p->posted)
        return;
    p->posted = true;
    p->kick = true;
}

static void stop_lingering(rmq_producer *p, rmq_out *out)
{
    if (!out->lingers)
        return;
    DL_DELETE(p->lingering, out);
    out->lingers = false;
}

static bool is_free(const rmq_producer *p, const rmq_out *out)
{
    return out->ships < p->config.window && !out->failing && !p->ended;
}

/* The batch in the making goes to the lanes. */
static void ship(rmq_producer *p, rmq_out *out)
{
    rmq_parcel *parcel;

    if (!out->open || out->failing || p->ended)
        return;
    DL_FOREACH(out->open, parcel)
    {
        chunk_of(parcel)->shipped = true;
        out->chunks++;
    }
    chunk_of(out->open->prev)->last = true;
    DL_CONCAT(p->outbox, out->open);
    out->open = NULL;
    out->bytes = 0;
    out->count = 0;
    out->urgent = false;
    out->ships++;
    if (out->broker->ships++ == 0)
        out->broker->progress_ns = rmq_lane_now_ns();
    stop_lingering(p, out);
    want_io(p);
}

/* Waits for more; the list is in the order of due times. */
static void linger(rmq_producer *p, rmq_out *out)
{
    rmq_out *at;

    if (out->lingers)
        return;
    out->lingers = true;
    out->due_ns = out->open->submitted_ns + p->config.linger_ms * 1000000;
    at = p->lingering ? p->lingering->prev : NULL;
    while (at && at->due_ns > out->due_ns)
        at = at == p->lingering ? NULL : at->prev;
    if (at)
        DL_APPEND_ELEM(p->lingering, at, out);
    else
        DL_PREPEND(p->lingering, out);
    if (p->lingering == out)
        want_io(p); /* for the timer */
}

/* Hands over what is due when the queue is free. */
static void go_on(rmq_producer *p, rmq_out *out)
{
    if (!out->open || !is_free(p, out))
        return;
    if (p->config.linger_ms == 0 || p->flushers > 0 || out->urgent)
        ship(p, out);
    else
        linger(p, out);
}

void rmq_out_ship_all(rmq_producer *p)
{
    rmq_out_topic *topic;
    rmq_out_topic *next;
    rmq_out *out;
    size_t i;

    HASH_ITER(hh, p->topics, topic, next)
    {
        for (i = 0; i < topic->queue_count; i++)
            go_on(p, &topic->queues[i]);
        for (out = topic->extra; out; out = out->other)
            go_on(p, out);
    }
}

/* ---- accepting ------------------------------------------------------------------------------- */

static size_t wire_size(const rmq_accepted *a)
{
    return a->single ? a->body.len + a->properties : rmq_item_size(a->body.len, a->properties);
}

/* The chunk that takes the message: the last one, or a new one. */
static rmq_chunk *chunk_for(rmq_producer *p, rmq_out *out, const rmq_accepted *a, size_t size)
{
    rmq_chunk *last = out->open ? chunk_of(out->open->prev) : NULL;
    rmq_chunk *chunk;

    if (last && !a->single && !last->parcel.properties.base &&
        last->parcel.sys_flag == a->sys_flag && last->parcel.born_ms == a->message->born_ms &&
        last->parcel.bytes + size <= last->cap)
        return last;
    chunk = chunk_new(p, out, RC_MAX(size, RMQ_CHUNK_BYTES));
    chunk->parcel.sys_flag = a->sys_flag;
    chunk->parcel.born_ms = a->message->born_ms;
    chunk->parcel.submitted_ns = a->accepted_ns;
    DL_APPEND(out->open, &chunk->parcel);
    return chunk;
}

static void write_message(rmq_chunk *chunk, const rmq_accepted *a, const char *unique_key)
{
    uint8_t *at = chunk->bytes + chunk->parcel.bytes;

    if (!a->single) {
        uint8_t *end = rmq_item_put(at, a->message, a->body, unique_key, a->properties);

        chunk->parcel.bytes += (size_t)(end - at);
        return;
    }
    memcpy(at, a->body.base, a->body.len);
    chunk->parcel.bytes = a->body.len;
    (void)rmq_properties_put(at + a->body.len, a->message, unique_key);
    chunk->parcel.properties = omc_slice_of((char *)at + a->body.len, a->properties);
    chunk->parcel.flag = a->message->flag;
}

void rmq_out_add(rmq_producer *p, rmq_out *out, const rmq_accepted *a)
{
    size_t size = wire_size(a);
    rmq_chunk *chunk;
    rmq_entry *entry;

    if (out->open &&
        (out->bytes + size > p->config.batch_bytes || out->count >= p->config.batch_count))
        ship(p, out); /* Full: behind what is under way. */
    chunk = chunk_for(p, out, a, size);
    entry = entry_add(chunk);
    entry->sent = a->sent;
    entry->arg = a->arg;
    entry->accepted_ns = a->accepted_ns;
    rmq_unique_key(entry->unique_key);
    write_message(chunk, a, entry->unique_key);
    chunk->charged += size;
    out->bytes += size;
    out->count++;
    out->urgent = out->urgent || a->urgent || a->single;
    p->pending++;
    p->pending_bytes += size;
    if (out->bytes >= p->config.batch_bytes || out->count >= p->config.batch_count)
        ship(p, out);
    go_on(p, out);
}

/* ---- the I/O thread -------------------------------------------------------------------------- */

/* Hands over what has lingered long enough and what waits in the outbox. */
static void step(void *arg)
{
    rmq_producer *p = arg;
    int64_t now = rmq_lane_now_ns();
    int64_t wait_ms = -1;
    rmq_parcel *list;

    (void)pthread_mutex_lock(&p->mu);
    p->posted = true; /* Needless while this looks. */
    while (p->lingering && p->lingering->due_ns <= now)
        ship(p, p->lingering);
    if (p->lingering)
        wait_ms = (p->lingering->due_ns - now + 999999) / 1000000;
    list = p->ended ? NULL : RC_TAKE(p->outbox);
    p->posted = false;
    (void)pthread_mutex_unlock(&p->mu);
    if (p->timer)
        rc_loop_timer_set(p->timer, wait_ms);
    rmq_lanes_submit_now(p->lanes, list);
}

void rmq_producer_on_timer(void *arg)
{
    step(arg);
}

void rmq_producer_unlock(rmq_producer *p)
{
    if (p->kick) {
        p->kick = false;
        p->users++;
        /* Not under the lock: a full queue of posts waits for the I/O thread, which may want it. */
        (void)pthread_mutex_unlock(&p->mu);
        rmq_client_post(p->client, step, p);
        (void)pthread_mutex_lock(&p->mu);
        p->users--;
        if (p->closing)
            (void)pthread_cond_broadcast(&p->changed);
    }
    (void)pthread_mutex_unlock(&p->mu);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void tell(rmq_chunk *chunk, const rc_error *err)
{
    const rmq_parcel *parcel = &chunk->parcel;
    const rmq_out *out = chunk->out;
    int64_t now = rmq_lane_now_ns();
    rmq_send_result result = {.result = parcel->result,
                              .err = err,
                              .queue = {.topic = out->topic->name,
                                        .broker = out->broker->name,
                                        .id = err ? out->id : parcel->stored_queue_id},
                              .status = parcel->status};
    uint32_t i;

    for (i = 0; i < parcel->count; i++) {
        const rmq_entry *entry = &chunk->entries[i];

        if (!entry->sent)
            continue;
        result.queue_offset = err || parcel->base_offset < 0 ? -1 : parcel->base_offset + i;
        result.unique_key = entry->unique_key;
        result.latency_us = (now - entry->accepted_ns) / 1000;
        entry->sent(entry->arg, &result);
    }
}

/* No more under way of what was handed over. */
static void unship(rmq_out *out, const rmq_chunk *chunk)
{
    out->chunks--;
    if (chunk->last) {
        out->ships--;
        out->broker->ships--;
    }
}

/* Something of the queue failed: what came behind it and the lane does not have yet goes the same
 * way. What comes from now on is of somebody who may know. */
static void doom(rmq_producer *p, rmq_out *out, const rc_error *err)
{
    rmq_parcel *parcel;
    rmq_parcel *next;

    if (out->failing || p->config.window > 1)
        return;
    out->failing = true;
    DL_FOREACH_SAFE(p->outbox, parcel, next)
    {
        if (chunk_of(parcel)->out != out)
            continue;
        DL_DELETE(p->outbox, parcel);
        DL_APPEND(out->doomed, parcel);
        unship(out, chunk_of(parcel));
    }
    DL_CONCAT(out->doomed, out->open);
    out->open = NULL;
    out->bytes = 0;
    out->count = 0;
    out->urgent = false;
    stop_lingering(p, out);
    out->doom = rc_calloc(1, sizeof *out->doom);
    (void)rc_fail(out->doom, OMC_ECANCELED,
                  "topic %s, queue %d of %s: not sent, because what came before it failed, and "
                  "would now be out of order: %s",
                  out->topic->name, (int)out->id, out->broker->name, err->msg);
}

/* Tells a list of chunks that they are canceled. Under the lock, which is given back meanwhile. */
static void cancel(rmq_producer *p, rmq_parcel *list, const rc_error *err)
{
    rmq_parcel *next;

    for (; list; list = next) {
        rmq_chunk *chunk = chunk_of(list);

        next = list->next;
        list->result = -err->code;
        (void)pthread_mutex_unlock(&p->mu);
        tell(chunk, err);
        (void)pthread_mutex_lock(&p->mu);
        chunk_done(p, chunk);
    }
}

static void end_of_failing(rmq_producer *p, rmq_out *out)
{
    rc_error *err = RC_TAKE(out->doom);

    cancel(p, RC_TAKE(out->doomed), err);
    out->failing = false;
    free(err);
}

void rmq_producer_on_done(void *arg, rmq_parcel *parcel, const rc_error *err)
{
    rmq_producer *p = arg;
    rmq_chunk *chunk = chunk_of(parcel);
    rmq_out *out = chunk->out;

    /* Before the callbacks: what they accept is of somebody who knows. */
    if (err) {
        (void)pthread_mutex_lock(&p->mu);
        doom(p, out, err);
        (void)pthread_mutex_unlock(&p->mu);
    }
    tell(chunk, err);
    (void)pthread_mutex_lock(&p->mu);
    unship(out, chunk);
    out->broker->progress_ns = rmq_lane_now_ns();
    chunk_done(p, chunk);
    if (out->failing && out->chunks == 0)
        end_of_failing(p, out);
    go_on(p, out);
    /* Not for each answer: who waits for room is woken up for a quarter of it. */
    if (p->pending == 0 ||
        (p->waiters > p->flushers && p->pending_bytes <= p->config.pending_bytes_max / 4 * 3))
        (void)pthread_cond_broadcast(&p->changed);
    rmq_producer_unlock(p);
}

static void cancel_open(rmq_producer *p, rmq_out *out)
{
    rc_error err = {0};
    rmq_parcel *list = RC_TAKE(out->doomed);

    DL_CONCAT(list, out->open);
    out->open = NULL;
    out->bytes = 0;
    out->count = 0;
    stop_lingering(p, out);
    (void)rc_fail(&err, OMC_ECANCELED,
                  "topic %s, queue %d of %s: the producer was closed before this was sent",
                  out->topic->name, (int)out->id, out->broker->name);
    cancel(p, list, &err);
}

void rmq_out_cancel_all(rmq_producer *p)
{
    rmq_out_topic *topic;
    rmq_out_topic *next;
    rmq_parcel *parcel;
    rmq_out *out;
    size_t i;

    (void)pthread_mutex_lock(&p->mu);
    while ((parcel = p->outbox) != NULL) {
        out = chunk_of(parcel)->out;
        DL_DELETE(p->outbox, parcel);
        unship(out, chunk_of(parcel));
        DL_APPEND(out->doomed, parcel);
    }
    HASH_ITER(hh, p->topics, topic, next)
    {
        for (i = 0; i < topic->queue_count; i++)
            cancel_open(p, &topic->queues[i]);
        for (out = topic->extra; out; out = out->other)
            cancel_open(p, out);
    }
    (void)pthread_mutex_unlock(&p->mu);
}
