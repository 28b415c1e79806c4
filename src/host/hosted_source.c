/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source task in a host. The host polls ahead as far as its credit goes; poll here takes the next
 * batch, gives its credit back, and answers what the host asks meanwhile. Records borrow from a
 * copy of the frame in the batch's own arena: one copy, however many records.
 */
#include "host/hosted_impl.h"

#include "base/diag.h"
#include "base/units.h"

#define RECORDS_MAX 8192
#define BYTES_MAX ((int64_t)1 << 20)
#define WINDOW 2 /* batches of credit */
#define COMMIT_MS 1000

typedef struct source {
    rc_guest guest;
    const omc_source_context *ctx;
    int64_t records_max, bytes_max; /* of one batch */
    uint64_t next_seq, acked;
    int64_t commit_ms; /* when COMMIT was sent last */
    bool commit_due;
    bool held; /* after a retriable error the host waits for a CREDIT */
} source;

static int64_t now_ms(void)
{
    return rc_mono_ms(rc_clock_real());
}

/* ---- what the host asks --------------------------------------------------------------------- */

static int out_offset(source *s, rc_buf *out, const omc_map *partition, omc_arena *arena,
                      rc_error *err)
{
    const omc_map *offset = NULL;
    int r = s->ctx->read_offset(s->ctx->host, partition, arena, &offset, err);

    if (r < 0)
        return r;
    rc_out_u8(out, offset != NULL);
    if (offset)
        rc_out_map(out, &s->guest.ids, offset);
    return 0;
}

static void read_offsets(source *s, const rc_frame *f)
{
    rc_buf out = RC_BUF(RC_WIRE_FRAME_MAX);
    rc_error err = {0};
    rc_arena arena;
    rc_wire_in in;
    uint32_t count;
    int r = 0;

    rc_arena_init(&arena, 4096);
    rc_in_init(&in, rc_frame_payload(f), &arena.pub);
    count = rc_in_count(&in, 4, 65536);
    rc_channel_begin(&out);
    rc_out_u32(&out, count);
    for (uint32_t i = 0; i < count && r == 0 && !in.fault; i++) {
        const omc_map *partition = rc_in_map(&in);

        if (!in.fault)
            r = out_offset(s, &out, partition, &arena.pub, &err);
    }
    if (rc_guest_check(&s->guest, &in, RC_FRAME_OFFSET_READ, NULL) == 0) {
        if (r < 0)
            rc_guest_reply(&s->guest, f, r, &err);
        else
            (void)rc_channel_send(s->guest.channel, RC_FRAME_OFFSET_READ, RC_WIRE_REPLY,
                                  f->head.request, &out, NULL);
    }
    rc_arena_release(&arena);
    rc_buf_release(&out);
}

static void upcall(void *arg, const rc_frame *f)
{
    source *s = arg;

    if (rc_guest_take(&s->guest, f, s->ctx->count, s->ctx->host))
        return;
    if (f->head.type == RC_FRAME_OFFSET_READ)
        read_offsets(s, f);
    else if (f->head.type == RC_FRAME_FINISHED)
        s->guest.finished = true;
    /* A BATCH that comes while the task stops is polled again from its position. */
}

/* ---- start ---------------------------------------------------------------------------------- */

static int init(void *task, const omc_source_context *ctx, omc_error *err)
{
    source *s = task;
    const rc_channel_config setup = {.kind = RC_CHANNEL_SOURCE, .upcall = upcall, .arg = s};

    s->ctx = ctx;
    return rc_guest_open(&s->guest, ctx->config, ctx->connector, ctx->task, &setup, err);
}

/* The keys were checked by the worker's own table. */
static void read_limits(source *s)
{
    const omc_keyvalue *raw = s->ctx->config->raw;
    rc_arena arena;

    rc_arena_init(&arena, 256);
    s->records_max = RECORDS_MAX;
    s->bytes_max = BYTES_MAX;
    (void)rc_parse_int64(omc_slice_str(rc_kv_text(raw, "batch.records.max", "", &arena.pub)),
                         &s->records_max);
    (void)rc_parse_size(omc_slice_str(rc_kv_text(raw, "batch.bytes.max", "", &arena.pub)),
                        &s->bytes_max);
    rc_arena_release(&arena);
}

static int give_credit(source *s, int64_t records, int64_t bytes, rc_error *err)
{
    rc_channel_begin(&s->guest.out);
    rc_out_u64(&s->guest.out, (uint64_t)records);
    rc_out_u64(&s->guest.out, (uint64_t)bytes);
    rc_channel_credit(s->guest.channel, records, bytes);
    return rc_channel_send(s->guest.channel, RC_FRAME_CREDIT, 0, 0, &s->guest.out, err);
}

static int start(void *task, omc_error *err)
{
    source *s = task;
    const rc_hosted *hosted = s->guest.hosted;
    rc_start start = {.kind = OMC_SOURCE,
                      .class_name = hosted->class_name,
                      .location = hosted->location,
                      .connector = s->ctx->connector,
                      .task = s->ctx->task,
                      .config = s->ctx->config->raw,
                      .task_id = (uint32_t)s->ctx->task_id,
                      .task_count = (uint32_t)s->ctx->task_count};
    int r;

    read_limits(s);
    start.records_max = (uint32_t)s->records_max;
    start.bytes_max = (uint32_t)s->bytes_max;
    start.connector_instance = rc_host_instance(s->guest.host, s->ctx->connector);
    s->next_seq = 1;
    r = rc_guest_start(&s->guest, RC_FRAME_TASK_START, &start, "start", err);
    return r < 0 ? r : give_credit(s, WINDOW * s->records_max, WINDOW * s->bytes_max, err);
}

