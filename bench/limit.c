/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a broker can take and give at best: frames encoded before the clock starts, one thread, one
 * connection per broker and direction, nothing of our client. Programs are measured beside it.
 *
 *   limit append  --namesrv H:P --topic T   batches, at most --window unanswered per queue
 *   limit fetch   --namesrv H:P --topic T   one pull per queue, messages only counted
 *   limit copy    --namesrv H:P --topic T   both at once: the mark for replication
 *   limit latency --namesrv H:P --topic T   send to receive at a rate, by the monotonic clock
 *
 * Prints one line of key=value: messages, seconds, messages_per_s, mb_per_s (bodies; of fetch and
 * copy as stored), cpu_s_per_million (of this process), requests, busy; of latency p50_us and so
 * on.
 */
#include "limit_wire.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct options {
    const char *namesrv, *topic, *to_namesrv, *to_topic, *group;
    size_t queues, bytes, batch, window;
    int64_t count, rate;
    bool keys;
} options;

/* The brokers of a route, each with a connection. */
typedef struct side {
    limit_route route;
    limit_conn conns[LIMIT_BROKERS_MAX];
    const char *topic;
} side;

typedef struct result {
    int64_t messages, bytes, requests, busy, began_ns;
    double began_cpu;
} result;

static void *zeroed(size_t count, size_t size)
{
    void *p = calloc(count, size);

    if (!p)
        limit_die("out of memory");
    return p;
}

static void side_open(side *s, const char *namesrv, const char *topic, int perm, size_t queues)
{
    s->topic = topic;
    limit_route_get(namesrv, topic, perm, queues, &s->route);
    for (size_t i = 0; i < s->route.broker_count; i++)
        limit_connect(&s->conns[i], s->route.brokers[i].address);
}

static void side_close(side *s)
{
    for (size_t i = 0; i < s->route.broker_count; i++)
        limit_disconnect(&s->conns[i]);
}

static limit_conn *conn_of(side *s, size_t queue)
{
    return &s->conns[s->route.queues[queue].broker];
}

static void result_begin(result *r)
{
    *r = (result){.began_ns = limit_now_ns(), .began_cpu = limit_cpu_s()};
}

