/* SPDX-License-Identifier: Apache-2.0 */
/** A fake source cluster, and a replicator task or connector on it. */
#ifndef REPLICATOR_BENCH_H
#define REPLICATOR_BENCH_H

#include "unit.h"

#include "connector_host/host.h"
#include "fakemq.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern const omc_plugin replicator_source_plugin;

typedef struct bench {
    fakemq *mq;
    test_host host;
    test_batch *batch; /* of the last poll that brought something */
    char endpoint[256];
} bench;

static inline const omc_source_ops *bench_ops(void)
{
    return replicator_source_plugin.ops;
}

static inline bench *bench_new(const fakemq_config *config)
{
    bench *b = calloc(1, sizeof *b);

    b->mq = fakemq_start(config);
    (void)snprintf(b->endpoint, sizeof b->endpoint, "src.endpoint=%s", fakemq_namesrv(b->mq));
    return b;
}

static inline void bench_drop_batch(bench *b)
{
    if (b->batch)
        test_batch_free(b->batch);
    b->batch = NULL;
}

/** Ends the task, if there is one, so that another can be started. */
static inline void bench_end(bench *b)
{
    bench_drop_batch(b);
    if (b->host.plugin)
        test_host_release(&b->host);
    b->host.plugin = NULL;
}

static inline void bench_free(bench *b)
{
    bench_end(b);
    fakemq_stop(b->mq);
    free(b);
}

/** Options are "key=value"; the task reads `queues` ("T/broker-0/1/1;..."). @return of start */
static inline int bench_task(bench *b, const char *topics, const char *queues, const char *more)
{
    char topics_text[256], queues_text[512];
    const char *config[] = {b->endpoint, topics_text, queues_text, more, NULL};

    (void)snprintf(topics_text, sizeof topics_text, "src.topictags=%s", topics);
    (void)snprintf(queues_text, sizeof queues_text, "divided.normalqueues=%s", queues);
    test_host_init(&b->host, &replicator_source_plugin, config);
    return test_host_start(&b->host);
}

static inline void bench_start(bench *b, const char *topics, const char *queues, const char *more)
{
    if (bench_task(b, topics, queues, more) < 0)
        fail_msg("start: %s", b->host.err.msg);
}

static inline int64_t bench_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/** Polls until records come or an error; 20 s at most. @return their number, or < 0 with host.err
 */
static inline int bench_poll(bench *b)
{
    int64_t end = bench_now_ms() + 20000;
    int r = 0;

    while (r == 0 && bench_now_ms() < end) {
        bench_drop_batch(b);
        b->batch = test_batch_new(10000, 16 << 20);
        memset(&b->host.err, 0, sizeof b->host.err);
        r = bench_ops()->poll(b->host.task, &b->batch->pub, 200, &b->host.err);
    }
    return r;
}

static inline const omc_record *bench_record(const bench *b, size_t i)
{
    assert_true(i < b->batch->pub.count);
    return omc_batch_at(&b->batch->pub, i);
}

/** Property of a record; "" when it has none of the name. */
static inline omc_slice bench_property(const omc_record *record, const char *name)
{
    for (size_t i = 0; i < record->properties->count; i++)
        if (omc_slice_is(record->properties->pairs[i].key, name))
            return record->properties->pairs[i].value;
    return omc_slice_str("");
}

#endif
