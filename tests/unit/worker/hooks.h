/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Connectors whose calls are functions of the test: hook-source and hook-sink do what `hooks` says,
 * and nothing where it says nothing. bare-source and bare-sink have poll and put alone.
 */
#ifndef RC_HOOKS_H
#define RC_HOOKS_H

#include <openmessaging/connect.h>

#include <stdatomic.h>

typedef struct hook_task {
    const omc_source_context *source; /* one of the two is set */
    const omc_sink_context *sink;
    int64_t next; /* for the test's own use */
} hook_task;

typedef struct toy_hooks {
    int (*validate)(const omc_config *config, omc_error *err);
    int (*connector_start)(const omc_connector_context *ctx, omc_error *err);
    int (*task_configs)(int max, omc_task_configs *out, omc_error *err);
    void (*connector_stop)(void);
    int (*start)(hook_task *task, omc_error *err);
    int (*poll)(hook_task *task, omc_batch *out, omc_error *err);
    int (*open)(hook_task *task, const omc_queue_offset *queues, size_t count, omc_error *err);
    int (*put)(hook_task *task, const omc_batch *batch, omc_error *err);
    int (*pre_commit)(hook_task *task, omc_queue_offset *offsets, size_t count, omc_error *err);
    void (*stop)(hook_task *task);
} toy_hooks;

/** Set before connectors exist; a new rig clears it. */
extern toy_hooks hooks;
extern const omc_plugin hook_source, hook_sink, bare_source, bare_sink;

/** Waits on the wake-up: what an idle source does. */
int hook_idle(hook_task *task);
/** Waits until the flag is set (10 s at most, then the program ends). */
void hook_wait(atomic_bool *flag);
void hook_wait_count(atomic_int *count, int at_least);
void hook_sleep(int ms);

#endif