static void result_print(const char *what, const result *r, const char *more)
{
    double s = (double)(limit_now_ns() - r->began_ns) / 1e9, cpu = limit_cpu_s() - r->began_cpu;
    double n = (double)r->messages;

    printf("%s messages=%lld seconds=%.3f messages_per_s=%.0f mb_per_s=%.1f cpu_s_per_million=%.3f "
           "requests=%lld busy=%lld%s\n",
           what, (long long)r->messages, s, n / s, (double)r->bytes / s / 1e6, cpu / n * 1e6,
           (long long)r->requests, (long long)r->busy, more);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* A send that goes out again and again: the frame is whole, only numbers in it change. */
typedef struct slot {
    limit_frame frame;
    size_t queue;
    size_t born_at, body_at; /* in the frame */
    bool busy;
} slot;

/* Items of a batch, all of one size; the digits of their keys are rewritten for every send, since
 * a broker files each key in its index. */
typedef struct items {
    size_t stride, unique_at, keys_at; /* within an item; keys_at 0 = none */
    size_t count;
    uint64_t next_key;
} items;

static void send_header(slot *s, const side *to, uint32_t opaque, size_t body_len)
{
    char born[24];

    (void)snprintf(born, sizeof(born), "%013lld", (long long)time(NULL) * 1000);
    limit_frame_begin(&s->frame, 320, opaque);
    (void)limit_frame_field(&s->frame, "a", "LIMIT");
    (void)limit_frame_field(&s->frame, "b", to->topic);
    (void)limit_frame_field(&s->frame, "c", "TBW102");
    (void)limit_frame_field(&s->frame, "d", "4");
    (void)limit_frame_number(&s->frame, "e", to->route.queues[s->queue].id);
    (void)limit_frame_field(&s->frame, "f", "0");
    s->born_at = limit_frame_field(&s->frame, "g", born);
    (void)limit_frame_field(&s->frame, "h", "0");
    (void)limit_frame_field(&s->frame, "i", "");
    (void)limit_frame_field(&s->frame, "m", "true");
    (void)limit_frame_field(&s->frame, "n",
                            to->route.brokers[to->route.queues[s->queue].broker].name);
    s->body_at = s->frame.len;
    limit_frame_end(&s->frame, body_len);
}

/* One item: our client's properties, UNIQ_KEY of 32 digits, and KEYS when wanted. */
static void item_make(limit_frame *item, const options *o, items *ret)
{
    char props[128];
    int n = snprintf(props, sizeof(props), "%s%sUNIQ_KEY\1%032d\2", o->keys ? "KEYS\1k" : "",
                     o->keys ? "00000000000\2" : "", 0);
    uint8_t head[20] = {0}, len[2] = {(uint8_t)(n >> 8), (uint8_t)n};

    ret->stride = 22 + o->bytes + (size_t)n;
    ret->unique_at = ret->stride - 2; /* last digit */
    ret->keys_at = o->keys ? 22 + o->bytes + strlen("KEYS\1k00000000000") - 1 : 0;
    ret->count = o->batch;
    limit_put32(head, (uint32_t)ret->stride);
    limit_put32(head + 16, (uint32_t)o->bytes);
    limit_frame_add(item, head, sizeof(head));
    for (size_t i = 0; i < o->bytes; i++)
        limit_frame_add(item, "x", 1);
    limit_frame_add(item, len, 2);
    limit_frame_add(item, props, (size_t)n);
}

static void digits(uint8_t *last, uint64_t v)
{
    for (int i = 0; i < 11; i++, v /= 10)
        last[-i] = (uint8_t)('0' + v % 10);
}

static void slot_send(slot *s, items *it, side *to, result *r)
{
    uint8_t *at = s->frame.bytes + s->body_at;
    char born[24];

    for (size_t i = 0; i < it->count; i++, at += it->stride) {
        digits(at + it->unique_at, it->next_key);
        if (it->keys_at)
            digits(at + it->keys_at, it->next_key);
        it->next_key++;
    }
    (void)snprintf(born, sizeof(born), "%013lld", (long long)time(NULL) * 1000);
    memcpy(s->frame.bytes + s->born_at, born, 13);
    limit_write(conn_of(to, s->queue), s->frame.bytes, s->frame.len);
    s->busy = true;
    r->requests++;
}

static slot *slots_make(const options *o, const side *to, items *it)
{
    size_t n = to->route.queue_count * o->window;
    slot *slots = zeroed(n, sizeof(*slots));
    limit_frame item = {0};

    *it = (items){.next_key = (uint64_t)time(NULL) % 10000 * 10000000};
    item_make(&item, o, it);
    for (size_t i = 0; i < n; i++) {
        slots[i].queue = i % to->route.queue_count;
        send_header(&slots[i], to, (uint32_t)i, it->stride * it->count);
        for (size_t k = 0; k < it->count; k++)
            limit_frame_add(&slots[i].frame, item.bytes, item.len);
    }
    free(item.bytes);
    return slots;
}

static void slots_free(slot *slots, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(slots[i].frame.bytes);
    free(slots);
}

/* 1 = stored, 0 = the broker was busy: send it again. Everything else ends the program. */
static int stored(const limit_reply *reply, result *r)
{
    if (reply->code == 0 || (reply->code >= 10 && reply->code <= 12))
        return 1;
    if (reply->code == 2) {
        r->busy++;
        return 0;
    }
    limit_die("a send was refused: %s", limit_reply_text(reply));
}

static void append(const options *o)
{
    side *to = zeroed(1, sizeof(*to));
    limit_conn *conns[LIMIT_BROKERS_MAX];
    bool ready[LIMIT_BROKERS_MAX];
    int64_t under_way = 0, batch = (int64_t)o->batch;
    limit_reply reply;
    items it;
    slot *slots;
    result r;

    side_open(to, o->namesrv, o->topic, 2, o->queues);
    slots = slots_make(o, to, &it);
    for (size_t i = 0; i < to->route.broker_count; i++)
        conns[i] = &to->conns[i];
    result_begin(&r);
    for (size_t i = 0; i < to->route.queue_count * o->window && under_way < o->count; i++) {
        slot_send(&slots[i], &it, to, &r);
        under_way += batch;
    }
    while (under_way > 0) {
        limit_wait(conns, to->route.broker_count, -1, ready);
        for (size_t i = 0; i < to->route.broker_count; i++) {
            while (ready[i] && limit_conn_next(conns[i], &reply)) {
                bool good = stored(&reply, &r);

                r.messages += good ? batch : 0;
                under_way -= good ? batch : 0;
                if (!good || r.messages + under_way < o->count) {
                    slot_send(&slots[reply.opaque], &it, to, &r);
                    under_way += good ? batch : 0;
                }
            }
        }
    }
    r.bytes = r.messages * (int64_t)o->bytes;
    result_print("append", &r, "");
    slots_free(slots, to->route.queue_count * o->window);
    side_close(to);
    free(to);
}

/* ---- pulling --------------------------------------------------------------------------------- */

/* One queue that is read: its request, whose offset is rewritten. */
typedef struct pull {
    limit_frame frame;
    size_t offset_at;
    int64_t next, end;
} pull;

#define OFFSET_DIGITS 19

static int64_t offset_ask(side *from, size_t queue, int code)
{
    limit_frame frame = {0};
    limit_reply reply;

    limit_frame_begin(&frame, code, 1);
    (void)limit_frame_field(&frame, "topic", from->topic);
    (void)limit_frame_number(&frame, "queueId", from->route.queues[queue].id);
    limit_frame_end(&frame, 0);
    limit_call(conn_of(from, queue), frame.bytes, frame.len, &reply);
    free(frame.bytes);
    if (reply.code)
        limit_die("offset of a queue of '%s': %s", from->topic, limit_reply_text(&reply));
    return limit_reply_number(&reply, "offset");
}

static void pull_make(pull *p, const side *from, size_t queue, const char *group)
{
    char zeros[OFFSET_DIGITS + 1];

    (void)snprintf(zeros, sizeof(zeros), "%0*d", OFFSET_DIGITS, 0);
    limit_frame_begin(&p->frame, 11, (uint32_t)queue);
    (void)limit_frame_field(&p->frame, "consumerGroup", group);
    (void)limit_frame_field(&p->frame, "topic", from->topic);
    (void)limit_frame_number(&p->frame, "queueId", from->route.queues[queue].id);
    p->offset_at = limit_frame_field(&p->frame, "queueOffset", zeros);
    (void)limit_frame_field(&p->frame, "maxMsgNums", "1024");
    (void)limit_frame_field(&p->frame, "sysFlag", "6"); /* hold when empty; subscription here */
    (void)limit_frame_field(&p->frame, "commitOffset", "0");
    (void)limit_frame_field(&p->frame, "suspendTimeoutMillis", "15000");
    (void)limit_frame_field(&p->frame, "subscription", "*");
    (void)limit_frame_field(&p->frame, "subVersion", "0");
    (void)limit_frame_field(&p->frame, "maxMsgBytes", "1048576");
    (void)limit_frame_field(&p->frame, "bname",
                            from->route.brokers[from->route.queues[queue].broker].name);
    limit_frame_end(&p->frame, 0);
}

static void pull_send(pull *p, side *from, size_t queue, result *r)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%0*lld", OFFSET_DIGITS, (long long)p->next);
    memcpy(p->frame.bytes + p->offset_at, text, OFFSET_DIGITS);
    limit_write(conn_of(from, queue), p->frame.bytes, p->frame.len);
    r->requests++;
}

