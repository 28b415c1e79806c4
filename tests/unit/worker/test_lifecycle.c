/* SPDX-License-Identifier: Apache-2.0 */
/* What users and plugins do to connectors at awkward moments: while a call is slow, hangs or fails,
 * while another change is under way, and across restarts of the worker. */
#include "store_now.h"
#include "unit.h"

#include "toys.h"
#include "worker/hooks.h"

#include "base/diag.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOURCE "connector.class=hook-source", "connect.topicname=t"
#define SINK "connector.class=hook-sink", "connect.topicnames=t"
#define assert_ok(r, err)              \
    do {                               \
        if ((r) < 0)                   \
            fail_msg("%s", (err).msg); \
    } while (0)

static atomic_int starts, ends, task_starts, task_ends;
static atomic_bool gate;

static void reset(void)
{
    atomic_store(&starts, 0);
    atomic_store(&ends, 0);
    atomic_store(&task_starts, 0);
    atomic_store(&task_ends, 0);
    atomic_store(&gate, false);
}

static int count_task(hook_task *task, omc_error *err)
{
    (void)task;
    (void)err;
    atomic_fetch_add(&task_starts, 1);
    return 0;
}

/* ---- writes that meet other writes ---- */

static void slow_task_stop(hook_task *task)
{
    (void)task;
    hook_sleep(150);
    atomic_fetch_add(&task_ends, 1);
}

static int check_old_one_ended(const omc_connector_context *ctx, omc_error *err)
{
    (void)ctx;
    if (atomic_fetch_add(&starts, 1) == 1 && atomic_load(&task_ends) != 1)
        return omc_fail(err, OMC_EINVAL, 0, "the deleted connector is still there");
    return 0;
}

/* A script does DELETE, then POST. The new one waits until the old one has ended. */
static void deleted_and_created_at_once(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    reset();
    toy_rig_open(&rig, NULL);
    hooks.stop = slow_task_stop;
    hooks.connector_start = check_old_one_ended;
    assert_ok(toy_put(&rig, "in", &err, SOURCE, NULL), err);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING));
    assert_ok(toy_request(&rig, RC_REQUEST_DELETE, "in", &err), err);
    assert_int_equal(toy_request(&rig, RC_REQUEST_GET, "in", &err), -OMC_ENOTFOUND);
    assert_int_equal(toy_request(&rig, RC_REQUEST_DELETE, "in", &err), -OMC_ENOTFOUND);
    assert_ok(toy_put(&rig, "in", &err, SOURCE, "a=new", NULL), err);
    assert_int_equal(task_ends, 1);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING));
    assert_int_equal(starts, 2);
    toy_rig_close(&rig);
}

typedef struct answer {
    atomic_int times;
    int result;
    int64_t version;
} answer;

static void keep_answer(const rc_reply *reply, void *arg)
{
    answer *a = arg;

    a->result = reply->result;
    if (reply->count)
        a->version = reply->connectors[0].version;
    atomic_fetch_add(&a->times, 1);
}

static void post(toy_rig *rig, rc_request_kind kind, const char *name, const char *key,
                 const char *value, int64_t expected, answer *a)
{
    omc_pair pairs[] = {{omc_slice_str(key), omc_slice_str(value)}};
    omc_keyvalue kv = {1, pairs};
    rc_request request = {.kind = kind,
                          .connector = name,
                          .config = &kv,
                          .expected = expected,
                          .done = keep_answer,
                          .arg = a};
    rc_error err = {0};

    *a = (answer){0};
    assert_ok(rc_worker_post(rig->worker, &request, &err), err);
}

static int gated_validate(const omc_config *config, omc_error *err)
{
    (void)config;
    (void)err;
    atomic_fetch_add(&starts, 1);
    hook_wait(&gate);
    return 0;
}

typedef struct seen {
    char a[32], b[32], pin[32], task_pin[32];
    unsigned kind;
} seen;

