/* SPDX-License-Identifier: Apache-2.0 */
/* The whole path inside one process: toy source -> embedded log -> toy sink, and what users do. */
#include "unit.h"

#include "toys.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOURCE "connector.class=toy-source", "connect.topicname=t"
#define SINK "connector.class=toy-sink", "connect.topicnames=t"
#define assert_ok(r, err)              \
    do {                               \
        if ((r) < 0)                   \
            fail_msg("%s", (err).msg); \
    } while (0)

static void check_lines(const char *prefix, int from, int to)
{
    char text[64];

    assert_true(toys_wait((size_t)(to - from + 1)));
    pthread_mutex_lock(&toys.mu);
    assert_int_equal(toys.count, to - from + 1);
    for (int i = from; i <= to; i++) {
        (void)snprintf(text, sizeof text, "%s%d", prefix, i);
        assert_string_equal(toys.lines[i - from], text);
    }
    pthread_mutex_unlock(&toys.mu);
}

static void copies_in_order(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    toy_rig_open(&rig, NULL);
    assert_ok(toy_put(&rig, "in", &err, SOURCE, "to=100", "bounded=true", NULL), err);
    assert_ok(toy_put(&rig, "out", &err, SINK, NULL), err);
    check_lines("line ", 1, 100);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_FINISHED));
    assert_true(toy_wait_state(&rig, "in", -1, RC_STATE_FINISHED));
    assert_int_equal(toys.stored, 100);
    assert_true(toy_wait_metric(&rig, "in", RC_TM_WRITTEN, 100));
    toy_rig_close(&rig);
}

/* Positions and offsets survive; connectors come back by themselves; nothing repeats. */
static void resumes_after_restart(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    toy_rig_open(&rig, NULL);
    assert_ok(toy_put(&rig, "out", &err, SINK, NULL), err);
    assert_ok(toy_put(&rig, "in", &err, SOURCE, "to=10", NULL), err);
    check_lines("line ", 1, 10);
    toy_rig_restart(&rig);
    assert_ok(toy_put(&rig, "in", &err, SOURCE, "to=20", NULL), err);
    check_lines("line ", 1, 20);
    toy_rig_close(&rig);
}

static void pauses_and_resumes(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    toy_rig_open(&rig, NULL);
    assert_ok(toy_put(&rig, "out", &err, SINK, NULL), err);
    assert_true(toy_wait_state(&rig, "out", 0, RC_STATE_RUNNING));
    assert_ok(toy_request(&rig, RC_REQUEST_PAUSE, "out", &err), err);
    assert_true(toy_wait_state(&rig, "out", 0, RC_STATE_PAUSED));
    assert_ok(toy_put(&rig, "in", &err, SOURCE, NULL), err);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING));
    while (toy_metric(&rig, "in", RC_TM_WRITTEN) < 10)
        ;
    assert_int_equal(toys.count, 0);
    toy_rig_restart(&rig);
    assert_true(toy_wait_state(&rig, "out", 0, RC_STATE_PAUSED));
    assert_ok(toy_request(&rig, RC_REQUEST_RESUME, "out", &err), err);
    check_lines("line ", 1, 10);
    assert_ok(toy_request(&rig, RC_REQUEST_STOP, "out", &err), err);
    assert_true(toy_wait_state(&rig, "out", -1, RC_STATE_STOPPED));
    assert_ok(toy_request(&rig, RC_REQUEST_OFFSETS_RESET, "out", &err), err);
    assert_ok(toy_request(&rig, RC_REQUEST_RESUME, "out", &err), err);
    assert_true(toys_wait(20)); /* from the beginning again */
    assert_ok(toy_request(&rig, RC_REQUEST_DELETE, "in", &err), err);
    assert_int_equal(toy_request(&rig, RC_REQUEST_GET, "in", &err), -OMC_ENOTFOUND);
    toy_rig_close(&rig);
}