/* Pulls of all queues, from their first message, or from their ends. */
static pull *pulls_make(const options *o, side *from, bool at_end)
{
    pull *pulls = zeroed(from->route.queue_count, sizeof(*pulls));

    for (size_t q = 0; q < from->route.queue_count; q++) {
        pull_make(&pulls[q], from, q, o->group);
        pulls[q].end = offset_ask(from, q, 30);
        pulls[q].next = at_end ? pulls[q].end : offset_ask(from, q, 31);
    }
    return pulls;
}

static void pulls_free(pull *pulls, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(pulls[i].frame.bytes);
    free(pulls);
}

/* Takes the queue's new place; true when the reply has messages. */
static bool pulled(pull *p, const limit_reply *reply)
{
    if (reply->code != 0 && (reply->code < 19 || reply->code > 21))
        limit_die("a pull was refused: %s", limit_reply_text(reply));
    if (reply->code != 19) /* at the end the broker proposes nothing of use */
        p->next = limit_reply_number(reply, "nextBeginOffset");
    return reply->code == 0;
}

/* Next stored message of a reply; NULL at the end. */
static const uint8_t *message_next(const limit_reply *reply, const uint8_t *at)
{
    const uint8_t *end = reply->body + reply->body_len;
    size_t size;

    if (!at || (size_t)(end - at) < 92)
        return NULL;
    size = limit_get32(at);
    if (size < 92 || size > (size_t)(end - at))
        limit_die("a stored message claims %zu bytes, %zu are there", size, (size_t)(end - at));
    return at;
}

