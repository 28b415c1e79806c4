/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From replies to messages, on the application's thread: decoding in place, the exact sequence of
 * offsets, the check by tag, release.
 */
#include "rocketmq/consumer_impl.h"

#include <inttypes.h>
#include <utlist.h>

#define SPARE_MAX 4
#define ARENA_BLOCK ((size_t)16 << 10)
/** Kept by an idle state for its next use. */
#define ARENA_KEEP ((size_t)256 << 10)
/** A body may grow to this by decompression. */
#define BODY_MAX (4 * RMQ_BODY_MAX)

/* ---- states ---------------------------------------------------------------------------------- */

static void free_state(rmq_handed *handed)
{
    rc_arena_release(&handed->arena);
    free(handed->messages);
    free(handed);
}

void rmq_consumer_drop_spare(rmq_consumer *consumer)
{
    rmq_handed *next;

    for (rmq_handed *h = consumer->spare; h; h = next) {
        next = h->next;
        free_state(h);
    }
    consumer->spare = NULL;
    consumer->spare_count = 0;
}

static void recycle(rmq_consumer *consumer, rmq_handed *handed)
{
    if (consumer->spare_count >= SPARE_MAX) {
        free_state(handed);
        return;
    }
    handed->next = consumer->spare;
    consumer->spare = handed;
    consumer->spare_count++;
}

static rmq_handed *new_state(rmq_consumer *consumer)
{
    rmq_handed *handed = consumer->spare;

    if (handed) {
        consumer->spare = handed->next;
        consumer->spare_count--;
        handed->next = NULL;
        return handed;
    }
    handed = rc_calloc(1, sizeof *handed);
    rc_arena_init(&handed->arena, ARENA_BLOCK);
    return handed;
}

/* `consumed` moves over what is released, in the order it was handed on. mu held. */
static void settle(rmq_tap *tap)
{
    while (tap->handed && tap->handed->released) {
        rmq_handed *done = tap->handed;

        DL_DELETE(tap->handed, done);
        tap->consumed = done->next_offset;
        recycle(tap->consumer, done);
    }
}

/* ---- taking (mu held) ------------------------------------------------------------------------ */

/* Queues take turns: who has more goes to the end. */
static void next_turn(rmq_tap *tap)
{
    rmq_tap_unready(tap);
    rmq_tap_ready(tap);
    rmq_consumer_unsignal(tap->consumer);
}

static rmq_handed *hand_out(rmq_tap *tap)
{
    rmq_handed *handed = new_state(tap->consumer);

    handed->tap = tap;
    handed->block = NULL;
    handed->charge = 0;
    handed->released = false;
    tap->refs++;
    DL_APPEND(tap->handed, handed);
    return handed;
}

static rmq_handed *take_portion(rmq_tap *tap, rmq_portion *ret, int64_t *expected)
{
    rmq_portion *portion = tap->first;
    rmq_handed *handed = hand_out(tap);

    tap->first = portion->next;
    if (!tap->first)
        tap->last = NULL;
    handed->block = portion->block;
    handed->charge = portion->charge;
    handed->next_offset = portion->next_offset;
    *expected = tap->position;
    tap->position = portion->next_offset;
    *ret = *portion;
    free(portion);
    next_turn(tap);
    return handed;
}

/* ---- decoding -------------------------------------------------------------------------------- */

typedef struct decoding {
    rmq_consumer *consumer;
    rmq_tap *tap;
    rmq_handed *handed;
    int64_t expected;
    int64_t delta;
    size_t count, bytes; /* Handed on; of bodies. */
    rc_error *err;       /* Scratch, one for all messages: it is large. */
    rc_error *damaged;   /* A message that cannot be read; the first of them. */
    int64_t damaged_offset;
    size_t damaged_count;
} decoding;

/* Namespace off; a retry is shown under the topic it was sent to. */
static void restore_topic(const decoding *d, rmq_message *message)
{
    size_t prefix = strlen(d->consumer->prefix);

    if (d->tap->sub->retry) {
        rmq_slice real = rmq_message_property(message, "RETRY_TOPIC");

        if (real.len > 0)
            message->topic = real;
    }
    if (prefix > 0 && message->topic.len > prefix &&
        memcmp(message->topic.base, d->consumer->prefix, prefix) == 0) {
        message->topic.base += prefix;
        message->topic.len -= prefix;
    }
}

