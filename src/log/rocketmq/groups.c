/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offsets of sinks: in the group at the broker, as the Java runtime keeps them, so that tools show
 * the lag and a take-over goes on. What a sink remembers beside its offset (a file's length) and
 * the offset it belongs to are one record of the position topic, under the name
 * "__rc.sink/<group>", and the records of all queues of a task are one send: stored durably and as
 * one, which brokers' offsets are not.
 *
 * What the reader knows of barriers is in the same record. A sink without a state of its own has
 * one only for that: then the broker's offset is the one that counts, and is written first, since
 * what is known can be brought up to a later offset, but not back to an earlier one.
 */
#include "log/rocketmq/internal.h"

#include "base/diag.h"
#include "record/json.h"

/** Of a record of a sink's state, beside its texts: Base64 and JSON of its key, frame, properties.
 */
#define RECORD_OVERHEAD ((size_t)512)

int rc_rmq_group_ready(rc_rocketmq *log, const char *group, rc_error *err)
{
    rc_known_group *known;
    int r;

    (void)pthread_mutex_lock(&log->mu);
    HASH_FIND_STR(log->groups, group, known);
    (void)pthread_mutex_unlock(&log->mu);
    if (known)
        return 0;
    r = rmq_group_create(log->client, group, err);
    /* The second is a proxy's word: it makes neither topics nor groups. */
    if (r == -OMC_EACCES || r == -OMC_EUNSUPPORTED) {
        rc_warn("rocketmq", "group '%s' cannot be created, it should exist already: %s", group,
                err ? err->msg : "");
        r = 0;
    }
    if (r < 0)
        return rc_wrap(err, r, "create group '%s'", group);
    (void)pthread_mutex_lock(&log->mu);
    HASH_FIND_STR(log->groups, group, known);
    if (!known) {
        known = rc_calloc(1, sizeof *known);
        known->name = rc_strdup(group);
        HASH_ADD_KEYPTR(hh, log->groups, known->name, strlen(known->name), known);
    }
    (void)pthread_mutex_unlock(&log->mu);
    return 0;
}

static rc_slice partition_text(const rc_topic *topic, int32_t queue, omc_arena *arena)
{
    return rc_json_of_map(rc_origin_partition(topic->name, topic->queues[queue].broker,
                                              topic->queues[queue].id, arena),
                          arena);
}

/* ---- commit ---------------------------------------------------------------------------------- */

static bool has_state(rc_rocketmq *log, const char *name, rc_slice partition, omc_arena *arena)
{
    rc_position_record now;

    return rc_position_table_get(log->table, name, partition, arena, &now) && now.offset.base;
}

static rc_slice record_text(const rc_commit *commit, omc_arena *arena)
{
    const char *state = "", *barriers = "";

    if (commit->state.base)
        state = rc_arena_format(arena, ",\"state\":" RC_SLICE_FMT, RC_SLICE_ARG(commit->state));
    if (commit->barriers.base) /* plain ASCII */
        barriers = rc_arena_format(arena, ",\"barriers\":\"" RC_SLICE_FMT "\"",
                                   RC_SLICE_ARG(commit->barriers));
    return omc_slice_str(rc_arena_format(arena, "{\"queueOffset\":\"%lld\"%s%s}",
                                         (long long)commit->offset, state, barriers));
}

/* The record of one queue. @return false: there is nothing to be written. */
static bool state_of(rc_rocketmq *log, const char *name, rc_fence *fence, const rc_commit *commit,
                     omc_arena *arena, rc_position_record *ret)
{
    rc_position_record now = {.generation = 0};

    *ret = (rc_position_record){.connector = omc_slice_str(name),
                                .partition = partition_text(commit->topic, commit->queue, arena)};
    /* Numbered, so that an older one that is written again (positions_keep.c) stays older. */
    (void)rc_position_table_get(log->table, name, ret->partition, arena, &now);
    ret->generation = now.generation + 1;
    if (fence) { /* ranked by the owner */
        ret->generation = fence->generation;
        ret->number = atomic_load(&fence->numbered) + 1;
        if (now.generation == fence->generation)
            ret->number = RC_MAX(ret->number, now.number + 1);
        rc_fence_number(fence, ret->number);
    }
    if (commit->offset < 0 || (!commit->state.base && !commit->barriers.base))
        return has_state(log, name, ret->partition, arena);
    ret->offset = record_text(commit, arena);
    return true;
}

/* A state may stand for several queues (a file's length for all that is in it): the records of all
 * queues are stored in one send, or a crash in between would join new states and old offsets. */
static int write_states(rc_rocketmq *log, const char *name, rc_fence *fence,
                        const rc_commit *commits, size_t count, bool barriers_only,
                        omc_arena *arena, rc_error *err)
{
    rc_position_record *records = omc_alloc(arena, (count + 1) * sizeof *records);
    size_t n = 0, bytes = 0;

    for (size_t i = 0; i < count; i++) {
        bool only = !commits[i].state.base && commits[i].barriers.base;

        if (only != barriers_only || !state_of(log, name, fence, &commits[i], arena, &records[n]))
            continue;
        bytes +=
            RECORD_OVERHEAD + 2 * (strlen(name) + records[n].partition.len) + records[n].offset.len;
        n++;
    }
    if (bytes > RC_POSITION_SEND_MAX)
        return rc_fail(err, OMC_EUNSUPPORTED,
                       "the states a sink keeps with the offsets of %zu queues are %zu bytes "
                       "together, at most %zu can be stored at once: use more tasks",
                       n, bytes, RC_POSITION_SEND_MAX);
    return n ? rc_rmq_fenced_write(log, fence, records, n, name, err) : 0;
}

/* A queue that another owner has committed with a higher generation is not ours. */
static int check_ranks(rc_rocketmq *log, const char *name, rc_fence *fence,
                       const rc_commit *commits, size_t count, omc_arena *arena, rc_error *err)
{
    rc_position_record now;

    for (size_t i = 0; fence && i < count; i++)
        if (rc_position_table_get(log->table, name,
                                  partition_text(commits[i].topic, commits[i].queue, arena), arena,
                                  &now) &&
            rc_rmq_outranked(fence, now.generation))
            return rc_fence_fail(fence, "offsets", err);
    return 0;
}

int rc_rmq_commit(rc_log *pub, const char *group, rc_fence *fence, const rc_commit *commits,
                  size_t count, rc_error *err)
{
    rc_rocketmq *log = rc_rocketmq_of(pub);
    const rmq_gate gate = rc_rmq_gate(fence);
    rc_arena arena;
    const char *name;
    int r = rc_rmq_group_ready(log, group, err);

    rc_arena_init(&arena, 4096);
    name = rc_arena_format(&arena.pub, RC_SINK_PREFIX "%s", group);
    if (r == 0)
        r = check_ranks(log, name, fence, commits, count, &arena.pub, err);
    if (r == 0)
        r = write_states(log, name, fence, commits, count, false, &arena.pub, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        const rmq_queue *queue = &commits[i].topic->queues[commits[i].queue];
        int64_t offset = commits[i].offset;

        if (offset < 0) /* brokers cannot forget one queue's: it begins at the start */
            r = rmq_offset_min(log->client, queue, &offset, err);
        if (r == 0)
            r = rmq_offset_commit_gated(log->client, group, queue, offset, fence ? &gate : NULL,
                                        err);
    }
    if (r == 0)
        r = write_states(log, name, fence, commits, count, true, &arena.pub, err);
    rc_arena_release(&arena);
    return r < 0 ? rc_wrap(err, r, "group '%s'", group) : 0;
}

/* ---- committed ------------------------------------------------------------------------------- */

static const omc_value *member(const omc_map *map, const char *name)
{
    for (size_t i = 0; i < map->count; i++)
        if (map->entries[i].key.kind == OMC_STRING &&
            omc_slice_is(map->entries[i].key.u.bytes, name))
            return &map->entries[i].value;
    return NULL;
}

/* `ret_state` stays as it is when the record is there for the barriers only. */
static int read_state(rc_slice text, omc_arena *arena, int64_t *ret_offset, rc_slice *ret_state,
                      rc_error *err)
{
    const omc_map *map;
    const omc_value *offset, *state;
    int r = rc_json_to_map(text, arena, &map, err);

    if (r < 0)
        return r;
    offset = member(map, "queueOffset");
    state = member(map, "state");
    if (!offset || !omc_value_int64(offset, ret_offset) || (state && state->kind != OMC_MAP) ||
        (!state && !member(map, "barriers")))
        return rc_fail(err, OMC_EFORMAT, "the sink's state in the position topic is damaged");
    if (state)
        *ret_state = rc_json_of_map(state->u.map, arena);
    return 0;
}

/* The record of a queue, when it has one. */
static bool find_record(rc_rocketmq *log, const char *group, const rc_topic *topic, int32_t queue,
                        omc_arena *arena, rc_position_record *ret)
{
    return rc_position_table_get(log->table, rc_arena_format(arena, RC_SINK_PREFIX "%s", group),
                                 partition_text(topic, queue, arena), arena, ret) &&
           ret->offset.base;
}

rc_slice rc_rmq_barriers_of(rc_rocketmq *log, const char *group, const rc_topic *topic,
                            int32_t queue, omc_arena *arena)
{
    rc_position_record record;
    const omc_value *barriers;
    const omc_map *map;

    if (!find_record(log, group, topic, queue, arena, &record) ||
        rc_json_to_map(record.offset, arena, &map, NULL) < 0)
        return omc_slice_of(NULL, 0);
    barriers = member(map, "barriers");
    return barriers && barriers->kind == OMC_STRING ? barriers->u.bytes : omc_slice_of(NULL, 0);
}

int rc_rmq_committed(rc_log *pub, const char *group, rc_topic *topic, int32_t queue,
                     omc_arena *arena, int64_t *ret_offset, rc_slice *ret_state, rc_error *err)
{
    rc_rocketmq *log = rc_rocketmq_of(pub);
    const rmq_queue *at = &topic->queues[queue];
    rc_position_record record = {0};
    int64_t broker = -1, own = 0;
    int r = rc_position_table_sync(log->table, err);

    *ret_state = omc_slice_of(NULL, 0);
    if (r == 0)
        r = rmq_offset_committed(log->client, group, at, &broker, err);
    if (r < 0 && r != -OMC_ENOTFOUND) /* no such group yet: no offset */
        return r;
    *ret_offset = broker;
    if (!find_record(log, group, topic, queue, arena, &record))
        return 0;
    r = read_state(record.offset, arena, &own, ret_state, err);
    if (r < 0 || (!ret_state->base && broker >= 0)) /* only the barriers are our own */
        return r;
    *ret_offset = own;
    if (broker >= 0 && broker != own)
        rc_warn("rocketmq",
                "group '%s', topic '%s', queue %d of broker '%s': the broker's offset is %lld, the "
                "sink's own state belongs to %lld, which is used; to begin anew stop the "
                "connector and forget both (connector offsets NAME --reset)",
                group, topic->name, at->id, at->broker, (long long)broker, (long long)own);
    return 0;
}

int rc_rmq_group_delete(rc_log *pub, const char *group, rc_error *err)
{
    rc_rocketmq *log = rc_rocketmq_of(pub);
    RC_AUTO_FREE char *name = rc_format(RC_SINK_PREFIX "%s", group);
    rc_known_group *known;
    int r = rc_rmq_position_set(pub, name, omc_slice_of(NULL, 0), omc_slice_of(NULL, 0), err);

    if (r == 0)
        r = rmq_group_delete(log->client, group, err);
    (void)pthread_mutex_lock(&log->mu);
    HASH_FIND_STR(log->groups, group, known);
    if (known) {
        HASH_DEL(log->groups, known);
        free(known->name);
        free(known);
    }
    (void)pthread_mutex_unlock(&log->mu);
    return r == -OMC_ENOTFOUND ? 0 : r;
}
