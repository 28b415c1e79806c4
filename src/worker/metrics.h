/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Metrics of a task, as tables: code, /metrics and docs come from the two lists below.
 * Written by the task's thread with relaxed atomics, read by anybody.
 */
#ifndef RC_METRICS_H
#define RC_METRICS_H

#include "base/histogram.h"

/* X(id, name, type, help): rocketmq_connect_task_<name>{connector,task,type} */
#define RC_TASK_METRICS(X)                                                                        \
    X(POLLED, "records_polled_total", "counter", "Records a source task returned from poll.")     \
    X(POLLED_BYTES, "bytes_polled_total", "counter",                                              \
      "Message bytes of the records a source task made.")                                         \
    X(WRITTEN, "records_written_total", "counter", "Records stored in the log by a source task.") \
    X(WRITTEN_BYTES, "bytes_written_total", "counter", "Bytes stored in the log.")                \
    X(READ, "records_read_total", "counter", "Messages a sink task fetched from the log.")        \
    X(READ_BYTES, "bytes_read_total", "counter", "Bytes a sink task fetched from the log.")       \
    X(PUT, "records_put_total", "counter", "Records a sink task put into the target.")            \
    X(FILTERED, "records_filtered_total", "counter", "Records dropped by a transform.")           \
    X(SKIPPED, "records_skipped_total", "counter",                                                \
      "Records skipped because an error was tolerated.")                                          \
    X(ERRORS, "errors_total", "counter", "Failed operations, each try counted.")                  \
    X(RETRIES, "retries_total", "counter", "Operations tried again after a retriable error.")     \
    X(DEAD_LETTERS, "dead_letters_total", "counter", "Records written to the dead-letter topic.") \
    X(COMMITS, "commits_total", "counter", "Commits of positions or offsets that succeeded.")     \
    X(COMMIT_FAILURES, "commit_failures_total", "counter", "Commits that failed.")                \
    X(RESTARTS, "restarts_total", "counter", "Automatic restarts after a failure.")               \
    X(PENDING_BYTES, "pending_bytes", "gauge", "Bytes sent to the log and not yet acknowledged.") \
    X(LAG, "lag_records", "gauge",                                                                \
      "Sink: messages between its position and the end of its queues. -1 = unknown.")             \
    X(LAST_RECORD_MS, "last_record_timestamp_ms", "gauge",                                        \
      "When the task last moved a record; ms since 1970, 0 = never.")

/* X(id, name, help): histograms in seconds, rocketmq_connect_task_<name>_seconds */
#define RC_TASK_HISTOGRAMS(X)                                                   \
    X(POLL, "poll", "Time in poll that returned records.")                      \
    X(TRANSFORM, "transform", "Time to transform and convert one batch.")       \
    X(APPEND, "append", "From handing a batch to the log until it is durable.") \
    X(FETCH, "fetch", "Time to fetch a batch that was there.")                  \
    X(PUT_TIME, "put", "Time of one put.")                                      \
    X(COMMIT, "commit", "Time of one flush and commit.")

typedef enum rc_task_metric {
#define X(id, name, type, help) RC_TM_##id,
    RC_TASK_METRICS(X)
#undef X
        RC_TM_COUNT
} rc_task_metric;

typedef enum rc_task_histogram {
#define X(id, name, help) RC_TH_##id,
    RC_TASK_HISTOGRAMS(X)
#undef X
        RC_TH_COUNT
} rc_task_histogram;

/** A plugin's own counters (omc context `count`). */
#define RC_PLUGIN_COUNTERS_MAX 16
typedef struct rc_plugin_counter {
    char name[49];
    _Atomic int64_t value;
} rc_plugin_counter;

typedef struct rc_task_metrics {
    _Atomic int64_t values[RC_TM_COUNT];
    rc_histogram histograms[RC_TH_COUNT];
    rc_plugin_counter plugin[RC_PLUGIN_COUNTERS_MAX];
    _Atomic int plugin_count;
    _Atomic int refs; /**< Task, and views of it. */
} rc_task_metrics;

rc_task_metrics *rc_task_metrics_new(void);
rc_task_metrics *rc_task_metrics_ref(rc_task_metrics *metrics);
void rc_task_metrics_unref(rc_task_metrics *metrics);

static inline void rc_metric_add(rc_task_metrics *m, rc_task_metric id, int64_t n)
{
    atomic_fetch_add_explicit(&m->values[id], n, memory_order_relaxed);
}
static inline void rc_metric_set(rc_task_metrics *m, rc_task_metric id, int64_t n)
{
    atomic_store_explicit(&m->values[id], n, memory_order_relaxed);
}
static inline int64_t rc_metric_get(const rc_task_metrics *m, rc_task_metric id)
{
    return atomic_load_explicit(&m->values[id], memory_order_relaxed);
}

#endif
