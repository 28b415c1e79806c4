/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The core of the client against the fake cluster: settings, names, routes, name servers that die,
 * members and their heartbeats, calls of many threads, TLS, signatures, and that close leaves
 * nothing.
 */
#include "unit.h"

#include "base/clock.h"
#include "base/thread.h"
#include "fakemq.h"
#include "rocketmq/client_impl.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

static rmq_client *open_with(const rmq_client_config *config)
{
    rmq_client *client = NULL;
    rmq_error err = {0};

    if (rmq_client_open(config, &client, &err) < 0)
        fail_msg("%s", err.msg);
    return client;
}

static rmq_client *open_on(fakemq *mq)
{
    return open_with(&(rmq_client_config){.namesrv = fakemq_namesrv(mq)});
}

/* ---- settings -------------------------------------------------------------------------------- */

static void settings_are_checked_in_the_users_words(void **state)
{
    static const struct {
        rmq_client_config config;
        const char *says;
    } cases[] = {
        {{.namesrv = NULL}, "no name server is given"},
        {{.namesrv = " ; ;"}, "no name server is given"},
        {{.namesrv = "host"}, "'host' is not host:port"},
        {{.namesrv = "a:1,b:2"}, "a:1,b:2"},
        {{.namesrv = "a:1;b:70000"}, "'b:70000'"},
        {{.namesrv = "http://jmenv.tbsite.net:8080/rocketmq/nsaddr"}, "URL"},
        {{.namesrv = "a:1", .access_key = "k"}, "secret_key is not"},
        {{.namesrv = "a:1", .secret_key = "hush"}, "access_key is not"},
        {{.namesrv = "a:1", .request_timeout_ms = -1}, "request_timeout_ms"},
        {{.namesrv = "a:1", .connect_timeout_ms = 86400001}, "connect_timeout_ms"},
        {{.namesrv = "a:1", .heartbeat_ms = -5}, "heartbeat_ms"},
        {{.namesrv = "a:1", .route_refresh_ms = -5}, "route_refresh_ms"},
        {{.namesrv = "a:1", .instance = "with blank"}, "instance"},
        {{.namesrv = "a:1", .instance = ""}, "instance"},
        {{.namesrv = "a:1", .name_space = "a%b"}, "name_space"},
        {{.namesrv = "a:1", .name_space = "a b"}, "name_space"},
        {{.namesrv = "a:1", .tls = {.enable = true, .ca_file = "/nonexistent/ca.pem"}},
         "/nonexistent/ca.pem"},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rmq_client *client = NULL;
        rmq_error err = {0};
        int r = rmq_client_open(&cases[i].config, &client, &err);

        if (r != -RMQ_EINVAL || client || !strstr(err.msg, cases[i].says) ||
            strstr(err.msg, "hush"))
            fail_msg("case %zu: %d '%s' lacks '%s'", i, r, err.msg, cases[i].says);
    }
    rmq_client_close(NULL);
}

static void ids_differ_unless_named(void **state)
{
    rmq_client_config config = {.namesrv = "127.0.0.1:1"};
    rmq_client *a = open_with(&config);
    rmq_client *b = open_with(&config);
    rmq_client *named;
    char begin[64];

    (void)state;
    (void)snprintf(begin, sizeof begin, "127.0.0.1@%ld#", (long)getpid());
    assert_memory_equal(rmq_client_id(a), begin, strlen(begin));
    assert_string_not_equal(rmq_client_id(a), rmq_client_id(b));
    config.instance = "worker-7";
    config.namesrv = " 127.0.0.1:1 ; name.invalid:2;";
    named = open_with(&config);
    assert_string_equal(rmq_client_id(named), "127.0.0.1@worker-7");
    rmq_client_close(a);
    rmq_client_close(b);
    rmq_client_close(named);
}

static void names_get_the_namespace(void **state)
{
    static const struct {
        const char *space, *name, *wire;
    } cases[] = {
        {NULL, "T", "T"},
        {"NS", "T", "NS%T"},
        {"NS", "NS%T", "NS%T"},
        {"NS", "%RETRY%G", "%RETRY%NS%G"},
        {"NS", "%DLQ%G", "%DLQ%NS%G"},
        {"NS", "%RETRY%NS%G", "%RETRY%NS%G"},
        {"NS", "NSX", "NS%NSX"},
        {"NS", "TBW102", "TBW102"},
        {"NS", "RMQ_SYS_TRACE_TOPIC", "RMQ_SYS_TRACE_TOPIC"},
        {"NS", "rmq_sys_wheel_timer", "rmq_sys_wheel_timer"},
        {"NS", "CID_RMQ_SYS_TRANS", "CID_RMQ_SYS_TRANS"},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rmq_client *client =
            open_with(&(rmq_client_config){.namesrv = "127.0.0.1:1", .name_space = cases[i].space});
        char out[256];

        assert_string_equal(rmq_client_wire_name(client, cases[i].name, out), cases[i].wire);
        rmq_client_close(client);
    }
}

