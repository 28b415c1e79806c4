/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The worker on a store that answers late, on a thread of its own, and that others write to: what a
 * cluster's store is like. The store here is the one in memory behind a door that a test opens.
 */
#include "store/store_impl.h"
#include "store_now.h"
#include "unit.h"
#include "worker/toys.h"

#include "base/thread.h"

#include <poll.h>
#include <utlist.h>

typedef struct late_write {
    struct late_write *next;
    rc_arena arena;
    rc_store_write write;
} late_write;

typedef struct late_store {
    rc_store base;
    rc_store *inner; /* [mu] */
    pthread_mutex_t mu;
    pthread_cond_t cond;
    late_write *writes; /* [mu] */
    bool open, end;     /* [mu] */
    size_t submitted;   /* [mu] */
    pthread_t thread;
    pthread_mutex_t watch_mu;
    void (*changed)(void *arg);
    void *changed_arg;
} late_store;

static late_store *late_of(rc_store *base)
{
    return RC_CONTAINER(base, late_store, base);
}

static void *late_main(void *arg)
{
    late_store *s = arg;

    pthread_mutex_lock(&s->mu);
    while (!s->end || s->writes) {
        late_write *w = s->open || s->end ? s->writes : NULL;

        if (!w) {
            pthread_cond_wait(&s->cond, &s->mu);
            continue;
        }
        LL_DELETE(s->writes, w);
        if (w->write.kind == RC_WRITE_PUT)
            rc_store_put(s->inner, w->write.name, w->write.config, w->write.expected,
                         w->write.target, w->write.done, w->write.arg);
        else if (w->write.kind == RC_WRITE_TARGET)
            rc_store_target(s->inner, w->write.name, w->write.target, w->write.done, w->write.arg);
        else
            rc_store_delete(s->inner, w->write.name, w->write.done, w->write.arg);
        rc_arena_release(&w->arena);
        free(w);
    }
    pthread_mutex_unlock(&s->mu);
    return NULL;
}

static void late_submit(rc_store *base, const rc_store_write *write)
{
    late_store *s = late_of(base);
    late_write *w = rc_calloc(1, sizeof *w);

    rc_arena_init(&w->arena, 1024);
    w->write = *write;
    w->write.name = omc_copy(&w->arena.pub, write->name, strlen(write->name));
    w->write.config = write->config ? rc_kv_copy(write->config, &w->arena.pub) : NULL;
    pthread_mutex_lock(&s->mu);
    LL_APPEND(s->writes, w);
    s->submitted++;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mu);
}

static int late_each(rc_store *base, rc_stored_fn *each, void *arg, rc_error *err)
{
    late_store *s = late_of(base);
    int r;

    pthread_mutex_lock(&s->mu);
    r = rc_store_each(s->inner, each, arg, err);
    pthread_mutex_unlock(&s->mu);
    return r;
}

static void late_watch(rc_store *base, void (*changed)(void *arg), void *arg)
{
    late_store *s = late_of(base);

    pthread_mutex_lock(&s->watch_mu);
    s->changed = changed;
    s->changed_arg = arg;
    pthread_mutex_unlock(&s->watch_mu);
}

static void set_open(late_store *s, bool open)
{
    pthread_mutex_lock(&s->mu);
    s->open = open;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mu);
}

static void wait_submitted(late_store *s, size_t count)
{
    pthread_mutex_lock(&s->mu);
    while (s->submitted < count)
        pthread_cond_wait(&s->cond, &s->mu);
    pthread_mutex_unlock(&s->mu);
}

static void late_close(rc_store *base)
{
    late_store *s = late_of(base);

    pthread_mutex_lock(&s->mu);
    s->end = true;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->mu);
    pthread_join(s->thread, NULL);
    rc_store_close(s->inner);
    pthread_mutex_destroy(&s->mu);
    pthread_mutex_destroy(&s->watch_mu);
    pthread_cond_destroy(&s->cond);
    free(s);
}

static const rc_store_ops late_ops = {.close = late_close,
                                      .each = late_each,
                                      .submit = late_submit,
                                      .watch = late_watch};

/* So that tests may make up keys. */
static void lenient(rc_worker_config *config)
{
    config->strict = false;
}