/* Where the next message is to be decoded to. */
static rmq_message *next_place(decoding *d)
{
    rmq_handed *handed = d->handed;

    if (d->count == handed->cap) {
        handed->cap = RC_MAX(handed->cap * 2, 32);
        handed->messages = rc_realloc(handed->messages, handed->cap * sizeof *handed->messages);
    }
    return &handed->messages[d->count];
}

/* The message at the next place is handed on, when it is wanted. */
static void hand_on(decoding *d)
{
    rmq_message *message = &d->handed->messages[d->count];

    if (message->queue_offset < d->expected || !rmq_subscription_wants(d->tap->sub, message))
        return;
    message->queue_id = d->tap->queue.id;
    restore_topic(d, message);
    d->bytes += message->body.len;
    d->count++;
}

/* d->err says why. */
static void note_damage(decoding *d, const rmq_stored *stored)
{
    if (d->damaged_count++ > 0)
        return;
    d->damaged = rc_malloc(sizeof *d->damaged);
    *d->damaged = *d->err;
    d->damaged_offset = stored->queue_offset + d->delta;
}

static void decode_batch(decoding *d, const rmq_stored *stored)
{
    rmq_message *messages;
    int count = rmq_inner_batch(stored, BODY_MAX, &d->handed->arena.pub, &messages, d->err);

    if (count < 0) {
        note_damage(d, stored);
        return;
    }
    for (int i = 0; i < count; i++) {
        int64_t offset = messages[i].queue_offset + d->delta;
        rmq_message *message = next_place(d);

        *message = messages[i];
        message->queue_offset = offset;
        hand_on(d);
        d->expected = RC_MAX(d->expected, offset + 1);
    }
}

static void decode_one(decoding *d, const rmq_stored *stored)
{
    const int32_t inner = RMQ_SYS_UNWRAP | RMQ_SYS_INNER_BATCH;
    int64_t offset = stored->queue_offset + d->delta;
    rmq_message *message;

    if ((stored->sys_flag & inner) == inner) {
        decode_batch(d, stored);
        return;
    }
    if (offset < d->expected)
        return;
    message = next_place(d);
    if (rmq_message_of(stored, BODY_MAX, &d->handed->arena.pub, message, d->err) < 0) {
        note_damage(d, stored);
    } else {
        message->queue_offset = offset;
        hand_on(d);
    }
    d->expected = offset + 1;
}

/* @return 1: stopped early, there is more; 0: all of it; < 0: the bytes are no messages. */
static int decode(decoding *d, rc_slice *body, rc_error *err)
{
    const size_t limit = d->consumer->config.buffer_bytes;
    rmq_stored stored;
    size_t count = 0;
    int r;

    while ((r = rmq_stored_next(body, &stored, err)) == 1) {
        decode_one(d, &stored);
        count++;
        if (rc_arena_total(&d->handed->arena) > limit && body->len > 0)
            break;
    }
    rmq_client_count_pulled(d->consumer->client, count);
    return r;
}

/* ---- what is out of the ordinary ------------------------------------------------------------- */

typedef struct line {
    rmq_client *client;
    enum rmq_log_level level;
    char *text;
} line;

static void say_line(void *arg)
{
    line *l = arg;

    rmq_client_say(l->client, l->level, "%s", l->text);
    free(l->text);
    free(l);
}

/* The log callback belongs to the I/O thread. */
static void tell_damage(decoding *d)
{
    line *l = rc_malloc(sizeof *l);

    l->client = d->consumer->client;
    l->level = RMQ_LOG_ERROR;
    l->text =
        rc_format("topic %s, queue %d of broker %s: %zu message%s left out because the body "
                  "cannot be read, the first at offset %" PRId64 ": %s",
                  d->tap->queue.topic, d->tap->queue.id, d->tap->queue.broker, d->damaged_count,
                  d->damaged_count == 1 ? " is" : "s are", d->damaged_offset, d->damaged->msg);
    free(RC_TAKE(d->damaged));
    rmq_client_post(l->client, say_line, l);
}

/* The decompressed part is too large for one fetch: the rest is a portion again. */
static void put_back(decoding *d, const rmq_portion *from)
{
    rmq_portion *rest = rc_malloc(sizeof *rest);
    rmq_tap *tap = d->tap;

    *rest = *from;
    rest->charge = 0;
    if (rest->block)
        rmq_block_ref(rest->block);
    pthread_mutex_lock(&d->consumer->mu);
    rest->next_offset = d->handed->next_offset; /* may have grown meanwhile */
    rest->next = tap->first;
    tap->first = rest;
    if (!rest->next)
        tap->last = rest;
    d->handed->next_offset = d->expected;
    tap->position = d->expected;
    rmq_tap_ready(tap);
    pthread_mutex_unlock(&d->consumer->mu);
}