/* ---- routes ---------------------------------------------------------------------------------- */

static void check_queues(rmq_client *client, const char *topic, enum rmq_route_for what,
                         const char *want)
{
    rmq_queue_list *list = NULL;
    rmq_error err = {0};
    char got[512] = "";

    if (rmq_topic_queues(client, topic, what, &list, &err) < 0)
        fail_msg("%s: %s", topic, err.msg);
    for (size_t i = 0; i < list->count; i++) {
        size_t len = strlen(got);

        assert_string_equal(list->queues[i].topic, topic);
        (void)snprintf(got + len, sizeof got - len, "%s:%d ", list->queues[i].broker,
                       list->queues[i].id);
    }
    assert_string_equal(got, want);
    rmq_queue_list_free(list);
}

static void queues_of_topics(void **state)
{
    fakemq *mq = fakemq_start(
        &(fakemq_config){.brokers = 2, .slaves = true, .no_auto_create = true, .old_routes = true});
    rmq_client *client = open_on(mq);
    rmq_queue_list *list = NULL;
    rmq_error err = {0};

    (void)state;
    fakemq_topic(mq, "T", 2);
    fakemq_topic_on(mq, "One", "broker-1", 1);
    fakemq_topic(mq, "NS%T", 1);
    check_queues(client, "T", RMQ_FOR_WRITING, "broker-0:0 broker-0:1 broker-1:0 broker-1:1 ");
    check_queues(client, "One", RMQ_FOR_READING, "broker-1:0 ");
    fakemq_topic_perm(mq, "T", "broker-0", 4);
    check_queues(client, "T", RMQ_FOR_WRITING, "broker-1:0 broker-1:1 ");
    check_queues(client, "T", RMQ_FOR_READING, "broker-0:0 broker-0:1 broker-1:0 broker-1:1 ");
    fakemq_kill(mq, "broker-1"); /* Its slave is left: readable only. */
    check_queues(client, "T", RMQ_FOR_WRITING, "");
    check_queues(client, "T", RMQ_FOR_READING, "broker-0:0 broker-0:1 broker-1:0 broker-1:1 ");

    assert_int_equal(rmq_topic_queues(client, "nope", RMQ_FOR_WRITING, &list, &err),
                     -RMQ_ENOTFOUND);
    assert_non_null(strstr(err.msg, "topic 'nope' does not exist"));
    assert_int_equal(RMQ_ERR_RESPONSE(&err), RMQ_R_TOPIC_NOT_EXIST);
    assert_int_equal(rmq_topic_queues(client, "a b", RMQ_FOR_WRITING, &list, &err), -RMQ_EINVAL);
    rmq_client_close(client);

    client = open_with(&(rmq_client_config){.namesrv = fakemq_namesrv(mq), .name_space = "NS"});
    check_queues(client, "T", RMQ_FOR_WRITING, "broker-0:0 ");
    rmq_client_close(client);
    fakemq_stop(mq);
}

struct asks {
    rmq_client *client;
    _Atomic int done, failed;
    int count;
    int64_t max_age_ms;
};

static void on_route(void *arg, rmq_route *route, const rc_error *err)
{
    struct asks *asks = arg;

    (void)err;
    atomic_fetch_add(route ? &asks->done : &asks->failed, 1);
}

static void ask_many(void *arg)
{
    struct asks *asks = arg;

    for (int i = 0; i < asks->count; i++)
        rmq_route_ask(asks->client, "T", asks->max_age_ms, on_route, asks);
    assert_int_equal(asks->done, 0); /* Never from inside. */
}

static bool asks_done(fakemq *mq, void *arg)
{
    struct asks *asks = arg;

    (void)mq;
    return asks->done + asks->failed == asks->count;
}

