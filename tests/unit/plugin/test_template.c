/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The template connector as its users will run it: loaded from its `.so` by the registry, options
 * from text, driven call by call. Also an example of how to test a connector without a worker.
 */
#include "base/file.h"
#include "plugin/registry.h"
#include "record/batch.h"
#include "unit.h"

#include <unistd.h>

typedef struct host {
    rc_registry *registry;
    rc_arena arena;
    omc_config config;
    const omc_map *committed;
    int64_t greetings;
    size_t reported;
    char report[OMC_ERROR_TEXT_MAX];
} host;

static int read_offset(void *arg, const omc_map *partition, omc_arena *arena, const omc_map **ret,
                       omc_error *err)
{
    host *h = arg;

    (void)arena, (void)err;
    assert_non_null(omc_map_get(partition, "source"));
    *ret = h->committed;
    return 0;
}

static int report(void *arg, const omc_record *record, const omc_error *why, omc_error *err)
{
    host *h = arg;

    (void)record, (void)err;
    h->reported++;
    (void)snprintf(h->report, sizeof h->report, "%s", why->msg);
    return 0;
}

static void count(void *arg, const char *name, int64_t delta)
{
    host *h = arg;

    assert_string_equal(name, "greetings");
    h->greetings += delta;
}

static void log_line(void *arg, omc_log_level level, const char *fmt, ...) OMC_PRINTF(3, 4);
static void log_line(void *arg, omc_log_level level, const char *fmt, ...)
{
    (void)arg, (void)level, (void)fmt;
}

static int setup(void **state)
{
    host *h = rc_calloc(1, sizeof *h);
    const char *paths[] = {TEMPLATE_SO, NULL};
    const rc_registry_config config = {.paths = paths, .self = PROBE_DRIVER};
    rc_error err = {0};

    rc_arena_init(&h->arena, 4096);
    if (rc_registry_new(&config, &h->registry, &err) < 0 ||
        rc_registry_scan(h->registry, NULL, NULL, &err) != 0)
        fail_msg("%s", err.msg);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    host *h = *state;

    rc_registry_free(h->registry);
    rc_arena_release(&h->arena);
    free(h);
    return 0;
}

/** Parses "key=value" pairs with the plugin's own table. @return what parsing returned. */
static int configure(host *h, const omc_plugin *plugin, const char *const *pairs)
{
    rc_option_table table = rc_plugin_table(plugin);
    void *options = omc_alloc0(&h->arena.pub, table.options_size);
    rc_problems problems;
    rc_kv kv;

    rc_kv_init(&kv, &h->arena.pub);
    for (; *pairs; pairs += 2)
        rc_kv_put_str(&kv, pairs[0], pairs[1]);
    rc_problems_init(&problems, &h->arena.pub);
    h->config = (omc_config){.size = sizeof h->config, .raw = rc_kv_done(&kv), .options = options};
    return rc_options_parse(&table, 1, h->config.raw, RC_OPTIONS_STRICT, &options, &h->arena.pub,
                            &problems);
}

static omc_source_context source_context(host *h)
{
    return (omc_source_context){
        .size = sizeof(omc_source_context),
        .connector = "t",
        .task = "t-0",
        .task_count = 1,
        .config = &h->config,
        .wake_fd = -1,
        .host = h,
        .count = count,
        .log = log_line,
        .read_offset = read_offset,
    };
}

static void source_counts_resumes_and_ends(void **state)
{
    static const struct {
        const char *committed; /**< Text of the committed number, NULL = none. */
        int64_t first, last;
    } cases[] = {
        {NULL, 1, 5}, {"3", 4, 5}, {"5", 6, 5}, /* Everything was there: ends at once. */
    };
    static const char *const config[] = {"greeting", "hello", "count", "5", NULL};
    host *h = *state;
    const omc_plugin *plugin = rc_registry_find(h->registry, OMC_SOURCE, "TemplateSource");
    const omc_source_ops *ops = plugin->ops;

    assert_int_equal(configure(h, plugin, config), 0);
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        omc_value number = {.kind = OMC_NUMBER_TEXT, .text = omc_slice_str(cases[i].committed)};
        omc_entry entry = {omc_string(omc_slice_str("last")), number};
        omc_map offset = {1, &entry};
        omc_source_context ctx = source_context(h);
        RC_AUTO_FREE void *task = rc_calloc(1, ops->task_state_size);
        omc_batch *batch = &rc_batch_new(2, 1 << 20)->pub;
        int64_t next = cases[i].first;
        rc_error err = {0};
        int r;

        h->committed = cases[i].committed ? &offset : NULL;
        assert_int_equal(ops->init(task, &ctx, &err), 0);
        assert_int_equal(ops->start(task, &err), 0);
        while ((r = ops->poll(task, batch, 0, &err)) != OMC_FINISHED) {
            assert_in_range(r, 1, 2);
            assert_int_equal(r, batch->count);
            for (size_t k = 0; k < batch->count; k++, next++) {
                const omc_record *rec = omc_batch_at(batch, k);
                char expected[32];

                (void)snprintf(expected, sizeof expected, "hello %lld", (long long)next);
                assert_true(omc_slice_is(rec->value.u.bytes, expected));
                assert_int_equal(rec->position.counter, next);
            }
            batch->unref(batch);
            batch = &rc_batch_new(2, 1 << 20)->pub;
        }
        batch->unref(batch);
        assert_int_equal(next, cases[i].last + 1);
    }
    assert_int_equal(h->greetings, 5 + 2);
}