typedef struct restart {
    rmq_tap *tap;
    int64_t offset;
    const rc_error *why; /* NULL: at once */
} restart;

static void restart_io(void *arg)
{
    restart *r = arg;
    rmq_consumer *consumer = r->tap->consumer;

    if (r->tap->revoked)
        return;
    if (!r->why) {
        rmq_tap_restart(r->tap, r->offset);
        return;
    }
    rmq_tap_silence(r->tap);
    pthread_mutex_lock(&consumer->mu);
    r->tap->position = r->offset;
    pthread_mutex_unlock(&consumer->mu);
    r->tap->pull_offset = r->offset;
    r->tap->backoff_ms = RMQ_BACKOFF_MAX_MS;
    rmq_tap_retry(r->tap, r->why);
}

/* What came is no sequence of messages: what is behind the last good one is asked for again. */
static void ask_again(decoding *d, rc_error *why)
{
    restart r = {d->tap, d->expected, why};

    (void)rc_wrap(why, 0, "the answer to a pull holds no messages behind offset %" PRId64,
                  d->expected - 1);
    pthread_mutex_lock(&d->consumer->mu);
    d->handed->next_offset = d->expected;
    pthread_mutex_unlock(&d->consumer->mu);
    rmq_client_run(d->consumer->client, restart_io, &r);
}

static void charge_more(decoding *d)
{
    size_t extra = rc_arena_total(&d->handed->arena);

    if (extra <= ARENA_KEEP)
        return;
    pthread_mutex_lock(&d->consumer->mu);
    d->handed->charge += extra;
    d->tap->held += extra;
    d->consumer->buffered += extra;
    pthread_mutex_unlock(&d->consumer->mu);
}

/* ---- fetching -------------------------------------------------------------------------------- */

static void fill(const decoding *d, const rmq_portion *portion, rmq_fetch *fetch)
{
    fetch->queue = d->tap->queue;
    fetch->messages = d->handed->messages;
    fetch->count = d->count;
    fetch->bytes = d->bytes;
    fetch->next_offset = d->handed->next_offset;
    fetch->min_offset = portion->min_offset;
    fetch->max_offset = portion->max_offset;
    fetch->internal = d->handed;
}

/* Takes the lock with it. @return false when nothing in it was for us. */
static bool fetch_portion(rmq_tap *tap, rmq_fetch *fetch)
{
    rc_error err;
    decoding d = {.consumer = tap->consumer, .tap = tap, .err = &err};
    rmq_portion portion;
    int r;

    rc_error_empty(&err);
    d.handed = take_portion(tap, &portion, &d.expected);
    pthread_mutex_unlock(&tap->consumer->mu);
    d.delta = portion.delta;
    tap->consumer->open_fetches++;
    r = decode(&d, &portion.body, &err);
    if (d.damaged_count > 0)
        tell_damage(&d);
    if (r < 0)
        ask_again(&d, &err);
    else if (r > 0)
        put_back(&d, &portion);
    charge_more(&d);
    fill(&d, &portion, fetch);
    if (d.count > 0)
        return true;
    rmq_fetch_release(tap->consumer, fetch);
    return false;
}

/* Group mode: nobody is asked, the broker's proposal is taken and committed. Takes the lock. */
static void follow_proposal(rmq_tap *tap)
{
    rmq_consumer *consumer = tap->consumer;
    restart r = {tap, tap->event_offset, NULL};
    line *l = rc_malloc(sizeof *l);
    rmq_handed *mark = hand_out(tap);

    l->client = consumer->client;
    l->level = RMQ_LOG_WARN;
    l->text = rc_format("group %s goes on at offset %" PRId64 " as the broker proposes: %s",
                        consumer->group, tap->event_offset, tap->event_error->msg);
    mark->next_offset = tap->event_offset;
    mark->released = true;
    tap->event = RMQ_FETCH_NONE;
    next_turn(tap);
    settle(tap);
    pthread_mutex_unlock(&consumer->mu);
    rmq_client_post(l->client, say_line, l);
    rmq_client_run(consumer->client, restart_io, &r);
    rmq_group_released(consumer);
    pthread_mutex_lock(&consumer->mu);
    rmq_tap_unref(tap);
    pthread_mutex_unlock(&consumer->mu);
}

