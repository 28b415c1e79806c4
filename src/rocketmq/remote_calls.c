/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of a remote. A reply finds its call by opaque: the low 16 bits are a slot of a table, the
 * others its generation, which changes with each use; free slots are used in turn, so that an
 * opaque comes again after millions of calls only. Deadlines are a binary heap under one timer.
 *
 * Whether a call "may have left" decides between trying again and an unknown outcome: calls wait
 * here, in our list, until the connection has room, and only what it was given counts as left.
 */
#include "rocketmq/remote_impl.h"

#include "rocketmq/codes.h"

#include <string.h>
#include <utlist.h>

#define SLOTS_FIRST 256u
#define GENERATIONS 0x8000u

/* ---- table ----------------------------------------------------------------------------------- */

static void grow_table(rmq_remote *remote)
{
    uint32_t old = remote->slot_count;
    uint32_t count = old ? old * 2 : SLOTS_FIRST;

    remote->slots = rc_realloc(remote->slots, count * sizeof *remote->slots);
    for (uint32_t i = old; i < count; i++)
        remote->slots[i] = (rmq_slot){.next = i + 1 < count ? i + 1 : RMQ_NO_SLOT};
    remote->slot_count = count;
    remote->free_head = old;
    remote->free_tail = count - 1;
}

/* False: 65,536 calls have no answer. */
static bool take_slot(rmq_call *call)
{
    rmq_remote *remote = call->remote;
    rmq_slot *slot;

    if (remote->free_head == RMQ_NO_SLOT) {
        if (remote->slot_count == RMQ_CALLS_MAX)
            return false;
        grow_table(remote);
    }
    call->slot = remote->free_head;
    slot = &remote->slots[call->slot];
    remote->free_head = slot->next;
    if (remote->free_head == RMQ_NO_SLOT)
        remote->free_tail = RMQ_NO_SLOT;
    slot->call = call;
    slot->generation = (uint16_t)((slot->generation + 1u) % GENERATIONS);
    call->opaque = (int32_t)((uint32_t)slot->generation << 16 | call->slot);
    return true;
}

static void free_slot(rmq_call *call)
{
    rmq_remote *remote = call->remote;
    rmq_slot *slot;

    if (call->slot == RMQ_NO_SLOT)
        return;
    slot = &remote->slots[call->slot];
    slot->call = NULL;
    slot->next = RMQ_NO_SLOT;
    if (remote->free_tail == RMQ_NO_SLOT)
        remote->free_head = call->slot;
    else
        remote->slots[remote->free_tail].next = call->slot;
    remote->free_tail = call->slot;
    call->slot = RMQ_NO_SLOT;
}

rmq_call *rmq_call_find(rmq_remote *remote, int32_t opaque)
{
    uint32_t at = (uint32_t)opaque & (RMQ_CALLS_MAX - 1);
    rmq_call *call = at < remote->slot_count ? remote->slots[at].call : NULL;

    if (!call || call->opaque != opaque || call->oneway)
        return NULL;
    return call->state == RMQ_CALL_WRITING || call->state == RMQ_CALL_WRITTEN ? call : NULL;
}

/* ---- deadlines ------------------------------------------------------------------------------- */

static void heap_put(rmq_remote *remote, size_t at, rmq_call *call)
{
    remote->heap[at] = call;
    call->heap_at = at + 1;
}

