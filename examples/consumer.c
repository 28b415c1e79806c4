/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a topic as a member of a group: ./consumer 127.0.0.1:9876 TOPIC GROUP [COUNT] */
#include <rocketmq/rocketmq.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static volatile sig_atomic_t stop;

static void on_signal(int signum)
{
    (void)signum;
    stop = 1;
}

int main(int argc, char **argv)
{
    rmq_client_config config = {.namesrv = argc > 1 ? argv[1] : NULL};
    rmq_consumer_config group = {.group = argc > 3 ? argv[3] : "example"};
    long left = argc > 4 ? strtol(argv[4], NULL, 10) : -1;
    rmq_client *client = NULL;
    rmq_consumer *consumer = NULL;
    rmq_error err = {0};
    rmq_fetch fetch;
    int r;

    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if ((r = rmq_client_open(&config, &client, &err)) == 0 &&
        (r = rmq_consumer_open(client, &group, &consumer, &err)) == 0)
        r = rmq_consumer_subscribe(consumer, argc > 2 ? argv[2] : "example", RMQ_FILTER_TAG, "*",
                                   &err);
    while (r >= 0 && !stop && left != 0) {
        r = rmq_consumer_fetch(consumer, 500, &fetch, &err);
        if (r != RMQ_FETCH_MESSAGES)
            continue;
        for (size_t i = 0; i < fetch.count; i++)
            printf("queue %d offset %lld: %.*s\n", fetch.queue.id,
                   (long long)fetch.messages[i].queue_offset, (int)fetch.messages[i].body.len,
                   fetch.messages[i].body.base);
        left -= left > 0 ? (long)(fetch.count > (size_t)left ? (size_t)left : fetch.count) : 0;
        rmq_fetch_release(consumer, &fetch); /* consumed: the next commit covers them */
    }
    if (r < 0)
        fprintf(stderr, "%s\n", err.msg);
    rmq_consumer_close(consumer); /* commits and leaves the group */
    rmq_client_close(client);
    return r < 0 ? 1 : 0;
}