/* Takes the lock with it. */
static int fetch_event(rmq_tap *tap, rmq_fetch *fetch, rmq_error *err)
{
    rmq_consumer *consumer = tap->consumer;
    enum rmq_fetch_event event = tap->event;
    rmq_handed *handed = hand_out(tap);

    if (err)
        *err = *tap->event_error;
    handed->next_offset = tap->position;
    fetch->queue = tap->queue;
    fetch->next_offset = tap->event_offset;
    fetch->min_offset = tap->min_offset;
    fetch->max_offset = tap->max_offset;
    fetch->internal = handed;
    tap->event = RMQ_FETCH_NONE;
    next_turn(tap);
    consumer->open_fetches++;
    pthread_mutex_unlock(&consumer->mu);
    return (int)event;
}

/* One look. @return an event, RMQ_FETCH_NONE with *again: look again, without: nothing is there. */
static int look(rmq_consumer *consumer, rmq_fetch *fetch, bool *again, rmq_error *err)
{
    rmq_tap *tap;

    *again = true;
    pthread_mutex_lock(&consumer->mu);
    if (consumer->balance_ready) {
        consumer->balance_ready = false;
        rmq_consumer_unsignal(consumer);
        pthread_mutex_unlock(&consumer->mu);
        rmq_group_apply(consumer);
        return RMQ_FETCH_NONE;
    }
    tap = consumer->ready;
    if (tap && tap->first)
        return fetch_portion(tap, fetch) ? RMQ_FETCH_MESSAGES : RMQ_FETCH_NONE;
    if (tap && consumer->group_mode) {
        follow_proposal(tap);
        return RMQ_FETCH_NONE;
    }
    if (tap)
        return fetch_event(tap, fetch, err);
    *again = false;
    pthread_mutex_unlock(&consumer->mu);
    return RMQ_FETCH_NONE;
}

static bool was_woken(rmq_consumer *consumer)
{
    bool woken;

    pthread_mutex_lock(&consumer->mu);
    woken = consumer->woken;
    consumer->woken = false;
    rmq_consumer_unsignal(consumer);
    pthread_mutex_unlock(&consumer->mu);
    return woken;
}

int rmq_consumer_fetch(rmq_consumer *consumer, int64_t wait_ms, rmq_fetch *fetch, rmq_error *err)
{
    int64_t deadline = wait_ms < 0 ? INT64_MAX : rmq_now_ms() + RC_MIN(wait_ms, INT64_MAX / 2);

    *fetch = (rmq_fetch){0};
    if (consumer->in_callback)
        return rc_fail(err, OMC_ESTATE,
                       "group %s: rmq_consumer_fetch() was called from its own balanced callback",
                       consumer->group);
    for (;;) {
        bool again;
        int event = look(consumer, fetch, &again, err);

        if (event != RMQ_FETCH_NONE)
            return event;
        if (again)
            continue;
        if (was_woken(consumer) || wait_ms == 0 || rmq_now_ms() >= deadline)
            return RMQ_FETCH_NONE;
        (void)rmq_consumer_wait(consumer, -1,
                                deadline == INT64_MAX ? -1 : RC_MAX(deadline - rmq_now_ms(), 0));
    }
}

/* ---- release --------------------------------------------------------------------------------- */

void rmq_fetch_release(rmq_consumer *consumer, rmq_fetch *fetch)
{
    rmq_handed *handed = RC_TAKE(fetch->internal);
    rmq_tap *tap;
    bool post;

    if (!handed)
        return;
    tap = handed->tap;
    rmq_block_unref(handed->block);
    handed->block = NULL;
    rc_arena_reset(&handed->arena, ARENA_KEEP);
    consumer->open_fetches--;
    pthread_mutex_lock(&consumer->mu);
    tap->held -= handed->charge;
    consumer->buffered -= handed->charge;
    handed->released = true;
    settle(tap);
    post = consumer->stalled > 0 && !consumer->resume_posted &&
           (consumer->buffered < consumer->config.buffer_bytes || tap->held == 0);
    if (post)
        consumer->resume_posted = true;
    rmq_tap_unref(tap);
    pthread_mutex_unlock(&consumer->mu);
    if (post)
        rmq_client_post(consumer->client, rmq_consumer_on_room, consumer);
    if (consumer->group_mode)
        rmq_group_released(consumer);
    fetch->messages = NULL;
    fetch->count = 0;
}