static void heap_up(rmq_remote *remote, size_t at)
{
    rmq_call *call = remote->heap[at];

    while (at && remote->heap[(at - 1) / 2]->deadline_ms > call->deadline_ms) {
        heap_put(remote, at, remote->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(remote, at, call);
}

static void heap_down(rmq_remote *remote, size_t at)
{
    rmq_call *call = remote->heap[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < remote->heap_count &&
            remote->heap[child + 1]->deadline_ms < remote->heap[child]->deadline_ms)
            child++;
        if (child >= remote->heap_count || remote->heap[child]->deadline_ms >= call->deadline_ms)
            break;
        heap_put(remote, at, remote->heap[child]);
        at = child;
    }
    heap_put(remote, at, call);
}

static void heap_add(rmq_call *call)
{
    rmq_remote *remote = call->remote;

    if (remote->heap_count == remote->heap_cap) {
        remote->heap_cap = remote->heap_cap ? remote->heap_cap * 2 : 64;
        remote->heap = rc_realloc(remote->heap, remote->heap_cap * sizeof(rmq_call *));
    }
    heap_put(remote, remote->heap_count++, call);
    heap_up(remote, call->heap_at - 1);
}

static void heap_remove(rmq_call *call)
{
    rmq_remote *remote = call->remote;
    size_t at = call->heap_at;
    rmq_call *last;

    if (at == 0)
        return;
    at--;
    call->heap_at = 0;
    last = remote->heap[--remote->heap_count];
    if (last == call)
        return;
    heap_put(remote, at, last);
    heap_up(remote, at);
    heap_down(remote, last->heap_at - 1);
}

int64_t rmq_calls_next_deadline(const rmq_remote *remote)
{
    return remote->heap_count ? remote->heap[0]->deadline_ms : INT64_MAX;
}

/* ---- a call's life --------------------------------------------------------------------------- */

/* Header with all fields of the request, signed, into remote->head. */
static int put_head(rmq_remote *remote, const rmq_request *request, int32_t opaque, size_t body_len,
                    rc_error *err)
{
    rmq_header header;
    rc_slice *body;

    RC_ASSERT(request->field_count + 3 <= RMQ_FIELDS_MAX);
    header.code = request->code;
    header.language = RMQ_LANGUAGE_CPP;
    header.version = RMQ_VERSION;
    header.opaque = opaque;
    header.flag = request->oneway ? RMQ_FLAG_ONEWAY : 0;
    header.remark = (rc_slice){0};
    header.field_count = request->field_count;
    if (request->field_count)
        memcpy(header.fields, request->fields, request->field_count * sizeof *request->fields);
    if (remote->config.credentials && remote->config.credentials->access_key[0]) {
        rc_arena_reset(&remote->sign_arena, (size_t)64 << 10);
        body = omc_alloc(&remote->sign_arena.pub, (request->body_parts + 1) * sizeof *body);
        for (size_t i = 0; i < request->body_parts; i++)
            body[i] = omc_slice_of(request->body[i].base, request->body[i].len);
        rmq_sign(&header, body, request->body_parts, remote->config.credentials,
                 &remote->sign_arena.pub);
    }
    rc_buf_clear(&remote->head);
    return rmq_frame_put(&remote->head, RMQ_BINARY, &header, body_len, err);
}

static rmq_call *alloc_call(rmq_remote *remote, const rmq_request *request)
{
    size_t parts = 1 + request->body_parts;
    rmq_call *call = rc_calloc(1, sizeof *call + parts * sizeof(rc_iovec));

    call->remote = remote;
    call->state = RMQ_CALL_WAITING;
    call->oneway = request->oneway;
    call->code = request->code;
    call->slot = RMQ_NO_SLOT;
    call->timeout_ms = RC_MAX(request->timeout_ms, 1);
    call->deadline_ms = rmq_remote_now() + call->timeout_ms;
    call->done = request->done;
    call->arg = request->arg;
    call->gate = request->gate;
    call->part_count = parts;
    for (size_t i = 0; i < request->body_parts; i++) {
        call->parts[i + 1] = request->body[i];
        call->bytes += request->body[i].len;
    }
    return call;
}

rmq_call *rmq_call_new(rmq_remote *remote, const rmq_request *request)
{
    rmq_call *call = alloc_call(remote, request);
    rc_error err;

    RC_ASSERT(request->done);
    rc_error_empty(&err);
    remote->pending++;
    remote->config.stats->requests++;
    if (!take_slot(call)) {
        rmq_call_fail(call, OMC_EAGAIN, OMC_ERR_RETRIABLE,
                      "65,536 requests have no answer yet; wait for some of them");
        return call;
    }
    if (put_head(remote, request, call->opaque, call->bytes, &err) < 0) {
        rmq_call_fail(call, err.code, err.flags, err.msg);
        return call;
    }
    call->parts[0].len = remote->head.len;
    call->parts[0].base = rc_malloc(remote->head.len);
    memcpy((void *)(uintptr_t)call->parts[0].base, remote->head.data, remote->head.len);
    call->bytes += remote->head.len;
    heap_add(call);
    return call;
}

/* Frees it, unless the connection still reads its header: then rmq_call_written() does. */
static void release(rmq_call *call)
{
    RC_ASSERT(call->state == RMQ_CALL_OVER);
    call->told = true;
    if (call->writing)
        return;
    rmq_block_unref(call->early_block);
    free(call->fail_text);
    free((void *)(uintptr_t)call->parts[0].base);
    free(call);
}

void rmq_call_end(rmq_call *call)
{
    rmq_remote *remote = call->remote;

    RC_ASSERT(call->state != RMQ_CALL_OVER);
    if (call->state == RMQ_CALL_WAITING && (call->prev || call->next))
        DL_DELETE(remote->waiting, call);
    if (call->state == RMQ_CALL_WRITING || call->state == RMQ_CALL_WRITTEN)
        remote->in_conn--;
    call->prev = call->next = NULL;
    free_slot(call);
    heap_remove(call);
    call->state = RMQ_CALL_OVER;
}

void rmq_call_reply(rmq_call *call, const rmq_frame *frame, rmq_block *block)
{
    rmq_remote *remote = call->remote;
    rmq_reply reply = {.result = 0, .frame = frame, .block = block};

    rmq_call_end(call);
    remote->pending--;
    if (frame) {
        remote->config.stats->replies++;
        if (frame->header.code == RMQ_R_SYSTEM_BUSY)
            remote->config.stats->busy_replies++;
    }
    call->done(call->arg, &reply);
    release(call);
}

void rmq_call_fail(rmq_call *call, int code, uint32_t flags, const char *reason)
{
    rmq_remote *remote = call->remote;

    rmq_call_end(call);
    call->fail_code = code;
    call->fail_flags = flags;
    call->fail_text = rc_strdup(reason);
    DL_APPEND(remote->failed, call);
}

void rmq_calls_fail_waiting(rmq_remote *remote, int code, uint32_t flags, const char *reason)
{
    while (remote->waiting)
        rmq_call_fail(remote->waiting, code, flags, reason);
}

void rmq_calls_fail_sent(rmq_remote *remote, int code, const char *reason)
{
    uint32_t flags = RMQ_ERR_UNKNOWN_OUTCOME | (code == OMC_ECANCELED ? 0 : OMC_ERR_RETRIABLE);

    for (uint32_t i = 0; remote->in_conn && i < remote->slot_count; i++) {
        rmq_call *call = remote->slots[i].call;

        if (!call || call->state == RMQ_CALL_WAITING)
            continue;
        if (call->early) /* Its reply is here, only told late. */
            rmq_remote_deliver_early(call);
        else
            rmq_call_fail(call, call->expired ? OMC_ETIMEDOUT : code, flags, reason);
    }
}

static void tell(rmq_call *call)
{
    rmq_remote *remote = call->remote;
    rc_error err = {.code = call->fail_code, .flags = call->fail_flags};
    rmq_reply reply = {.result = -call->fail_code, .err = &err};
    char name[32];

    (void)snprintf(err.msg, sizeof err.msg, "%s to %s at %s: %s",
                   rmq_request_name(call->code, name), remote->config.label, remote->config.address,
                   call->fail_text);
    if (call->fail_flags & RMQ_ERR_UNKNOWN_OUTCOME)
        remote->config.stats->unknown_outcomes++;
    if (call->fail_code == OMC_ETIMEDOUT)
        remote->config.stats->timeouts++;
    remote->pending--;
    call->done(call->arg, &reply);
    release(call);
}

void rmq_calls_tell(rmq_remote *remote)
{
    rmq_call *list = RC_TAKE(remote->failed);
    rmq_call *call, *tmp;

    DL_FOREACH_SAFE(list, call, tmp)
    {
        DL_DELETE(list, call);
        tell(call);
    }
}

/* A call over its deadline. @return true: its body is stuck in the connection. */
static bool expire(rmq_call *call)
{
    rmq_remote *remote = call->remote;
    char text[160];

    if (call->state == RMQ_CALL_WAITING) {
        (void)snprintf(text, sizeof text, "not sent within %lld ms: %s",
                       (long long)call->timeout_ms,
                       remote->state == RMQ_UP ? "the connection takes no more, the peer reads too "
                                                 "slowly or not at all"
                                               : "no connection yet");
        rmq_call_fail(call, OMC_ETIMEDOUT, OMC_ERR_RETRIABLE, text);
        return false;
    }
    if (call->writing && call->part_count > 1) {
        heap_remove(call);
        call->expired = true;
        return true;
    }
    (void)snprintf(text, sizeof text,
                   "no answer within %lld ms: the peer is busy, stuck or cut off",
                   (long long)call->timeout_ms);
    rmq_call_fail(call, OMC_ETIMEDOUT, OMC_ERR_RETRIABLE | RMQ_ERR_UNKNOWN_OUTCOME, text);
    return false;
}

bool rmq_calls_expire(rmq_remote *remote, int64_t now_ms)
{
    bool stuck = false;

    while (remote->heap_count && remote->heap[0]->deadline_ms <= now_ms)
        stuck = expire(remote->heap[0]) || stuck;
    return stuck;
}

void rmq_call_written(rmq_call *call, int result)
{
    call->writing = false;
    if (call->state == RMQ_CALL_OVER) {
        if (call->told)
            release(call);
        return; /* Else it is in `failed`. */
    }
    if (result < 0)
        return; /* The end of the connection follows and tells all. */
    call->remote->config.stats->bytes_sent += (int64_t)call->bytes;
    call->state = RMQ_CALL_WRITTEN;
    if (call->oneway)
        rmq_call_reply(call, NULL, NULL);
    else if (call->early)
        rmq_remote_deliver_early(call);
}

void rmq_calls_free(rmq_remote *remote)
{
    RC_ASSERT(!remote->waiting && !remote->failed && remote->heap_count == 0);
    free(remote->slots);
    free(remote->heap);
    rc_buf_release(&remote->head);
    rc_arena_release(&remote->sign_arena);
}