static int64_t messages_in(const limit_reply *reply)
{
    const uint8_t *at = reply->body;
    int64_t n = 0;

    for (; (at = message_next(reply, at)) != NULL; at += limit_get32(at))
        n++;
    return n;
}

static bool all_read(const pull *pulls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (pulls[i].next < pulls[i].end)
            return false;
    }
    return true;
}

static void fetch(const options *o)
{
    side *from = zeroed(1, sizeof(*from));
    limit_conn *conns[LIMIT_BROKERS_MAX];
    bool ready[LIMIT_BROKERS_MAX];
    limit_reply reply;
    pull *pulls;
    result r;

    side_open(from, o->namesrv, o->topic, 4, o->queues);
    pulls = pulls_make(o, from, false);
    for (size_t i = 0; i < from->route.broker_count; i++)
        conns[i] = &from->conns[i];
    result_begin(&r);
    for (size_t q = 0; q < from->route.queue_count; q++)
        pull_send(&pulls[q], from, q, &r);
    while (o->count ? r.messages < o->count : !all_read(pulls, from->route.queue_count)) {
        limit_wait(conns, from->route.broker_count, -1, ready);
        for (size_t i = 0; i < from->route.broker_count; i++) {
            while (ready[i] && limit_conn_next(conns[i], &reply)) {
                if (pulled(&pulls[reply.opaque], &reply)) {
                    r.messages += messages_in(&reply);
                    r.bytes += (int64_t)reply.body_len;
                }
                pull_send(&pulls[reply.opaque], from, reply.opaque, &r);
            }
        }
    }
    result_print("fetch", &r, "");
    pulls_free(pulls, from->route.queue_count);
    side_close(from);
    free(from);
}

/* ---- copying --------------------------------------------------------------------------------- */

/* A queue on its way: what was read collects while one send is unanswered. */
typedef struct lane {
    slot sends[2]; /* one under way, one collecting */
    int filling;
    int64_t counts[2];
    bool pulling;
} lane;

#define COPY_BATCH_BYTES ((size_t)1 << 20)

/* Body and properties of a stored message, as an item of a batch. */
static void item_of(limit_frame *frame, const uint8_t *m)
{
    size_t size = limit_get32(m), at = 88, body, props;
    uint32_t sys = limit_get32(m + 36);
    uint8_t head[20] = {0};

    at += (sys & 0x10 ? 12u : 0) + (sys & 0x20 ? 12u : 0);
    if (sys & 0x7c1)
        limit_die("the topic has compressed or inner batch messages; copy plain ones");
    body = at <= size ? limit_get32(m + at - 4) : size;
    if (body > size || at + body + 3 > size)
        limit_die("a stored message of %zu bytes is damaged", size);
    props = at + body;
    props += limit_get32(m + 4) == 0xDAA320ABu ? 2 + limit_get16(m + props) : 1u + m[props];
    if (props + 2 > size || props + 2 + limit_get16(m + props) > size)
        limit_die("a stored message of %zu bytes is damaged", size);
    limit_put32(head, (uint32_t)(22 + body + limit_get16(m + props)));
    memcpy(head + 12, m + 16, 4); /* flag */
    limit_put32(head + 16, (uint32_t)body);
    limit_frame_add(frame, head, sizeof(head));
    limit_frame_add(frame, m + at, body);
    limit_frame_add(frame, m + props, 2 + limit_get16(m + props));
}

typedef struct copier {
    side from, to;
    pull *pulls;
    lane *lanes;
    result r;
    int64_t unanswered;
} copier;

static size_t lane_bytes(const lane *l)
{
    return l->sends[l->filling].frame.len - l->sends[l->filling].body_at;
}

