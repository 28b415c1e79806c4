/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of a connector: what is accepted, what is refused with which text, and that one answer
 * names every problem.
 */
#include "unit.h"

#include "config/properties.h"
#include "record/plugins.h"
#include "worker/connector_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- plugins ---- */

static int no_poll(void *task, omc_batch *out, int64_t timeout_ms, omc_error *err)
{
    (void)task, (void)out, (void)timeout_ms, (void)err;
    return 0;
}

static int no_put(void *task, const omc_batch *batch, omc_error *err)
{
    (void)task, (void)batch, (void)err;
    return 0;
}

static const omc_source_ops source_ops = {.size = sizeof source_ops,
                                          .task_state_size = 8,
                                          .poll = no_poll};
static const omc_sink_ops sink_ops = {.size = sizeof sink_ops, .task_state_size = 8, .put = no_put};

static const omc_option rows[] = {
    {.name = "host", .type = OMC_OPT_STRING, .flags = OMC_OPT_REQUIRED, .doc = "Where."},
    {.name = "port",
     .type = OMC_OPT_INT,
     .default_value = "80",
     .offset = 8,
     .min = 1,
     .max = 65535,
     .doc = "Which."},
    {.name = "pass", .type = OMC_OPT_PASSWORD, .offset = 16, .doc = "Secret."},
};

#define PLUGIN(kind_, name_, ops_)                                                            \
    {                                                                                         \
        .abi = OMC_ABI_CURRENT, .size = sizeof(omc_plugin), .kind = (kind_), .name = (name_), \
        .version = "1", .doc = "A plugin of the test.", .options = rows,                      \
        .option_count = RC_COUNT(rows), .option_size = sizeof rows[0], .options_size = 24,    \
        .ops = (ops_)                                                                         \
    }
static const omc_plugin source_plugin = PLUGIN(OMC_SOURCE, "test-source", &source_ops);
static const omc_plugin sink_plugin = PLUGIN(OMC_SINK, "test-sink", &sink_ops);
static const omc_plugin *const plugins[] = {&source_plugin, &sink_plugin, NULL};
static const omc_plugin *const *const builtin[] = {plugins, rc_converter_plugins,
                                                   rc_transform_plugins, rc_predicate_plugins,
                                                   NULL};

/* ---- one check ------------------------------------------------------------------------------- */

typedef struct checked {
    rc_arena arena;
    rc_registry *registry;
    rc_connector_plan plan;
    rc_problems problems;
    rc_error err;
    int r;
} checked;

/** Checks the lines of a properties file as the configuration of connector `name`. */
static void check_named(checked *c, const char *name, const char *text)
{
    static const rc_worker_config worker = {.key_converter = "string",
                                            .value_converter = "string",
                                            .strict = true};
    rc_registry_config config = {.builtin = builtin};
    const omc_keyvalue *kv = NULL;

    memset(c, 0, sizeof *c);
    rc_arena_init(&c->arena, 4096);
    rc_problems_init(&c->problems, &c->arena.pub);
    if (rc_registry_new(&config, &c->registry, &c->err) < 0 ||
        rc_properties_parse("test", omc_slice_str(text), &c->arena.pub, &kv, &c->err) < 0)
        fail_msg("%s", c->err.msg);
    c->r = rc_connector_check(c->registry, &worker, name, kv, &c->arena.pub, &c->plan, &c->problems,
                              &c->err);
}

static void check(checked *c, const char *text)
{
    check_named(c, "copy", text);
}

static void clear(checked *c)
{
    rc_registry_free(c->registry);
    rc_arena_release(&c->arena);
}

#define SOURCE "connector.class=test-source\nhost=h\n"
#define SINK "connector.class=test-sink\nhost=h\nconnect.topicnames=t\n"

/* ---- tests ---- */

static void defaults_are_those_documented(void **state)
{
    const rc_connector_options *o;
    checked c;

    (void)state;
    check(&c, SOURCE);
    if (c.r < 0)
        fail_msg("%s", c.err.msg);
    o = &c.plan.options;
    assert_int_equal(o->max_tasks, 1);
    assert_string_equal(o->tolerance, "none");
    assert_int_equal(o->retry_timeout_ms, 0);
    assert_int_equal(o->retry_delay_max_ms, 60000);
    assert_false(o->errors_log);
    assert_false(o->errors_log_messages);
    assert_string_equal(o->dlq_topic, "");
    assert_int_equal(o->dlq_queues, 8);
    assert_false(o->dlq_context);
    assert_string_equal(o->key_converter, "string"); /* the worker's */
    assert_string_equal(o->value_converter, "string");
    assert_string_equal(o->ordering, "key");
    assert_int_equal(c.plan.config->count, 2);
    clear(&c);
    check(&c, SINK);
    assert_int_equal(c.r, 0);
    assert_string_equal(c.plan.options.consume_from, "CONSUME_FROM_FIRST_OFFSET");
    clear(&c);
}

