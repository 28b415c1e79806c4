/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The registry against real `.so` files: what is refused and in which words, what older plugins
 * look like to the runtime, names and aliases, and files that change under a running worker.
 */
#include "plugin/registry.h"
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- built-in plugins of this test --------------------------------------------------------- */

static int idle(void *task, omc_batch *out, int64_t timeout_ms, omc_error *err)
{
    (void)task, (void)out, (void)timeout_ms, (void)err;
    return 0;
}

static int keep(void *state, omc_record *record, omc_arena *arena, omc_error *err)
{
    (void)state, (void)record, (void)arena, (void)err;
    return 0;
}

static const omc_source_ops source_ops = {.size = sizeof source_ops, .poll = idle};
static const omc_transform_ops transform_ops = {.size = sizeof transform_ops, .apply = keep};

#define HEAD .abi = OMC_ABI_CURRENT, .size = sizeof(omc_plugin), .version = "1"
static const omc_plugin file_source = {
    HEAD,
    .kind = OMC_SOURCE,
    .name = "file-source",
    .classes = "org.apache.rocketmq.connect.file.FileSourceConnector",
    .ops = &source_ops,
};
static const omc_plugin change_case = {
    HEAD,
    .kind = OMC_TRANSFORM,
    .name = "change-case-value",
    .classes = "org.apache.rocketmq.connect.transforms.ChangeCase$Value",
    .ops = &transform_ops,
};
static const omc_plugin *const sources[] = {&file_source, NULL};
static const omc_plugin *const transforms[] = {&change_case, NULL};
static const omc_plugin *const *const builtin[] = {sources, transforms, NULL};

/* ---- fixture ------------------------------------------------------------------------------- */

typedef struct fixture {
    char dir[64];
    rc_registry *registry;
    rc_arena arena;
    size_t reported;
} fixture;