static bool more_routes(fakemq *mq, void *arg)
{
    return fakemq_requests(mq, RMQ_GET_ROUTEINFO_BY_TOPIC, NULL) >= *(int *)arg;
}

static void asks_are_shared_known_ones_serve_and_are_refreshed(void **state)
{
    fakemq *mq = fakemq_start(NULL);
    rmq_client *client =
        open_with(&(rmq_client_config){.namesrv = fakemq_namesrv(mq), .route_refresh_ms = 200});
    struct asks fresh = {.client = client, .count = 100};
    struct asks known = {.client = client, .count = 100, .max_age_ms = 60000};
    int wanted = 5;

    (void)state;
    fakemq_topic(mq, "T", 2);
    rmq_client_run(client, ask_many, &fresh);
    fakemq_wait(mq, asks_done, &fresh, "100 routes");
    assert_int_equal(fresh.done, 100);
    assert_int_equal(fakemq_requests(mq, RMQ_GET_ROUTEINFO_BY_TOPIC, NULL), 1);
    rmq_client_run(client, ask_many, &known);
    fakemq_wait(mq, asks_done, &known, "100 known routes");
    assert_int_equal(known.done, 100);
    /* Nobody asks any more, and still it is kept fresh. */
    fakemq_wait(mq, more_routes, &wanted, "refreshes");
    rmq_client_close(client);
    fakemq_stop(mq);
}

/* ---- name servers ---------------------------------------------------------------------------- */

static void one_name_server_is_enough(void **state)
{
    static const fakemq_rule faults[] = {
        {.action = FAKEMQ_CUT},
        {.action = FAKEMQ_CUT_AFTER},
        {.action = FAKEMQ_CUT_REPLY, .bytes = 3},
        {.action = FAKEMQ_CUT_REPLY, .bytes = 60},
        {.action = FAKEMQ_SWALLOW},
        {.action = FAKEMQ_OVERSIZE},
        {.action = FAKEMQ_GARBAGE},
        {.action = FAKEMQ_REFUSE, .code = 2, .remark = "busy"},
        {.action = FAKEMQ_OPAQUE},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(faults); i++) {
        fakemq *mq = fakemq_start(&(fakemq_config){.name_servers = 2});
        rmq_client *client = open_on(mq);
        fakemq_rule rule = faults[i];

        fakemq_topic(mq, "T", 1);
        check_queues(client, "T", RMQ_FOR_WRITING, "broker-0:0 "); /* Connected, and preferred. */
        rule.broker = "namesrv-0";
        rule.request = RMQ_GET_ROUTEINFO_BY_TOPIC;
        (void)fakemq_fault(mq, &rule);
        check_queues(client, "T", RMQ_FOR_WRITING, "broker-0:0 ");
        check_queues(client, "T", RMQ_FOR_READING, "broker-0:0 ");
        rmq_client_close(client);
        fakemq_stop(mq);
    }
}

static void dead_and_frozen_name_servers(void **state)
{
    fakemq *mq = fakemq_start(&(fakemq_config){.name_servers = 2});
    rmq_client *client =
        open_with(&(rmq_client_config){.namesrv = fakemq_namesrv(mq), .request_timeout_ms = 1000});
    rmq_queue_list *list = NULL;
    rmq_error err = {0};

    (void)state;
    fakemq_topic(mq, "T", 1);
    fakemq_freeze(mq, "namesrv-0", true);
    check_queues(client, "T", RMQ_FOR_WRITING, "broker-0:0 ");
    fakemq_freeze(mq, "namesrv-0", false);
    fakemq_kill(mq, "namesrv-1"); /* The one that answered last. */
    check_queues(client, "T", RMQ_FOR_WRITING, "broker-0:0 ");
    fakemq_kill(mq, "namesrv-0");
    assert_int_equal(rmq_topic_queues(client, "T", RMQ_FOR_WRITING, &list, &err), -RMQ_ECONNECT);
    assert_non_null(strstr(err.msg, "none of the 2 name servers answers"));
    assert_non_null(strstr(err.msg, "refused"));
    assert_true(err.flags & RMQ_ERR_RETRIABLE);
    rmq_client_close(client);
    fakemq_stop(mq);
}

/* ---- members --------------------------------------------------------------------------------- */

struct membership {
    rmq_client *client;
    rmq_member member;
    _Atomic int changed, known, removed;
    char known_at[RMQ_ADDRESS_MAX];
};

