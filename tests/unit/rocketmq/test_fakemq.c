/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The test double itself, over raw sockets: the recorded exchanges of protocol §22 byte for byte,
 * the codes that a broker 5.5.0 gave for the same calls, and what each fault looks like outside.
 */
#include "unit.h"

#include "base/base.h"
#include "fakemq.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- a client made of sockets ---------------------------------------------------------------- */

typedef struct reply {
    char head[4096]; /* The header's text; "closed" when the connection ended. */
    unsigned char *body;
    size_t body_len;
    int type;
} reply;

static uint32_t be32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int dial(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons((uint16_t)port)};
    struct timeval limit = {20, 0};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    close(fd);
    return -1;
}

static void put(int fd, const void *bytes, size_t len)
{
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

static void put_frame(int fd, const char *head, const void *body, size_t body_len)
{
    size_t head_len = strlen(head);
    uint32_t words[2] = {htonl((uint32_t)(4 + head_len + body_len)), htonl((uint32_t)head_len)};
    char *all = rc_malloc(8 + head_len + body_len);

    memcpy(all, words, 8);
    memcpy(all + 8, head, head_len);
    if (body_len)
        memcpy(all + 8 + head_len, body, body_len);
    put(fd, all, 8 + head_len + body_len);
    free(all);
}

static bool get(int fd, void *to, size_t len)
{
    ssize_t n = len ? recv(fd, to, len, MSG_WAITALL) : 0;

    /* A part of it: then the end must be there too. */
    if (n > 0 && n < (ssize_t)len)
        n = recv(fd, to, 1, 0);
    if (n < 0 && errno == EAGAIN)
        fail_msg("nothing came for 20 s");
    return n == (ssize_t)len;
}

static void release(reply *got)
{
    free(got->body);
    *got = (reply){0};
}

/** The next frame, whatever it is. */
static void get_frame(int fd, reply *got)
{
    unsigned char words[8];
    size_t head_len;

    release(got);
    snprintf(got->head, sizeof got->head, "closed");
    if (!get(fd, words, 8))
        return;
    got->type = words[4];
    head_len = be32(words + 4) & 0xffffff;
    assert_true(head_len < sizeof got->head && be32(words) >= 4 + head_len);
    got->body_len = be32(words) - 4 - head_len;
    got->body = rc_malloc(got->body_len + 1);
    got->body[got->body_len] = 0;
    if (!get(fd, got->head, head_len) || !get(fd, got->body, got->body_len))
        snprintf(got->head, sizeof got->head, "closed");
    else
        got->head[head_len] = 0;
}

static void ask_body(int fd, int code, int opaque, int flag, const char *fields, const void *body,
                     size_t body_len)
{
    RC_AUTO_FREE char *head =
        rc_format("{\"code\":%d,\"language\":\"CPP\",\"version\":513,\"opaque\":%d,\"flag\":%d,"
                  "\"extFields\":{%s}}",
                  code, opaque, flag, fields);

    put_frame(fd, head, body, body_len);
}

static void ask(int fd, int code, const char *fields)
{
    ask_body(fd, code, 7, 0, fields, NULL, 0);
}

static bool has(const reply *got, const char *text)
{
    return strstr(got->head, text) != NULL;
}

static void assert_has(const reply *got, const char *text)
{
    if (!has(got, text))
        fail_msg("'%s' is not in %s", text, got->head);
}

static void expect(int fd, reply *got, const char *text)
{
    get_frame(fd, got);
    assert_has(got, text);
}

#define SEND(topic, queue)                                                         \
    "\"a\":\"PG\",\"b\":\"" topic "\",\"c\":\"TBW102\",\"d\":\"4\",\"e\":\"" queue \
    "\",\"f\":\"0\",\"g\":\"1700000000000\",\"h\":\"0\",\"i\":\"TAGS\\u0001A\\u0002\""
#define BATCH(topic, queue) SEND(topic, queue) ",\"m\":\"true\""
#define PULL(topic, queue, offset, flag, ms, tags)                                           \
    "\"consumerGroup\":\"CG\",\"topic\":\"" topic "\",\"queueId\":\"" queue                  \
    "\",\"queueOffset\":\"" offset "\",\"maxMsgNums\":\"32\",\"sysFlag\":\"" flag            \
    "\",\"commitOffset\":\"0\",\"suspendTimeoutMillis\":\"" ms "\",\"subscription\":\"" tags \
    "\",\"subVersion\":\"0\",\"expressionType\":\"TAG\""

static int name_server(fakemq *mq)
{
    return (int)strtol(strrchr(fakemq_namesrv(mq), ':') + 1, NULL, 10);
}

/** Port of a broker's master ("0") or slave ("1"), as the route tells it. */
static int broker_port(fakemq *mq, const char *id)
{
    int fd = dial(name_server(mq));
    char key[32];
    const char *at;
    reply got = {0};
    int port;

    snprintf(key, sizeof key, "\"%s\":\"127.0.0.1:", id);
    ask(fd, 105, "\"topic\":\"TBW102\"");
    expect(fd, &got, "\"code\":0");
    at = strstr((char *)got.body, key);
    assert_non_null(at);
    port = (int)strtol(at + strlen(key), NULL, 10);
    release(&got);
    close(fd);
    return port;
}

/* ---- protocol §22 ---------------------------------------------------------------------------- */

static const char send_json[] =
    "{\"code\": 310, \"language\": \"CPP\", \"version\": 513, \"opaque\": 7, \"flag\": 0, "
    "\"extFields\": {\"a\": \"PG\", \"b\": \"T\", \"c\": \"TBW102\", \"d\": \"4\", \"e\": \"0\", "
    "\"f\": \"0\", \"g\": \"1700000000000\", \"h\": \"0\", \"i\": "
    "\"KEYS\\u0001k1\\u0002TAGS\\u0001A\\u0002\", \"j\": \"0\", \"k\": \"false\", \"m\": "
    "\"false\"}}";
static const char send_binary[] =
    "\x00\x00\x00\x7b\x01\x00\x00\x75\x01\x36\x01\x02\x01\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x60\x00\x01"
    "a\x00\x00\x00\x02PG\x00\x01"
    "b\x00\x00\x00\x01T\x00\x01"
    "c\x00\x00\x00\x06TBW102\x00\x01"
    "d\x00\x00\x00\x01"
    "4\x00\x01"
    "e\x00\x00\x00\x01"
    "0\x00\x01"
    "f\x00\x00\x00\x01"
    "0\x00\x01"
    "g\x00\x00\x00\x0d"
    "1700000000000\x00\x01"
    "h\x00\x00\x00\x01"
    "0\x00\x01"
    "i\x00\x00\x00\x07TAGS\001A\002hi";
/* The body of the pull reply, from the recording; '~' stands for ports, times and made-up ids. */
static const char pulled[] =
    "\x00\x00\x00\xd8\xda\xa3\x20\xa7\x36\x10\xa6\x86\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x8b\xcf\xe5"
    "h\x00\x7f\x00\x00\x01~~~~~~~~~~~~\x7f\x00\x00\x01~~~~\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x05hello\x01T\x00wMSG_REGION\001DefaultRegion\002UNIQ_KEY\001"
    "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\002CLUSTER\001DefaultCluster\002TAGS\001A\002KEYS\001k1\002"
    "TRACE_ON\001true\002"
    "\x00\x00\x00\xcd\xda\xa3\x20\xa7\x58\x93\x2a\xac\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xd8\x00\x00\x00\x00\x00\x00\x01\x8b\xcf\xe5"
    "h\x00\x7f\x00\x00\x01~~~~~~~~~~~~\x7f\x00\x00\x01~~~~\x00\x00\x00\x00\x00\x00\x00\x00\x00"
    "\x00\x00\x00\x00\x00\x00\x02hi\x01T\x00oMSG_REGION\001DefaultRegion\002UNIQ_KEY\001"
    "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\002CLUSTER\001DefaultCluster\002TAGS\001A\002"
    "TRACE_ON\001true\002";

static void recorded_exchanges(void **state)
{
    fakemq *mq = fakemq_start(NULL);
    int fd = dial(broker_port(mq, "0"));
    reply got = {0};

    (void)state;
    put_frame(fd, send_json, "hello", 5);
    expect(fd, &got, "{\"code\":0,");
    assert_has(&got, "\"queueId\":\"0\"");
    assert_has(&got, "\"msgId\":\"7F000001");
    assert_has(&got,
               "\"TRACE_ON\":\"true\",\"MSG_REGION\":\"DefaultRegion\",\"queueOffset\":\"0\"");
    put(fd, send_binary, sizeof send_binary - 1);
    expect(fd, &got, "\"queueOffset\":\"1\"");
    ask(fd, 11, PULL("T", "0", "0", "4", "0", "*"));
    expect(fd, &got, "\"remark\":\"FOUND\"");
    assert_has(&got, "\"suggestWhichBrokerId\":\"0\",\"groupSysFlag\":\"0\",\"nextBeginOffset\":"
                     "\"2\",\"maxOffset\":\"2\",\"minOffset\":\"0\",\"topicSysFlag\":\"0\"");
    assert_int_equal(got.body_len, 421);
    assert_int_equal(sizeof pulled - 1, 421);
    for (size_t k = 0; k < got.body_len; k++) {
        if (pulled[k] != '~' && (unsigned char)pulled[k] != got.body[k])
            fail_msg("byte %zu is %02x, recorded was %02x", k, got.body[k],
                     (unsigned char)pulled[k]);
    }
    release(&got);
    close(fd);
    fakemq_stop(mq);
}

/* ---- codes ----------------------------------------------------------------------------------- */

static const struct {
    int code;
    bool slave;
    const char *fields, *body, *answer;
} calls[] = {
    {310, false, SEND("T", "0"), "hello", "\"code\":0"},
    {310, false, SEND("T", "-1"), "hello", "\"code\":0"},
    {310, false, SEND("T", "4"), "hello", "\"code\":29"},
    {310, false, SEND("T", "0"), "", "\"code\":1"},
    {310, false, SEND("a b", "0"), "hello", "\"code\":29"},
    {310, true, SEND("T", "0"), "hello", "[REJECTREQUEST]"},
    {310, false, SEND("New", "3"), "hello", "\"code\":0"},
    {11, false, PULL("None", "0", "0", "4", "0", "*"), "", "\"code\":17"},
    {11, false, PULL("T", "4", "0", "4", "0", "*"), "", "\"code\":29"},
    {11, false, PULL("T", "0", "0", "0", "0", "*"), "", "\"code\":24"},
    {11, false, PULL("Filled", "0", "0", "4", "0", "TagB"), "", "FOUND"},
    {11, false, PULL("Filled", "0", "0", "4", "0", "TagC || TagD"), "", "\"code\":20"},
    {11, false, PULL("Filled", "0", "9", "4", "0", "*"), "", "\"nextBeginOffset\":\"6\""},
    {11, false, PULL("Filled", "0", "9", "4", "0", "*"), "", "\"code\":21"},
    {11, false, PULL("Filled", "0", "-1", "4", "0", "*"), "", "OFFSET_TOO_SMALL"},
    {11, false, PULL("Filled", "0", "6", "4", "0", "*"), "", "OFFSET_OVERFLOW_ONE"},
    {11, false, PULL("Filled", "1", "0", "4", "0", "*"), "", "\"code\":19"},
    {11, false, PULL("Filled", "1", "3", "4", "0", "*"), "", "\"code\":21"},
    {11, true, PULL("Filled", "0", "0", "4", "0", "*"), "", "FOUND"},
    {361, false, PULL("Filled", "0", "0", "4", "0", "*"), "", "FOUND"},
    {14, false, "\"consumerGroup\":\"CG\",\"topic\":\"Filled\",\"queueId\":\"0\"", "",
     "\"offset\":\"0\""},
    {14, false,
     "\"consumerGroup\":\"CG\",\"topic\":\"Filled\",\"queueId\":\"0\",\"setZeroIfNotFound\":"
     "\"false\"",
     "", "\"code\":22"},
    {14, false, "\"consumerGroup\":\"CG\",\"topic\":\"Filled\",\"queueId\":\"1\"", "",
     "\"code\":22"},
    {15, false,
     "\"consumerGroup\":\"None\",\"topic\":\"T\",\"queueId\":\"0\",\"commitOffset\":\"1\"", "",
     "\"code\":26"},
    {15, false, "\"consumerGroup\":\"CG\",\"topic\":\"T\",\"queueId\":\"0\",\"commitOffset\":\"1\"",
     "", "\"code\":0"},
    {14, false, "\"consumerGroup\":\"CG\",\"topic\":\"T\",\"queueId\":\"0\"", "",
     "\"offset\":\"1\""},
    {30, false, "\"topic\":\"None\",\"queueId\":\"0\"", "", "\"offset\":\"0\""},
    {30, false, "\"topic\":\"Filled\",\"queueId\":\"0\"", "", "\"offset\":\"6\""},
    {29, false, "\"topic\":\"Filled\",\"queueId\":\"0\",\"timestamp\":\"9900000000000\"", "",
     "\"offset\":\"6\""},
    {29, false, "\"topic\":\"Filled\",\"queueId\":\"0\",\"timestamp\":\"0\"", "",
     "\"offset\":\"0\""},
    {38, false, "\"consumerGroup\":\"None\"", "", "\"code\":1"},
    {203, false, "\"consumerGroup\":\"None\"", "", "\"code\":206"},
    {202, false, "\"topic\":\"None\"", "", "\"code\":17"},
    {33, false, "\"offset\":\"0\"", "", "\"code\":0"},
    {36, false, "\"offset\":\"0\",\"group\":\"CG\",\"delayLevel\":\"0\"", "", "\"code\":0"},
    {30, false, "\"topic\":\"%RETRY%CG\",\"queueId\":\"0\"", "", "\"offset\":\"1\""},
    {999, false, "", "", "\"code\":3"},
};

static void codes(void **state)
{
    fakemq *mq = fakemq_start(&(fakemq_config){.slaves = true});
    int master, slave;
    reply got = {0};

    (void)state;
    fakemq_topic(mq, "Filled", 2);
    fakemq_fill(mq, "Filled", "broker-0", 0, 6);
    master = dial(broker_port(mq, "0"));
    slave = dial(broker_port(mq, "1"));
    for (size_t k = 0; k < RC_COUNT(calls); k++) {
        int fd = calls[k].slave ? slave : master;

        ask_body(fd, calls[k].code, 7, 0, calls[k].fields, calls[k].body, strlen(calls[k].body));
        get_frame(fd, &got);
        if (!has(&got, calls[k].answer))
            fail_msg("call %zu (%d): '%s' is not in %s", k, calls[k].code, calls[k].answer,
                     got.head);
    }
    assert_int_equal(fakemq_requests(mq, 14, "broker-0"), 4);
    release(&got);
    close(master);
    close(slave);
    fakemq_stop(mq);
}

static void too_large(void **state)
{
    fakemq *mq = fakemq_start(NULL);
    int fd = dial(broker_port(mq, "0"));
    RC_AUTO_FREE char *body = rc_calloc(1, 4194305);
    reply got = {0};

    (void)state;
    ask_body(fd, 310, 1, 0, SEND("T", "0"), body, 4194304);
    expect(fd, &got, "\"code\":0");
    ask_body(fd, 310, 2, 0, SEND("T", "0"), body, 4194305);
    expect(fd, &got, "\"code\":13");
    release(&got);
    close(fd);
    fakemq_stop(mq);
}

/* The item is the Java client's of protocol §22. */
static void batches(void **state)
{
    static const char item[] =
        "\x00\x00\x00\x62\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        "\x00\x00\x00\x06"
        "batch0\x00\x46KEYS\001k0\002UNIQ_KEY\001"
        "C000020219325FFD2B276FCA4FBA0001\002WAIT\001true\002TAGS\001TagB\002";
    char body[2 * (sizeof item - 1)];
    fakemq *mq = fakemq_start(NULL);
    int fd = dial(broker_port(mq, "0"));
    fakemq_message *message;
    reply got = {0};

    (void)state;
    memcpy(body, item, sizeof item - 1);
    memcpy(body + sizeof item - 1, item, sizeof item - 1);
    ask_body(fd, 320, 1, 0, BATCH("T", "2"), body, sizeof body);
    expect(fd, &got, "\"queueOffset\":\"0\"");
    assert_has(&got, "0000000000,7F000001"); /* Two ids. */
    assert_int_equal(fakemq_max_offset(mq, "T", "broker-0", 2), 2);
    message = fakemq_message_at(mq, "T", "broker-0", 2, 1);
    assert_string_equal(message->body, "batch0");
    assert_memory_equal(message->properties, item + 28, 70);
    assert_int_equal(message->born_ms, 1700000000000);
    fakemq_message_free(message);
    release(&got);
    close(fd);
    fakemq_stop(mq);
}

/* ---- long polls ------------------------------------------------------------------------------ */

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void long_polls(void **state)
{
    fakemq *mq = fakemq_start(NULL);
    int fd = dial(broker_port(mq, "0"));
    int64_t start = now_ms();
    reply got = {0};

    (void)state;
    fakemq_topic(mq, "T", 1);
    ask_body(fd, 11, 1, 0, PULL("T", "0", "0", "6", "60000", "TagB"), NULL, 0);
    ask_body(fd, 11, 2, 0, PULL("T", "0", "0", "6", "50", "*"), NULL, 0);
    expect(fd, &got, "\"opaque\":2");
    assert_has(&got, "\"code\":19");
    assert_true(now_ms() - start >= 50);
    fakemq_fill(mq, "T", "broker-0", 0, 1); /* TagA: not what the first one waits for. */
    ask_body(fd, 30, 3, 0, "\"topic\":\"T\",\"queueId\":\"0\"", NULL, 0);
    expect(fd, &got, "\"opaque\":3");
    fakemq_fill(mq, "T", "broker-0", 0, 2);
    expect(fd, &got, "\"opaque\":1");
    assert_has(&got, "\"nextBeginOffset\":\"3\"");
    assert_non_null(memmem(got.body, got.body_len, "body-2", 6));
    assert_null(memmem(got.body, got.body_len, "body-1", 6));
    release(&got);
    close(fd);
    fakemq_stop(mq);
}

/* ---- groups ---------------------------------------------------------------------------------- */

#define BEAT(client)                                                                         \
    "{\"clientID\":\"" client "\",\"heartbeatFingerprint\":0,\"producerDataSet\":[{"         \
    "\"groupName\":\"PG\"}],\"consumerDataSet\":[{\"groupName\":\"G\",\"consumeType\":"      \
    "\"CONSUME_PASSIVELY\",\"messageModel\":\"CLUSTERING\",\"consumeFromWhere\":"            \
    "\"CONSUME_FROM_FIRST_OFFSET\",\"subscriptionDataSet\":[{\"topic\":\"T\",\"subString\":" \
    "\"*\",\"subVersion\":5,\"codeSet\":[],\"tagsSet\":[],\"expressionType\":\"TAG\"}]}]}"

static void beat(int fd, const char *body)
{
    ask_body(fd, 34, 1, 0, "", body, strlen(body));
}

static bool one_member(fakemq *mq, void *arg)
{
    (void)arg;
    return fakemq_members(mq, "G") == 1;
}

static void groups(void **state)
{
    fakemq *mq = fakemq_start(NULL);
    int port = broker_port(mq, "0"), a = dial(port), b = dial(port);
    reply got = {0};

    (void)state;
    beat(a, BEAT("a"));
    expect(a, &got, "{\"code\":40"); /* Before the reply, as recorded. */
    assert_has(&got, "\"consumerGroup\":\"G\"");
    assert_has(&got, "\"flag\":2");
    expect(a, &got, "\"IS_SUPPORT_HEART_BEAT_V2\":\"true\"");
    beat(b, BEAT("b"));
    expect(a, &got, "{\"code\":40");
    expect(b, &got, "{\"code\":40");
    expect(b, &got, "{\"code\":0");
    beat(b, BEAT("b")); /* Nothing new: nobody is told. */
    expect(b, &got, "{\"code\":0");
    ask(b, 38, "\"consumerGroup\":\"G\"");
    expect(b, &got, "{\"code\":0");
    assert_non_null(strstr((char *)got.body, "\"a\""));
    assert_non_null(strstr((char *)got.body, "\"b\""));
    close(b);
    fakemq_wait(mq, one_member, NULL, "b's leaving");
    expect(a, &got, "{\"code\":40");
    fakemq_foreign_member(mq, "G", "z", true);
    expect(a, &got, "{\"code\":40");
    ask(a, 38, "\"consumerGroup\":\"G\"");
    expect(a, &got, "{\"code\":0");
    assert_non_null(strstr((char *)got.body, "\"z\""));
    fakemq_ask_members(mq, "G", 307, "{\"consumerGroup\":\"G\"}", "x");
    expect(a, &got, "{\"code\":307");
    ask(a, 35, "\"clientID\":\"a\",\"consumerGroup\":\"G\"");
    get_frame(a, &got); /* A second 307 for the producer is none of ours: PG is another group. */
    assert_has(&got, "{\"code\":0");
    assert_int_equal(fakemq_members(mq, "G"), 0);
    release(&got);
    close(a);
    fakemq_stop(mq);
}

static bool answered(fakemq *mq, void *arg)
{
    (void)arg;
    return fakemq_answers(mq, 307) == 1;
}

static void answers_of_clients(void **state)
{
    fakemq *mq = fakemq_start(NULL);
    int fd = dial(broker_port(mq, "0"));
    reply got = {0};
    const char *opaque;

    (void)state;
    beat(fd, BEAT("a"));
    expect(fd, &got, "{\"code\":40");
    expect(fd, &got, "{\"code\":0");
    fakemq_ask_members(mq, "G", 307, "{\"consumerGroup\":\"G\"}", NULL);
    expect(fd, &got, "{\"code\":307");
    opaque = strstr(got.head, "\"opaque\":");
    assert_non_null(opaque);
    assert_int_equal(fakemq_answers(mq, 307), 0);
    ask_body(fd, 0, (int)strtol(opaque + 9, NULL, 10), 1, "", "{}", 2);
    fakemq_wait(mq, answered, NULL, "the answer");
    release(&got);
    close(fd);
    fakemq_stop(mq);
}

/* ---- faults ---------------------------------------------------------------------------------- */

/* What a send meets, and how many messages are stored in the end. */
static const struct {
    fakemq_rule rule;
    const char *answer;
    int stored;
} faults[] = {
    {{.action = FAKEMQ_REFUSE, .code = 2, .remark = "busy"}, "\"remark\":\"busy\"", 0},
    {{.action = FAKEMQ_CODE, .code = 10}, "{\"code\":10,", 1},
    {{.action = FAKEMQ_DELAY, .ms = 30}, "{\"code\":0,", 1},
    {{.action = FAKEMQ_HOLD, .ms = 30}, "{\"code\":0,", 1},
    {{.action = FAKEMQ_CUT}, "closed", 0},
    {{.action = FAKEMQ_CUT_AFTER}, "closed", 1},
    {{.action = FAKEMQ_CUT_REPLY, .bytes = 20}, "closed", 1},
    {{.action = FAKEMQ_OPAQUE}, "\"opaque\":1073741831", 1},
};

static void what_faults_look_like(void **state)
{
    (void)state;
    for (size_t k = 0; k < RC_COUNT(faults); k++) {
        fakemq *mq = fakemq_start(&(fakemq_config){.seed = 1});
        int fd = dial(broker_port(mq, "0")), rule;
        fakemq_rule with = faults[k].rule;
        reply got = {0};

        fakemq_topic(mq, "T", 4);
        with.request = 310;
        with.count = 1;
        rule = fakemq_fault(mq, &with);
        ask_body(fd, 310, 7, 0, SEND("T", "0"), "x", 1);
        get_frame(fd, &got);
        if (!has(&got, faults[k].answer))
            fail_msg("fault %zu: %s", k, got.head);
        if (with.action == FAKEMQ_OPAQUE)
            expect(fd, &got, "\"opaque\":7");
        assert_int_equal(fakemq_max_offset(mq, "T", "broker-0", 0), faults[k].stored);
        assert_int_equal(fakemq_fault_hits(mq, rule), 1);
        release(&got);
        close(fd);
        fakemq_stop(mq);
    }
}

static void silent_faults(void **state)
{
    fakemq *mq = fakemq_start(NULL);
    int fd = dial(broker_port(mq, "0"));
    reply got = {0};
    unsigned char bytes[12];

    (void)state;
    fakemq_topic(mq, "T", 4);
    fakemq_fault(mq, &(fakemq_rule){.action = FAKEMQ_SWALLOW, .request = 310, .count = 1});
    fakemq_fault(mq, &(fakemq_rule){.action = FAKEMQ_IGNORE, .request = 310, .count = 1});
    ask_body(fd, 310, 1, 0, SEND("T", "0"), "x", 1);
    ask_body(fd, 310, 2, 0, SEND("T", "1"), "x", 1);
    ask_body(fd, 310, 3, 0, SEND("T", "2"), "x", 1);
    expect(fd, &got, "\"opaque\":3");
    assert_int_equal(fakemq_max_offset(mq, "T", "broker-0", 0), 1);
    assert_int_equal(fakemq_max_offset(mq, "T", "broker-0", 1), 0);
    fakemq_fault(mq, &(fakemq_rule){.action = FAKEMQ_OVERSIZE, .request = 30});
    fakemq_fault(mq, &(fakemq_rule){.action = FAKEMQ_GARBAGE, .request = 31});
    ask(fd, 30, "\"topic\":\"T\",\"queueId\":\"0\"");
    assert_true(get(fd, bytes, 12));
    assert_int_equal(be32(bytes), 1 << 30);
    ask(fd, 31, "\"topic\":\"T\",\"queueId\":\"0\"");
    assert_true(get(fd, bytes, 4));
    assert_int_equal(be32(bytes), 204);
    release(&got);
    close(fd);
    fakemq_stop(mq);
}

static bool stored_one(fakemq *mq, void *arg)
{
    (void)arg;
    return fakemq_max_offset(mq, "T", "broker-0", 0) == 1;
}

/** A broker goes on with what lies in its queue when the client is gone. */
static void held_outlives_its_connection(void **state)
{
    fakemq *mq = fakemq_start(NULL);
    int fd = dial(broker_port(mq, "0"));

    (void)state;
    fakemq_topic(mq, "T", 1);
    fakemq_fault(mq, &(fakemq_rule){.action = FAKEMQ_HOLD, .request = 310, .ms = 100});
    ask_body(fd, 310, 1, 0, SEND("T", "0"), "x", 1);
    close(fd);
    fakemq_wait(mq, stored_one, NULL, "the held send");
    assert_int_equal(fakemq_connections(mq, "broker-0"), 0);
    fakemq_stop(mq);
}

/** Rules count what they match: the third and fourth send to T are hit, others never. */
static void rules_pick(void **state)
{
    fakemq *mq = fakemq_start(&(fakemq_config){.brokers = 2});
    int fd = dial(broker_port(mq, "0"));
    int rule = fakemq_fault(mq, &(fakemq_rule){.action = FAKEMQ_REFUSE,
                                               .request = 310,
                                               .broker = "broker-0",
                                               .topic = "T",
                                               .skip = 2,
                                               .count = 2,
                                               .code = 2});
    reply got = {0};

    (void)state;
    for (int k = 0; k < 6; k++) {
        ask_body(fd, 310, k, 0, SEND("T", "0"), "x", 1);
        expect(fd, &got, k == 2 || k == 3 ? "{\"code\":2," : "{\"code\":0,");
        ask_body(fd, 310, k, 0, SEND("Other", "0"), "x", 1);
        expect(fd, &got, "{\"code\":0,");
    }
    assert_int_equal(fakemq_fault_hits(mq, rule), 2);
    release(&got);
    close(fd);
    fakemq_stop(mq);
}

/** The order in which ten sends at once come to lie; the same for the same seed is not promised
 *  by clocks, but some other order than theirs is. */
static void shuffled(void **state)
{
    fakemq *mq = fakemq_start(&(fakemq_config){.seed = 3});
    int fd = dial(broker_port(mq, "0"));
    bool in_order = true;
    reply got = {0};

    (void)state;
    fakemq_shuffle(mq, 40);
    for (int k = 0; k < 10; k++) {
        char body = (char)('a' + k);

        ask_body(fd, 310, k, 0, SEND("T", "0"), &body, 1);
    }
    for (int k = 0; k < 10; k++)
        expect(fd, &got, "{\"code\":0,");
    for (int k = 0; k < 10; k++) {
        fakemq_message *message = fakemq_message_at(mq, "T", "broker-0", 0, k);

        in_order = in_order && message->body[0] == 'a' + k;
        fakemq_message_free(message);
    }
    assert_false(in_order);
    assert_in_range(fakemq_most_unanswered(mq), 2, 10);
    release(&got);
    close(fd);
    fakemq_stop(mq);
}

/* ---- servers that go ------------------------------------------------------------------------- */

static void kill_and_revive(void **state)
{
    fakemq *mq = fakemq_start(&(fakemq_config){.brokers = 2, .slaves = true, .name_servers = 2});
    int port = broker_port(mq, "0"), fd = dial(port), ns = dial(name_server(mq));
    reply got = {0};

    (void)state;
    assert_non_null(strchr(fakemq_namesrv(mq), ';'));
    fakemq_topic(mq, "T", 1);
    fakemq_fill(mq, "T", "broker-0", 0, 3);
    fakemq_kill(mq, "broker-0");
    expect(fd, &got, "closed");
    assert_int_equal(dial(port), -1);
    ask(ns, 105, "\"topic\":\"T\"");
    expect(ns, &got, "{\"code\":0");
    assert_non_null(strstr((char *)got.body, "{\"brokerAddrs\":{\"1\":")); /* Only its slave. */
    fakemq_kill(mq, "broker-0-slave");
    ask(ns, 105, "\"topic\":\"T\"");
    expect(ns, &got, "{\"code\":0");
    assert_null(strstr((char *)got.body, "broker-0"));
    fakemq_revive(mq, "broker-0");
    close(fd);
    fd = dial(port);
    assert_true(fd >= 0);
    ask(fd, 30, "\"topic\":\"T\",\"queueId\":\"0\"");
    expect(fd, &got, "\"offset\":\"3\"");
    release(&got);
    close(fd);
    close(ns);
    fakemq_stop(mq);
}

static void frozen(void **state)
{
    fakemq *mq = fakemq_start(NULL);
    int port = broker_port(mq, "0"), fd = dial(port), other;
    reply got = {0};
    char byte;

    (void)state;
    fakemq_freeze(mq, "broker-0", true);
    ask(fd, 30, "\"topic\":\"T\",\"queueId\":\"0\"");
    other = dial(port);
    assert_true(other >= 0);
    ask(other, 30, "\"topic\":\"T\",\"queueId\":\"0\"");
    ask_body(fd, 30, 8, 0, "\"topic\":\"T\",\"queueId\":\"0\"", NULL, 0);
    fakemq_disconnect_all(mq, "namesrv-0"); /* Its thread goes around with all this at hand. */
    fakemq_disconnect_all(mq, "namesrv-0");
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(fakemq_requests(mq, 30, NULL), 0);
    fakemq_freeze(mq, "broker-0", false);
    expect(fd, &got, "\"offset\":\"0\"");
    expect(other, &got, "\"offset\":\"0\"");
    fakemq_disconnect_all(mq, "broker-0");
    close(other);
    expect(fd, &got, "\"offset\":\"0\"");
    expect(fd, &got, "closed");
    release(&got);
    close(fd);
    fakemq_stop(mq);
}

static void ends_of_queues(void **state)
{
    fakemq *mq = fakemq_start(NULL);
    int fd = dial(broker_port(mq, "0"));
    reply got = {0};

    (void)state;
    fakemq_topic(mq, "T", 1);
    fakemq_fill(mq, "T", "broker-0", 0, 10);
    fakemq_trim(mq, "T", "broker-0", 0, 4);
    fakemq_truncate(mq, "T", "broker-0", 0, 7);
    ask(fd, 31, "\"topic\":\"T\",\"queueId\":\"0\"");
    expect(fd, &got, "\"offset\":\"4\"");
    ask(fd, 30, "\"topic\":\"T\",\"queueId\":\"0\"");
    expect(fd, &got, "\"offset\":\"7\"");
    ask(fd, 11, PULL("T", "0", "0", "4", "0", "*"));
    expect(fd, &got, "OFFSET_TOO_SMALL");
    assert_has(&got, "\"nextBeginOffset\":\"4\"");
    ask(fd, 11, PULL("T", "0", "10", "4", "0", "*"));
    expect(fd, &got, "OFFSET_OVERFLOW_BADLY");
    assert_has(&got, "\"nextBeginOffset\":\"7\"");
    release(&got);
    close(fd);
    fakemq_stop(mq);
}

static void settings(void **state)
{
    fakemq *mq = fakemq_start(NULL);
    int fd = dial(broker_port(mq, "0"));
    reply got = {0};

    (void)state;
    fakemq_broker_config(mq, "broker-0", "flushDiskType", "SYNC_FLUSH");
    fakemq_broker_config(mq, "broker-0", "maxMessageSize", "4");
    ask(fd, 26, "");
    expect(fd, &got, "{\"code\":0");
    assert_non_null(strstr((char *)got.body, "flushDiskType=SYNC_FLUSH\n"));
    assert_non_null(strstr((char *)got.body, "brokerRole=ASYNC_MASTER\n"));
    ask_body(fd, 310, 7, 0, SEND("T", "0"), "hello", 5);
    expect(fd, &got, "{\"code\":13");
    ask_body(fd, 25, 7, 0, "", "maxMessageSize=5", 16);
    expect(fd, &got, "{\"code\":0");
    ask_body(fd, 310, 7, 0, SEND("T", "0"), "hello", 5);
    expect(fd, &got, "{\"code\":0");
    fakemq_suggest(mq, "broker-0", 1);
    ask(fd, 11, PULL("T", "0", "0", "4", "0", "*"));
    expect(fd, &got, "\"suggestWhichBrokerId\":\"1\"");
    release(&got);
    close(fd);
    fakemq_stop(mq);
}

/* ---- the log and the forms ------------------------------------------------------------------- */

static void log_of_requests(void **state)
{
    fakemq *mq = fakemq_start(NULL);
    int fd = dial(broker_port(mq, "0"));
    reply got = {0};
    char *text;

    (void)state;
    ask(fd, 30, "\"topic\":\"A\",\"queueId\":\"0\"");
    expect(fd, &got, "\"offset\"");
    ask(fd, 30, "\"topic\":\"B\",\"queueId\":\"1\"");
    expect(fd, &got, "\"offset\"");
    assert_int_equal(fakemq_requests(mq, 30, "broker-0"), 2);
    assert_int_equal(fakemq_requests(mq, 0, NULL), 3); /* And a 105. */
    assert_string_equal(text = fakemq_request_field(mq, 30, 0, "topic"), "A");
    free(text);
    assert_string_equal(text = fakemq_request_field(mq, 30, -1, "topic"), "B");
    free(text);
    assert_string_equal(text = fakemq_request_field(mq, 30, 1, "@version"), "513");
    free(text);
    assert_string_equal(text = fakemq_request_field(mq, 30, 5, "topic"), "");
    free(text);
    release(&got);
    close(fd);
    fakemq_stop(mq);
}

static void forms(void **state)
{
    fakemq *mq = fakemq_start(&(fakemq_config){.binary = true, .old_routes = true});
    int fd = dial(name_server(mq));
    reply got = {0};

    (void)state;
    ask(fd, 105, "\"topic\":\"TBW102\",\"acceptStandardJsonOnly\":\"true\"");
    get_frame(fd, &got);
    assert_int_equal(got.type, 1);
    assert_memory_equal(got.head, "\0\0", 2); /* Code 0. */
    assert_non_null(strstr((char *)got.body, "{\"brokerAddrs\":{0:\"127.0.0.1:"));
    release(&got);
    close(fd);
    fakemq_stop(mq);
}

/** The signature is Python's: hmac.new(b"secret12", b"user10T", sha1) in Base64. */
static void signatures(void **state)
{
    fakemq *mq = fakemq_start(&(fakemq_config){.access_key = "user1", .secret_key = "secret12"});
    int fd = dial(broker_port(mq, "0"));
    reply got = {0};

    (void)state;
    ask(fd, 30, "\"topic\":\"T\",\"queueId\":\"0\"");
    expect(fd, &got, "\"remark\":\"username cannot be null.\"");
    assert_has(&got, "\"code\":16");
    ask(fd, 30, "\"topic\":\"T\",\"queueId\":\"0\",\"AccessKey\":\"user1\",\"Signature\":\"AAAA\"");
    expect(fd, &got, "check signature failed.");
    ask(fd, 30,
        "\"topic\":\"T\",\"queueId\":\"0\",\"AccessKey\":\"user1\",\"Signature\":\"tpI7CjaZhC0+"
        "wzCWcFkCHlcXzWQ=\"");
    expect(fd, &got, "\"offset\":\"0\"");
    release(&got);
    close(fd);
    fakemq_stop(mq);
}

/* ---- TLS ------------------------------------------------------------------------------------- */

static void tls(void **state)
{
    char folder[] = "/tmp/fakemq-tls-XXXXXX", cert[64], key[64], bytes[512];
    static const char head[] = "{\"code\":105,\"language\":\"CPP\",\"version\":513,\"opaque\":7,"
                               "\"flag\":0,\"extFields\":{\"topic\":\"TBW102\"}}";
    unsigned char size[8] = {0, 0, 0, 4 + sizeof head - 1, 0, 0, 0, sizeof head - 1};
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    fakemq *mq;
    int fd, got = 0, n;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(cert, sizeof cert, "%s/cert.pem", folder);
    snprintf(key, sizeof key, "%s/key.pem", folder);
    fakemq_certificate(cert, key);
    mq = fakemq_start(&(fakemq_config){.tls_cert = cert, .tls_key = key});
    fd = dial(name_server(mq));
    SSL_set_fd(ssl, fd);
    assert_int_equal(SSL_connect(ssl), 1);
    assert_int_equal(SSL_write(ssl, size, 8), 8);
    assert_int_equal(SSL_write(ssl, head, sizeof head - 1), sizeof head - 1);
    while (!memmem(bytes, (size_t)got, "brokerAddrs", 11)) {
        n = SSL_read(ssl, bytes + got, (int)sizeof bytes - got);
        assert_true(n > 0);
        got += n;
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    fakemq_stop(mq);
    unlink(cert);
    unlink(key);
    rmdir(folder);
}

/* ---- strictness ------------------------------------------------------------------------------ */

static const struct {
    int code;
    const char *fields, *body;
} mistakes[] = {
    {310, "\"a\":\"PG\",\"b\":\"T\"", "x"},
    {30, "\"topic\":\"T\",\"queueId\":\"one\"", ""},
    {30, "\"topic\":\"T\",\"queueId\":0", ""},
    {34, "", "{}"},
    {320, BATCH("T", "0"), "x"},
    {320, SEND("T", "0"), "x"},
};

/** Makes a mistake in a process of its own, whose fakemq_stop() has to abort. */
static void make_mistake(size_t k)
{
    fakemq *mq = fakemq_start(NULL);
    int fd = dial(broker_port(mq, "0"));
    reply got = {0};

    ask_body(fd, mistakes[k].code, 7, 0, mistakes[k].fields, mistakes[k].body,
             strlen(mistakes[k].body));
    get_frame(fd, &got);
    release(&got);
    close(fd);
    fakemq_stop(mq);
}

static void mistakes_are_told(void **state)
{
    (void)state;
    for (size_t k = 0; k < RC_COUNT(mistakes); k++) {
        pid_t child = fork();
        int status = 0;

        assert_true(child >= 0);
        if (!child) {
            signal(SIGABRT, SIG_DFL);
            fclose(stderr);
            make_mistake(k);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
            fail_msg("mistake %zu was not noticed", k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_told), /* First: it forks before there are threads. */
        cmocka_unit_test(recorded_exchanges), cmocka_unit_test(codes),
        cmocka_unit_test(too_large),          cmocka_unit_test(batches),
        cmocka_unit_test(long_polls),         cmocka_unit_test(groups),
        cmocka_unit_test(answers_of_clients), cmocka_unit_test(what_faults_look_like),
        cmocka_unit_test(silent_faults),      cmocka_unit_test(held_outlives_its_connection),
        cmocka_unit_test(rules_pick),         cmocka_unit_test(shuffled),
        cmocka_unit_test(kill_and_revive),    cmocka_unit_test(frozen),
        cmocka_unit_test(ends_of_queues),     cmocka_unit_test(settings),
        cmocka_unit_test(log_of_requests),    cmocka_unit_test(forms),
        cmocka_unit_test(signatures),         cmocka_unit_test(tls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