static int setup(void **state)
{
    fixture *f = rc_calloc(1, sizeof *f);
    const char *paths[2] = {f->dir, NULL};
    const rc_registry_config config = {
        .builtin = builtin,
        .paths = paths,
        .self = PROBE_DRIVER,
        .probe_timeout_ms = 20000, /* Far beyond any load; the test of a hang sets its own. */
    };
    rc_error err = {0};

    (void)snprintf(f->dir, sizeof f->dir, "/tmp/rc-plugins-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    if (rc_registry_new(&config, &f->registry, &err) < 0)
        fail_msg("%s", err.msg);
    rc_arena_init(&f->arena, 4096);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    char command[128];

    rc_registry_free(f->registry);
    rc_arena_release(&f->arena);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

/** Copies so/<name>.so to <dir>/<as>, complete at once, as an installer does it. */
static void install(const fixture *f, const char *name, const char *as)
{
    char command[512];

    (void)snprintf(command, sizeof command, "cp '%s/%s.so' '%s/.new' && mv -f '%s/.new' '%s/%s'",
                   SO_DIR, name, f->dir, f->dir, f->dir, as);
    assert_int_equal(system(command), 0);
}

static void count_refusal(void *arg, const rc_refusal *refused)
{
    const char *why = refused->why.msg;
    fixture *f = arg;

    if (strncmp(refused->file, f->dir, strlen(f->dir)) != 0 || strstr(why, f->dir) == why)
        fail_msg("'%s' refused: '%s'", refused->file, why);
    f->reported++;
}

static int scan(fixture *f)
{
    rc_error err = {0};
    int r = rc_registry_scan(f->registry, count_refusal, f, &err);

    if (r < 0)
        fail_msg("scan: %s", err.msg);
    return r;
}

/** The only refusal there should be. */
static rc_error refusal(fixture *f)
{
    const rc_refusal *list = NULL;

    assert_int_equal(rc_registry_refusals(f->registry, &f->arena.pub, &list), 1);
    assert_memory_equal(list[0].file, f->dir, strlen(f->dir));
    return list[0].why;
}

static const omc_plugin *source(const fixture *f, const char *name)
{
    return rc_registry_find(f->registry, OMC_SOURCE, name);
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void refusals_say_why(void **state)
{
    static const struct {
        const char *so;
        int code;
        const char *says[3];
    } cases[] = {
        {"minor7",
         OMC_EABI,
         {"built for ABI 1.7, this worker offers 1.0", "update the worker or rebuild"}},
        {"major2", OMC_EABI, {"built for ABI 2.0, this worker offers 1.0", "update the worker"}},
        {"wrong_size", OMC_EABI, {"size 8", "sizeof(omc_plugin)"}},
        {"wrong_ops_size",
         OMC_EABI,
         {"big-source", "omc_source_ops says size 4096", "sizeof(omc_source_ops)"}},
        {"no_ops", OMC_EINVAL, {"empty-source", "ops is NULL"}},
        {"no_poll", OMC_EINVAL, {"mute-source", "omc_source_ops.poll is required"}},
        {"bad_kind", OMC_EINVAL, {"kind 77 is not known", "source (1)"}},
        {"bad_name", OMC_EINVAL, {"'Bad Name'", "a-z, 0-9 and '-'"}},
        {"no_state", OMC_EINVAL, {"connector_state_size is 0"}},
        {"bad_default", OMC_EINVAL, {"default 'lots' of option 'size'"}},
        {"bad_offset", OMC_EINVAL, {"option 'list'", "offset 8", "16 bytes"}},
        {"twice_option", OMC_EINVAL, {"option 'path' stands in its table twice"}},
        {"null_list", OMC_EABI, {"refused ABI 1.0", "rebuild"}},
        {"no_symbol", OMC_EABI, {"has no function omc_plugin_entry()", "OMC_EXPORT"}},
        {"needs_symbol", OMC_EINVAL, {"undefined symbol: nobody_has_this", "-Wl,-z,defs"}},
        {"crash", OMC_EINVAL, {"crashed while loading (signal 11, SIGSEGV)"}},
        {"exits", OMC_EINVAL, {"ended the process while loading (exit status 3)"}},
    };
    fixture *f = *state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_error why;

        install(f, cases[i].so, "x.so");
        assert_int_equal(scan(f), 1);
        assert_int_equal(f->reported, i + 1);
        why = refusal(f);
        if (why.code != cases[i].code)
            fail_msg("%s: code %d '%s'", cases[i].so, why.code, why.msg);
        for (size_t k = 0; k < 3 && cases[i].says[k]; k++)
            if (!strstr(why.msg, cases[i].says[k]))
                fail_msg("%s: '%s' lacks '%s'", cases[i].so, why.msg, cases[i].says[k]);
    }
    assert_non_null(source(f, "file-source")); /* Nothing of this hurt the others. */
}

static void hang_is_cut_off(void **state)
{
    fixture *f = *state;
    const char *paths[2] = {SO_DIR "/hang.so", NULL};
    const rc_registry_config config = {.paths = paths,
                                       .self = PROBE_DRIVER,
                                       .probe_timeout_ms = 300};
    struct timespec from, to;
    const rc_refusal *list = NULL;
    rc_error err = {0};

    rc_registry_free(f->registry);
    assert_int_equal(rc_registry_new(&config, &f->registry, &err), 0);
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    assert_int_equal(rc_registry_scan(f->registry, NULL, NULL, &err), 1);
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    assert_true(to.tv_sec - from.tv_sec < 60);
    assert_int_equal(rc_registry_refusals(f->registry, &f->arena.pub, &list), 1);
    assert_non_null(strstr(list[0].why.msg, "did not finish loading within 300 ms"));
    assert_int_equal(list[0].why.code, OMC_ETIMEDOUT);
}

static void java_and_garbage_are_refused(void **state)
{
    static const struct {
        const char *name, *text, *says;
    } cases[] = {
        {"a.jar", "PK", "Java plugins need a worker"},
        {"b.zip", "PK", "Java plugins need a worker"},
        {"c.so", "this is no library at all", "no shared library for this machine"},
        {"d.so", "", "no shared library for this machine"},
        {"e.tar.gz", "", "is packed: unpack it into a folder of its own"},
    };
    fixture *f = *state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        char path[128];
        FILE *out;

        (void)snprintf(path, sizeof path, "%s/%s", f->dir, cases[i].name);
        out = fopen(path, "w");
        assert_non_null(out);
        (void)fputs(cases[i].text, out);
        (void)fclose(out);
        assert_int_equal(scan(f), 1);
        if (!strstr(refusal(f).msg, cases[i].says))
            fail_msg("%s: %s", cases[i].name, refusal(f).msg);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(scan(f), 0);
}

/* ---- plugins of hosts ----------------------------------------------------------------------- */

static bool is_jar(const char *path)
{
    return strstr(path, ".jar") != NULL;
}

/* By the file's name: java-NAME.jar has a plugin, part.jar one and something that cannot be used,
 * all others are libraries. */
static int load_jar(void *arg, const char *path, rc_refused_fn *refused, void *refused_arg,
                    const omc_plugin *const **ret, rc_error *err)
{
    static const omc_plugin one = {HEAD, .kind = OMC_SOURCE, .name = "java-source",
                                   .classes = "com.example.JavaSource", .ops = &source_ops};
    static const omc_plugin two = {HEAD, .kind = OMC_SOURCE, .name = "part-source",
                                   .classes = "com.example.PartSource", .ops = &source_ops};
    static const omc_plugin *const ones[] = {&one, NULL}, *const twos[] = {&two, NULL};
    rc_refusal refusal = {.file = path, .part = true};

    (void)arg;
    *ret = ones;
    if (strstr(path, "/java-"))
        return 0;
    *ret = twos;
    if (!strstr(path, "/part.jar"))
        return rc_fail(err, OMC_ENOTFOUND, "has no plugin");
    (void)rc_fail(&refusal.why, OMC_EINVAL, "com.example.Other needs more");
    refused(refused_arg, &refusal);
    return 0;
}

static void touch(const fixture *f, const char *name)
{
    RC_AUTO_FREE char *path = rc_format("%s/%s", f->dir, name);
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    (void)fclose(out);
}

/* The registry of the fixture, with plugins of a host. */
static void with_jars(fixture *f)
{
    const char *paths[2] = {f->dir, NULL};
    const rc_registry_config config = {.builtin = builtin,
                                       .paths = paths,
                                       .self = PROBE_DRIVER,
                                       .foreign = {.wants = is_jar, .load = load_jar}};
    rc_error err = {0};

    rc_registry_free(f->registry);
    assert_int_equal(rc_registry_new(&config, &f->registry, &err), 0);
}

static void libraries_beside_a_plugin_are_no_refusals(void **state)
{
    fixture *f = *state;

    with_jars(f);
    touch(f, "lib.jar");
    assert_int_equal(scan(f), 1);
    assert_non_null(strstr(refusal(f).msg, "has no plugin"));
    touch(f, "java-a.jar");
    assert_int_equal(scan(f), 0);
    assert_non_null(rc_registry_find(f->registry, OMC_SOURCE, "com.example.JavaSource"));
}

static void what_a_place_cannot_use_is_told_beside_its_plugins(void **state)
{
    fixture *f = *state;
    const rc_refusal *list = NULL;

    with_jars(f);
    touch(f, "part.jar");
    assert_int_equal(scan(f), 1);
    assert_int_equal(rc_registry_refusals(f->registry, &f->arena.pub, &list), 1);
    assert_true(list[0].part);
    assert_string_equal(list[0].why.msg, "com.example.Other needs more");
    assert_non_null(rc_registry_find(f->registry, OMC_SOURCE, "part-source"));
}

static void a_class_that_is_there_twice_is_told(void **state)
{
    fixture *f = *state;
    const rc_refusal *list = NULL;

    with_jars(f);
    touch(f, "java-a.jar");
    touch(f, "java-b.jar");
    assert_int_equal(scan(f), 1);
    assert_int_equal(rc_registry_refusals(f->registry, &f->arena.pub, &list), 1);
    assert_non_null(strstr(list[0].file, "java-b.jar"));
    assert_non_null(strstr(list[0].why.msg, "is already taken by source java-source"));
}

/** What lies beside a link belongs to it, not what lies beside its target. */
static void a_link_to_an_archive_keeps_its_name(void **state)
{
    fixture *f = *state;
    const rc_plugin_info *infos;
    RC_AUTO_FREE char *link = rc_format("%s/java-link.jar", f->dir);
    size_t count;

    with_jars(f);
    assert_int_equal(symlink("/dev/null", link), 0); /* no file: not looked at */
    assert_int_equal(scan(f), 0);
    assert_int_equal(unlink(link), 0);
    touch(f, ".target");
    assert_int_equal(symlink(".target", link), 0);
    assert_int_equal(scan(f), 0);
    count = rc_registry_list(f->registry, &f->arena.pub, &infos);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(infos[i].plugin->name, "java-source"))
            assert_string_equal(infos[i].location, link);
    assert_non_null(rc_registry_find(f->registry, OMC_SOURCE, "java-source"));
}

static void missing_path_is_an_error(void **state)
{
    fixture *f = *state;
    const char *paths[3] = {"/does/not/exist", SO_DIR "/good.so", NULL};
    const rc_registry_config config = {.paths = paths, .self = PROBE_DRIVER};
    rc_error err = {0};

    rc_registry_free(f->registry);
    assert_int_equal(rc_registry_new(&config, &f->registry, &err), 0);
    assert_int_equal(rc_registry_scan(f->registry, NULL, NULL, &err), -OMC_ENOTFOUND);
    assert_int_equal(err.code, OMC_ENOTFOUND);
    assert_non_null(strstr(err.msg, "pluginPaths: '/does/not/exist'"));
    assert_non_null(source(f, "good-source")); /* The rest was scanned all the same. */
}

static void prober_that_cannot_run(void **state)
{
    fixture *f = *state;
    const char *paths[2] = {SO_DIR "/good.so", NULL};
    const rc_registry_config config = {.paths = paths, .self = "/no/such/program"};
    const rc_refusal *list = NULL;

    rc_registry_free(f->registry);
    assert_int_equal(rc_registry_new(&config, &f->registry, NULL), 0);
    assert_int_equal(rc_registry_scan(f->registry, NULL, NULL, NULL), 1);
    assert_int_equal(rc_registry_refusals(f->registry, &f->arena.pub, &list), 1);
    assert_non_null(strstr(list[0].why.msg, "/no/such/program"));
}

/* ---- what is loaded ------------------------------------------------------------------------ */

static void good_file_loads_with_all_it_has(void **state)
{
    static const struct {
        omc_plugin_kind kind;
        const char *name;
        bool found;
    } cases[] = {
        {OMC_SOURCE, "good-source", true},
        {OMC_SOURCE, "org.example.GoodSourceConnector", true},
        {OMC_SOURCE, "org.example.old.OldGood", true},
        {OMC_SOURCE, "GoodSourceConnector", true},
        {OMC_SOURCE, "GoodSource", true},
        {OMC_SOURCE, "OldGood", true},
        {OMC_SINK, "GoodSink", true},
        {OMC_SINK, "GoodSource", false}, /* Another kind. */
        {OMC_TRANSFORM, "org.example.Drop$Value", true},
        {OMC_TRANSFORM, "Drop$Value", true},
        {OMC_TRANSFORM, "Value", false},
        {OMC_SOURCE, "goodsource", false},
        {OMC_SOURCE, "", false},
        {OMC_SOURCE, "org.apache.rocketmq.connect.file.FileSourceConnector", true},
        {OMC_SOURCE, "FileSource", true},
        {OMC_TRANSFORM, "ChangeCase$Value", true},
    };
    fixture *f = *state;

    install(f, "good", "good.so");
    install(f, "noisy", "noisy.so");
    assert_int_equal(scan(f), 0);
    assert_non_null(source(f, "noisy-source"));
    for (size_t i = 0; i < RC_COUNT(cases); i++)
        if (!!rc_registry_find(f->registry, cases[i].kind, cases[i].name) != cases[i].found)
            fail_msg("%s: expected found = %d", cases[i].name, cases[i].found);
}

static void older_plugin_lacks_newer_members(void **state)
{
    fixture *f = *state;
    const omc_plugin *plugin;
    const omc_source_ops *ops;
    rc_option_table table;

    install(f, "older", "older.so");
    assert_int_equal(scan(f), 0);
    plugin = source(f, "older-source");
    assert_non_null(plugin);
    ops = plugin->ops;
    assert_non_null(ops->poll);
    assert_null(ops->commit); /* Stands in memory, behind the size. */
    assert_null(ops->stop);
    table = rc_plugin_table(plugin);
    assert_int_equal(table.count, 2);
    assert_string_equal(rc_option_at(&table, 1).name, "size");
    assert_null(rc_option_at(&table, 1).aliases);
    assert_int_equal(rc_option_at(&table, 1).max, 0);
}

static void same_names_are_refused(void **state)
{
    fixture *f = *state;

    install(f, "good", "a.so");
    install(f, "duplicate", "b.so");
    assert_int_equal(scan(f), 1);
    assert_non_null(strstr(refusal(f).msg, "'org.example.GoodSourceConnector' is already taken"));
    assert_non_null(strstr(refusal(f).msg, "a.so"));
    assert_non_null(strstr(refusal(f).msg, "other-source"));
    assert_null(source(f, "other-source"));
    assert_non_null(source(f, "good-source"));
    /* Once the other one is gone the name is free. */
    install(f, "noisy", "a.so");
    assert_int_equal(scan(f), 0);
    assert_non_null(source(f, "other-source"));
    assert_null(source(f, "good-source"));
}

static void ambiguous_alias_stands_for_none(void **state)
{
    fixture *f = *state;
    const omc_plugin *plugin = NULL;
    rc_error err = {0};

    install(f, "good", "a.so");
    install(f, "alias", "b.so");
    assert_int_equal(scan(f), 0);
    assert_null(source(f, "GoodSourceConnector"));
    assert_null(source(f, "GoodSource"));
    assert_non_null(source(f, "org.example.GoodSourceConnector"));
    assert_non_null(source(f, "com.other.GoodSourceConnector"));
    assert_int_equal(rc_registry_connector(f->registry, "GoodSource", &plugin, &err),
                     -OMC_ENOTFOUND);
    assert_non_null(strstr(err.msg, "more than one plugin"));
}

static void folders_and_libraries(void **state)
{
    fixture *f = *state;
    char command[256];

    (void)snprintf(command, sizeof command, "mkdir -p '%s/my/deep' '%s/.hidden'", f->dir, f->dir);
    assert_int_equal(system(command), 0);
    install(f, "good", "my/plugin.so");
    install(f, "older", "my/deep/older.so");    /* Too deep. */
    install(f, "no_symbol", "my/libhelper.so"); /* A library, no plugin. */
    install(f, "noisy", ".hidden/noisy.so");
    assert_int_equal(scan(f), 0);
    assert_non_null(source(f, "good-source"));
    assert_null(source(f, "older-source"));
    assert_null(source(f, "noisy-source"));
}

/* ---- reload -------------------------------------------------------------------------------- */

static void changed_file_replaces_its_names(void **state)
{
    fixture *f = *state;
    const omc_plugin *old, *new;

    install(f, "good", "p.so");
    assert_int_equal(scan(f), 0);
    old = source(f, "good-source");
    assert_non_null(old);
    assert_int_equal(scan(f), 0);
    assert_ptr_equal(source(f, "good-source"), old); /* Nothing changed: nothing loaded. */

    install(f, "good_v2", "p.so");
    assert_int_equal(scan(f), 0);
    new = source(f, "good-source");
    assert_non_null(new);
    assert_string_equal(new->version, "2.0.0");
    assert_string_equal(old->version, "1.0.0"); /* Running tasks keep what they have. */
    assert_int_equal(((const omc_source_ops *)old->ops)->poll(NULL, NULL, 0, NULL), 0);

    install(f, "good", "p.so"); /* And back again: not the handle of the first load. */
    assert_int_equal(scan(f), 0);
    assert_string_equal(source(f, "good-source")->version, "1.0.0");
}

static void broken_replacement_keeps_the_old_state(void **state)
{
    fixture *f = *state;

    install(f, "good", "p.so");
    assert_int_equal(scan(f), 0);
    install(f, "crash", "p.so");
    assert_int_equal(scan(f), 1);
    assert_non_null(strstr(refusal(f).msg, "the state loaded before stays in use"));
    assert_non_null(source(f, "good-source"));
}

static void removed_file_gives_its_names_back(void **state)
{
    fixture *f = *state;
    const omc_plugin *old;
    char path[128];

    install(f, "good", "p.so");
    assert_int_equal(scan(f), 0);
    old = source(f, "good-source");
    (void)snprintf(path, sizeof path, "%s/p.so", f->dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(scan(f), 0);
    assert_null(source(f, "good-source"));
    assert_string_equal(old->name, "good-source");
    install(f, "good_v2", "p.so");
    assert_int_equal(scan(f), 0);
    assert_string_equal(source(f, "good-source")->version, "2.0.0");
}

typedef struct looker {
    fixture *f;
    _Atomic bool stop;
    _Atomic long found;
} looker;

static void *look(void *arg)
{
    looker *l = arg;

    do {
        const omc_plugin *plugin = source(l->f, "good-source");
        const omc_plugin *builtin_one = source(l->f, "FileSource");

        if (builtin_one && (!plugin || strcmp(plugin->name, "good-source") == 0))
            atomic_fetch_add(&l->found, 1);
    } while (!atomic_load(&l->stop));
    return NULL;
}

static void lookups_go_on_during_scans(void **state)
{
    fixture *f = *state;
    looker l = {.f = f};
    pthread_t threads[2];

    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look, &l), 0);
    for (int i = 0; i < 4; i++) {
        install(f, i % 2 ? "good_v2" : "good", "p.so");
        assert_int_equal(scan(f), 0);
    }
    atomic_store(&l.stop, true);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(atomic_load(&l.found) > 0);
}

