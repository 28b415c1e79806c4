/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One queue over one connection: what is told of reads, appends and members is what happened, on
 * this connection; when it ends nothing comes back by itself.
 */
#include "fakemq.h"
#include "rocketmq/pinned.h"
#include "unit.h"

#include "base/clock.h"

#include <string.h>

#define TOPIC "own"
#define GROUP "c1-members"

static fakemq *mq;
static rmq_client *client;
static rmq_pinned *pinned;

/* What was told, on the I/O thread. */
static struct {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    int up, down, changed, closed, answers;
    rmq_pinned_read_result result;
    int64_t offset; /* first; end; where it was stored */
    size_t count;   /* bodies; members */
    char text[4][64];
    bool weak, unknown, failed;
    char why[1024];
} told = {.mu = PTHREAD_MUTEX_INITIALIZER};

static void lock(void)
{
    pthread_mutex_lock(&told.mu);
}

static void unlock(void)
{
    pthread_cond_broadcast(&told.cond);
    pthread_mutex_unlock(&told.mu);
}

static void note_error(const rc_error *err)
{
    told.failed = err != NULL;
    snprintf(told.why, sizeof told.why, "%s", err ? err->msg : "");
}

static void wait_until(const int *what, int least)
{
    rc_clock *clock = rc_clock_real();
    int64_t end = rc_mono_ns(clock) + INT64_C(20000000000);

    pthread_mutex_lock(&told.mu);
    while (*what < least)
        if (clock->wait(clock, &told.cond, &told.mu, end) < 0)
            fail_msg("waited 20 s; last said: %s", told.why);
    pthread_mutex_unlock(&told.mu);
}

static void on_up(void *arg)
{
    (void)arg;
    lock();
    told.up++;
    unlock();
}

static void on_down(void *arg, const rc_error *why)
{
    (void)arg;
    lock();
    told.down++;
    note_error(why);
    unlock();
}

static void on_changed(void *arg)
{
    (void)arg;
    lock();
    told.changed++;
    unlock();
}

static void on_closed(void *arg)
{
    (void)arg;
    lock();
    told.closed++;
    unlock();
}

static void on_read(void *arg, const rmq_pinned_records *records)
{
    (void)arg;
    lock();
    told.result = records->result;
    told.offset = records->first;
    told.count = records->count;
    for (size_t i = 0; i < RC_MIN(records->count, RC_COUNT(told.text)); i++)
        snprintf(told.text[i], sizeof told.text[i], "%.*s", (int)records->bodies[i].len,
                 records->bodies[i].base);
    note_error(records->err);
    told.answers++;
    unlock();
}

static void on_offset(void *arg, int64_t offset, const rc_error *err)
{
    (void)arg;
    lock();
    told.offset = offset;
    note_error(err);
    told.answers++;
    unlock();
}

static void on_stored(void *arg, const rmq_pinned_stored *stored)
{
    (void)arg;
    lock();
    told.offset = stored->offset;
    told.weak = stored->weak;
    told.unknown = stored->unknown;
    note_error(stored->err);
    told.answers++;
    unlock();
}

static void on_members(void *arg, const char *const *names, size_t count, const rc_error *err)
{
    (void)arg;
    lock();
    told.count = count;
    for (size_t i = 0; names && i < RC_MIN(count, RC_COUNT(told.text)); i++)
        snprintf(told.text[i], sizeof told.text[i], "%s", names[i]);
    note_error(err);
    told.answers++;
    unlock();
}

/* ---- what is asked, on the I/O thread -------------------------------------------------------- */

typedef struct ask {
    enum { OPEN, CLOSE, READ, END, LEAST, APPEND, MEMBERS } what;
    int64_t offset, wait_ms;
    const char *text;
} ask;