static void look(const rc_reply *reply, void *arg)
{
    const rc_connector_view *view = reply->connectors;
    seen *s = arg;
    rc_arena arena;

    if (reply->count == 0)
        return;
    rc_arena_init(&arena, 256);
    (void)snprintf(s->a, sizeof s->a, "%s", rc_kv_text(view->config, "a", "", &arena.pub));
    (void)snprintf(s->b, sizeof s->b, "%s", rc_kv_text(view->config, "b", "", &arena.pub));
    (void)snprintf(s->pin, sizeof s->pin, "%s", rc_kv_text(view->config, "pin", "", &arena.pub));
    if (view->task_count)
        (void)snprintf(s->task_pin, sizeof s->task_pin, "%s",
                       rc_kv_text(view->tasks[0].config, "pin", "", &arena.pub));
    s->kind = view->kind;
    rc_arena_release(&arena);
}

static seen look_at(toy_rig *rig, const char *name)
{
    seen s = {0};
    rc_request request = {
        .kind = RC_REQUEST_GET, .connector = name, .expected = -1, .done = look, .arg = &s};

    (void)rc_worker_call(rig->worker, &request, NULL);
    return s;
}

/* Two PATCHes whose checks overlap: neither undoes the other; a condition is checked again. */
static void patches_meet(void **state)
{
    toy_rig rig;
    rc_error err = {0};
    answer a, b, c;
    seen s;

    (void)state;
    reset();
    toy_rig_open(&rig, NULL);
    assert_ok(toy_put(&rig, "in", &err, SOURCE, "a=0", "b=0", NULL), err);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING));
    hooks.validate = gated_validate;
    post(&rig, RC_REQUEST_PATCH, "in", "a", "1", -1, &a);
    post(&rig, RC_REQUEST_PATCH, "in", "b", "2", -1, &b);
    post(&rig, RC_REQUEST_PATCH, "in", "b", "3", 1, &c);
    hook_wait_count(&starts, 3);
    atomic_store(&gate, true);
    hook_wait_count(&a.times, 1);
    hook_wait_count(&b.times, 1);
    hook_wait_count(&c.times, 1);
    s = look_at(&rig, "in");
    assert_string_equal(s.a, "1");
    /* Which of the three was first is open; a condition on version 1 holds for the first only. */
    assert_true(a.result == 0 && b.result == 0 && (c.result == 0 || c.result == -OMC_ESTATE));
    assert_true(strcmp(s.b, "2") == 0 || (c.result == 0 && strcmp(s.b, "3") == 0));
    toy_rig_close(&rig);
}

static int gated_start(const omc_connector_context *ctx, omc_error *err)
{
    (void)ctx;
    (void)err;
    if (atomic_fetch_add(&starts, 1) == 0)
        hook_wait(&gate);
    return 0;
}

static void count_connector_stop(void)
{
    atomic_fetch_add(&ends, 1);
}

/* A configuration changed while the old one starts: no task ever runs with the old one. */
static void changed_while_starting(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    reset();
    toy_rig_open(&rig, NULL);
    hooks.connector_start = gated_start;
    hooks.connector_stop = count_connector_stop;
    hooks.start = count_task;
    assert_ok(toy_put(&rig, "in", &err, SOURCE, "a=old", NULL), err);
    hook_wait_count(&starts, 1);
    assert_ok(toy_put(&rig, "in", &err, SOURCE, "a=new", NULL), err);
    assert_int_equal(task_starts, 0);
    atomic_store(&gate, true);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING));
    assert_int_equal(starts, 2);
    assert_int_equal(ends, 1);
    assert_int_equal(task_starts, 1);
    toy_rig_close(&rig);
}

static void stopped_or_deleted_while_starting(void **state)
{
    static const rc_request_kind kinds[] = {RC_REQUEST_STOP, RC_REQUEST_DELETE};
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    for (size_t i = 0; i < RC_COUNT(kinds); i++) {
        reset();
        toy_rig_open(&rig, NULL);
        hooks.connector_start = gated_start;
        hooks.connector_stop = count_connector_stop;
        hooks.start = count_task;
        assert_ok(toy_put(&rig, "in", &err, SOURCE, NULL), err);
        hook_wait_count(&starts, 1);
        assert_ok(toy_request(&rig, kinds[i], "in", &err), err);
        atomic_store(&gate, true);
        hook_wait_count(&ends, 1);
        if (kinds[i] == RC_REQUEST_STOP)
            assert_true(toy_wait_state(&rig, "in", -1, RC_STATE_STOPPED));
        toy_rig_close(&rig);
        assert_int_equal(task_starts, 0);
        assert_int_equal(starts, 1);
        assert_int_equal(ends, 1);
    }
}