/* The same batch is put again, the stall shows its reason, and nothing is lost or doubled. */
static void retries_put_and_poll(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    toy_rig_open(&rig, NULL);
    toys.put_failures = 2;
    toys.poll_failures = 2;
    assert_ok(toy_put(&rig, "out", &err, SINK, NULL), err);
    assert_ok(toy_put(&rig, "in", &err, SOURCE, NULL), err);
    check_lines("line ", 1, 10);
    assert_true(toy_wait_state(&rig, "out", 0, RC_STATE_RUNNING));
    assert_true(toy_wait_metric(&rig, "out", RC_TM_RETRIES, 2));
    toy_rig_close(&rig);
}

static void restarts_with_back_off(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    toy_rig_open(&rig, NULL);
    toys.start_failures = 3;
    assert_ok(toy_put(&rig, "out", &err, SINK, NULL), err);
    assert_ok(toy_put(&rig, "in", &err, SOURCE, NULL), err);
    check_lines("line ", 1, 10);
    assert_true(toy_wait_metric(&rig, "in", RC_TM_RESTARTS, 3));
    toy_rig_close(&rig);
}

static void few_restarts(rc_worker_config *config)
{
    config->restart_max = 2;
}

static void gives_up_and_says_why(void **state)
{
    toy_rig rig;
    rc_error err = {0};
    char trace[512];

    (void)state;
    toy_rig_open(&rig, few_restarts);
    toys.start_failures = 3;
    assert_ok(toy_put(&rig, "in", &err, SOURCE, NULL), err);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_FAILED));
    toy_trace(&rig, "in", 0, trace, sizeof trace);
    assert_non_null(strstr(trace, "toy start failure"));
    assert_ok(toy_request(&rig, RC_REQUEST_RESTART, "in", &err), err);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING));
    toy_rig_close(&rig);
}

/* A configuration error is FAILED at once: no topic anywhere. */
static void fails_at_once_without_topic(void **state)
{
    toy_rig rig;
    rc_error err = {0};
    char trace[512];

    (void)state;
    toy_rig_open(&rig, NULL);
    assert_ok(toy_put(&rig, "in", &err, "connector.class=toy-source", NULL), err);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_FAILED));
    toy_trace(&rig, "in", 0, trace, sizeof trace);
    assert_non_null(strstr(trace, "connect.topicname"));
    toy_rig_close(&rig);
}

static void refuses_bad_configurations(void **state)
{
    static const struct {
        const char *extra;
        const char *says;
    } cases[] = {
        {"max.tasks=0", "max.tasks"},
        {"prefx=x", "prefix"},
        {"ordering=sideways", "ordering"},
        {"transforms=a", "transforms.a"},
        {"value.converter=no.such.Converter", "value.converter"},
        {"errors.tolerance=some", "errors.tolerance"},
        {"connect.topicname=a b", "connect.topicname"},
    };
    toy_rig rig;

    (void)state;
    toy_rig_open(&rig, NULL);
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_error err = {0};
        int r = toy_put(&rig, "in", &err, "connector.class=toy-source", cases[i].extra, NULL);

        if (r >= 0 || !strstr(err.msg, cases[i].says))
            fail_msg("case %zu '%s': r=%d '%s'", i, cases[i].extra, r, err.msg);
    }
    toy_rig_close(&rig);
}

/* Tolerated errors do not block positions; the original goes to the dead-letter topic. */
static void keeps_dead_letters(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    toy_rig_open(&rig, NULL);
    assert_ok(toy_put(&rig, "in", &err, SOURCE, "prefix=bad ", "to=5", NULL), err);
    assert_ok(toy_put(&rig, "out", &err, SINK, "errors.tolerance=all",
                      "errors.deadletterqueue.topic.name=dead", NULL),
              err);
    assert_ok(toy_put(&rig, "dead", &err, "connector.class=toy-source", "connect.topicname=x",
                      "to=0", NULL),
              err);
    while (toy_metric(&rig, "out", RC_TM_DEAD_LETTERS) < 5)
        ;
    assert_true(toy_wait_metric(&rig, "out", RC_TM_SKIPPED, 5));
    assert_int_equal(toys.count, 0);
    toy_rig_close(&rig);
}