static void do_ask(void *arg)
{
    const ask *a = arg;
    const rmq_pinned_config config = {.client = client,
                                      .topic = TOPIC,
                                      .broker = "broker-0",
                                      .timeout_ms = 1000,
                                      .group = GROUP,
                                      .member = "w1@ab",
                                      .up = on_up,
                                      .down = on_down,
                                      .changed = on_changed};

    switch (a->what) {
    case OPEN:
        pinned = rmq_pinned_open(&config);
        break;
    case CLOSE:
        rmq_pinned_close(RC_TAKE(pinned), on_closed, NULL);
        break;
    case READ:
        rmq_pinned_read(pinned, a->offset, a->wait_ms, on_read, NULL);
        break;
    case END:
        rmq_pinned_end(pinned, on_offset, NULL);
        break;
    case LEAST:
        rmq_pinned_least(pinned, on_offset, NULL);
        break;
    case APPEND:
        rmq_pinned_append(pinned, omc_slice_str(a->text), on_stored, NULL);
        break;
    case MEMBERS:
        rmq_pinned_members(pinned, a->text, on_members, NULL);
        break;
    }
}

/* Asks; what there is to be told of it comes later. */
static void begin_ask(ask a)
{
    rmq_client_run(client, do_ask, &a);
}

static void asked(ask a)
{
    int before = told.answers;

    begin_ask(a);
    wait_until(&told.answers, before + 1);
}

static void append(const char *text)
{
    asked((ask){.what = APPEND, .text = text});
}

