/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two servers of one cluster: requests that only the owner of a connector can answer go there,
 * signed, one hop, and come back as the owner answers; and what is said when that cannot be.
 */
#include "base/clock.h"
#include "rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define API "/api/v1/connectors"
#define SRC "{\"connector.class\":\"file-source\",\"filename\":\"/x\"}"

/* What a server is told of owners; changed under `mu`. */
typedef struct book {
    pthread_mutex_t mu;
    int says; /* What owner() returns; */
    int then; /* and after `calls` calls. */
    int calls;
    int asked;
    char connector[64];
    int task;
    rc_rest_peer peer;
} book;

static rig a, b;
static book book_a = {.mu = PTHREAD_MUTEX_INITIALIZER}, book_b = {.mu = PTHREAD_MUTEX_INITIALIZER};
static rc_peer_key key, other_key;
static rc_rest_cluster cluster_a, cluster_b;
static got g;

static int owner(void *arg, const char *connector, int task, rc_rest_peer *ret, rc_error *err)
{
    book *k = arg;
    int says;

    pthread_mutex_lock(&k->mu);
    says = k->asked++ < k->calls ? k->says : k->then;
    snprintf(k->connector, sizeof k->connector, "%s", connector);
    k->task = task;
    *ret = k->peer;
    pthread_mutex_unlock(&k->mu);
    if (says == -OMC_EAGAIN)
        return rc_fail(err, OMC_EAGAIN, "nobody runs '%s' at the moment", connector);
    if (says == -OMC_ENOTFOUND)
        return rc_fail(err, OMC_ENOTFOUND, "there is no connector '%s'", connector);
    return says;
}

/* `says` for the first `calls` calls, then `then`. */
static void tell(book *k, int says, int calls, int then)
{
    pthread_mutex_lock(&k->mu);
    k->says = says;
    k->calls = calls;
    k->then = then;
    k->asked = 0;
    pthread_mutex_unlock(&k->mu);
}

static int asked(book *k)
{
    int n;

    pthread_mutex_lock(&k->mu);
    n = k->asked;
    pthread_mutex_unlock(&k->mu);
    return n;
}

static void peer_is(book *k, int port, uint64_t incarnation)
{
    pthread_mutex_lock(&k->mu);
    snprintf(k->peer.name, sizeof k->peer.name, "worker-b");
    snprintf(k->peer.url, sizeof k->peer.url, "http://127.0.0.1:%d/", port);
    k->peer.incarnation = incarnation;
    pthread_mutex_unlock(&k->mu);
}

static void start_both(const rc_peer_key *key_b, int64_t timeout_ms)
{
    rc_peer_key_of("one", &key);
    rc_peer_key_of("another", &other_key);
    cluster_a = (rc_rest_cluster){
        .name = "worker-a", .incarnation = 0xa, .key = &key, .owner = owner, .arg = &book_a};
    cluster_b = (rc_rest_cluster){
        .name = "worker-b", .incarnation = 0xb, .key = key_b, .owner = owner, .arg = &book_b};
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    a.worker = fake_worker_new();
    a.cluster = &cluster_a;
    rig_start_with(&a, (rc_rest_config){.timeout_ms = timeout_ms});
    b.worker = a.worker;
    b.borrowed = true;
    b.cluster = &cluster_b;
    rig_start_with(&b, (rc_rest_config){0});
    peer_is(&book_a, b.port, 0xb);
    peer_is(&book_b, a.port, 0xa);
    tell(&book_a, 1, 1000, 1);
    tell(&book_b, 0, 1000, 0);
    rig_expect_begin(&a, "PUT", API "/c/config", SRC, 201, "{");
}

static void stop_both(void)
{
    rig_stop(&b);
    rig_stop(&a);
}

static void owners_answer_for_others(void **state)
{
    (void)state;
    start_both(&key, 0);
    rig_call(&a, "POST", API "/c/restart?onlyFailed=true", "", NULL, &g);
    assert_int_equal(g.status, 202);
    assert_non_null(strstr(g.head, "application/json"));
    assert_non_null(strstr(g.body, "\"name\":\"c\""));
    assert_int_equal(asked(&book_b), 1);
    assert_string_equal(book_b.connector, "c");
    assert_int_equal(book_b.task, -1);
    rig_call(&a, "POST", API "/c/tasks/0/restart", "", NULL, &g);
    assert_int_equal(g.status, 204);
    assert_int_equal(book_b.task, 0);
    /* The owner's refusals are passed on too. */
    rig_call(&a, "POST", API "/nosuch/restart", "", NULL, &g);
    assert_int_equal(g.status, 404);
    assert_non_null(strstr(g.body, "nosuch"));
    /* What the shared state answers stays here. */
    tell(&book_b, 0, 1000, 0);
    rig_expect_begin(&a, "GET", API "/c/status", NULL, 200, "{");
    assert_int_equal(asked(&book_b), 0);
    stop_both();
}

