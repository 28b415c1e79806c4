/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commits of source positions, in rounds: what is acknowledged when a round begins becomes one
 * record per changed partition; the next round begins when all of them are acknowledged and the
 * interval is over. Records are made under the writer's lock and handed over in that order, so a
 * partition's records are stored in the order of its positions.
 */
#include "log/rocketmq/internal.h"

#define FENCE_LOOK_NS (INT64_C(100) * 1000000)

/* A record under way. */
typedef struct commit {
    rc_writer *writer;
    char *partition, *offset, *notes;
    int64_t generation, number;
} commit;

static rc_writer_position *position_of(rc_writer *writer, const char *partition)
{
    rc_writer_position *position;

    HASH_FIND_STR(writer->positions, partition, position);
    if (position)
        return position;
    position = rc_calloc(1, sizeof *position);
    position->partition = rc_strdup(partition);
    HASH_ADD_KEYPTR(hh, writer->positions, position->partition, strlen(partition), position);
    return position;
}

void rc_commit_take(rc_writer *writer, rc_append *append)
{
    if (writer->eo)
        rc_eo_covered(writer, append);
    for (uint32_t i = 0; i < append->position_count; i++) {
        rc_writer_position *position = position_of(writer, append->positions[i].partition);

        free(position->offset);
        position->offset = RC_TAKE(append->positions[i].offset);
        position->changed = true;
        free(append->positions[i].partition);
        append->positions[i].partition = NULL;
    }
}

void rc_commit_touch(rc_writer *writer, const char *partition)
{
    position_of(writer, partition)->changed = true;
}

bool rc_commit_renew(rc_writer *writer, const char *partition)
{
    rc_writer_position *position;

    HASH_FIND_STR(writer->positions, partition, position);
    if (!position)
        return false;
    position->changed = true;
    rc_commit_kick(writer);
    return true;
}

int rc_writer_given_up(const rc_writer *writer, rc_error *err)
{
    if (rc_fence_standing(writer->fence) == RC_FENCE_REVOKED)
        return rc_fence_fail(writer->fence, writer->name, err);
    return writer->fenced
               ? rc_fail(err, OMC_ECANCELED, "this task was given up, and another is in its place")
               : 0;
}

static void commit_free(commit *c)
{
    free(c->partition);
    free(c->offset);
    free(c->notes);
    free(c);
}

static rc_slice slice_or_none(const char *text)
{
    return text ? omc_slice_str(text) : omc_slice_of(NULL, 0);
}

/* The round is over: who waits looks, and the next one may begin. */
static void end_round(rc_writer *writer)
{
    if (writer->commit_result < 0) { /* not at once again */
        writer->commit_now = false;
        writer->committed_ns = rc_mono_ns(writer->log->clock);
    }
    (void)pthread_cond_broadcast(&writer->cond);
    rc_commit_kick(writer);
}

static void on_committed(void *arg, int result, const rc_error *err)
{
    commit *c = arg;
    rc_writer *writer = c->writer;
    rc_writer_position *position;
    rc_position_record record = {.connector = omc_slice_str(writer->connector),
                                 .partition = omc_slice_str(c->partition),
                                 .offset = slice_or_none(c->offset),
                                 .generation = c->generation,
                                 .number = c->number,
                                 .notes = slice_or_none(c->notes)};

    if (result == 0)
        rc_position_table_put(writer->log->table, &record);
    (void)pthread_mutex_lock(&writer->mu);
    HASH_FIND_STR(writer->positions, c->partition, position);
    RC_ASSERT(position); /* entries stay as long as the writer does */
    position->sending = false;
    if (result < 0) {
        position->changed = true; /* comes again with the next round */
        writer->commit_result = result;
        if (err)
            writer->commit_err = *err;
    }
    if (--writer->sending == 0)
        end_round(writer);
    (void)pthread_mutex_unlock(&writer->mu);
    commit_free(c);
}

/* A partition whose first note is written before its first position keeps what the table has. */
static char *offset_of(rc_writer *writer, const rc_writer_position *position, omc_arena *arena)
{
    rc_position_record now;

    if (position->offset)
        return rc_strdup(position->offset);
    if (rc_position_table_get(writer->log->table, writer->connector,
                              omc_slice_str(position->partition), arena, &now) &&
        now.offset.base)
        return rc_strndup(now.offset.base, now.offset.len);
    return NULL;
}

/* Of an owned task: it goes on behind what an earlier writer of the same generation has used. */
static int64_t next_number(rc_writer *writer, const rc_writer_position *position)
{
    int64_t number = writer->records + 1;
    rc_position_record now;
    rc_arena arena;

    rc_arena_init(&arena, 1024);
    if (rc_position_table_get(writer->log->table, writer->connector,
                              omc_slice_str(position->partition), &arena.pub, &now) &&
        now.generation == writer->fence->generation)
        number = RC_MAX(number, now.number + 1);
    rc_arena_release(&arena);
    return number;
}