/* Sends what has collected when nothing is under way, and reads on when there is room. */
static void lane_step(copier *c, size_t q)
{
    lane *l = &c->lanes[q];
    slot *s = &l->sends[l->filling];

    if (l->counts[l->filling] && !l->sends[!l->filling].busy) {
        limit_frame_body_len(&s->frame, lane_bytes(l));
        limit_write(conn_of(&c->to, s->queue), s->frame.bytes, s->frame.len);
        s->busy = true;
        c->unanswered++;
        c->r.requests++;
        l->filling = !l->filling;
        l->sends[l->filling].frame.len = l->sends[l->filling].body_at;
        l->counts[l->filling] = 0;
    }
    if (!l->pulling && c->pulls[q].next < c->pulls[q].end && lane_bytes(l) < COPY_BATCH_BYTES) {
        pull_send(&c->pulls[q], &c->from, q, &c->r);
        l->pulling = true;
    }
}

static void copy_pulled(copier *c, const limit_reply *reply)
{
    lane *l = &c->lanes[reply->opaque];
    const uint8_t *m = reply->body;

    l->pulling = false;
    if (pulled(&c->pulls[reply->opaque], reply)) {
        c->r.bytes += (int64_t)reply->body_len;
        for (; (m = message_next(reply, m)) != NULL; m += limit_get32(m)) {
            item_of(&l->sends[l->filling].frame, m);
            l->counts[l->filling]++;
        }
    }
    lane_step(c, reply->opaque);
}

static void copy_answered(copier *c, const limit_reply *reply)
{
    size_t q = reply->opaque / 2;
    lane *l = &c->lanes[q];
    int which = (int)(reply->opaque & 1);

    if (!stored(reply, &c->r)) {
        limit_write(conn_of(&c->to, l->sends[which].queue), l->sends[which].frame.bytes,
                    l->sends[which].frame.len);
        return;
    }
    c->r.messages += l->counts[which];
    c->unanswered--;
    l->sends[which].busy = false;
    lane_step(c, q);
}

static void copy_run(copier *c)
{
    size_t readers = c->from.route.broker_count, n = readers + c->to.route.broker_count;
    limit_conn *conns[2 * LIMIT_BROKERS_MAX];
    bool ready[2 * LIMIT_BROKERS_MAX];
    limit_reply reply;

    for (size_t i = 0; i < n; i++)
        conns[i] = i < readers ? &c->from.conns[i] : &c->to.conns[i - readers];
    for (size_t q = 0; q < c->from.route.queue_count; q++)
        lane_step(c, q);
    while (c->unanswered || !all_read(c->pulls, c->from.route.queue_count)) {
        limit_wait(conns, n, -1, ready);
        for (size_t i = 0; i < n; i++) {
            while (ready[i] && limit_conn_next(conns[i], &reply)) {
                if (i < readers)
                    copy_pulled(c, &reply);
                else
                    copy_answered(c, &reply);
            }
        }
    }
}

/* Everything the topic has when the copy begins. */
static void copy(const options *o)
{
    copier *c = zeroed(1, sizeof(*c));
    size_t n;

    side_open(&c->from, o->namesrv, o->topic, 4, o->queues);
    side_open(&c->to, o->to_namesrv ? o->to_namesrv : o->namesrv, o->to_topic, 2, 0);
    n = c->from.route.queue_count;
    c->pulls = pulls_make(o, &c->from, false);
    c->lanes = zeroed(n, sizeof(*c->lanes));
    for (size_t q = 0; q < n; q++) {
        for (uint32_t i = 0; i < 2; i++) {
            c->lanes[q].sends[i].queue = q % c->to.route.queue_count;
            send_header(&c->lanes[q].sends[i], &c->to, (uint32_t)q * 2 + i, 0);
        }
    }
    result_begin(&c->r);
    copy_run(c);
    result_print("copy", &c->r, "");
    pulls_free(c->pulls, n);
    for (size_t q = 0; q < n; q++) {
        free(c->lanes[q].sends[0].frame.bytes);
        free(c->lanes[q].sends[1].frame.bytes);
    }
    free(c->lanes);
    side_close(&c->from);
    side_close(&c->to);
    free(c);
}

/* ---- latency --------------------------------------------------------------------------------- */

typedef struct pacer {
    side from, to;
    pull *pulls;
    slot *slots;
    items it;
    result r;
    int64_t sent, count, interval_ns, start_ns;
    int64_t *latency_ns;
} pacer;

