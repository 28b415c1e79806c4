/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The producer at full speed, from one thread: messages of one size, round robin over the queues of
 * a topic, until the count is reached and all is answered. Prints one line of key=value with this
 * process's CPU; run it beside `limit append`, the mark without a client.
 *
 *   producer_bench NAMESRV TOPIC COUNT BYTES [WINDOW [LINGER_MS]]
 */
#include <rocketmq/rocketmq.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static _Atomic int64_t failed;

static double seconds(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void on_sent(void *arg, const rmq_send_result *result)
{
    (void)arg;
    if (result->result == 0)
        return;
    if (atomic_fetch_add(&failed, 1) == 0)
        (void)fprintf(stderr, "failed: %s\n", result->err->msg);
}

static void on_log(void *arg, enum rmq_log_level level, const char *text)
{
    (void)arg;
    if (level >= RMQ_LOG_WARN)
        (void)fprintf(stderr, "%s\n", text);
}

static void must(int r, const rmq_error *err)
{
    if (r >= 0)
        return;
    (void)fprintf(stderr, "%s\n", err->msg);
    exit(1);
}

int main(int argc, char **argv)
{
    static char body[RMQ_BODY_MAX];
    rmq_client_config client_config = {.log = on_log};
    rmq_producer_config config = {.create_from = "TBW102"};
    rmq_client *client;
    rmq_producer *producer;
    rmq_client_stats stats;
    rmq_error err = {0};
    int64_t count, i;
    double began, cpu;
    rmq_target target = {0};
    rmq_message message = {0};

    if (argc < 5) {
        (void)fprintf(stderr, "usage: %s NAMESRV TOPIC COUNT BYTES [WINDOW [LINGER_MS]]\n",
                      argv[0]);
        return 2;
    }
    client_config.namesrv = argv[1];
    target.topic = argv[2];
    count = strtoll(argv[3], NULL, 10);
    message.body = (rmq_slice){body, strtoul(argv[4], NULL, 10)};
    config.window = argc > 5 ? (int)strtol(argv[5], NULL, 10) : 1;
    config.linger_ms = argc > 6 ? strtoll(argv[6], NULL, 10) : 0;
    memset(body, 'x', sizeof body);
    must(rmq_client_open(&client_config, &client, &err), &err);
    must(rmq_producer_open(client, &config, &producer, &err), &err);
    must(rmq_producer_send_wait(producer, &target, &message, NULL, &err), &err);
    began = seconds(CLOCK_MONOTONIC);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (i = 0; i < count; i++)
        must(rmq_producer_send(producer, &target, &message, -1, on_sent, NULL, &err), &err);
    must(rmq_producer_flush(producer, -1, &err), &err);
    began = seconds(CLOCK_MONOTONIC) - began;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    rmq_client_stats_get(client, &stats);
    (void)printf("messages=%lld seconds=%.2f messages_per_s=%.0f cpu_s_per_million=%.3f "
                 "requests=%lld retries=%lld failed=%lld\n",
                 (long long)count, began, (double)count / began, cpu * 1e6 / (double)count,
                 (long long)stats.sent_batches, (long long)stats.retries, (long long)failed);
    rmq_producer_close(producer, 10000);
    rmq_client_close(client);
    return failed ? 1 : 0;
}
