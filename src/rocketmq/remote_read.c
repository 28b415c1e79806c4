/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading: bytes go into large blocks, frames are slices of them. A partial frame at the end of a
 * block moves to the next one, and a frame larger than a block gets one of exactly its size, so a
 * body is copied at most once in part. A block that nobody else holds is used again in place.
 */
#include "rocketmq/remote_impl.h"

#include "rocketmq/codes.h"

#include <string.h>

#define BLOCK_MIN ((size_t)256 << 10)
#define BLOCK_MAX ((size_t)1 << 20)
#define ROOM_MIN ((size_t)16 << 10) /* Less room than this is not worth a read. */
#define SMALL_READS 64
#define ARENA_KEEP ((size_t)64 << 10)

static bool only_ours(const rmq_block *block)
{
    return atomic_load_explicit(&block->refs, memory_order_acquire) == 1;
}

/* Bytes the frame that begins at `start` will have, 0 = not known yet. */
static size_t frame_needs(const rmq_remote *remote)
{
    size_t len = 0;
    int r;

    if (!remote->block)
        return 0;
    r = rmq_frame_length(remote->block->data + remote->start, remote->end - remote->start, &len,
                         NULL);
    RC_ASSERT(r == 0); /* rmq_remote_received() has dropped the connection otherwise. */
    return len;
}

static void to_front(rmq_remote *remote)
{
    memmove(remote->block->data, remote->block->data + remote->start, remote->end - remote->start);
    remote->end -= remote->start;
    remote->start = 0;
}

/* The partial frame goes to a new block that can hold all of it. */
static void next_block(rmq_remote *remote, size_t need)
{
    rmq_block *old = remote->block;
    size_t have = remote->end - remote->start;

    if (remote->block_size < BLOCK_MIN)
        remote->block_size = BLOCK_MIN;
    remote->block = rmq_block_new(RC_MAX(need, remote->block_size), remote->config.block_bytes);
    if (have)
        memcpy(remote->block->data, old->data + remote->start, have);
    remote->start = 0;
    remote->end = have;
    rmq_block_unref(old);
}

rc_span rmq_remote_room(void *arg)
{
    rmq_remote *remote = arg;
    size_t need = frame_needs(remote);
    rmq_block *block = remote->block;
    bool ours = block && only_ours(block) && block->cap <= BLOCK_MAX;

    if (ours && remote->start == remote->end && block->cap == remote->block_size)
        remote->start = remote->end = 0;
    if (!block ||
        (need ? remote->start + need > block->cap : block->cap - remote->end < ROOM_MIN)) {
        if (ours && need <= block->cap && block->cap - (remote->end - remote->start) >= ROOM_MIN &&
            block->cap == remote->block_size)
            to_front(remote);
        else
            next_block(remote, need);
    }
    remote->room = remote->block->cap - remote->end;
    return (rc_span){remote->block->data + remote->end, remote->room};
}

/* Grows blocks while reads fill them, shrinks them when reads stay small. */
static void adapt(rmq_remote *remote, size_t n)
{
    if (n == remote->room && remote->room >= remote->block_size / 2) {
        remote->block_size = RC_MIN(remote->block_size * 2, BLOCK_MAX);
        remote->small_reads = 0;
    } else if (n > remote->block_size / 8) {
        remote->small_reads = 0;
    } else if (++remote->small_reads == SMALL_READS) {
        remote->block_size = RC_MAX(remote->block_size / 2, BLOCK_MIN);
        remote->small_reads = 0;
    }
}

void rmq_remote_read_reset(rmq_remote *remote)
{
    rmq_block_unref(RC_TAKE(remote->block));
    remote->start = remote->end = 0;
    rc_arena_release(&remote->read_arena);
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* Too late, or made up. Once per connection: a peer that does it once does it often. */
static void unknown_reply(rmq_remote *remote, const rmq_frame *frame)
{
    char name[32];

    if (remote->warned)
        return;
    remote->warned = true;
    rmq_remote_say(remote, RMQ_LOG_WARN,
                   "ignored a reply (opaque %d, %s) that nobody waits for: it came after the "
                   "request's timeout, or the peer mixes up replies; said once per connection",
                   frame->header.opaque, rmq_response_name(frame->header.code, name));
}

static void take_reply(rmq_remote *remote, const rmq_frame *frame, const uint8_t *at, size_t len)
{
    rmq_call *call = rmq_call_find(remote, frame->header.opaque);
    bool go_away = frame->header.code == RMQ_R_GO_AWAY;

    if (!call || call->early) {
        unknown_reply(remote, frame);
        return;
    }
    if (call->writing && call->part_count > 1) {
        /* The caller may free the body when told, and the connection still reads it. */
        rmq_block_ref(remote->block);
        call->early_block = remote->block;
        call->early = at;
        call->early_len = len;
    } else {
        rmq_call_reply(call, frame, remote->block);
    }
    if (go_away)
        rmq_remote_go_away(remote);
}

void rmq_remote_deliver_early(rmq_call *call)
{
    rmq_remote *remote = call->remote;
    rmq_block *block = RC_TAKE(call->early_block);
    rmq_frame frame;

    rc_arena_reset(&remote->read_arena, ARENA_KEEP);
    /* It was parsed once before. */
    RC_ASSERT(
        rmq_frame_parse(call->early, call->early_len, &remote->read_arena.pub, &frame, NULL) == 0);
    rmq_call_reply(call, &frame, block);
    rmq_block_unref(block);
}

static void take_request(rmq_remote *remote, const rmq_frame *frame)
{
    char name[32];
    char text[96];
    int len;

    if (remote->config.asked && remote->config.asked(remote->config.arg, remote, frame))
        return;
    if (frame->header.flag & RMQ_FLAG_ONEWAY)
        return;
    len = snprintf(text, sizeof text, "%s is not known to this client",
                   rmq_request_name(frame->header.code, name));
    rmq_remote_answer(remote, frame, RMQ_R_REQUEST_CODE_NOT_SUPPORTED,
                      omc_slice_of(text, (size_t)RC_MAX(len, 0)));
}

/* @return false: the connection is of no more use. */
static bool take_frame(rmq_remote *remote, const uint8_t *at, size_t len)
{
    rmq_frame frame;
    rc_error err;

    rc_error_empty(&err);
    rc_arena_reset(&remote->read_arena, ARENA_KEEP);
    if (rmq_frame_parse(at, len, &remote->read_arena.pub, &frame, &err) < 0) {
        (void)rc_wrap(&err, 0, "the peer sent a frame that cannot be read");
        rmq_remote_drop(remote, err.msg);
        return false;
    }
    remote->heard = true;
    remote->failures = 0;
    if (frame.header.flag & RMQ_FLAG_REPLY)
        take_reply(remote, &frame, at, len);
    else
        take_request(remote, &frame);
    return !remote->dropped && !remote->closing;
}

void rmq_remote_received(void *arg, size_t n)
{
    rmq_remote *remote = arg;
    rc_error err;

    rc_error_empty(&err);
    remote->config.stats->bytes_received += (int64_t)n;
    remote->end += n;
    adapt(remote, n);
    while (!remote->dropped && !remote->closing) {
        const uint8_t *at = remote->block->data + remote->start;
        size_t have = remote->end - remote->start;
        size_t len = 0;

        if (rmq_frame_length(at, have, &len, &err) < 0) {
            rmq_remote_drop(remote, err.msg);
            return;
        }
        if (len == 0 || have < len)
            return;
        remote->start += len;
        if (!take_frame(remote, at, len))
            return;
    }
}