/* Sends all that is due, each to the next free queue. What cannot go out keeps its time. */
static void pace(pacer *p)
{
    size_t n = p->to.route.queue_count, at = (size_t)p->sent;
    int64_t due;

    while (p->sent < p->count && (due = p->start_ns + p->sent * p->interval_ns) <= limit_now_ns()) {
        size_t tried = 0;
        slot *s = &p->slots[at % n];

        for (; s->busy && tried < n; tried++)
            s = &p->slots[++at % n];
        if (s->busy)
            return;
        limit_put32(s->frame.bytes + s->body_at + 20, (uint32_t)(due >> 32));
        limit_put32(s->frame.bytes + s->body_at + 24, (uint32_t)due);
        slot_send(s, &p->it, &p->to, &p->r);
        p->sent++;
        at++;
    }
}

static void pace_received(pacer *p, const limit_reply *reply)
{
    int64_t now = limit_now_ns();
    const uint8_t *m = reply->body;

    if (pulled(&p->pulls[reply->opaque], reply)) {
        p->r.bytes += (int64_t)reply->body_len;
        for (; (m = message_next(reply, m)) != NULL; m += limit_get32(m)) {
            uint32_t sys = limit_get32(m + 36);
            size_t at = 88u + (sys & 0x10 ? 12u : 0) + (sys & 0x20 ? 12u : 0);

            if (at + 8 <= limit_get32(m) && p->r.messages < p->count)
                p->latency_ns[p->r.messages++] =
                    now - (int64_t)((uint64_t)limit_get32(m + at) << 32 | limit_get32(m + at + 4));
        }
    }
    pull_send(&p->pulls[reply->opaque], &p->from, reply->opaque, &p->r);
}