/* ---- poll ----------------------------------------------------------------------------------- */

/* The rules of a batch that its bytes do not show. */
static void check_batch(source *s, rc_wire_in *in, uint64_t seq, size_t count, size_t bytes)
{
    if (in->fault)
        return;
    if (s->guest.finished)
        rc_in_fault(in, "after-finished");
    else if (seq != s->next_seq || count == 0)
        rc_in_fault(in, "wrong-sequence");
    else if ((int64_t)count > s->records_max || (count > 1 && (int64_t)bytes > s->bytes_max))
        rc_in_fault(in, "credit-exceeded");
}

static int take_batch(source *s, const rc_frame *f, omc_batch *out, rc_error *err)
{
    size_t len = f->head.length, count;
    char *copy = omc_copy(out->arena, f->payload, len);
    rc_wire_in in;
    uint64_t seq;
    int r;

    rc_in_init(&in, omc_slice_of(copy, len), out->arena);
    in.schemas = &s->guest.schemas;
    seq = rc_in_u64(&in);
    count = rc_in_records(&in, out, UINT32_MAX);
    check_batch(s, &in, seq, count, len);
    r = rc_guest_check(&s->guest, &in, RC_FRAME_BATCH, err);
    if (r < 0) {
        out->count = 0;
        return r;
    }
    s->next_seq += count;
    r = give_credit(s, (int64_t)count, (int64_t)len, err);
    return r < 0 ? r : (int)count;
}

static int send_commit(source *s, rc_error *err)
{
    s->commit_due = false;
    s->commit_ms = now_ms();
    rc_channel_begin(&s->guest.out);
    return rc_channel_send(s->guest.channel, RC_FRAME_COMMIT, 0, 0, &s->guest.out, err);
}

/* How long to wait for the next frame: the caller's time, a COMMIT that is due, the watchdog. */
static int64_t wait_ms(const source *s, int64_t deadline)
{
    const rc_hosts_config *config = rc_hosts_settings(s->guest.hosted->hosts);
    int64_t until = deadline;

    if (s->commit_due)
        until = RC_MIN(until, s->commit_ms + COMMIT_MS);
    if (config->poll_timeout_ms > 0)
        until = RC_MIN(until, now_ms() + config->heartbeat_ms);
    return until == INT64_MAX ? -1 : RC_MAX(until - now_ms(), 0);
}

static int watch_poll(source *s, rc_error *err)
{
    int64_t max = rc_hosts_settings(s->guest.hosted->hosts)->poll_timeout_ms;

    if (max <= 0 || rc_channel_in_call(s->guest.channel, "poll") < max)
        return 0;
    return rc_channel_overdue(s->guest.channel, "poll", max, err);
}

/* One frame or a pause. @return 1 = took a batch, 0 = go on, 2 = the caller wants us back. */
static int one(source *s, omc_batch *out, int64_t deadline, rc_error *err)
{
    RC_AUTO(rc_frame) f = NULL;
    int r = rc_channel_wait(s->guest.channel, s->ctx->wake_fd, wait_ms(s, deadline), &f, err);

    if (r == 1 && f->head.type == RC_FRAME_BATCH) {
        r = take_batch(s, f, out, err);
        return r < 0 ? r : 1;
    }
    if (r < 0 || r == 2)
        return r;
    if (r == 1)
        upcall(s, f);
    if (s->commit_due && now_ms() >= s->commit_ms + COMMIT_MS && (r = send_commit(s, err)) < 0)
        return r;
    r = watch_poll(s, err);
    if (r < 0)
        return r;
    return f || now_ms() < deadline ? 0 : 2;
}

static int poll_host(void *task, omc_batch *out, int64_t timeout_ms, omc_error *err)
{
    source *s = task;
    int64_t deadline = timeout_ms < 0 ? INT64_MAX : now_ms() + timeout_ms;
    int r = 0;

    if (s->held) {
        s->held = false;
        r = give_credit(s, 0, 0, err);
    }
    while (r == 0) {
        r = rc_guest_failed(&s->guest, err);
        if (r < 0)
            s->held = true;
        else if (s->guest.finished)
            r = OMC_FINISHED;
        else
            r = one(s, out, deadline, err);
    }
    if (r == 2)
        return 0;
    return r == 1 ? (int)out->count : r;
}

/* ---- commit and stop ------------------------------------------------------------------------ */

static int commit(void *task, const omc_batch *batch, const omc_send_result *results,
                  omc_error *err)
{
    source *s = task;
    int r;

    rc_channel_begin(&s->guest.out);
    rc_out_u64(&s->guest.out, s->acked + 1);
    rc_out_results(&s->guest.out, results, batch->count);
    s->acked += batch->count;
    r = rc_channel_send(s->guest.channel, RC_FRAME_ACK, 0, 0, &s->guest.out, err);
    if (r < 0)
        return r;
    if (now_ms() >= s->commit_ms + COMMIT_MS)
        return send_commit(s, err);
    s->commit_due = true;
    return 0;
}

static void stop(void *task)
{
    source *s = task;

    if (s->commit_due && s->guest.channel)
        (void)send_commit(s, NULL);
    rc_guest_close(&s->guest);
}

const omc_source_ops rc_hosted_source_ops = {
    .size = sizeof(omc_source_ops),
    .connector_state_size = sizeof(rc_hosted_connector),
    .task_state_size = sizeof(source),
    .validate = rc_hosted_validate,
    .connector_start = rc_hosted_connector_start,
    .task_configs = rc_hosted_task_configs,
    .connector_stop = rc_hosted_connector_stop,
    .init = init,
    .start = start,
    .poll = poll_host,
    .commit = commit,
    .stop = stop,
};