static late_store *late_open(toy_rig *rig)
{
    late_store *s = rc_calloc(1, sizeof *s);
    rc_store *old;
    rc_error err = {0};

    s->base.ops = &late_ops;
    s->base.clock = rc_clock_real();
    s->inner = rc_store_new_memory(rc_clock_real());
    s->open = true;
    pthread_mutex_init(&s->mu, NULL);
    pthread_mutex_init(&s->watch_mu, NULL);
    pthread_cond_init(&s->cond, NULL);
    assert_int_equal(rc_thread_start(&s->thread, "late", 0, late_main, s, &err), 0);
    toy_rig_open(rig, lenient);
    old = rig->store;
    rig->store = &s->base;
    toy_rig_restart(rig);
    rc_store_close(old);
    return s;
}

/* What another worker does. */
static void tell(late_store *s)
{
    pthread_mutex_lock(&s->watch_mu);
    if (s->changed)
        s->changed(s->changed_arg);
    pthread_mutex_unlock(&s->watch_mu);
}

static void other_puts(late_store *s, const char *name, const char *key, const char *value)
{
    omc_pair pairs[] = {{omc_slice_str("connector.class"), omc_slice_str("toy-source")},
                        {omc_slice_str("connect.topicname"), omc_slice_str("t")},
                        {omc_slice_str(key), omc_slice_str(value)}};
    omc_keyvalue kv = {RC_COUNT(pairs), pairs};

    pthread_mutex_lock(&s->mu);
    assert_int_equal(store_put_now(s->inner, name, &kv, -1, RC_TARGET_STARTED, NULL, NULL, NULL),
                     0);
    pthread_mutex_unlock(&s->mu);
}

typedef struct view {
    int result;
    int64_t version;
    char a[16], b[16];
    rc_error err;
} view;

static void keep_view(const rc_reply *reply, void *arg)
{
    view *v = arg;
    rc_arena arena;

    rc_arena_init(&arena, 256);
    v->result = reply->result;
    v->err = reply->err;
    if (reply->count) {
        v->version = reply->connectors[0].version;
        (void)snprintf(v->a, sizeof v->a, "%s",
                       rc_kv_text(reply->connectors[0].config, "a", "-", &arena.pub));
        (void)snprintf(v->b, sizeof v->b, "%s",
                       rc_kv_text(reply->connectors[0].config, "b", "-", &arena.pub));
    }
    rc_arena_release(&arena);
}

static view look(toy_rig *rig, const char *name)
{
    view v = {0};
    const rc_request request = {.kind = RC_REQUEST_GET,
                                .connector = name,
                                .done = keep_view,
                                .arg = &v};

    (void)rc_worker_call(rig->worker, &request, NULL);
    return v;
}

static void wait_version(toy_rig *rig, const char *name, int64_t version)
{
    while (look(rig, name).version < version)
        (void)poll(NULL, 0, 1);
}

#define SOURCE "connector.class=toy-source", "connect.topicname=t"

static void late_answers_block_nobody(void **state)
{
    toy_rig rig;
    late_store *s = late_open(&rig);
    omc_pair pairs[] = {{omc_slice_str("a"), omc_slice_str("1")}};
    omc_keyvalue kv = {1, pairs};
    view v = {.result = 1};
    const rc_request patch = {.kind = RC_REQUEST_PATCH,
                              .connector = "in",
                              .config = &kv,
                              .expected = -1,
                              .done = keep_view,
                              .arg = &v};
    rc_error err = {0};

    (void)state;
    assert_int_equal(toy_put(&rig, "in", &err, SOURCE, "b=2", NULL), 0);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING));
    set_open(s, false);
    assert_int_equal(rc_worker_post(rig.worker, &patch, &err), 0);
    wait_submitted(s, 2);
    assert_int_equal(look(&rig, "in").version, 1); /* answered meanwhile */
    assert_int_equal(v.result, 1);
    set_open(s, true);
    wait_version(&rig, "in", 2);
    assert_string_equal(look(&rig, "in").a, "1");
    assert_int_equal(toy_request(&rig, RC_REQUEST_PAUSE, "in", &err), 0);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_PAUSED));
    assert_int_equal(toy_request(&rig, RC_REQUEST_DELETE, "in", &err), 0);
    assert_int_equal(toy_request(&rig, RC_REQUEST_GET, "in", &err), -OMC_ENOTFOUND);
    assert_int_equal(toy_put(&rig, "in", &err, SOURCE, NULL), 0);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING));
    toy_rig_close(&rig);
}