/* ---- lists and explanations ---------------------------------------------------------------- */

static void list_is_sorted(void **state)
{
    static const char *const expected[] = {
        "sink org.example.GoodSinkConnector",
        "source org.apache.rocketmq.connect.file.FileSourceConnector",
        "source org.example.GoodSourceConnector",
        "transform org.apache.rocketmq.connect.transforms.ChangeCase$Value",
        "transform org.example.Drop$Value",
    };
    fixture *f = *state;
    const rc_plugin_info *list = NULL;
    size_t count;

    install(f, "good", "good.so");
    assert_int_equal(scan(f), 0);
    count = rc_registry_list(f->registry, &f->arena.pub, &list);
    assert_int_equal(count, RC_COUNT(expected));
    for (size_t i = 0; i < count; i++) {
        char text[256];

        (void)snprintf(text, sizeof text, "%s %s", rc_plugin_kind_name(list[i].plugin->kind),
                       rc_plugin_class(list[i].plugin, &f->arena.pub));
        assert_string_equal(text, expected[i]);
    }
    assert_string_equal(list[1].location, "built in");
    assert_non_null(strstr(list[0].location, "/good.so"));
}

static void unknown_connector_is_explained(void **state)
{
    static const struct {
        const char *name, *says;
    } cases[] = {
        {"no.such.Connector", "matches no.such.Connector, available connectors are: "},
        {"no.such.Connector",
         "org.apache.rocketmq.connect.file.FileSourceConnector (file-source, built in)"},
        {"FileSourceConector", "Did you mean 'FileSourceConnector'?"},
        {"org.apache.rocketmq.connect.FileSourceConnecter", "Did you mean 'FileSourceConnector'?"},
        {"file-sorce", "Did you mean 'file-source'?"},
        {"io.debezium.connector.mysql.MySqlConnector", "It is a Java connector"},
        {"org.apache.rocketmq.replicator.ReplicatorSourceConnector", "It is a Java connector"},
        {"ChangeCase$Value", "is a transform, not a connector"},
    };
    static const char start[] =
        "Failed to find any class that implements Connector and which name matches ";
    fixture *f = *state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        const omc_plugin *plugin = NULL;
        rc_error err = {0};

        assert_int_equal(rc_registry_connector(f->registry, cases[i].name, &plugin, &err),
                         -OMC_ENOTFOUND);
        if (strncmp(err.msg, start, strlen(start)) != 0 || !strstr(err.msg, cases[i].says))
            fail_msg("%s: %s", cases[i].name, err.msg);
    }
}