static void an_owner_that_moved_is_looked_for_again(void **state)
{
    (void)state;
    start_both(&key, 0);
    tell(&book_b, 1, 2, 0); /* Twice it is not the owner, and does not send it further. */
    rig_call(&a, "POST", API "/c/restart", "", NULL, &g);
    assert_int_equal(g.status, 202);
    assert_int_equal(asked(&book_b), 3);
    tell(&book_b, 1, 1000, 1);
    rig_call(&a, "POST", API "/c/restart", "", NULL, &g);
    assert_int_equal(g.status, 503);
    assert_non_null(strstr(g.body, "moves"));
    stop_both();
}

static void nobody_and_nothing(void **state)
{
    (void)state;
    start_both(&key, 0);
    tell(&book_a, -OMC_EAGAIN, 1000, -OMC_EAGAIN);
    rig_call(&a, "POST", API "/c/restart", "", NULL, &g);
    assert_int_equal(g.status, 503);
    assert_non_null(strstr(g.body, "nobody runs 'c' at the moment"));
    tell(&book_a, -OMC_ENOTFOUND, 1000, -OMC_ENOTFOUND);
    rig_call(&a, "POST", API "/c/restart", "", NULL, &g);
    assert_int_equal(g.status, 404);
    stop_both();
}

static void a_dead_owner_is_named(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* Bound, not listening: refuses. */

    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    start_both(&key, 0);
    peer_is(&book_a, ntohs(at.sin_port), 0xb);
    rig_call(&a, "POST", API "/c/restart", "", NULL, &g);
    assert_int_equal(g.status, 503);
    assert_non_null(strstr(g.body, "worker 'worker-b' at http://127.0.0.1:"));
    assert_non_null(strstr(g.body, "does not answer"));
    assert_true(asked(&book_a) > 1); /* It looked whether there is a new one. */
    close(fd);
    stop_both();
}

static void a_slow_owner_does_not_hang_us(void **state)
{
    (void)state;
    start_both(&key, 1500);
    fake_worker_hold(a.worker, true);
    rig_call(&a, "POST", API "/c/restart", "", NULL, &g);
    assert_int_equal(g.status, 503);
    fake_worker_hold(a.worker, false);
    stop_both();
}

static void secrets_must_be_the_same(void **state)
{
    (void)state;
    start_both(&other_key, 0);
    rig_call(&a, "POST", API "/c/restart", "", NULL, &g);
    assert_int_equal(g.status, 403);
    assert_non_null(strstr(g.body, "cluster.secret"));
    assert_int_equal(asked(&book_b), 0); /* Refused before anybody looked at it. */
    stop_both();
    start_both(NULL, 0);
    rig_call(&a, "POST", API "/c/restart", "", NULL, &g);
    assert_int_equal(g.status, 403);
    stop_both();
    start_both(&key, 0);
    cluster_a.key = NULL;
    rc_rest_join(a.rest, &cluster_a);
    rig_call(&a, "POST", API "/c/restart", "", NULL, &g);
    assert_int_equal(g.status, 503);
    assert_non_null(strstr(g.body, "cluster.secret"));
    assert_non_null(strstr(g.body, "or call http://127.0.0.1"));
    stop_both();
}

static void calls_by_hand_are_not_signed(void **state)
{
    char header[sizeof RC_PEER_HEADER + RC_PEER_VALUE_MAX + 8];
    const rc_peer_call call = {"POST", API "/c/restart", {"", 0}, 0xb};
    const rc_peer_caller from = {"worker-a", 0xa, 1000};
    size_t n = (size_t)snprintf(header, sizeof header, "%s: ", RC_PEER_HEADER);

    (void)state;
    start_both(&key, 0);
    rig_call(&b, "POST", API "/c/restart", "", NULL, &g);
    assert_int_equal(g.status, 202);
    rig_call(&b, "POST", API "/c/restart", RC_PEER_HEADER ": v=1 inc=1 n=1 from=me\r\n", NULL, &g);
    assert_int_equal(g.status, 403);
    assert_non_null(strstr(g.body, "leave it out"));
    /* What somebody saw on the network and sends again. */
    rc_peer_sign(&key, &from, &call, header + n);
    strcat(header, "\r\n");
    rig_call(&b, "POST", API "/c/restart", header, NULL, &g);
    assert_int_equal(g.status, 202);
    rig_call(&b, "POST", API "/c/restart", header, NULL, &g);
    assert_int_equal(g.status, 403);
    assert_non_null(strstr(g.body, "taken before"));
    stop_both();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owners_answer_for_others),
        cmocka_unit_test(an_owner_that_moved_is_looked_for_again),
        cmocka_unit_test(nobody_and_nothing),
        cmocka_unit_test(a_dead_owner_is_named),
        cmocka_unit_test(a_slow_owner_does_not_hang_us),
        cmocka_unit_test(secrets_must_be_the_same),
        cmocka_unit_test(calls_by_hand_are_not_signed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