/* ---- what a connector asks for ---- */

static const omc_connector_context *context;

static int raise_at_once(const omc_connector_context *ctx, omc_error *err)
{
    omc_error why = {0};

    (void)err;
    context = ctx;
    if (atomic_fetch_add(&starts, 1) == 0) {
        (void)omc_fail(&why, OMC_ECONNECT, 0, "the table is gone");
        ctx->raise_error(ctx->host, &why);
    }
    return 0;
}

/* Also an error raised inside connector_start is seen; restarting "failed" ones restarts it. */
static void raised_errors_are_seen(void **state)
{
    toy_rig rig;
    rc_error err = {0};
    omc_error why = {0};
    char trace[512];
    rc_request again = {.kind = RC_REQUEST_RESTART,
                        .connector = "in",
                        .only_failed = true,
                        .expected = -1};

    (void)state;
    reset();
    toy_rig_open(&rig, NULL);
    hooks.connector_start = raise_at_once;
    assert_ok(toy_put(&rig, "in", &err, SOURCE, NULL), err);
    assert_true(toy_wait_state(&rig, "in", -1, RC_STATE_FAILED));
    toy_trace(&rig, "in", -1, trace, sizeof trace);
    assert_string_equal(trace, "the table is gone");
    assert_ok(rc_worker_call(rig.worker, &again, &err), err);
    assert_true(toy_wait_state(&rig, "in", -1, RC_STATE_RUNNING));
    context->raise_error(context->host, &why); /* without code and text */
    assert_true(toy_wait_state(&rig, "in", -1, RC_STATE_FAILED));
    assert_ok(toy_request(&rig, RC_REQUEST_RESTART, "in", &err), err);
    assert_true(toy_wait_state(&rig, "in", -1, RC_STATE_RUNNING));
    toy_rig_close(&rig);
}

static int ask_early(const omc_connector_context *ctx, omc_error *err)
{
    (void)err;
    context = ctx;
    atomic_fetch_add(&starts, 1);
    ctx->request_task_reconfiguration(ctx->host); /* task_configs comes anyway */
    return 0;
}

/* The first task_configs learns of something new while it runs. */
static int growing_tasks(int max, omc_task_configs *out, omc_error *err)
{
    static const omc_keyvalue none = {0};
    int calls = atomic_fetch_add(&task_ends, 1), r = 0;

    if (calls == 0)
        context->request_task_reconfiguration(context->host);
    for (int i = 0; r == 0 && i <= calls && i < max; i++)
        r = out->add(out, &none, err);
    return r;
}

static void reconfigures_when_asked(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    reset();
    toy_rig_open(&rig, NULL);
    hooks.connector_start = ask_early;
    hooks.task_configs = growing_tasks;
    assert_ok(toy_put(&rig, "in", &err, SOURCE, "max.tasks=3", NULL), err);
    assert_true(toy_wait_state(&rig, "in", 1, RC_STATE_RUNNING));
    assert_int_equal(starts, 2);
    context->request_task_reconfiguration(context->host);
    assert_true(toy_wait_state(&rig, "in", 2, RC_STATE_RUNNING));
    assert_int_equal(starts, 3);
    toy_rig_close(&rig);
}

/* ---- restarts ---- */

static atomic_llong when[8];

static int fail_four_times(hook_task *task, omc_error *err)
{
    int n = atomic_fetch_add(&task_starts, 1);

    (void)task;
    atomic_store(&when[n], rc_mono_ms(rc_clock_real()));
    return n < 4 ? omc_fail(err, OMC_EIO, 0, "start %d fails", n) : 0;
}