static void connector_is_found_in_both_kinds(void **state)
{
    fixture *f = *state;
    const omc_plugin *plugin = NULL;
    rc_plugin_finder finder = rc_registry_finder(f->registry);

    install(f, "good", "good.so");
    assert_int_equal(scan(f), 0);
    assert_int_equal(rc_registry_connector(f->registry, "GoodSink", &plugin, NULL), 0);
    assert_int_equal(plugin->kind, OMC_SINK);
    assert_int_equal(rc_registry_connector(f->registry, "good-source", &plugin, NULL), 0);
    assert_int_equal(plugin->kind, OMC_SOURCE);
    assert_ptr_equal(finder.find(finder.arg, OMC_SOURCE, "good-source"), plugin);
}

static void builtin_twice_is_refused(void **state)
{
    static const omc_plugin *const twice[] = {&file_source, &file_source, NULL};
    static const omc_plugin *const *const tables[] = {twice, NULL};
    const rc_registry_config config = {.builtin = tables};
    rc_registry *registry = NULL;
    rc_error err = {0};

    (void)state;
    assert_int_equal(rc_registry_new(&config, &registry, &err), -OMC_EEXIST);
    assert_non_null(strstr(err.msg, "file-source"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(refusals_say_why),
        CASE(hang_is_cut_off),
        CASE(java_and_garbage_are_refused),
        CASE(libraries_beside_a_plugin_are_no_refusals),
        CASE(what_a_place_cannot_use_is_told_beside_its_plugins),
        CASE(a_class_that_is_there_twice_is_told),
        CASE(a_link_to_an_archive_keeps_its_name),
        CASE(missing_path_is_an_error),
        CASE(prober_that_cannot_run),
        CASE(good_file_loads_with_all_it_has),
        CASE(older_plugin_lacks_newer_members),
        CASE(same_names_are_refused),
        CASE(ambiguous_alias_stands_for_none),
        CASE(folders_and_libraries),
        CASE(changed_file_replaces_its_names),
        CASE(broken_replacement_keeps_the_old_state),
        CASE(removed_file_gives_its_names_back),
        CASE(lookups_go_on_during_scans),
        CASE(list_is_sorted),
        CASE(unknown_connector_is_explained),
        CASE(connector_is_found_in_both_kinds),
        cmocka_unit_test(builtin_twice_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
