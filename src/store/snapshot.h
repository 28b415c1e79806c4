/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The shared state in a file: what a worker keeps on its disk, and what `cluster export` writes
 * and `cluster import` reads. One JSON object, for people too. Any thread.
 *
 *   {"format": "rocketmq-connect cluster state", "version": 1, "secrets": "plain" | "masked",
 *    "topic": "connector-config-topic",
 *    "queues": [{"broker": "broker-a", "queue": 0, "next": 123}],
 *    "connectors": [{"name": ..., "target": "STARTED", "version": 3, "incarnation": 1,
 *                    "rank": 5, "epoch": ..., "changed": ..., "config": {...},
 *                    "tasks": {"generation": 1, "number": 0, "version": 3, "configs": [{...}]}},
 *                   {"name": ..., "deleted": true, ...}]}
 *
 * States of connectors and tasks are not in it: they are of the moment.
 */
#ifndef RC_STORE_SNAPSHOT_H
#define RC_STORE_SNAPSHOT_H

#include "base/buf.h"
#include "store/shared.h"

#define RC_SNAPSHOT_BYTES_MAX ((size_t)256 << 20)

/** How far a queue of the config topic was read. */
typedef struct rc_snapshot_queue {
    const char *broker;
    int32_t id;
    int64_t next;
} rc_snapshot_queue;

typedef struct rc_snapshot {
    const char *topic; /**< "" = not said. */
    bool masked;       /**< Secrets were left out. */
    const rc_snapshot_queue *queues;
    size_t queue_count;
} rc_snapshot;

/** A copy of `config` without its secrets, in the arena; NULL-able hook of rc_snapshot_write(). */
typedef const omc_keyvalue *rc_mask_fn(void *arg, const omc_keyvalue *config, omc_arena *arena);

/** Appends the state; `head` says the rest. `mask` NULL = secrets are written. */
void rc_snapshot_write(rc_shared *shared, const rc_snapshot *head, rc_mask_fn *mask, void *arg,
                       rc_buf *out);
/**
 * Reads one and folds it into `shared`, as records that are written again.
 * @param[out] ret  In the arena.
 * @return 0; -OMC_EFORMAT (no such file, or damaged: says where); -OMC_EUNSUPPORTED (a newer
 *         program's). `shared` may have a part of it then.
 */
int rc_snapshot_read(rc_slice text, rc_shared *shared, omc_arena *arena, rc_snapshot *ret,
                     rc_error *err);

/** Reads a file. -OMC_ENOTFOUND when there is none. */
int rc_snapshot_load(const char *path, rc_shared *shared, omc_arena *arena, rc_snapshot *ret,
                     rc_error *err);
/** Writes one that only its owner may read, whole or not at all. */
int rc_snapshot_save(const char *path, rc_slice text, rc_error *err);

#endif