static void slow_restarts(rc_worker_config *config)
{
    config->restart_delay_ms = 20;
    config->restart_delay_max_ms = 80;
}

static void backs_off_longer_each_time(void **state)
{
    static const int least[] = {20, 40, 80, 80};
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    reset();
    toy_rig_open(&rig, slow_restarts);
    hooks.start = fail_four_times;
    assert_ok(toy_put(&rig, "in", &err, SOURCE, NULL), err);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING));
    for (size_t i = 0; i < RC_COUNT(least); i++)
        assert_true(when[i + 1] - when[i] >= least[i]);
    toy_rig_close(&rig);
}

static int refuse_twice(const omc_connector_context *ctx, omc_error *err)
{
    (void)ctx;
    return atomic_fetch_add(&starts, 1) < 2
               ? omc_fail(err, OMC_EACCES, OMC_ERR_RETRIABLE, "not yet")
               : 0;
}

static int refuse_fatally(const omc_connector_context *ctx, omc_error *err)
{
    (void)ctx;
    atomic_fetch_add(&starts, 1);
    return omc_fail(err, OMC_EIO, OMC_ERR_FATAL, "never");
}

/* Flags decide before codes do, for connectors as for tasks. */
static void flags_decide_about_restarts(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    reset();
    toy_rig_open(&rig, NULL);
    hooks.connector_start = refuse_twice;
    hooks.connector_stop = count_connector_stop;
    assert_ok(toy_put(&rig, "in", &err, SOURCE, NULL), err);
    assert_true(toy_wait_state(&rig, "in", -1, RC_STATE_RUNNING));
    assert_int_equal(starts, 3);
    assert_int_equal(ends, 2); /* each start has its stop, also one that failed */
    toy_rig_close(&rig);
    reset();
    toy_rig_open(&rig, NULL);
    hooks.connector_start = refuse_fatally;
    assert_ok(toy_put(&rig, "in", &err, SOURCE, NULL), err);
    assert_true(toy_wait_state(&rig, "in", -1, RC_STATE_FAILED));
    toy_rig_close(&rig);
    assert_int_equal(starts, 1);
}

static int finish(hook_task *task, omc_batch *out, omc_error *err)
{
    (void)out;
    (void)err;
    return task->source->task_id == 0 && atomic_load(&gate) ? hook_idle(task) : OMC_FINISHED;
}

static void restarts_one_task(void **state)
{
    toy_rig rig;
    rc_error err = {0};
    rc_request one = {.kind = RC_REQUEST_RESTART_TASK, .connector = "in", .expected = -1};

    (void)state;
    reset();
    toy_rig_open(&rig, NULL);
    hooks.poll = finish;
    hooks.start = count_task;
    assert_ok(toy_put(&rig, "in", &err, SOURCE, "max.tasks=2", NULL), err);
    assert_true(toy_wait_state(&rig, "in", -1, RC_STATE_FINISHED));
    assert_int_equal(task_starts, 2);
    atomic_store(&gate, true);
    assert_ok(rc_worker_call(rig.worker, &one, &err), err);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING));
    assert_true(toy_wait_state(&rig, "in", -1, RC_STATE_RUNNING));
    assert_true(toy_wait_state(&rig, "in", 1, RC_STATE_FINISHED));
    assert_ok(rc_worker_call(rig.worker, &one, &err), err); /* a running one */
    hook_wait_count(&task_starts, 4);
    one.task = 2;
    assert_int_equal(rc_worker_call(rig.worker, &one, &err), -OMC_ENOTFOUND);
    toy_rig_close(&rig);
}

static int fail_start(hook_task *task, omc_error *err)
{
    (void)task;
    return atomic_load(&gate) ? 0 : omc_fail(err, OMC_EIO, 0, "no");
}

static int refuse_start(const omc_connector_context *ctx, omc_error *err)
{
    (void)ctx;
    return atomic_load(&gate) ? 0 : omc_fail(err, OMC_EIO, 0, "no");
}

static int refuse_for_good(hook_task *task, omc_error *err)
{
    (void)task;
    return atomic_load(&gate) ? 0 : omc_fail(err, OMC_EINVAL, 0, "no");
}