static void fails_on_reported_record(void **state)
{
    toy_rig rig;
    rc_error err = {0};
    char trace[1024];

    (void)state;
    toy_rig_open(&rig, NULL);
    assert_ok(toy_put(&rig, "in", &err, SOURCE, "prefix=bad ", "to=5", NULL), err);
    assert_ok(toy_put(&rig, "out", &err, SINK, NULL), err);
    assert_true(toy_wait_state(&rig, "out", 0, RC_STATE_FAILED));
    toy_trace(&rig, "out", 0, trace, sizeof trace);
    assert_non_null(strstr(trace, "errors.tolerance=all"));
    toy_rig_close(&rig);
}

/* Dropped records move the position; Java's filter killed the task. */
static void filters(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    toy_rig_open(&rig, NULL);
    assert_ok(toy_put(&rig, "in", &err, SOURCE, "transforms=f",
                      "transforms.f.class=org.apache.kafka.connect.transforms.Filter", NULL),
              err);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING));
    while (toy_metric(&rig, "in", RC_TM_FILTERED) < 10)
        ;
    toy_rig_restart(&rig);
    assert_ok(toy_put(&rig, "out", &err, SINK, NULL), err);
    assert_ok(toy_put(&rig, "in", &err, SOURCE, "to=12", NULL), err);
    check_lines("line ", 11, 12);
    toy_rig_close(&rig);
}

static void short_stop(rc_worker_config *config)
{
    config->stop_timeout_ms = 50;
}

static void need(bool truth, const char *what)
{
    if (truth)
        return;
    (void)fprintf(stderr, "in the child: %s\n", what);
    _exit(1);
}

static void set_block_put(bool block)
{
    pthread_mutex_lock(&toys.mu);
    toys.block_put = block;
    pthread_mutex_unlock(&toys.mu);
}

static void stuck_child(void)
{
    toy_rig rig;
    rc_error err = {0};
    char trace[512];

    toy_rig_open(&rig, short_stop);
    need(toy_put(&rig, "in", &err, SOURCE, NULL) == 0, err.msg);
    need(toy_put(&rig, "out", &err, SINK, NULL) == 0, err.msg);
    need(toys_wait(10), "10 lines");
    set_block_put(true);
    need(toy_put(&rig, "in", &err, SOURCE, "to=20", NULL) == 0, err.msg);
    need(toy_wait_state(&rig, "out", 0, RC_STATE_STUCK), "seen while it hangs");
    need(toy_request(&rig, RC_REQUEST_STOP, "out", &err) == 0, err.msg);
    need(toy_wait_state(&rig, "out", -1, RC_STATE_STUCK), "STUCK after stop");
    toy_trace(&rig, "out", -1, trace, sizeof trace);
    need(strstr(trace, "'put' of plugin 'toy-sink'") != NULL, trace);
    /* The worker lives: the source runs, and another sink on the same topic works. */
    need(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING), "source still RUNNING");
    set_block_put(false);
    need(toy_put(&rig, "other", &err, SINK, NULL) == 0, err.msg);
    need(toys_wait(30), "the other sink's 20 lines");
    need(rc_worker_stop(rig.worker, 5000) == 1, "one task abandoned");
    _exit(0);
}

/* In a process of its own: what an abandoned task holds is leaked on purpose. */
static void stuck_task_is_named(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0) {
        (void)execl("/proc/self/exe", "worker_worker", "stuck", (char *)NULL);
        _exit(2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_in_order),
        cmocka_unit_test(resumes_after_restart),
        cmocka_unit_test(pauses_and_resumes),
        cmocka_unit_test(retries_put_and_poll),
        cmocka_unit_test(restarts_with_back_off),
        cmocka_unit_test(gives_up_and_says_why),
        cmocka_unit_test(fails_at_once_without_topic),
        cmocka_unit_test(refuses_bad_configurations),
        cmocka_unit_test(keeps_dead_letters),
        cmocka_unit_test(fails_on_reported_record),
        cmocka_unit_test(filters),
        cmocka_unit_test(stuck_task_is_named),
    };

    if (argc == 2 && strcmp(argv[1], "stuck") == 0)
        stuck_child();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