static void connect_it(void)
{
    begin_ask((ask){.what = OPEN});
    wait_until(&told.up, 1);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void records_are_read_as_they_were_appended(void **state)
{
    (void)state;
    connect_it();
    append("one");
    assert_int_equal(told.offset, 0);
    append("two");
    assert_int_equal(told.offset, 1);
    assert_false(told.weak || told.unknown || told.failed);
    asked((ask){.what = END});
    assert_int_equal(told.offset, 2);
    asked((ask){.what = LEAST});
    assert_int_equal(told.offset, 0);
    asked((ask){.what = READ, .offset = 1});
    assert_int_equal(told.result, RMQ_PINNED_RECORDS);
    assert_int_equal(told.offset, 1);
    assert_int_equal(told.count, 1);
    assert_string_equal(told.text[0], "two");
    assert_int_equal(fakemq_requests(mq, 310, NULL), 2); /* Each was sent once. */
}

static void a_read_at_the_end_waits(void **state)
{
    int before;

    (void)state;
    connect_it();
    asked((ask){.what = READ, .offset = 0, .wait_ms = 1});
    assert_int_equal(told.result, RMQ_PINNED_NOTHING);
    before = told.answers;
    begin_ask((ask){.what = READ, .offset = 0, .wait_ms = 15000});
    begin_ask((ask){.what = APPEND, .text = "late"});
    wait_until(&told.answers, before + 2);
    asked((ask){.what = READ, .offset = 0});
    assert_string_equal(told.text[0], "late");
}

static void a_place_that_is_not_there_is_told(void **state)
{
    (void)state;
    fakemq_fill(mq, TOPIC, "broker-0", 0, 10);
    connect_it();
    asked((ask){.what = READ, .offset = 12});
    assert_int_equal(told.result, RMQ_PINNED_BEYOND);
    assert_int_equal(told.offset, 10);
    fakemq_trim(mq, TOPIC, "broker-0", 0, 4);
    asked((ask){.what = READ, .offset = 2});
    assert_int_equal(told.result, RMQ_PINNED_BELOW);
    assert_int_equal(told.offset, 4);
    asked((ask){.what = READ, .offset = 10}); /* The end is no such place. */
    assert_int_equal(told.result, RMQ_PINNED_NOTHING);
}

static void what_came_of_an_append_is_told_as_it_is(void **state)
{
    (void)state;
    connect_it();
    fakemq_fault(mq, &(fakemq_rule){.action = FAKEMQ_CODE, .request = 310, .count = 1, .code = 10});
    append("weak");
    assert_int_equal(told.offset, 0);
    assert_true(told.weak && told.failed);
    fakemq_fault(mq, &(fakemq_rule){.action = FAKEMQ_REFUSE,
                                    .request = 310,
                                    .count = 1,
                                    .code = 16,
                                    .remark = "no"});
    append("refused");
    assert_true(told.offset < 0 && !told.unknown);
    assert_non_null(strstr(told.why, TOPIC));
    fakemq_fault(mq, &(fakemq_rule){.action = FAKEMQ_SWALLOW, .request = 310, .count = 1});
    append("stored");
    assert_true(told.offset < 0 && told.unknown);
    asked((ask){.what = READ, .offset = 1});
    assert_string_equal(told.text[0], "stored"); /* It was, and was not sent again. */
    assert_int_equal(told.count, 1);
}

static void members_and_nobody_and_no_answer(void **state)
{
    (void)state;
    connect_it();
    fakemq_foreign_member(mq, GROUP, "w2@cd", true);
    wait_until(&told.changed, 1);
    asked((ask){.what = MEMBERS});
    assert_int_equal(told.count, 2);
    assert_false(told.failed);
    /* Nobody in a group is an answer, */
    asked((ask){.what = MEMBERS, .text = "another"});
    assert_int_equal(told.count, 0);
    assert_false(told.failed);
    /* a failure with the same code is none, */
    fakemq_fault(mq, &(fakemq_rule){.action = FAKEMQ_REFUSE,
                                    .request = 38,
                                    .count = 1,
                                    .code = 1,
                                    .remark = "java.lang.NullPointerException"});
    asked((ask){.what = MEMBERS, .text = "another"});
    assert_true(told.failed);
    /* nor is silence. */
    fakemq_fault(mq, &(fakemq_rule){.action = FAKEMQ_IGNORE, .request = 38, .count = 1});
    asked((ask){.what = MEMBERS, .text = "another"});
    assert_true(told.failed);
}

static void an_end_is_told_once_and_is_the_end(void **state)
{
    int connects;

    (void)state;
    connect_it();
    begin_ask((ask){.what = READ, .offset = 0, .wait_ms = 15000});
    connects = fakemq_requests(mq, 34, NULL);
    fakemq_disconnect_all(mq, "broker-0");
    wait_until(&told.down, 1);
    assert_int_equal(told.answers, 1); /* The read was told first. */
    assert_int_equal(told.result, RMQ_PINNED_FAILED);
    begin_ask((ask){.what = CLOSE});
    wait_until(&told.closed, 1);
    assert_int_equal(told.down, 1);
    assert_int_equal(fakemq_requests(mq, 34, NULL), connects); /* It did not come back. */
}

static void a_broker_that_is_away_is_told(void **state)
{
    (void)state;
    fakemq_kill(mq, "broker-0");
    begin_ask((ask){.what = OPEN});
    wait_until(&told.down, 1);
    assert_int_equal(told.up, 0);
    assert_true(told.why[0]);
}

static void closing_drops_what_is_asked(void **state)
{
    (void)state;
    connect_it();
    begin_ask((ask){.what = READ, .offset = 0, .wait_ms = 15000});
    begin_ask((ask){.what = CLOSE});
    wait_until(&told.closed, 1);
    assert_int_equal(told.answers, 0);
    assert_int_equal(told.down, 0);
}

/* ---- frame ----------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    rmq_client_config config = {.request_timeout_ms = 2000, .connect_timeout_ms = 2000};
    rmq_error err = {0};

    (void)state;
    mq = fakemq_start(NULL);
    fakemq_topic_on(mq, TOPIC, "broker-0", 1);
    config.namesrv = fakemq_namesrv(mq);
    if (rmq_client_open(&config, &client, &err) < 0)
        fail_msg("%s", err.msg);
    lock();
    told.up = told.down = told.changed = told.closed = told.answers = 0;
    told.weak = told.unknown = told.failed = false;
    unlock();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (pinned) {
        begin_ask((ask){.what = CLOSE});
        wait_until(&told.closed, 1);
    }
    rmq_client_close(client);
    fakemq_stop(mq);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_are_read_as_they_were_appended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_read_at_the_end_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_place_that_is_not_there_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_came_of_an_append_is_told_as_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_and_nobody_and_no_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_is_told_once_and_is_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_broker_that_is_away_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closing_drops_what_is_asked, set_up, tear_down),
    };

    rc_cond_init(&told.cond);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