static void topics_are_lists(void **state)
{
    static const struct {
        const char *value;
        size_t count;
        const char *first, *last;
    } cases[] = {
        {"connect.topicnames=a", 1, "a", "a"},
        {"connect.topicnames=a;b", 2, "a", "b"},
        {"connect.topicnames=a,b,c", 3, "a", "c"},
        {"connect.topicnames= a ; b, %RETRY%c_d-1 ;", 3, "a", "%RETRY%c_d-1"},
        {"topics=a;b", 2, "a", "b"}, /* Kafka's name */
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        char text[200];
        checked c;

        (void)snprintf(text, sizeof text, "connector.class=test-sink\nhost=h\n%s\n",
                       cases[i].value);
        check(&c, text);
        if (c.r < 0)
            fail_msg("%s: %s", cases[i].value, c.err.msg);
        if (c.plan.options.topics.count != cases[i].count)
            fail_msg("%s: %zu topics", cases[i].value, c.plan.options.topics.count);
        assert_string_equal(c.plan.options.topics.items[0], cases[i].first);
        assert_string_equal(c.plan.options.topics.items[cases[i].count - 1], cases[i].last);
        clear(&c);
    }
}

/** Each row: a configuration, the key its problem names, and words of the text. */
static void refusals_name_key_and_cure(void **state)
{
    static const struct {
        const char *text, *key, *words;
    } cases[] = {
        {"", "connector.class", "name the connector to run"},
        {"connector.class=test-sorce\n", "connector.class", "test-source"},
        {"connector.class=test-source\n", "host", "host"},
        {SOURCE "port=99999\n", "port", "65535"},
        {SOURCE "prot=1\n", "prot", "did you mean 'port'"},
        {SOURCE "name=other\n", "name", "copy"},
        {SOURCE "max.tasks=0\n", "max.tasks", "1"},
        {SOURCE "max.tasks=1001\n", "max.tasks", "1000"},
        {SOURCE "errors.tolerance=some\n", "errors.tolerance", "none|all"},
        {SOURCE "errors.retry.timeout=-2\n", "errors.retry.timeout", "-1"},
        {SOURCE "errors.deadletterqueue.topic.name=a b\n", "errors.deadletterqueue.topic.name",
         "not allowed"},
        {SOURCE "connect.topicname=a/b\n", "connect.topicname", "not allowed"},
        {SOURCE "exactly.once.support=required\n", "exactly.once.support", "at least once"},
        {SOURCE "exactly.once.support=strict\n", "exactly.once.support", "at least once"},
        {SOURCE "worker.labels=zone:a\n", "worker.labels", "'zone:a' has no '='"},
        {SINK "worker.labels=a=1;a=2\n", "worker.labels", "keep one of them"},
        {SOURCE "task.weight=0\n", "task.weight", "1000"},
        {SOURCE "value.converter=nothing\n", "value.converter", "nothing"},
        {SOURCE "value.converter.schemas.enable=true\n", "value.converter", "schemas.enable"},
        {SOURCE "transforms=t\n", "transforms.t.class", "transforms.t.class"},
        {"connector.class=test-sink\nhost=h\n", "connect.topicnames", "separated by ';'"},
        {SINK "errors.deadletterqueue.topic.name=t\n", "errors.deadletterqueue.topic.name",
         "each dead letter would make another"},
        {SINK "task.group.id=a b\n", "task.group.id", "not allowed"},
        {SINK "consume.from.where=END\n", "consume.from.where", "CONSUME_FROM_LAST_OFFSET"},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        checked c;

        check(&c, cases[i].text);
        if (c.r >= 0)
            fail_msg("case %zu is accepted: %s", i, cases[i].text);
        if (c.problems.errors != 1 || strcmp(c.problems.items[0].key, cases[i].key) != 0)
            fail_msg("case %zu: %zu problems, first with key '%s': %s", i, c.problems.errors,
                     c.problems.count ? c.problems.items[0].key : "", c.err.msg);
        if (!strstr(c.problems.items[0].text, cases[i].words) || !strstr(c.err.msg, cases[i].words))
            fail_msg("case %zu: %s", i, c.err.msg);
        clear(&c);
    }
}