static void others_write_too(void **state)
{
    toy_rig rig;
    late_store *s = late_open(&rig);
    rc_error err = {0};

    (void)state;
    other_puts(s, "in", "a", "1");
    tell(s);
    wait_version(&rig, "in", 1);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING));
    other_puts(s, "in", "a", "2");
    tell(s);
    wait_version(&rig, "in", 2);
    pthread_mutex_lock(&s->mu);
    assert_int_equal(store_target_now(s->inner, "in", RC_TARGET_PAUSED, NULL), 0);
    pthread_mutex_unlock(&s->mu);
    tell(s);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_PAUSED));
    /* Deleted and made anew before anybody looks: another one. */
    pthread_mutex_lock(&s->mu);
    assert_int_equal(store_delete_now(s->inner, "in", NULL), 0);
    pthread_mutex_unlock(&s->mu);
    other_puts(s, "in", "a", "3");
    tell(s);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING));
    while (strcmp(look(&rig, "in").a, "3") != 0)
        (void)poll(NULL, 0, 1);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING));
    pthread_mutex_lock(&s->mu);
    assert_int_equal(store_delete_now(s->inner, "in", NULL), 0);
    pthread_mutex_unlock(&s->mu);
    tell(s);
    while (toy_request(&rig, RC_REQUEST_GET, "in", &err) != -OMC_ENOTFOUND)
        (void)poll(NULL, 0, 1);
    toy_rig_close(&rig);
}

/* A change that was made from what is not there any more is made again: no change is lost. */
static void a_change_in_between_is_kept(void **state)
{
    toy_rig rig;
    late_store *s = late_open(&rig);
    omc_pair pairs[] = {{omc_slice_str("b"), omc_slice_str("mine")}};
    omc_keyvalue kv = {1, pairs};
    view v = {0};
    rc_request patch = {.kind = RC_REQUEST_PATCH,
                        .connector = "in",
                        .config = &kv,
                        .expected = -1,
                        .done = keep_view,
                        .arg = &v};
    rc_error err = {0};

    (void)state;
    assert_int_equal(toy_put(&rig, "in", &err, SOURCE, NULL), 0);
    set_open(s, false);
    assert_int_equal(rc_worker_post(rig.worker, &patch, &err), 0);
    wait_submitted(s, 2);
    other_puts(s, "in", "a", "theirs");
    set_open(s, true);
    wait_version(&rig, "in", 3);
    v = look(&rig, "in");
    assert_string_equal(v.a, "theirs");
    assert_string_equal(v.b, "mine");
    /* With a version it is refused. */
    set_open(s, false);
    patch.expected = 3;
    v.result = 1;
    assert_int_equal(rc_worker_post(rig.worker, &patch, &err), 0);
    wait_submitted(s, 4);
    other_puts(s, "in", "a", "again");
    set_open(s, true);
    assert_int_equal(toy_request(&rig, RC_REQUEST_PAUSE, "in", &err), 0); /* comes behind it */
    assert_int_equal(v.result, -OMC_ESTATE);
    assert_non_null(strstr(v.err.msg, "at version 4, version 3 was expected"));
    toy_rig_close(&rig);
}

/* The store may answer when the worker is gone. */
static void a_write_outlives_the_worker(void **state)
{
    toy_rig rig;
    late_store *s = late_open(&rig);
    view put = {0}, pause = {0};
    omc_pair pairs[] = {{omc_slice_str("b"), omc_slice_str("2")}};
    omc_keyvalue kv = {1, pairs};
    const rc_request requests[] = {
        {.kind = RC_REQUEST_PATCH,
         .connector = "in",
         .config = &kv,
         .expected = -1,
         .done = keep_view,
         .arg = &put},
        {.kind = RC_REQUEST_PAUSE, .connector = "in", .done = keep_view, .arg = &pause}};
    rc_error err = {0};

    (void)state;
    assert_int_equal(toy_put(&rig, "in", &err, SOURCE, NULL), 0);
    set_open(s, false);
    for (size_t i = 0; i < RC_COUNT(requests); i++)
        assert_int_equal(rc_worker_post(rig.worker, &requests[i], &err), 0);
    wait_submitted(s, 3);
    toy_rig_restart(&rig);
    assert_int_equal(put.result, -OMC_ECANCELED);
    assert_int_equal(pause.result, -OMC_ECANCELED);
    assert_non_null(strstr(put.err.msg, "may come into force"));
    set_open(s, true);
    toy_rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(late_answers_block_nobody),
        cmocka_unit_test(others_write_too),
        cmocka_unit_test(a_change_in_between_is_kept),
        cmocka_unit_test(a_write_outlives_the_worker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