static int finish_at_once(hook_task *task, omc_batch *out, omc_error *err)
{
    (void)out;
    (void)err;
    return atomic_load(&gate) ? hook_idle(task) : OMC_FINISHED;
}

static void long_delays(rc_worker_config *config)
{
    config->restart_delay_ms = config->restart_delay_max_ms = 3600000;
}

/* Deleted and created again, stopped and resumed, changed: from whatever it waits in. */
static void changes_in_every_phase(void **state)
{
    static const struct {
        toy_hooks hooks;
        int task;
        rc_state waits_in;
    } cases[] = {{{.start = fail_start}, 0, RC_STATE_RESTARTING},
                 {{.connector_start = refuse_start}, -1, RC_STATE_RESTARTING},
                 {{.start = refuse_for_good}, 0, RC_STATE_FAILED},
                 {{.poll = finish_at_once}, -1, RC_STATE_FINISHED}};

    (void)state;
    for (size_t i = 0; i < 4 * RC_COUNT(cases); i++) {
        toy_rig rig;
        rc_error err = {0};

        reset();
        toy_rig_open(&rig, long_delays);
        hooks = cases[i / 4].hooks;
        assert_ok(toy_put(&rig, "in", &err, SOURCE, NULL), err);
        assert_true(toy_wait_state(&rig, "in", cases[i / 4].task, cases[i / 4].waits_in));
        atomic_store(&gate, i % 4 != 3);
        switch (i % 4) {
        case 0:
            assert_ok(toy_request(&rig, RC_REQUEST_DELETE, "in", &err), err);
            assert_ok(toy_put(&rig, "in", &err, SOURCE, NULL), err);
            break;
        case 1:
            assert_ok(toy_request(&rig, RC_REQUEST_STOP, "in", &err), err);
            assert_true(toy_wait_state(&rig, "in", -1, RC_STATE_STOPPED));
            assert_ok(toy_request(&rig, RC_REQUEST_RESUME, "in", &err), err);
            break;
        case 2:
            assert_ok(toy_put(&rig, "in", &err, SOURCE, "a=b", NULL), err);
            break;
        default: /* the worker stops in that phase */
            toy_rig_close(&rig);
            continue;
        }
        assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING));
        assert_true(toy_wait_state(&rig, "in", -1, RC_STATE_RUNNING));
        toy_rig_close(&rig);
    }
}

static int hang_many(const omc_connector_context *ctx, omc_error *err)
{
    (void)err;
    if (strncmp(ctx->connector, "slow", 4) != 0)
        return 0;
    atomic_fetch_add(&starts, 1);
    hook_wait(&gate);
    return 0;
}

/* As many starts as may run at once hang: others are checked, changed, stopped and deleted. */
static void slow_starts_block_nobody_else(void **state)
{
    toy_rig rig;
    rc_error err = {0};
    char name[16];

    (void)state;
    reset();
    toy_rig_open(&rig, NULL);
    hooks.connector_start = hang_many;
    hooks.connector_stop = count_connector_stop;
    assert_ok(toy_put(&rig, "quick", &err, SOURCE, NULL), err);
    assert_true(toy_wait_state(&rig, "quick", 0, RC_STATE_RUNNING));
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof name, "slow%d", i);
        assert_ok(toy_put(&rig, name, &err, SOURCE, NULL), err);
    }
    hook_wait_count(&starts, 8);
    assert_ok(toy_put(&rig, "quick", &err, SOURCE, "a=b", NULL), err);
    hook_wait_count(&ends, 1);
    assert_ok(toy_request(&rig, RC_REQUEST_DELETE, "quick", &err), err);
    assert_int_equal(starts, 8);
    atomic_store(&gate, true);
    hook_wait_count(&starts, 20);
    assert_true(toy_wait_state(&rig, "slow19", 0, RC_STATE_RUNNING));
    toy_rig_close(&rig);
}

/* ---- across restarts of the worker ---- */