static void options_are_checked(void **state)
{
    static const char *const none[] = {NULL};
    static const char *const zero[] = {"count", "0", NULL};
    static const char *const typo[] = {"filename", "x", "filname", "y", NULL};
    host *h = *state;
    const omc_plugin *source = rc_registry_find(h->registry, OMC_SOURCE, "template-source");
    const omc_plugin *sink = rc_registry_find(h->registry, OMC_SINK, "template-sink");

    assert_int_equal(configure(h, source, none), 0);
    assert_int_equal(configure(h, source, zero), -OMC_EINVAL);
    assert_int_equal(configure(h, sink, none), -OMC_EINVAL); /* filename is required. */
    assert_int_equal(configure(h, sink, typo), -OMC_EINVAL);
}

static void sink_writes_and_reports(void **state)
{
    host *h = *state;
    const omc_plugin *plugin = rc_registry_find(h->registry, OMC_SINK, "template-sink");
    const omc_sink_ops *ops = plugin->ops;
    char path[] = "/tmp/rc-template-XXXXXX";
    const char *config[] = {"filename", path, NULL};
    omc_sink_context ctx = {.size = sizeof ctx,
                            .config = &h->config,
                            .wake_fd = -1,
                            .host = h,
                            .count = count,
                            .log = log_line,
                            .report = report};
    RC_AUTO_FREE void *task = rc_calloc(1, ops->task_state_size);
    omc_batch *batch = &rc_batch_new(10, 1 << 20)->pub;
    RC_AUTO_FREE char *text = NULL;
    rc_error err = {0};
    size_t len = 0;

    assert_int_equal(close(mkstemp(path)), 0);
    assert_int_equal(configure(h, plugin, config), 0);
    omc_batch_add(batch)->value = omc_string(omc_slice_str("one"));
    omc_batch_add(batch)->value = omc_integer(OMC_INT32, 7);
    omc_batch_add(batch)->value = omc_bytes(omc_slice_of("\xff\0x", 3));
    assert_int_equal(ops->init(task, &ctx, &err), 0);
    assert_int_equal(ops->start(task, &err), 0);
    assert_int_equal(ops->put(task, batch, &err), 0);
    assert_int_equal(ops->flush(task, &err), 0);
    assert_int_equal(rc_file_read(path, 100, &text, &len, &err), 0);
    assert_int_equal(len, 8);
    assert_memory_equal(text, "one\n\xff\0x\n", 8);
    assert_int_equal(h->reported, 1);
    assert_non_null(strstr(h->report, "StringConverter"));
    ops->stop(task);
    batch->unref(batch);
    (void)unlink(path);
}

static void sink_says_what_it_cannot_open(void **state)
{
    static const char *const config[] = {"filename", "/no/such/folder/file", NULL};
    host *h = *state;
    const omc_plugin *plugin = rc_registry_find(h->registry, OMC_SINK, "template-sink");
    const omc_sink_ops *ops = plugin->ops;
    omc_sink_context ctx = {.size = sizeof ctx, .config = &h->config, .host = h};
    RC_AUTO_FREE void *task = rc_calloc(1, ops->task_state_size);
    rc_error err = {0};

    assert_int_equal(configure(h, plugin, config), 0);
    assert_int_equal(ops->init(task, &ctx, &err), 0);
    assert_int_equal(ops->start(task, &err), -OMC_EIO);
    assert_non_null(strstr(err.msg, "filename '/no/such/folder/file': No such file"));
    ops->stop(task); /* As the host does after a start that failed. */
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(source_counts_resumes_and_ends),
        CASE(options_are_checked),
        CASE(sink_writes_and_reports),
        CASE(sink_says_what_it_cannot_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
