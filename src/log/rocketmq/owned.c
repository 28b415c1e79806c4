/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks of a cluster. A new owner begins with a record of its own in the position topic, under the
 * name "__rc.task/<connector>": the task, its generation, the process. Whoever reads the topic
 * later knows of that generation, whatever has become of the log of ownership (rules R7, R11, R13).
 * Positions need not be in it: each partition's record has its generation, and lower ones are void.
 *
 * Everything a fenced task sends to the position topic goes through lanes of its own, because lanes
 * have one gate, and a task that waits must not make others wait.
 */
#include "log/rocketmq/internal.h"

#include "record/json.h"

#include <inttypes.h>

#define TASK_PREFIX "__rc.task/"

static enum rmq_gate_state look(void *fence)
{
    switch (rc_fence_check(fence)) {
    case RC_FENCE_OPEN:
        return RMQ_GATE_OPEN;
    case RC_FENCE_CLOSED:
        return RMQ_GATE_CLOSED;
    case RC_FENCE_REVOKED:
        break;
    }
    return RMQ_GATE_SHUT;
}

rmq_gate rc_rmq_gate(rc_fence *fence)
{
    return (rmq_gate){look, fence};
}

bool rc_rmq_outranked(rc_fence *fence, int64_t generation)
{
    if (!fence || generation <= fence->generation)
        return false;
    rc_fence_outrank(fence, generation);
    return true;
}

int rc_rmq_fenced_write(rc_rocketmq *log, rc_fence *fence, const rc_position_record *records,
                        size_t count, const char *connector, rc_error *err)
{
    const rmq_gate gate = rc_rmq_gate(fence);
    rmq_lanes *lanes = NULL;
    int r;

    if (!fence)
        return rc_rmq_position_write(log, log->position_lanes, records, count, connector, err);
    r = rc_rmq_position_lanes(log, &gate, &lanes, err);
    if (r < 0)
        return r;
    r = rc_rmq_position_write(log, lanes, records, count, connector, err);
    rc_rmq_lanes_end(log, lanes);
    return r;
}

/* ---- records of tasks ------------------------------------------------------------------------ */

typedef struct task_keys {
    const char *connector;
    rc_slice partition, offset;
} task_keys;

static task_keys keys_of(const rc_task_name *name, const rc_fence *fence, omc_arena *arena)
{
    rc_buf text = RC_BUF((size_t)4096);
    task_keys keys = {.connector = rc_arena_format(arena, TASK_PREFIX "%s", name->connector)};

    rc_buf_str(&text, "{\"task\":");
    rc_json_write_string(omc_slice_str(name->task), &text);
    rc_buf_char(&text, '}');
    keys.partition = rc_arena_slice(arena, rc_buf_slice(&text));
    rc_buf_release(&text);
    if (fence)
        keys.offset = omc_slice_str(
            rc_arena_format(arena, "{\"incarnation\":\"%016" PRIx64 "\"}", fence->incarnation));
    return keys;
}

static bool same(rc_slice a, rc_slice b)
{
    return a.base && b.base && a.len == b.len && memcmp(a.base, b.base, a.len) == 0;
}

/* Nobody else has begun with our generation, or one above it. */
static int check(rc_rocketmq *log, const rc_task_name *name, const task_keys *keys, rc_fence *fence,
                 omc_arena *arena, rc_error *err)
{
    rc_position_record known;

    if (rc_position_table_get(log->table, keys->connector, keys->partition, arena, &known) &&
        (known.generation > fence->generation ||
         (known.generation == fence->generation && !same(known.offset, keys->offset))))
        rc_fence_outrank(fence, known.generation);
    return rc_fence_standing(fence) == RC_FENCE_REVOKED ? rc_fence_fail(fence, name->task, err) : 0;
}

int rc_rmq_take_over(rc_log *pub, const rc_task_name *name, rc_fence *fence, bool store,
                     rc_error *err)
{
    rc_rocketmq *log = rc_rocketmq_of(pub);
    rc_position_record record = {.generation = fence->generation, .number = 1};
    task_keys keys;
    rc_arena arena;
    int r = rc_position_table_sync(log->table, err);

    if (r < 0)
        return rc_wrap(err, r, "look for other owners of '%s'", name->task);
    rc_arena_init(&arena, 1024);
    keys = keys_of(name, fence, &arena.pub);
    r = check(log, name, &keys, fence, &arena.pub, err);
    if (r == 0 && store) {
        record.connector = omc_slice_str(keys.connector);
        record.partition = keys.partition;
        record.offset = keys.offset;
        r = rc_rmq_fenced_write(log, fence, &record, 1, keys.connector, err);
        if (r < 0)
            (void)rc_wrap(err, r, "store that '%s' begins with generation %" PRId64, name->task,
                          fence->generation);
    }
    rc_arena_release(&arena);
    return r;
}

int rc_rmq_generation(rc_log *pub, const rc_task_name *name, int64_t *ret, rc_error *err)
{
    rc_rocketmq *log = rc_rocketmq_of(pub);
    rc_position_record known;
    task_keys keys;
    rc_arena arena;
    int r = rc_position_table_sync(log->table, err);

    if (r < 0)
        return r;
    rc_arena_init(&arena, 1024);
    keys = keys_of(name, NULL, &arena.pub);
    *ret = rc_position_table_generation(log->table, name->connector);
    if (rc_position_table_get(log->table, keys.connector, keys.partition, &arena.pub, &known))
        *ret = RC_MAX(*ret, known.generation);
    if (name->group)
        *ret = RC_MAX(*ret,
                      rc_position_table_generation(log->table,
                                                   rc_arena_format(&arena.pub, RC_SINK_PREFIX "%s",
                                                                   name->group)));
    rc_arena_release(&arena);
    return 0;
}