static void store(toy_rig *rig, const char *name, const char *class_name)
{
    omc_pair pairs[] = {{omc_slice_str("connector.class"), omc_slice_str(class_name)},
                        {omc_slice_str("connect.topicname"), omc_slice_str("t")}};
    omc_keyvalue kv = {2, pairs};
    rc_error err = {0};

    assert_ok(store_put_now(rig->store, name, &kv, -1, RC_TARGET_STARTED, NULL, NULL, &err), err);
}

/* A plugin that vanished fails its own connector only, which can still be seen and deleted. */
static void plugin_that_vanished(void **state)
{
    toy_rig rig;
    rc_error err = {0};
    char trace[1024];

    (void)state;
    reset();
    toy_rig_open(&rig, NULL);
    toy_rig_halt(&rig);
    store(&rig, "gone", "com.example.Gone");
    store(&rig, "here", "hook-source");
    toy_rig_start(&rig);
    assert_true(toy_wait_state(&rig, "gone", -1, RC_STATE_FAILED));
    toy_trace(&rig, "gone", -1, trace, sizeof trace);
    assert_non_null(strstr(trace, "com.example.Gone"));
    assert_true(toy_wait_state(&rig, "here", 0, RC_STATE_RUNNING));
    assert_ok(toy_request(&rig, RC_REQUEST_OFFSETS, "gone", &err), err);
    assert_ok(toy_request(&rig, RC_REQUEST_PAUSE, "gone", &err), err);
    assert_ok(toy_request(&rig, RC_REQUEST_STOP, "gone", &err), err);
    assert_ok(toy_request(&rig, RC_REQUEST_DELETE, "gone", &err), err);
    assert_int_equal(toy_request(&rig, RC_REQUEST_GET, "gone", &err), -OMC_ENOTFOUND);
    toy_rig_close(&rig);
}

/* A stopped connector does not start with the worker; its plugin is known all the same. */
static void stopped_ones_keep_their_secrets(void **state)
{
    toy_rig rig;
    rc_error err = {0};
    seen s;

    (void)state;
    reset();
    toy_rig_open(&rig, NULL);
    assert_ok(toy_put(&rig, "out", &err, SINK, "pin=1234", NULL), err);
    assert_true(toy_wait_state(&rig, "out", 0, RC_STATE_RUNNING));
    s = look_at(&rig, "out");
    assert_string_equal(s.pin, "******");
    assert_string_equal(s.task_pin, "******");
    assert_ok(toy_request(&rig, RC_REQUEST_STOP, "out", &err), err);
    assert_true(toy_wait_state(&rig, "out", -1, RC_STATE_STOPPED));
    toy_rig_restart(&rig);
    assert_true(toy_wait_state(&rig, "out", -1, RC_STATE_STOPPED));
    s = look_at(&rig, "out");
    assert_string_equal(s.pin, "******");
    assert_int_equal(s.kind, OMC_SINK);
    assert_ok(toy_request(&rig, RC_REQUEST_OFFSETS_RESET, "out", &err), err);
    toy_rig_close(&rig);
}

static int refuse_pin(const omc_config *config, omc_error *err)
{
    (void)config;
    return omc_fail(err, OMC_EINVAL, 0, "the pin is wrong");
}

typedef struct texts {
    char all[8192];
} texts;

static void keep_texts(const rc_reply *reply, void *arg)
{
    texts *t = arg;

    (void)snprintf(t->all, sizeof t->all, "%s", reply->err.msg);
    for (size_t i = 0; i < reply->problem_count; i++) {
        size_t len = strlen(t->all);

        (void)snprintf(t->all + len, sizeof t->all - len, "\n%s", reply->problems[i].text);
    }
}