static json_t *heartbeat(void *arg)
{
    struct membership *m = arg;

    return json_pack("{ss ss ss ss sb s[{ss ss ss s[] s[] si sb}]}", "groupName", m->member.group,
                     "consumeType", "CONSUME_PASSIVELY", "messageModel", "CLUSTERING",
                     "consumeFromWhere", "CONSUME_FROM_FIRST_OFFSET", "unitMode", 0,
                     "subscriptionDataSet", "topic", "T", "subString", "*", "expressionType", "TAG",
                     "tagsSet", "codeSet", "subVersion", 1, "classFilterMode", 0);
}

static void on_changed(void *arg)
{
    struct membership *m = arg;

    atomic_fetch_add(&m->changed, 1);
}

static void on_known(void *arg, const char *address)
{
    struct membership *m = arg;

    (void)snprintf(m->known_at, sizeof m->known_at, "%s", address);
    atomic_fetch_add(&m->known, 1);
}

static void on_removed(void *arg)
{
    struct membership *m = arg;

    atomic_fetch_add(&m->removed, 1);
}

static void join(void *arg)
{
    struct membership *m = arg;

    rmq_member_add(m->client, &m->member);
}

static void leave(void *arg)
{
    struct membership *m = arg;

    rmq_member_remove(m->client, &m->member, on_removed, m);
    assert_int_equal(m->removed, 0);
}

static void membership_init(struct membership *m, rmq_client *client, const char *group,
                            bool consumer)
{
    memset(m, 0, sizeof *m);
    m->client = client;
    m->member = (rmq_member){.group = group,
                             .consumer = consumer,
                             .heartbeat = consumer ? heartbeat : NULL,
                             .changed = on_changed,
                             .known_at = on_known,
                             .arg = m};
}

static bool at_least(fakemq *mq, void *arg)
{
    const struct {
        _Atomic int *at;
        int n;
    } *want = arg;

    (void)mq;
    return atomic_load(want->at) >= want->n;
}

static void wait_count(fakemq *mq, _Atomic int *at, int n, const char *what)
{
    struct {
        _Atomic int *at;
        int n;
    } want = {at, n};

    fakemq_wait(mq, at_least, &want, what);
}

static void use_nothing(void *arg, const rmq_route *route)
{
    (void)arg;
    (void)route;
}

static void members_are_known_at_once_again_and_no_more(void **state)
{
    fakemq *mq = fakemq_start(&(fakemq_config){.slaves = true});
    rmq_client *client = open_on(mq); /* Heartbeats every 30 s: only events can be seen here. */
    struct membership producer, consumer;
    rmq_error err = {0};

    (void)state;
    fakemq_topic(mq, "T", 2);
    membership_init(&producer, client, "PG", false);
    rmq_client_run(client, join, &producer); /* Before any route is known. */
    assert_int_equal(rmq_client_route(client, "T", 0, use_nothing, NULL, &err), 0);
    wait_count(mq, &producer.known, 1, "the producer to be known");
    assert_int_equal(fakemq_requests(mq, RMQ_HEART_BEAT, "broker-0-slave"), 0);

    membership_init(&consumer, client, "CG", true);
    rmq_client_run(client, join, &consumer);
    wait_count(mq, &consumer.known, 2, "the consumer to be known at master and slave");
    assert_int_equal(fakemq_members(mq, "CG"), 1);
    assert_int_equal(producer.known, 2); /* The slave is new to it, the master is not. */

    fakemq_disconnect_all(mq, "broker-0");
    wait_count(mq, &consumer.known, 3, "a heartbeat on the new connection");
    assert_int_equal(fakemq_members(mq, "CG"), 1);

    rmq_client_run(client, leave, &consumer);
    wait_count(mq, &consumer.removed, 1, "the consumer to leave");
    assert_int_equal(fakemq_members(mq, "CG"), 0);
    rmq_client_run(client, leave, &producer);
    wait_count(mq, &producer.removed, 1, "the producer to leave");
    rmq_client_close(client);
    fakemq_stop(mq);
}