static void pace_run(pacer *p)
{
    size_t readers = p->from.route.broker_count, n = readers + p->to.route.broker_count;
    limit_conn *conns[2 * LIMIT_BROKERS_MAX];
    bool ready[2 * LIMIT_BROKERS_MAX];
    limit_reply reply;

    for (size_t i = 0; i < n; i++)
        conns[i] = i < readers ? &p->from.conns[i] : &p->to.conns[i - readers];
    for (size_t q = 0; q < p->from.route.queue_count; q++)
        pull_send(&p->pulls[q], &p->from, q, &p->r);
    p->start_ns = limit_now_ns();
    while (p->r.messages < p->count) {
        int64_t wait = -1;

        pace(p);
        if (p->sent < p->count) {
            wait = p->start_ns + p->sent * p->interval_ns - limit_now_ns();
            wait = wait < 0 ? 1000000 : wait; /* all queues are busy */
        }
        limit_wait(conns, n, wait, ready);
        for (size_t i = 0; i < n; i++) {
            while (ready[i] && limit_conn_next(conns[i], &reply)) {
                if (i < readers)
                    pace_received(p, &reply);
                else if (stored(&reply, &p->r))
                    p->slots[reply.opaque].busy = false;
                else
                    slot_send(&p->slots[reply.opaque], &p->it, &p->to, &p->r);
            }
        }
    }
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static double quantile_us(const int64_t *sorted, int64_t count, double q)
{
    int64_t i = (int64_t)(q * (double)count);

    return (double)sorted[i < count ? i : count - 1] / 1e3;
}

static void latency(const options *o)
{
    options one = *o;
    pacer *p = zeroed(1, sizeof(*p));
    char more[200];

    one.batch = one.window = 1;
    side_open(&p->to, o->namesrv, o->topic, 2, o->queues);
    side_open(&p->from, o->namesrv, o->topic, 4, 0);
    p->slots = slots_make(&one, &p->to, &p->it);
    p->pulls = pulls_make(o, &p->from, true);
    p->count = o->count;
    p->interval_ns = 1000000000 / o->rate;
    p->latency_ns = zeroed((size_t)o->count, sizeof(*p->latency_ns));
    result_begin(&p->r);
    pace_run(p);
    qsort(p->latency_ns, (size_t)p->count, sizeof(*p->latency_ns), by_value);
    (void)snprintf(more, sizeof(more), " p50_us=%.0f p99_us=%.0f p999_us=%.0f max_us=%.0f",
                   quantile_us(p->latency_ns, p->count, 0.5),
                   quantile_us(p->latency_ns, p->count, 0.99),
                   quantile_us(p->latency_ns, p->count, 0.999),
                   (double)p->latency_ns[p->count - 1] / 1e3);
    result_print("latency", &p->r, more);
    slots_free(p->slots, p->to.route.queue_count);
    pulls_free(p->pulls, p->from.route.queue_count);
    free(p->latency_ns);
    side_close(&p->from);
    side_close(&p->to);
    free(p);
}

/* ---- command line ---------------------------------------------------------------------------- */

static _Noreturn void usage(void)
{
    fputs("usage: limit append|fetch|copy|latency --namesrv HOST:PORT --topic T [option...]\n"
          "  --queues N       so many queues, spread over brokers; 0 = all           (0)\n"
          "  --count N        messages; of fetch 0 = all there are                   (1000000, "
          "fetch 0)\n"
          "  --bytes N        append, latency: of a body, at least 8                 (128)\n"
          "  --batch N        append: messages of a send                             (256)\n"
          "  --window N       append: unanswered sends per queue                     (1)\n"
          "  --keys           append: a word in KEYS too, which the broker indexes\n"
          "  --rate N         latency: messages per second                           (1000)\n"
          "  --to-topic T     copy: where to; --to-namesrv HOST:PORT when elsewhere\n"
          "  --group G        fetch, copy, latency: consumer group                   (LIMIT)\n",
          stderr);
    exit(2);
}

static int64_t number_of(const char *name, const char *text, int64_t min, int64_t max)
{
    char *end;
    int64_t v = strtoll(text, &end, 10);

    if (end == text || *end || v < min || v > max)
        limit_die("--%s %s: a number from %lld to %lld is wanted", name, text, (long long)min,
                  (long long)max);
    return v;
}

static void parse(int argc, char **argv, options *o)
{
    static const struct option known[] = {{"namesrv", 1, NULL, 'n'},
                                          {"topic", 1, NULL, 't'},
                                          {"to-namesrv", 1, NULL, 'N'},
                                          {"to-topic", 1, NULL, 'T'},
                                          {"group", 1, NULL, 'g'},
                                          {"queues", 1, NULL, 'q'},
                                          {"bytes", 1, NULL, 'b'},
                                          {"batch", 1, NULL, 'B'},
                                          {"window", 1, NULL, 'w'},
                                          {"count", 1, NULL, 'c'},
                                          {"rate", 1, NULL, 'r'},
                                          {"keys", 0, NULL, 'k'},
                                          {0}};
    int c, which;

    while ((c = getopt_long(argc, argv, "", known, &which)) != -1) {
        switch (c) {
        case 'n':
            o->namesrv = optarg;
            break;
        case 't':
            o->topic = optarg;
            break;
        case 'N':
            o->to_namesrv = optarg;
            break;
        case 'T':
            o->to_topic = optarg;
            break;
        case 'g':
            o->group = optarg;
            break;
        case 'k':
            o->keys = true;
            break;
        case 'q':
            o->queues = (size_t)number_of("queues", optarg, 0, LIMIT_QUEUES_MAX);
            break;
        case 'b':
            o->bytes = (size_t)number_of("bytes", optarg, 8, 4 << 20);
            break;
        case 'B':
            o->batch = (size_t)number_of("batch", optarg, 1, 100000);
            break;
        case 'w':
            o->window = (size_t)number_of("window", optarg, 1, 512);
            break;
        case 'c':
            o->count = number_of("count", optarg, 0, INT64_C(1) << 40);
            break;
        case 'r':
            o->rate = number_of("rate", optarg, 1, 1000000);
            break;
        default:
            usage();
        }
    }
}

int main(int argc, char **argv)
{
    options o = {
        .group = "LIMIT", .bytes = 128, .batch = 256, .window = 1, .rate = 1000, .count = -1};
    const char *what = argc > 1 ? argv[1] : "";

    if (argc > 1)
        parse(argc - 1, argv + 1, &o);
    if (!o.namesrv || !o.topic)
        usage();
    if (o.count < 0)
        o.count = strcmp(what, "fetch") == 0 ? 0 : 1000000;
    if (strcmp(what, "append") == 0)
        append(&o);
    else if (strcmp(what, "fetch") == 0)
        fetch(&o);
    else if (strcmp(what, "copy") == 0 && o.to_topic)
        copy(&o);
    else if (strcmp(what, "latency") == 0 && o.count)
        latency(&o);
    else
        usage();
    return 0;
}