/* No log line and no reply shows a secret, whatever is wrong around it. */
static void secrets_stay_secret(void **state)
{
    static const char *const extra[][2] = {{"a", "x"}, {"max.tasks", "no"}, {"pim", "9876"}};
    char path[] = "/tmp/rc-worker-log-XXXXXX", text[16384];
    int fd = mkstemp(path);
    toy_rig rig;
    texts t = {0};
    ssize_t n;

    (void)state;
    reset();
    toy_rig_open(&rig, NULL);
    rc_diag_setup(OMC_DEBUG, fd, rc_clock_real());
    hooks.validate = refuse_pin;
    for (size_t i = 0; i < RC_COUNT(extra); i++) {
        omc_pair pairs[] = {{omc_slice_str("connector.class"), omc_slice_str("hook-sink")},
                            {omc_slice_str("connect.topicnames"), omc_slice_str("t")},
                            {omc_slice_str("pin"), omc_slice_str("1234secret")},
                            {omc_slice_str("db.password"), omc_slice_str("5678secret")},
                            {omc_slice_str(extra[i][0]), omc_slice_str(extra[i][1])}};
        omc_keyvalue kv = {RC_COUNT(pairs), pairs};
        rc_request request = {.kind = RC_REQUEST_PUT,
                              .connector = "out",
                              .config = &kv,
                              .expected = -1,
                              .done = keep_texts,
                              .arg = &t};

        assert_true(rc_worker_call(rig.worker, &request, NULL) < 0);
        assert_null(strstr(t.all, "secret"));
    }
    toy_rig_close(&rig);
    rc_diag_setup(OMC_INFO, 2, rc_clock_real());
    n = pread(fd, text, sizeof text - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    assert_null(strstr(text, "secret"));
    (void)close(fd);
    (void)unlink(path);
}

/* ---- calls that do not return, each in a process of its own: what they hold is leaked ---- */

static void need(bool truth, const char *what)
{
    if (truth)
        return;
    (void)fprintf(stderr, "in the child: %s\n", what);
    _exit(1);
}

static void short_times(rc_worker_config *config)
{
    config->start_timeout_ms = 100;
    config->stop_timeout_ms = 100;
}

/* A check that is too slow is answered; when it comes back later nothing happens, and the worker it
 * looks at is still there, also after its end. */
static void late_check(void)
{
    toy_rig rig;
    rc_error err = {0};

    toy_rig_open(&rig, short_times);
    hooks.validate = gated_validate;
    need(toy_put(&rig, "in", &err, SOURCE, NULL) == -OMC_ETIMEDOUT, "a timeout");
    need(toy_request(&rig, RC_REQUEST_GET, "in", &err) == -OMC_ENOTFOUND, "nothing was stored");
    need(rc_worker_stop(rig.worker, 1000) == 1, "one call abandoned");
    atomic_store(&gate, true);
    hook_sleep(100);
    _exit(0);
}

/* The worker stops while a check hangs and a write waits: both are answered, once. */
static void stop_during_check(void)
{
    toy_rig rig;
    answer a, b;

    toy_rig_open(&rig, NULL);
    hooks.validate = gated_validate;
    post(&rig, RC_REQUEST_VALIDATE, "in", "connector.class", "hook-source", -1, &a);
    hook_wait_count(&starts, 1);
    post(&rig, RC_REQUEST_PUT, "in", "connector.class", "hook-source", -1, &b);
    need(rc_worker_stop(rig.worker, 100) > 0, "abandoned calls are counted");
    need(atomic_load(&a.times) == 1 && a.result == -OMC_ECANCELED, "first answered once");
    need(atomic_load(&b.times) == 1 && b.result == -OMC_ECANCELED, "second answered once");
    atomic_store(&gate, true);
    hook_sleep(100);
    need(atomic_load(&a.times) == 1 && atomic_load(&b.times) == 1, "and never again");
    _exit(0);
}

/* A start that hangs does not keep a new configuration from being tried, nor a deletion. */
static void stuck_start(void)
{
    toy_rig rig;
    rc_error err = {0};
    char trace[512];

    toy_rig_open(&rig, NULL);
    rig.config.stop_timeout_ms = 100; /* and the start may take its three minutes */
    hooks.connector_start = gated_start;
    need(toy_put(&rig, "in", &err, SOURCE, "a=1", NULL) == 0, err.msg);
    hook_wait_count(&starts, 1);
    need(toy_put(&rig, "in", &err, SOURCE, "a=2", NULL) == 0, err.msg);
    need(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING), "the second start");
    need(toy_request(&rig, RC_REQUEST_DELETE, "in", &err) == 0, err.msg);
    atomic_store(&starts, 0);
    need(toy_put(&rig, "in", &err, SOURCE, "a=3", NULL) == 0, err.msg);
    hook_wait_count(&starts, 1);
    need(toy_request(&rig, RC_REQUEST_DELETE, "in", &err) == 0, err.msg);
    need(toy_put(&rig, "in", &err, SOURCE, "a=4", NULL) == 0, err.msg);
    need(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING), "the fourth start");
    atomic_store(&starts, 0);
    need(toy_request(&rig, RC_REQUEST_RESTART, "in", &err) == 0, err.msg);
    hook_wait_count(&starts, 1);
    need(toy_request(&rig, RC_REQUEST_STOP, "in", &err) == 0, err.msg);
    need(toy_wait_state(&rig, "in", -1, RC_STATE_STUCK), "STUCK");
    toy_trace(&rig, "in", -1, trace, sizeof trace);
    need(strstr(trace, "start of the connector") != NULL, trace);
    need(toy_request(&rig, RC_REQUEST_RESUME, "in", &err) == 0, err.msg);
    need(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING), "resumed");
    need(rc_worker_stop(rig.worker, 2000) == 3, "three starts abandoned");
    atomic_store(&gate, true);
    hook_sleep(50);
    _exit(0);
}