static void a_broker_that_comes_back_gets_a_heartbeat(void **state)
{
    fakemq *mq = fakemq_start(NULL);
    rmq_client *client = open_on(mq);
    struct membership m;
    rmq_error err = {0};

    (void)state;
    fakemq_topic(mq, "T", 2);
    assert_int_equal(rmq_client_route(client, "T", 0, use_nothing, NULL, &err), 0);
    membership_init(&m, client, "CG", true);
    rmq_client_run(client, join, &m);
    wait_count(mq, &m.known, 1, "the first heartbeat");
    fakemq_kill(mq, "broker-0");
    fakemq_revive(mq, "broker-0");
    wait_count(mq, &m.known, 2, "a heartbeat after the restart");
    rmq_client_run(client, leave, &m);
    wait_count(mq, &m.removed, 1, "leaving");
    rmq_client_close(client);
    fakemq_stop(mq);
}

static bool answered(fakemq *mq, void *arg)
{
    return fakemq_answers(mq, *(int *)arg) > 0;
}

static void brokers_ask_members(void **state)
{
    fakemq *mq = fakemq_start(NULL);
    rmq_client *client = open_on(mq);
    struct membership m;
    rmq_error err = {0};
    int codes[] = {RMQ_GET_CONSUMER_RUNNING_INFO, RMQ_GET_CONSUMER_STATUS_FROM_CLIENT};

    (void)state;
    fakemq_topic(mq, "T", 2);
    assert_int_equal(rmq_client_route(client, "T", 0, use_nothing, NULL, &err), 0);
    membership_init(&m, client, "CG", true);
    rmq_client_run(client, join, &m);
    wait_count(mq, &m.known, 1, "the first heartbeat");
    fakemq_foreign_member(mq, "CG", "192.0.2.9@other", true);
    wait_count(mq, &m.changed, 1, "the notification");
    for (size_t i = 0; i < RC_COUNT(codes); i++) {
        fakemq_ask_members(mq, "CG", codes[i], "{\"consumerGroup\":\"CG\"}", "");
        fakemq_wait(mq, answered, &codes[i], "an answer");
    }
    rmq_client_run(client, leave, &m);
    wait_count(mq, &m.removed, 1, "leaving");
    rmq_client_close(client);
    fakemq_stop(mq);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void copy_master(void *arg, const rmq_route *route)
{
    const char *address = rmq_route_master(route, "broker-0", 0);

    assert_non_null(address);
    (void)snprintf(arg, RMQ_ADDRESS_MAX, "%s", address);
}

static int max_offset(rmq_client *client, const char *address, rmq_answer *answer)
{
    rmq_field fields[] = {
        {omc_slice_str("topic"), omc_slice_str("T")},
        {omc_slice_str("queueId"), omc_slice_str("0")},
        {omc_slice_str("bname"), omc_slice_str("broker-0")},
    };
    rmq_request request = {
        .code = RMQ_GET_MAX_OFFSET,
        .fields = fields,
        .field_count = RC_COUNT(fields),
        .timeout_ms = 5000,
    };

    return rmq_client_call(client, address, &request, answer);
}

struct caller {
    rmq_client *client;
    const char *address;
    int good;
};

static void *call_often(void *arg)
{
    struct caller *caller = arg;

    for (int i = 0; i < 250; i++) {
        rmq_answer first, second;
        rmq_client_stats stats;
        int64_t offset = -1;

        if (max_offset(caller->client, caller->address, &first) < 0 ||
            max_offset(caller->client, caller->address, &second) < 0)
            return NULL;
        rmq_client_stats_get(caller->client, &stats);
        /* The first one's texts outlive later replies. */
        if (rmq_header_int(&first.frame.header, "offset", &offset, NULL) == 0 && offset == 7)
            caller->good++;
        rmq_answer_release(&first);
        rmq_answer_release(&second);
    }
    return NULL;
}

static void calls_of_many_threads(void **state)
{
    (void)state;
    for (int binary = 0; binary < 2; binary++) {
        fakemq *mq = fakemq_start(&(fakemq_config){.binary = binary});
        rmq_client *client = open_on(mq);
        char address[RMQ_ADDRESS_MAX];
        struct caller callers[4];
        pthread_t threads[4];
        rmq_client_stats stats;
        rmq_error err = {0};

        fakemq_topic(mq, "T", 1);
        fakemq_fill(mq, "T", "broker-0", 0, 7);
        assert_int_equal(rmq_client_route(client, "T", 0, copy_master, address, &err), 0);
        for (int i = 0; i < 4; i++) {
            callers[i] = (struct caller){client, address, 0};
            assert_int_equal(rc_thread_start(&threads[i], "caller", 0, call_often, &callers[i],
                                             &err),
                             0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(callers[i].good, 250);
        }
        rmq_client_stats_get(client, &stats);
        assert_int_equal(stats.requests, 2001);
        assert_int_equal(stats.replies, 2001);
        assert_int_equal(stats.connections, 2);
        assert_int_equal(stats.pending_requests, 0);
        assert_int_equal(fakemq_requests(mq, RMQ_GET_MAX_OFFSET, "broker-0"), 2000);
        rmq_client_close(client);
        fakemq_stop(mq);
    }
}

static void errors_name_broker_request_and_reason(void **state)
{
    fakemq *mq = fakemq_start(NULL);
    rmq_client *client = open_on(mq);
    char address[RMQ_ADDRESS_MAX];
    char want[RMQ_ADDRESS_MAX + 64];
    rmq_answer answer;
    rmq_error err = {0};

    (void)state;
    fakemq_topic(mq, "T", 1);
    assert_int_equal(rmq_client_route(client, "T", 0, copy_master, address, &err), 0);
    fakemq_kill(mq, "broker-0");
    assert_int_equal(max_offset(client, address, &answer), -RMQ_ECONNECT);
    (void)snprintf(want, sizeof want, "GET_MAX_OFFSET to broker broker-0 at %s: ", address);
    assert_memory_equal(answer.err.msg, want, strlen(want));
    assert_non_null(strstr(answer.err.msg, "refused"));
    rmq_answer_release(&answer);
    assert_int_equal(max_offset(client, "name.invalid:1", &answer), -RMQ_ECONNECT);
    assert_non_null(strstr(answer.err.msg, "name.invalid"));
    rmq_answer_release(&answer);
    rmq_client_close(client);
    fakemq_stop(mq);
}

/* ---- closing --------------------------------------------------------------------------------- */

struct pending {
    rmq_client *client;
    const char *address;
    int told[100];
    int canceled;
};
struct pending_call {
    struct pending *all;
    int n;
};

static void on_pending(void *arg, const rmq_reply *reply)
{
    struct pending_call *call = arg;

    call->all->told[call->n]++;
    call->all->canceled += reply->result == -OMC_ECANCELED;
    free(call);
}

static void start_pending(void *arg)
{
    struct pending *all = arg;

    for (int i = 0; i < 100; i++) {
        struct pending_call *call = rc_calloc(1, sizeof *call);
        rmq_field topic = {omc_slice_str("topic"), omc_slice_str("T")};
        rmq_request request = {
            .code = RMQ_GET_ROUTEINFO_BY_TOPIC,
            .fields = &topic,
            .field_count = 1,
            .timeout_ms = 60000,
            .done = on_pending,
            .arg = call,
        };

        call->all = all;
        call->n = i;
        if (i % 2)
            rmq_client_call_namesrv(all->client, &request);
        else
            rmq_remote_call(rmq_client_remote(all->client, all->address, RMQ_CONN_PULL), &request);
    }
}

static bool swallowed(fakemq *mq, void *arg)
{
    return fakemq_fault_hits(mq, *(int *)arg) >= 50;
}

static void close_tells_every_pending_call_once(void **state)
{
    (void)state;
    for (int early = 0; early < 2; early++) { /* Before they were sent, and after. */
        fakemq *mq = fakemq_start(NULL);
        rmq_client *client = open_on(mq);
        struct pending all = {.client = client, .address = fakemq_namesrv(mq)};
        int rule = fakemq_fault(mq, &(fakemq_rule){.action = FAKEMQ_SWALLOW,
                                                   .request = RMQ_GET_ROUTEINFO_BY_TOPIC});

        rmq_client_run(client, start_pending, &all);
        if (!early)
            fakemq_wait(mq, swallowed, &rule, "the calls to be swallowed");
        rmq_client_close(client);
        for (int i = 0; i < 100; i++)
            assert_int_equal(all.told[i], 1);
        assert_int_equal(all.canceled, 100);
        fakemq_stop(mq);
    }
}

static int io_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    int count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        char path[300], name[32] = "";
        FILE *file;

        (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        file = fopen(path, "r");
        if (!file)
            continue;
        if (fgets(name, sizeof name, file) && strcmp(name, "rmq-io\n") == 0)
            count++;
        fclose(file);
    }
    closedir(dir);
    return count;
}

static void clients_share_one_thread(void **state)
{
    fakemq *mq = fakemq_start(NULL);
    int others = io_threads(); /* libuv's, for names; they inherit the name and stay. */

    (void)state;
    fakemq_topic(mq, "T", 1);
    for (int i = 0; i < 3; i++) {
        rmq_client *a = open_on(mq), *b = open_on(mq);

        check_queues(a, "T", RMQ_FOR_WRITING, "broker-0:0 ");
        assert_int_equal(io_threads(), others + 1);
        rmq_client_close(a);
        check_queues(b, "T", RMQ_FOR_WRITING, "broker-0:0 ");
        assert_int_equal(io_threads(), others + 1);
        rmq_client_close(b);
        assert_int_equal(io_threads(), others);
    }
    fakemq_stop(mq);
}

/* ---- signatures and TLS ---------------------------------------------------------------------- */

static void requests_are_signed(void **state)
{
    fakemq *mq = fakemq_start(&(fakemq_config){.access_key = "key", .secret_key = "secret"});
    static const struct {
        const char *access, *secret;
        int code;
    } cases[] = {{"key", "secret", 0}, {"key", "wrong", 16}, {NULL, NULL, 16}};

    (void)state;
    fakemq_topic(mq, "T", 1);
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rmq_client *client = open_with(&(rmq_client_config){.namesrv = fakemq_namesrv(mq),
                                                            .access_key = cases[i].access,
                                                            .secret_key = cases[i].secret});
        char address[RMQ_ADDRESS_MAX];
        rmq_answer answer;
        rmq_error err = {0};

        assert_int_equal(rmq_client_route(client, "T", 0, copy_master, address, &err), 0);
        assert_int_equal(max_offset(client, address, &answer), 0);
        assert_int_equal(answer.frame.header.code, cases[i].code);
        rmq_answer_release(&answer);
        rmq_client_close(client);
    }
    fakemq_stop(mq);
}