static void send_one(rc_writer *writer, rc_writer_position *position)
{
    commit *c = rc_calloc(1, sizeof *c);
    rc_position_record record = {.connector = omc_slice_str(writer->connector)};
    rc_arena arena;

    rc_arena_init(&arena, 1024);
    c->writer = writer;
    c->partition = rc_strdup(position->partition);
    c->offset = offset_of(writer, position, &arena.pub);
    c->generation = -1;
    if (writer->fence) {
        c->generation = writer->fence->generation;
        c->number = writer->records = next_number(writer, position);
    }
    if (writer->eo) {
        rc_slice notes = rc_eo_notes(writer, position->partition, &arena.pub);
        rc_position_record now;

        /* All its records since the start were dropped on the way: the notes are another's. */
        if (!rc_eo_knows(writer, position->partition) &&
            rc_position_table_get(writer->log->table, writer->connector,
                                  omc_slice_str(position->partition), &arena.pub, &now))
            notes = now.notes;
        c->generation = rc_eo_generation(writer);
        c->number = writer->fence ? c->number : ++writer->records;
        c->notes = notes.base ? rc_strndup(notes.base, notes.len) : NULL;
    }
    rc_arena_release(&arena);
    record.partition = omc_slice_str(c->partition);
    record.offset = slice_or_none(c->offset);
    record.notes = slice_or_none(c->notes);
    record.generation = c->generation;
    record.number = c->number;
    position->changed = false;
    position->sending = true;
    writer->sending++;
    rc_position_submit(writer->log, writer->position_lanes, &record, 1, writer->connector,
                       on_committed, c);
}

/* The task belongs to somebody else: one in its place here, or another worker. */
static bool given_up(const rc_writer *writer)
{
    return writer->fenced || rc_fence_standing(writer->fence) == RC_FENCE_REVOKED;
}

/* Somebody has committed a position of ours with a higher generation. */
static bool outranked(rc_writer *writer)
{
    rc_writer_position *position, *next;
    bool is = false;
    rc_arena arena;

    if (!writer->fence)
        return false;
    rc_arena_init(&arena, 1024);
    HASH_ITER(hh, writer->positions, position, next)
    {
        rc_position_record now;

        if (!is && position->changed &&
            rc_position_table_get(writer->log->table, writer->connector,
                                  omc_slice_str(position->partition), &arena.pub, &now))
            is = rc_rmq_outranked(writer->fence, now.generation);
    }
    rc_arena_release(&arena);
    if (is) {
        (void)pthread_cond_broadcast(&writer->cond);
        if (writer->wake)
            rc_wake_set(writer->wake);
    }
    return is;
}

static bool anything_changed(const rc_writer *writer)
{
    const rc_writer_position *position;

    for (position = writer->positions; position; position = position->hh.next)
        if (position->changed)
            return true;
    return false;
}

static void on_timer(void *arg)
{
    rc_writer *writer = arg;

    (void)pthread_mutex_lock(&writer->mu);
    writer->timer_wanted = false;
    rc_commit_kick(writer);
    (void)pthread_mutex_unlock(&writer->mu);
}

static void arm_timer(void *arg)
{
    rc_writer *writer = arg;
    int64_t ms;

    (void)pthread_mutex_lock(&writer->mu);
    ms = writer->commit_interval_ms -
         (rc_mono_ns(writer->log->clock) - writer->committed_ns) / 1000000;
    (void)pthread_mutex_unlock(&writer->mu);
    if (!writer->timer)
        (void)rc_loop_timer_new(rmq_client_loop(writer->log->client), on_timer, writer,
                                &writer->timer);
    rc_loop_timer_set(writer->timer, RC_MAX(ms, (int64_t)0));
}

void rc_commit_kick(rc_writer *writer)
{
    rc_writer_position *position, *next;
    int64_t now = rc_mono_ns(writer->log->clock);

    if (given_up(writer) || writer->sending > 0 || (writer->closing && !writer->commit_now) ||
        !anything_changed(writer))
        return;
    if (!writer->commit_now &&
        now - writer->committed_ns < writer->commit_interval_ms * INT64_C(1000000)) {
        if (!writer->timer_wanted && !writer->closing) {
            writer->timer_wanted = true;
            rmq_client_post(writer->log->client, arm_timer, writer);
        }
        return;
    }
    if (outranked(writer))
        return;
    writer->commit_now = false;
    writer->committed_ns = now;
    writer->commit_result = 0;
    HASH_ITER(hh, writer->positions, position, next)
    {
        if (position->changed)
            send_one(writer, position);
    }
}

int rc_commit_wait(rc_writer *writer, int64_t deadline_ns, rc_error *err)
{
    rc_clock *clock = writer->log->clock;
    int r = 0;

    (void)pthread_mutex_lock(&writer->mu);
    while (r == 0 && (writer->sending > 0 || anything_changed(writer))) {
        writer->commit_now = true;
        rc_commit_kick(writer);
        r = rc_writer_given_up(writer, err); /* also because of what the kick has found */
        if (r < 0)
            break;
        if (rc_mono_ns(clock) >= deadline_ns) {
            r = rc_fail_retriable(err, OMC_ETIMEDOUT, "positions are not committed yet%s%s",
                                  writer->commit_result < 0 ? ": " : "",
                                  writer->commit_result < 0 ? writer->commit_err.msg : "");
            break;
        }
        /* Who revokes a fence does not know who waits. */
        (void)clock->wait(clock, &writer->cond, &writer->mu,
                          writer->fence ? RC_MIN(deadline_ns, rc_mono_ns(clock) + FENCE_LOOK_NS)
                                        : deadline_ns);
        if (writer->commit_result < 0 && writer->sending == 0) {
            *err = writer->commit_err;
            r = writer->commit_result;
        }
    }
    writer->commit_now = false;
    (void)pthread_mutex_unlock(&writer->mu);
    return r;
}
