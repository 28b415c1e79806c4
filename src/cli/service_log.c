/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can pass by itself is waited for: nobody answers, brokers are not registered yet. What
 * somebody has to change first (an address, a refusal, a certificate) is an error at once; the
 * client marks which is which. A server that takes the connection and hangs up, time after time, is
 * one that wants TLS, or one that does not.
 */
#include "cli/service_log.h"

#include "base/diag.h"
#include "base/file.h"
#include "log/embedded.h"

#define COMPONENT "worker"
#define AGAIN_FIRST_MS 500
#define AGAIN_MAX_MS 5000
#define HANG_UPS_MAX 3

void rc_log_opening_init(rc_log_opening *opening)
{
    (void)pthread_mutex_init(&opening->mu, NULL);
    rc_cond_init(&opening->cond);
    atomic_init(&opening->cancel, false);
}

void rc_log_opening_release(rc_log_opening *opening)
{
    (void)pthread_cond_destroy(&opening->cond);
    (void)pthread_mutex_destroy(&opening->mu);
}

void rc_log_opening_cancel(rc_log_opening *opening)
{
    (void)pthread_mutex_lock(&opening->mu);
    atomic_store(&opening->cancel, true);
    (void)pthread_cond_broadcast(&opening->cond);
    (void)pthread_mutex_unlock(&opening->mu);
}

rmq_client_config rc_log_client_config(const rc_worker_config *config)
{
    return (rmq_client_config){
        .namesrv = config->namesrv_addr,
        .access_key = config->acl_enable ? config->access_key : NULL,
        .secret_key = config->acl_enable ? config->secret_key : NULL,
        .tls = {.enable = config->tls_enable,
                .verify = config->tls_verify,
                .ca_file = config->tls_ca,
                .cert_file = config->tls_cert,
                .key_file = config->tls_key,
                .key_password = config->tls_key_password},
        .request_timeout_ms = config->request_timeout_ms,
    };
}

static int open_rocketmq(rc_log_opening *opening, rc_log **ret, rc_error *err)
{
    const rc_worker_config *config = opening->config;
    RC_AUTO_FREE char *folder = rc_path_join(config->store_dir, "config");
    RC_AUTO_FREE char *positions = rc_path_join(folder, "position.json"); /* as Java names it */
    const rc_rocketmq_config rocketmq = {
        .client = rc_log_client_config(config),
        .position_topic = config->position_topic,
        .position_file = positions,
        .create_topics = config->auto_create_topics,
        .clock = rc_clock_real(),
        .cancel = &opening->cancel,
    };
    int r = rc_mkdirs(folder, err);

    return r < 0 ? rc_wrap(err, r, "storePathRootDir") : rc_rocketmq_open(&rocketmq, ret, err);
}

static int open_embedded(const rc_worker_config *config, rc_log **ret, rc_error *err)
{
    const rc_embedded_config embedded = {
        .dir = config->log_dir,
        .keep_bytes = config->log_keep_bytes,
        .keep_ms = config->log_keep_ms,
        .segment_bytes = config->log_segment_bytes,
        .queues = (int32_t)config->log_queues,
        .clock = rc_clock_real(),
    };

    return rc_embedded_open(&embedded, ret, err);
}

/* @return false: canceled. */
static bool pause_ms(rc_log_opening *opening, int64_t ms)
{
    rc_clock *clock = rc_clock_real();
    int64_t until = rc_mono_ns(clock) + ms * 1000000;
    bool canceled;

    (void)pthread_mutex_lock(&opening->mu);
    while (!atomic_load(&opening->cancel) && rc_mono_ns(clock) < until)
        (void)clock->wait(clock, &opening->cond, &opening->mu, until);
    canceled = atomic_load(&opening->cancel);
    (void)pthread_mutex_unlock(&opening->mu);
    return !canceled;
}

static int canceled(rc_error *err)
{
    return rc_fail(err, OMC_ECANCELED, "stopped before the log was there");
}

static int wait_for_rocketmq(rc_log_opening *opening, rc_log **ret, rc_error *err)
{
    const int64_t began = rc_mono_ms(rc_clock_real());
    const int64_t limit = opening->config->log_wait_ms;
    int64_t again = AGAIN_FIRST_MS, waited = 0;
    int hang_ups = 0, r;

    while ((r = open_rocketmq(opening, ret, err)) < 0) {
        if (atomic_load(&opening->cancel))
            return canceled(err);
        waited = RC_MAX(rc_mono_ms(rc_clock_real()) - began, (int64_t)1);
        if (!opening->patient || !(err->flags & OMC_ERR_RETRIABLE))
            return r;
        hang_ups = r == -OMC_EIO ? hang_ups + 1 : 0;
        if (hang_ups == HANG_UPS_MAX)
            return rc_wrap(err, -(err->code = OMC_ECONNECT), "%d times in a row", hang_ups);
        if (limit && waited >= limit)
            return rc_wrap(err, r, "waited %lld ms (log.wait.max)", (long long)limit);
        opening->waits(opening->arg, err->msg);
        rc_warn(COMPONENT, "not ready, waiting for RocketMQ, which is tried again in %lld ms: %s",
                (long long)again, err->msg);
        if (!pause_ms(opening, limit ? RC_MIN(again, limit - waited) : again))
            return canceled(err);
        again = RC_MIN(2 * again, AGAIN_MAX_MS);
    }
    if (waited)
        rc_info(COMPONENT, "RocketMQ is there after %lld ms",
                (long long)(rc_mono_ms(rc_clock_real()) - began));
    return 0;
}

int rc_log_opening_run(rc_log_opening *opening, rc_log **ret, rc_error *err)
{
    if (strcmp(opening->config->log, "rocketmq") == 0)
        return wait_for_rocketmq(opening, ret, err);
    return open_embedded(opening->config, ret, err);
}