static void tls_works_and_its_lack_is_told(void **state)
{
    char folder[] = "/tmp/rmq-client-XXXXXX", cert[64], key[64];
    const struct {
        rmq_tls_config tls;
        const char *says; /* NULL = works. */
    } cases[] = {
        {{.enable = true}, NULL},
        {{.enable = true, .verify = true, .ca_file = cert, .server_name = "mq.test"}, NULL},
        {{.enable = true, .verify = true, .ca_file = cert}, "certificate"},
        {{.enable = true, .verify = true}, "certificate"},
        {{.enable = false}, "name server"},
    };
    fakemq *mq;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(cert, sizeof cert, "%s/cert.pem", folder);
    (void)snprintf(key, sizeof key, "%s/key.pem", folder);
    fakemq_certificate(cert, key);
    mq = fakemq_start(&(fakemq_config){.tls_cert = cert, .tls_key = key});
    fakemq_topic(mq, "T", 1);
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rmq_client *client =
            open_with(&(rmq_client_config){.namesrv = fakemq_namesrv(mq),
                                           .tls = cases[i].tls,
                                           .request_timeout_ms = cases[i].says ? 1000 : 5000});
        rmq_queue_list *list = NULL;
        rmq_error err = {0};
        int r = rmq_topic_queues(client, "T", RMQ_FOR_WRITING, &list, &err);

        if (cases[i].says ? r >= 0 || !strstr(err.msg, cases[i].says) : r < 0)
            fail_msg("case %zu: %d '%s'", i, r, err.msg);
        rmq_queue_list_free(list);
        rmq_client_close(client);
    }
    fakemq_stop(mq);
    (void)unlink(cert);
    (void)unlink(key);
    (void)rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_checked_in_the_users_words),
        cmocka_unit_test(ids_differ_unless_named),
        cmocka_unit_test(names_get_the_namespace),
        cmocka_unit_test(queues_of_topics),
        cmocka_unit_test(asks_are_shared_known_ones_serve_and_are_refreshed),
        cmocka_unit_test(one_name_server_is_enough),
        cmocka_unit_test(dead_and_frozen_name_servers),
        cmocka_unit_test(members_are_known_at_once_again_and_no_more),
        cmocka_unit_test(a_broker_that_comes_back_gets_a_heartbeat),
        cmocka_unit_test(brokers_ask_members),
        cmocka_unit_test(calls_of_many_threads),
        cmocka_unit_test(errors_name_broker_request_and_reason),
        cmocka_unit_test(close_tells_every_pending_call_once),
        cmocka_unit_test(clients_share_one_thread),
        cmocka_unit_test(requests_are_signed),
        cmocka_unit_test(tls_works_and_its_lack_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
