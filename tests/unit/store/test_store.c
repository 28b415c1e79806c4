/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The store's promises, the same for both back ends where they are the same; what the file adds
 * (restart, kill -9, one opener, refusal of foreign files) is tested on the file alone.
 */
#include "config/options.h"
#include "store/store.h"
#include "store_now.h"
#include "unit.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct fixture {
    char dir[64];
    char path[96];
    rc_fake_clock *clock;
    rc_store *store;
    rc_arena arena;
} fixture;

static const char *mode; /* "memory" or "file", set by the group that runs */

static void open_file(fixture *f)
{
    rc_error err = {0};

    if (rc_store_open_local(f->path, rc_fake_clock_clock(f->clock), &f->store, &err) < 0)
        fail_msg("open: %s", err.msg);
}

static int setup(void **state)
{
    fixture *f = rc_calloc(1, sizeof *f);

    (void)snprintf(f->dir, sizeof f->dir, "/tmp/rc-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof f->path, "%s/a/b/store.db", f->dir);
    f->clock = rc_fake_clock_new(1000);
    rc_arena_init(&f->arena, 4096);
    if (strcmp(mode, "memory") == 0)
        f->store = rc_store_new_memory(rc_fake_clock_clock(f->clock));
    else
        open_file(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    char command[128];

    rc_store_close(f->store);
    rc_fake_clock_free(f->clock);
    rc_arena_release(&f->arena);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

/** A configuration of one or two keys. */
static const omc_keyvalue *config(fixture *f, const char *value)
{
    rc_kv kv;

    rc_kv_init(&kv, &f->arena.pub);
    rc_kv_put_str(&kv, "connector.class", "file-source");
    rc_kv_put_str(&kv, "filename", value);
    return rc_kv_done(&kv);
}

static rc_stored_connector put(fixture *f, const char *name, const char *value, int64_t expected)
{
    rc_stored_connector got = {0};
    rc_error err = {0};

    if (store_put_now(f->store, name, config(f, value), expected, RC_TARGET_STARTED, &got,
                      &f->arena.pub, &err) < 0)
        fail_msg("put %s: %s", name, err.msg);
    return got;
}

typedef struct listing {
    char text[512];
    rc_stored_connector last;
    const omc_keyvalue *config;
    omc_arena *arena;
    int stop_after;
} listing;

static int list_one(void *arg, const rc_stored_connector *c)
{
    listing *l = arg;
    size_t len = strlen(l->text);

    (void)snprintf(l->text + len, sizeof l->text - len, "%s@%lld:%d ", c->name,
                   (long long)c->version, (int)c->target);
    l->last = *c;
    l->config = rc_kv_copy(c->config, l->arena);
    return --l->stop_after == 0 ? 7 : 0;
}

static listing list(fixture *f)
{
    listing l = {.arena = &f->arena.pub};
    rc_error err = {0};

    if (rc_store_each(f->store, list_one, &l, &err) < 0)
        fail_msg("each: %s", err.msg);
    return l;
}

/* ---- both back ends ----------------------------------------------------------------------- */

static void puts_lists_and_deletes(void **state)
{
    fixture *f = *state;
    rc_error err = {0};
    rc_stored_connector c;
    listing l;

    assert_string_equal(list(f).text, "");
    c = put(f, "orders", "/a", 0);
    assert_string_equal(c.name, "orders");
    assert_int_equal(c.version, 1);
    assert_int_equal(c.target, RC_TARGET_STARTED);
    assert_int_equal(c.changed_ms, 1000);
    put(f, "Zebra", "/z", -1);
    put(f, "apple", "/p", -1);
    assert_string_equal(list(f).text, "Zebra@1:1 apple@1:1 orders@1:1 "); /* by bytes */

    rc_fake_clock_advance(f->clock, 500);
    c = put(f, "orders", "/b", 1);
    assert_int_equal(c.version, 2);
    assert_int_equal(c.changed_ms, 1500);
    l = list(f);
    assert_int_equal(l.config->count, 2);
    assert_true(omc_slice_is(*omc_keyvalue_get(l.config, "filename"), "/b"));

    assert_int_equal(store_delete_now(f->store, "Zebra", &err), 0);
    assert_string_equal(list(f).text, "apple@1:1 orders@2:1 ");
    assert_int_equal(store_delete_now(f->store, "Zebra", &err), -OMC_ENOTFOUND);
    assert_non_null(strstr(err.msg, "'Zebra'"));
}

static void each_stops_when_told(void **state)
{
    fixture *f = *state;
    listing l = {.arena = &f->arena.pub, .stop_after = 1};

    put(f, "a", "1", 0);
    put(f, "b", "1", 0);
    assert_int_equal(rc_store_each(f->store, list_one, &l, NULL), 7);
    assert_string_equal(l.text, "a@1:1 ");
}

static void conditional_writes(void **state)
{
    static const struct {
        int64_t expected;
        int r;
        const char *says[2];
    } cases[] = {
        {0, -OMC_ESTATE, {"exists already", "version 2"}},
        {1, -OMC_ESTATE, {"is at version 2", "version 1 was expected"}},
        {3, -OMC_ESTATE, {"is at version 2", "version 3 was expected"}},
        {2, 0, {NULL}},
        {-1, 0, {NULL}},
    };
    fixture *f = *state;

    put(f, "c", "1", 0);
    put(f, "c", "2", 1);
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_error err = {0};
        int r = store_put_now(f->store, "c", config(f, "3"), cases[i].expected, RC_TARGET_STARTED,
                              NULL, NULL, &err);

        if (r != cases[i].r)
            fail_msg("expected %lld: got %d %s", (long long)cases[i].expected, r, err.msg);
        for (size_t k = 0; k < 2 && cases[i].says[k]; k++)
            if (!strstr(err.msg, cases[i].says[k]))
                fail_msg("expected %lld: '%s' lacks '%s'", (long long)cases[i].expected, err.msg,
                         cases[i].says[k]);
    }
    assert_int_equal(store_put_now(f->store, "none", config(f, "1"), 4, RC_TARGET_STARTED, NULL,
                                   NULL, NULL),
                     -OMC_ESTATE);
    assert_string_equal(list(f).text, "c@4:1 ");
}

static void refused_write_changes_nothing(void **state)
{
    fixture *f = *state;

    put(f, "c", "old", 0);
    assert_int_equal(store_put_now(f->store, "c", config(f, "new"), 9, RC_TARGET_PAUSED, NULL, NULL,
                                   NULL),
                     -OMC_ESTATE);
    assert_string_equal(list(f).text, "c@1:1 ");
    assert_true(omc_slice_is(*omc_keyvalue_get(list(f).config, "filename"), "old"));
}

static void recreated_gets_new_incarnation_and_higher_version(void **state)
{
    fixture *f = *state;
    rc_stored_connector first = put(f, "c", "1", 0), second;

    put(f, "c", "2", 1);
    assert_int_equal(store_delete_now(f->store, "c", NULL), 0);
    /* A writer that still knows version 2 must not hit the new one. */
    assert_int_equal(store_put_now(f->store, "c", config(f, "x"), 2, RC_TARGET_STARTED, NULL, NULL,
                                   NULL),
                     -OMC_ESTATE);
    second = put(f, "c", "3", 0);
    assert_true(second.version > 2);
    assert_true(second.incarnation != first.incarnation);
    assert_true(put(f, "d", "1", 0).incarnation != second.incarnation);
    assert_int_equal(put(f, "c", "4", -1).incarnation, second.incarnation);
}

static void target_is_kept_over_updates(void **state)
{
    fixture *f = *state;
    rc_error err = {0};

    put(f, "c", "1", 0);
    assert_int_equal(store_target_now(f->store, "c", RC_TARGET_PAUSED, &err), 0);
    assert_string_equal(list(f).text, "c@1:2 ");
    put(f, "c", "2", 1);
    assert_string_equal(list(f).text, "c@2:2 ");
    assert_int_equal(store_target_now(f->store, "nope", RC_TARGET_PAUSED, &err), -OMC_ENOTFOUND);
    assert_int_equal(store_delete_now(f->store, "c", NULL), 0);
    assert_int_equal(store_target_now(f->store, "c", RC_TARGET_PAUSED, &err), -OMC_ENOTFOUND);
}

static void keeps_any_bytes_and_order(void **state)
{
    static const char value[] = "line 1\nquote \" nul \0 behind \xff\xfe";
    fixture *f = *state;
    const omc_pair pairs[] = {
        {omc_slice_str("z"), omc_slice_of(value, sizeof value - 1)},
        {omc_slice_str("a"), omc_slice_of(NULL, 0)},
        {omc_slice_str("m"), omc_slice_str("中文")},
    };
    const omc_keyvalue kv = {RC_COUNT(pairs), pairs};
    listing l;

    assert_int_equal(store_put_now(f->store, "ключ 'x'", &kv, 0, RC_TARGET_STOPPED, NULL, NULL,
                                   NULL),
                     0);
    l = list(f);
    assert_string_equal(l.text, "ключ 'x'@1:3 ");
    assert_int_equal(l.config->count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(omc_slice_eq(l.config->pairs[i].key, pairs[i].key));
        assert_true(omc_slice_eq(l.config->pairs[i].value, pairs[i].value));
    }
}

static void bounds_are_errors(void **state)
{
    fixture *f = *state;
    char *big = rc_calloc(1, (5u << 20) + 1);
    rc_error err = {0};

    memset(big, 'x', 5u << 20);
    assert_int_equal(store_put_now(f->store, "c", config(f, big), 0, RC_TARGET_STARTED, NULL, NULL,
                                   &err),
                     -OMC_EINVAL);
    assert_int_equal(store_put_now(f->store, big, config(f, ""), 0, RC_TARGET_STARTED, NULL, NULL,
                                   &err),
                     -OMC_EINVAL);
    assert_int_equal(store_put_now(f->store, "", config(f, ""), 0, RC_TARGET_STARTED, NULL, NULL,
                                   &err),
                     -OMC_EINVAL);
    assert_string_equal(list(f).text, "");
    free(big);
}

static int rename_one(void *arg, const rc_stored_connector *c)
{
    fixture *f = arg;

    return store_put_now(f->store, c->name, config(f, "changed"), c->version, c->target, NULL, NULL,
                         NULL);
}

static void may_be_changed_while_listing(void **state)
{
    fixture *f = *state;

    put(f, "a", "1", 0);
    put(f, "b", "1", 0);
    assert_int_equal(rc_store_each(f->store, rename_one, f, NULL), 0);
    assert_string_equal(list(f).text, "a@2:1 b@2:1 ");
}

/* ---- the file alone ----------------------------------------------------------------------- */

static void restart_keeps_everything(void **state)
{
    fixture *f = *state;
    rc_stored_connector first = put(f, "c", "1", 0);

    put(f, "gone", "1", 0);
    assert_int_equal(store_delete_now(f->store, "gone", NULL), 0);
    assert_int_equal(store_target_now(f->store, "c", RC_TARGET_PAUSED, NULL), 0);
    rc_store_close(f->store);
    open_file(f);
    assert_string_equal(list(f).text, "c@1:2 ");
    assert_int_equal(list(f).last.incarnation, first.incarnation);
    assert_int_equal(list(f).last.changed_ms, 1000);
    assert_true(put(f, "gone", "2", 0).version > 1);
    assert_true(put(f, "new", "2", 0).incarnation > first.incarnation + 1);
}

/** The child of the kill test: writes version after version and tells each on the pipe. */
static void write_for_ever(const char *path, int fd)
{
    rc_store *store = NULL;
    const omc_pair pair = {omc_slice_str("k"), omc_slice_str("v")};
    const omc_keyvalue kv = {1, &pair};
    rc_stored_connector got;
    rc_arena arena;

    rc_arena_init(&arena, 4096);
    if (rc_store_open_local(path, rc_clock_real(), &store, NULL) < 0)
        _exit(1);
    for (;;) {
        if (store_put_now(store, "c", &kv, -1, RC_TARGET_STARTED, &got, &arena.pub, NULL) < 0 ||
            write(fd, &got.version, sizeof got.version) != sizeof got.version)
            _exit(2);
        rc_arena_reset(&arena, 4096);
    }
}

static void kill_loses_nothing_acknowledged(void **state)
{
    fixture *f = *state;
    int64_t told = 0, last = 0;

    rc_store_close(f->store);
    f->store = NULL;
    for (int round = 0; round < 5; round++) {
        int fds[2];
        pid_t pid;

        assert_int_equal(pipe(fds), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            write_for_ever(f->path, fds[1]);
        (void)close(fds[1]);
        for (int i = 0; i < 20 + round; i++)
            assert_int_equal(read(fds[0], &told, sizeof told), sizeof told);
        (void)kill(pid, SIGKILL);
        while (read(fds[0], &told, sizeof told) == sizeof told)
            ;
        (void)close(fds[0]);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        open_file(f);
        /* One write may have become durable without its word having left the child. */
        last = list(f).last.version;
        assert_in_range(last, told, told + 1);
        rc_store_close(f->store);
        f->store = NULL;
    }
}

static void second_process_is_refused(void **state)
{
    fixture *f = *state;
    rc_store *other = NULL;
    rc_error err = {0};
    int status = 0;
    pid_t pid;

    /* Also within one process, and before anything was written. */
    assert_int_equal(rc_store_open_local(f->path, rc_clock_real(), &other, &err), -OMC_EEXIST);
    assert_non_null(strstr(err.msg, f->path));
    assert_non_null(strstr(err.msg, "storePathRootDir"));
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(rc_store_open_local(f->path, rc_clock_real(), &other, NULL) == -OMC_EEXIST ? 42 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 42);
    put(f, "still", "works", 0);
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void foreign_files_are_refused(void **state)
{
    static const struct {
        const char *sql; /**< NULL: no database at all. */
        int r;
        const char *says;
    } cases[] = {
        {NULL, -OMC_EFORMAT, "move it away"},
        {"CREATE TABLE x(y)", -OMC_EFORMAT, "another program"},
        {"PRAGMA user_version=99; PRAGMA application_id=1919120244; CREATE TABLE x(y)",
         -OMC_EUNSUPPORTED, "schema version 99"},
    };
    fixture *f = *state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_error err = {0};
        rc_store *store = NULL;
        char path[128];
        int r;

        (void)snprintf(path, sizeof path, "%s/foreign%zu", f->dir, i);
        if (cases[i].sql) {
            run_sql(path, cases[i].sql);
        } else {
            FILE *out = fopen(path, "w");

            assert_non_null(out);
            for (int k = 0; k < 1000; k++)
                (void)fputs("this is not a database. ", out);
            (void)fclose(out);
        }
        r = rc_store_open_local(path, rc_clock_real(), &store, &err);
        if (r != cases[i].r || !strstr(err.msg, cases[i].says) || !strstr(err.msg, path))
            fail_msg("case %zu: got %d '%s'", i, r, err.msg);
    }
}

static void folder_that_cannot_be_used(void **state)
{
    fixture *f = *state;
    rc_error err = {0};
    rc_store *store = NULL;

    assert_int_equal(rc_store_open_local(f->dir, rc_clock_real(), &store, &err) < 0, 1);
    assert_non_null(strstr(err.msg, f->dir));
}

#define BOTH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest both[] = {
        BOTH(puts_lists_and_deletes),
        BOTH(each_stops_when_told),
        BOTH(conditional_writes),
        BOTH(refused_write_changes_nothing),
        BOTH(recreated_gets_new_incarnation_and_higher_version),
        BOTH(target_is_kept_over_updates),
        BOTH(keeps_any_bytes_and_order),
        BOTH(bounds_are_errors),
        BOTH(may_be_changed_while_listing),
    };
    const struct CMUnitTest file[] = {
        BOTH(restart_keeps_everything),   BOTH(kill_loses_nothing_acknowledged),
        BOTH(second_process_is_refused),  BOTH(foreign_files_are_refused),
        BOTH(folder_that_cannot_be_used),
    };
    int failed;

    mode = "memory";
    failed = cmocka_run_group_tests_name("memory", both, NULL, NULL);
    mode = "file";
    failed += cmocka_run_group_tests_name("file", both, NULL, NULL);
    return failed + cmocka_run_group_tests_name("file only", file, NULL, NULL);
}
