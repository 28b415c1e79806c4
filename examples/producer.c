/* SPDX-License-Identifier: Apache-2.0 */
/* Sends COUNT messages: ./producer 127.0.0.1:9876 TOPIC COUNT */
#include <rocketmq/rocketmq.h>

#include <stdio.h>
#include <stdlib.h>

/* Once per message, in order within a queue, on the client's own thread: must not block. */
static void on_sent(void *arg, const rmq_send_result *sent)
{
    long *failed = arg;

    if (sent->result < 0) {
        ++*failed;
        fprintf(stderr, "not stored: %s\n", sent->err->msg);
    }
}

int main(int argc, char **argv)
{
    rmq_client_config config = {.namesrv = argc > 1 ? argv[1] : NULL};
    rmq_producer_config defaults = {0};
    rmq_target to = {.topic = argc > 2 ? argv[2] : "example"};
    long count = argc > 3 ? strtol(argv[3], NULL, 10) : 10, failed = 0;
    rmq_client *client = NULL;
    rmq_producer *producer = NULL;
    rmq_error err = {0};

    if (rmq_client_open(&config, &client, &err) < 0 ||
        rmq_producer_open(client, &defaults, &producer, &err) < 0)
        fprintf(stderr, "%s\n", err.msg);
    for (long i = 0; producer && i < count; i++) {
        char text[64], key[32];
        int len = snprintf(text, sizeof(text), "hello %ld", i);
        rmq_message message = {.body = {text, (size_t)len}, .keys = {key, 0}};

        message.keys.len = (size_t)snprintf(key, sizeof(key), "order-%ld", i % 7);
        to.key = message.keys; /* same key, same queue, in order */
        if (rmq_producer_send(producer, &to, &message, -1, on_sent, &failed, &err) < 0) {
            failed++;
            fprintf(stderr, "not sent: %s\n", err.msg);
        }
    }
    rmq_producer_close(producer, 10000); /* waits for what is under way */
    rmq_client_close(client);
    printf("%ld sent, %ld failed\n", count - failed, failed);
    return !producer || failed ? 1 : 0;
}