/** One answer names them all, whichever part found them. */
static void all_problems_are_told_at_once(void **state)
{
    static const char *const keys[] = {"port",   "errors.tolerance", "max.tasks",
                                       "colour", "value.converter",  "transforms.t.class"};
    checked c;

    (void)state;
    check(&c, "connector.class=test-sink\nhost=h\nconnect.topicnames=t\nport=many\n"
              "errors.tolerance=maybe\nmax.tasks=none\ncolour=red\nvalue.converter=nothing\n"
              "transforms=t\ntransforms.t.class=Nowhere\n");
    assert_int_equal(c.r, -OMC_EINVAL);
    assert_int_equal(c.problems.errors, RC_COUNT(keys));
    for (size_t k = 0; k < RC_COUNT(keys); k++) {
        bool found = false;

        for (size_t i = 0; i < c.problems.count; i++)
            found |= strcmp(c.problems.items[i].key, keys[k]) == 0;
        if (!found || !strstr(c.err.msg, keys[k]))
            fail_msg("'%s' is missing: %s", keys[k], c.err.msg);
    }
    clear(&c);
}

static void names_are_checked(void **state)
{
    static const struct {
        const char *name;
        bool ok;
    } cases[] = {
        {"a", true},
        {"orders-sink_1.v2", true},
        {"mit Leerzeichen", true},
        {"名前", true},
        {"a%2Fb", true},
        {"", false},
        {"a/b", false},
        {"a\nb", false},
        {"a\x7f", false},
    };
    char longest[RC_CONNECTOR_NAME_MAX + 2];
    rc_error err = {0};

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        err.msg[0] = '\0';
        if ((rc_connector_name_check(cases[i].name, &err) == 0) != cases[i].ok)
            fail_msg("'%s': %s", cases[i].name, err.msg);
    }
    memset(longest, 'x', sizeof longest);
    longest[RC_CONNECTOR_NAME_MAX + 1] = '\0';
    assert_int_equal(rc_connector_name_check(longest, &err), -OMC_EINVAL);
    assert_non_null(strstr(err.msg, "201 bytes, at most 200"));
    longest[RC_CONNECTOR_NAME_MAX] = '\0';
    assert_int_equal(rc_connector_name_check(longest, &err), 0);
}

/** Passwords are never repeated: not in texts of problems, not in masked views. */
static void secrets_are_not_told(void **state)
{
    rc_option_table tables[2];
    const omc_keyvalue *masked;
    checked c;

    (void)state;
    check(&c, SOURCE "pass=hunter2\ndb.password=hunter2\nport=x\n");
    assert_int_equal(c.r, -OMC_EINVAL);
    assert_null(strstr(c.err.msg, "hunter2"));
    for (size_t i = 0; i < c.problems.count; i++) {
        assert_null(strstr(c.problems.items[i].text, "hunter2"));
        assert_null(strstr(c.problems.items[i].value, "hunter2"));
    }
    clear(&c);
    check(&c, SOURCE "pass=hunter2\n");
    assert_int_equal(c.r, 0);
    assert_int_equal(rc_connector_tables(c.plan.plugin, tables), 2);
    masked = rc_options_mask(tables, 2, c.plan.config, &c.arena.pub);
    assert_string_equal(rc_kv_text(masked, "pass", "", &c.arena.pub), RC_SECRET_MASK);
    assert_string_equal(rc_kv_text(masked, "host", "", &c.arena.pub), "h");
    assert_string_equal(rc_kv_text(c.plan.config, "pass", "", &c.arena.pub), "hunter2");
    clear(&c);
}

static bool has_row(const rc_option_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->rows[i].name, name) == 0)
            return true;
    return false;
}

/** Tables are what help, REST and docs are made from. */
static void tables_are_complete(void **state)
{
    const rc_option_table *tables[] = {&rc_source_options, &rc_sink_options};
    rc_option_table found[2];

    (void)state;
    for (size_t t = 0; t < 2; t++)
        for (size_t i = 0; i < tables[t]->count; i++) {
            const omc_option *row = &tables[t]->rows[i];
            size_t len = row->doc ? strlen(row->doc) : 0;

            if (len < 10 || row->doc[len - 1] != '.')
                fail_msg("'%s' lacks a sentence", row->name);
        }
    assert_true(has_row(&rc_source_options, "connect.topicname"));
    assert_false(has_row(&rc_source_options, "connect.topicnames"));
    assert_true(has_row(&rc_sink_options, "connect.topicnames"));
    assert_false(has_row(&rc_sink_options, "ordering"));
    /* Without a plugin, e.g. one that is gone, the runtime's own keys are still known. */
    assert_int_equal(rc_connector_tables(NULL, found), 1);
    assert_int_equal(rc_connector_tables(&sink_plugin, found), 2);
    assert_ptr_equal(found[0].rows, rc_sink_options.rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_documented),
        cmocka_unit_test(topics_are_lists),
        cmocka_unit_test(refusals_name_key_and_cure),
        cmocka_unit_test(all_problems_are_told_at_once),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(secrets_are_not_told),
        cmocka_unit_test(tables_are_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