static void hang_once(hook_task *task)
{
    (void)task;
    if (atomic_fetch_add(&task_ends, 1) == 0)
        hook_wait(&gate);
}

/* A task that does not end when it is restarted is replaced. */
static void stuck_restart(void)
{
    toy_rig rig;
    rc_error err = {0};
    rc_request one = {.kind = RC_REQUEST_RESTART_TASK, .connector = "in", .expected = -1};

    toy_rig_open(&rig, short_times);
    hooks.start = count_task;
    hooks.stop = hang_once;
    need(toy_put(&rig, "in", &err, SOURCE, NULL) == 0, err.msg);
    need(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING), "RUNNING");
    need(rc_worker_call(rig.worker, &one, &err) == 0, err.msg);
    hook_wait_count(&task_starts, 2);
    need(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING), "RUNNING again");
    need(toy_wait_state(&rig, "in", -1, RC_STATE_RUNNING), "the connector as well");
    atomic_store(&gate, true);
    hook_sleep(50);
    need(rc_worker_stop(rig.worker, 2000) == 1, "one task abandoned");
    _exit(0);
}

static const struct {
    const char *name;
    void (*run)(void);
} children[] = {{"late-check", late_check},
                {"stop-during-check", stop_during_check},
                {"stuck-start", stuck_start},
                {"stuck-restart", stuck_restart}};

static void calls_that_hang(void **state)
{
    (void)state;
    for (size_t i = 0; i < RC_COUNT(children); i++) {
        int status;
        pid_t child = fork();

        if (child == 0) {
            (void)execl("/proc/self/exe", "worker_lifecycle", children[i].name, (char *)NULL);
            _exit(2);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("%s: status %x", children[i].name, (unsigned)status);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deleted_and_created_at_once),
        cmocka_unit_test(patches_meet),
        cmocka_unit_test(changed_while_starting),
        cmocka_unit_test(stopped_or_deleted_while_starting),
        cmocka_unit_test(raised_errors_are_seen),
        cmocka_unit_test(reconfigures_when_asked),
        cmocka_unit_test(backs_off_longer_each_time),
        cmocka_unit_test(flags_decide_about_restarts),
        cmocka_unit_test(restarts_one_task),
        cmocka_unit_test(changes_in_every_phase),
        cmocka_unit_test(slow_starts_block_nobody_else),
        cmocka_unit_test(plugin_that_vanished),
        cmocka_unit_test(stopped_ones_keep_their_secrets),
        cmocka_unit_test(secrets_stay_secret),
        cmocka_unit_test(calls_that_hang),
    };

    for (size_t i = 0; argc == 2 && i < RC_COUNT(children); i++)
        if (strcmp(argv[1], children[i].name) == 0)
            children[i].run();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
