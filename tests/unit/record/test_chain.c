/* SPDX-License-Identifier: Apache-2.0 */
/** Chains from configurations: what is refused and how it is told, and the order of steps. */
#include "transform_unit.h"

#define T "org.apache.rocketmq.connect.transforms."
#define K "org.apache.kafka.connect.transforms."
#define UPPER                                                                               \
    "transforms.upper.class", T "ChangeCase$Value", "transforms.upper.from", "LOWER_CAMEL", \
        "transforms.upper.to", "UPPER_UNDERSCORE"

/** Configurations that must be refused, and what the message must have. */
static const struct refused {
    const char *pairs[15];
    const char *parts[4];
} refused[] = {
    {{"transforms", "upper"},
     {"'transforms.upper.class'", "transform 'upper' has no class",
      "change-case-key, change-case-value"}},
    {{"transforms", "upper", "transforms.upper.class", "x.Y"},
     {"transform 'upper': class 'x.Y' is unknown", "known transforms are: change-case-key"}},
    /* Who brings a class of Java is told where its jar has to be. */
    {{"transforms", "upper", "transforms.upper.class", "com.acme.Upper"},
     {"class 'com.acme.Upper' is unknown", "put its jar", "pluginPaths"}},
    {{"transforms", "upper", "transforms.upper.class", T "ChangeCas$Value"},
     {"did you mean '" T "ChangeCase$Value'?"}},
    {{"transforms", "upper", UPPER, "transforms.upper.fro", "x"},
     {"'transforms.upper.fro' = 'x'", "transform 'upper' (class '" T "ChangeCase$Value')",
      "did you mean 'from'?"}},
    {{"transforms", "upper", "transforms.upper.class", T "ChangeCase$Value",
      "transforms.upper.from", "LOWER", "transforms.upper.to", "LOWER_CAMEL"},
     {"'transforms.upper.from' = 'LOWER'", "LOWER_UNDERSCORE"}},
    {{"transforms", "upper", "transforms.upper.class", T "ChangeCase$Value", "transforms.upper.to",
      "LOWER_CAMEL"},
     {"'transforms.upper.from'", "required"}},
    {{"transforms", "upper, upper", UPPER}, {"transform 'upper' is listed twice in 'transforms'"}},
    {{"transforms", "r", "transforms.r.class", T "PatternRename$Value",
      "transforms.r.field.pattern", "a(b"},
     {"key 'transforms.r.field.pattern' = 'a(b': transform 'r' (class", "does not compile"}},
    {{"transforms", "r", "transforms.r.class", T "PatternRename$Value",
      "transforms.r.field.pattern", "a", "transforms.r.field.pattern.flags", "NOCASE"},
     {"'transforms.r.field.pattern.flags' = 'NOCASE'", "known flags are: CASE_INSENSITIVE"}},
    {{"transforms", "r", "transforms.r.class", T "RegexRouter", "transforms.r.regex", "a",
      "transforms.r.replacement", "$1"},
     {"'transforms.r.replacement' = '$1'", "group $1 does not exist"}},
    {{"transforms", "upper", UPPER, "transforms.upper.predicate", "p"},
     {"transform 'upper': predicate 'p' is not defined", "add it to 'predicates'"}},
    {{"transforms", "upper", UPPER, "transforms.upper.negate", "maybe"},
     {"'transforms.upper.negate' = 'maybe'", "true"}},
    {{"transforms", "upper", UPPER, "transforms.upper.negate", "true"},
     {"transform 'upper' has no predicate to negate"}},
    {{"predicates", "p", "predicates.p.class", "x"},
     {"predicate 'p': class 'x' is unknown", "known predicates are: topic-name-matches"}},
    {{"predicates", "p", "predicates.p.class", "record-is-tombstone", "predicates.p.patern", "a"},
     {"'predicates.p.patern' = 'a'", "predicate 'p'"}},
    {{"predicates", "p", "predicates.p.class", "topic-name-matches", "predicates.p.pattern", "["},
     {"'predicates.p.pattern' = '['", "regex '['"}},
    {{"transforms", "f", "transforms.f.class", "filter", "transforms.f.condition", "x"},
     {"unknown key 'condition'"}},
};

static const omc_keyvalue *pairs_of(omc_arena *arena, const char *const *texts)
{
    return unit_pairs(arena, texts);
}

static void wrong_configurations_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < RC_COUNT(refused); i++) {
        rc_arena arena;
        rc_chain *chain = NULL;
        rc_problems problems;
        rc_error err = {0};
        const omc_keyvalue *config;

        rc_arena_init(&arena, 4096);
        config = pairs_of(&arena.pub, refused[i].pairs);
        assert_int_equal(rc_chain_new(&unit_finder, config, &chain, &err), -OMC_EINVAL);
        assert_null(chain);
        print_message("%s\n", err.msg);
        for (size_t k = 0; k < 4 && refused[i].parts[k]; k++)
            if (!strstr(err.msg, refused[i].parts[k]))
                fail_msg("row %zu: '%s' lacks '%s'", i, err.msg, refused[i].parts[k]);
        rc_problems_init(&problems, &arena.pub);
        rc_chain_check(&unit_finder, config, &problems); /* The check says the same. */
        assert_int_equal(problems.errors, 1);
        rc_arena_release(&arena);
    }
}

static void check_adds_every_problem(void **state)
{
    rc_arena arena;
    rc_problems problems;

    (void)state;
    rc_arena_init(&arena, 4096);
    rc_problems_init(&problems, &arena.pub);
    rc_chain_check(&unit_finder,
                   PAIRS(&arena.pub, "transforms", "a,b,c", "transforms.a.class", "no.Such",
                         "transforms.b.class", T "ChangeCase$Key", "transforms.b.form", "x",
                         "transforms.old.class", T "SetNull$Key"),
                   &problems);
    /* a: class; b: from and to required, form unknown; c: no class; old: a warning. */
    assert_int_equal(problems.errors, 5);
    assert_int_equal(problems.count, 6);
    assert_true(problems.items[0].warning);
    assert_string_equal(problems.items[0].key, "transforms.old.class");
    rc_arena_release(&arena);
}

static void no_transforms_is_an_empty_chain(void **state)
{
    rc_chain *chain = NULL;
    rc_arena arena;
    rc_error err = {0};

    (void)state;
    rc_arena_init(&arena, 4096);
    assert_int_equal(rc_chain_new(&unit_finder, PAIRS(&arena.pub, "a", "b"), &chain, &err), 0);
    assert_int_equal(rc_chain_length(chain), 0);
    rc_chain_free(chain);
    assert_int_equal(rc_chain_new(&unit_finder, PAIRS(&arena.pub, "transforms", " , "), &chain,
                                  &err),
                     0);
    assert_int_equal(rc_chain_length(chain), 0);
    rc_chain_free(chain);
    rc_chain_free(NULL);
    rc_arena_release(&arena);
}

/** In Java, the keys of `Replace` leak from `Replace02`; names may also have dots. */
static void a_name_may_begin_with_another(void **state)
{
    rc_chain *chain = NULL;
    rc_arena arena;
    rc_error err = {0};
    omc_record record;
    omc_value value;
    static const char *const names[] = {"ab"};

    (void)state;
    rc_arena_init(&arena, 4096);
    if (rc_chain_new(&unit_finder,
                     PAIRS(&arena.pub, "transforms", "r;r02 , r.x", "transforms.r.class",
                           T "PatternRename$Value", "transforms.r.field.pattern", "a",
                           "transforms.r.field.replacement", "x", "transforms.r02.type",
                           T "PatternRename$Value", "transforms.r02.field.pattern", "b",
                           "transforms.r02.field.replacement", "y", "transforms.r.x.class",
                           "pattern-rename-value", "transforms.r.x.field.pattern", "xy",
                           "transforms.r.x.field.replacement", "done"),
                     &chain, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(rc_chain_length(chain), 3);
    assert_string_equal(rc_chain_name(chain, 1), "r02");
    assert_string_equal(rc_chain_class(chain, 1), T "PatternRename$Value");
    assert_string_equal(rc_chain_name(chain, 2), "r.x");
    assert_string_equal(rc_chain_class(chain, 2), "pattern-rename-value");
    value = unit_text("v");
    record = unit_record(&arena.pub);
    record.value = unit_map(&arena.pub, 1, names, &value);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(rc_chain_apply(chain, i, &record, &arena.pub, &err), 0);
    assert_non_null(omc_map_get(record.value.u.map, "done"));
    rc_chain_free(chain);
    rc_arena_release(&arena);
}

/** `connect.topicname` counts as the topic of a record that names none. */
static void the_default_topic_is_routed_too(void **state)
{
    rc_chain *chain = NULL;
    rc_arena arena;
    rc_error err = {0};
    omc_record record;

    (void)state;
    rc_arena_init(&arena, 4096);
    assert_int_equal(rc_chain_new(&unit_finder,
                                  PAIRS(&arena.pub, "transforms", "r", "connect.topicname", "lines",
                                        "transforms.r.class", T "RegexRouter", "transforms.r.regex",
                                        "(li)nes", "transforms.r.replacement", "$1"),
                                  &chain, &err),
                     0);
    record = unit_record(&arena.pub);
    assert_int_equal(rc_chain_apply(chain, 0, &record, &arena.pub, &err), 0);
    assert_string_equal(record.topic, "li");
    record = unit_record(&arena.pub);
    record.extensions = PAIRS(&arena.pub, "topic", "other");
    assert_int_equal(rc_chain_apply(chain, 0, &record, &arena.pub, &err), 0);
    assert_null(record.topic);
    rc_chain_free(chain);
    rc_arena_release(&arena);
}

/* ---- a plugin of somebody else ------------------------------------------------------------ */

static int starts, stops;

typedef struct foreign {
    int calls;
} foreign;

static int foreign_start(void *state, const omc_config *config, omc_error *err)
{
    (void)state;
    starts++;
    assert_null(config->options);
    if (omc_keyvalue_get(config->raw, "fail"))
        return rc_fail(err, OMC_EINVAL, "asked to fail");
    assert_non_null(omc_keyvalue_get(config->raw, "any.key"));
    return 0;
}

static int foreign_apply(void *state, omc_record *record, omc_arena *arena, omc_error *err)
{
    foreign *f = state;

    (void)arena;
    record->topic = "changed";
    record->key = omc_null();
    switch (f->calls++) {
    case 0:
        return omc_fail(err, OMC_ECONNECT, OMC_ERR_RETRIABLE, "registry is away");
    case 1:
        return 7;
    default:
        return OMC_DROP;
    }
}

static void foreign_stop(void *state)
{
    (void)state;
    stops++;
}

static const omc_transform_ops foreign_ops = {
    .size = sizeof foreign_ops,
    .state_size = sizeof(foreign),
    .start = foreign_start,
    .apply = foreign_apply,
    .stop = foreign_stop,
};
static omc_plugin foreign_plugin = {RC_BUILTIN(OMC_TRANSFORM), .name = "foreign",
                                    .ops = &foreign_ops};
static const rc_plugin_finder foreign_finder = {unit_find, &foreign_plugin};

static void errors_keep_code_flags_and_record(void **state)
{
    rc_arena arena;
    rc_chain *chain = NULL;
    rc_error err = {0};
    omc_record record, before;

    (void)state;
    starts = stops = 0;
    rc_arena_init(&arena, 4096);
    assert_int_equal(rc_chain_new(&foreign_finder,
                                  PAIRS(&arena.pub, "transforms", "f", "transforms.f.class",
                                        "foreign", "transforms.f.any.key", "1"),
                                  &chain, &err),
                     0);
    record = unit_record(&arena.pub);
    record.key = unit_text("k");
    before = record;
    assert_int_equal(rc_chain_apply(chain, 0, &record, &arena.pub, &err), -OMC_ECONNECT);
    assert_int_equal(err.flags, OMC_ERR_RETRIABLE);
    assert_string_equal(err.msg, "transform 'f' (class 'foreign'): registry is away");
    assert_memory_equal(&record, &before, sizeof before);
    assert_int_equal(rc_chain_apply(chain, 0, &record, &arena.pub, &err), -OMC_EINTERNAL);
    assert_non_null(strstr(err.msg, "returned 7"));
    assert_int_equal(rc_chain_apply(chain, 0, &record, &arena.pub, &err), OMC_DROP);
    rc_chain_free(chain);
    assert_int_equal(starts, 1);
    assert_int_equal(stops, 1);
    rc_arena_release(&arena);
}

static void foreign_plugins_are_checked_without_a_start(void **state)
{
    rc_arena arena;
    rc_chain *chain = NULL;
    rc_problems problems;
    rc_error err = {0};
    const omc_keyvalue *config;

    (void)state;
    starts = stops = 0;
    rc_arena_init(&arena, 4096);
    rc_problems_init(&problems, &arena.pub);
    config = PAIRS(&arena.pub, "transforms", "f", "transforms.f.class", "foreign",
                   "transforms.f.fail", "1");
    rc_chain_check(&foreign_finder, config, &problems);
    assert_int_equal(problems.errors, 0);
    assert_int_equal(starts, 0);
    assert_int_equal(stops, 0);
    assert_int_equal(rc_chain_new(&foreign_finder, config, &chain, &err), -OMC_EINVAL);
    assert_non_null(strstr(err.msg, "transform 'f' (class 'foreign'): asked to fail"));
    assert_int_equal(starts, 1);
    assert_int_equal(stops, 1); /* Also after a failed start. */
    rc_arena_release(&arena);
}

/** Finds copies, as the registry of the worker does. */
static const omc_plugin *find_copy(void *arg, omc_plugin_kind kind, const char *name)
{
    static omc_transform_ops ops;
    static omc_plugin copy;
    const omc_plugin *plugin = unit_finder.find(arg, kind, name);

    if (!plugin || kind != OMC_TRANSFORM)
        return plugin;
    copy = *plugin;
    memcpy(&ops, plugin->ops, sizeof ops);
    copy.ops = &ops;
    return &copy;
}

/** A wrong regex must be told when a connector is created, not when its task starts. */
static void copies_of_builtin_plugins_are_checked_with_a_start(void **state)
{
    const rc_plugin_finder finder = {find_copy, NULL};
    rc_arena arena;
    rc_problems problems;

    (void)state;
    rc_arena_init(&arena, 4096);
    rc_problems_init(&problems, &arena.pub);
    rc_chain_check(&finder,
                   PAIRS(&arena.pub, "transforms", "r", "transforms.r.class", "regex-router",
                         "transforms.r.regex", "(", "transforms.r.replacement", "a"),
                   &problems);
    assert_int_equal(problems.errors, 1);
    assert_string_equal(problems.items[0].key, "transforms.r.regex");
    rc_arena_release(&arena);
}

static void a_plugin_without_apply_is_refused(void **state)
{
    static const omc_transform_ops none = {.size = sizeof none};
    rc_arena arena;
    rc_chain *chain = NULL;
    rc_error err = {0};

    (void)state;
    rc_arena_init(&arena, 4096);
    foreign_plugin.ops = &none;
    assert_int_equal(rc_chain_new(&foreign_finder,
                                  PAIRS(&arena.pub, "transforms", "f", "transforms.f.class",
                                        "foreign"),
                                  &chain, &err),
                     -OMC_EINVAL);
    foreign_plugin.ops = &foreign_ops;
    assert_non_null(strstr(err.msg, "lacks its function 'apply'"));
    rc_arena_release(&arena);
}

/** Every built-in plugin has what the worker shows: names, one sentence, documented options. */
static void tables_are_complete(void **state)
{
    const omc_plugin *const *tables[] = {rc_transform_plugins, rc_predicate_plugins};
    size_t count = 0;

    (void)state;
    for (size_t t = 0; t < 2; t++)
        for (size_t i = 0; tables[t][i]; i++, count++) {
            const omc_plugin *plugin = tables[t][i];

            assert_int_equal(plugin->abi, OMC_ABI_CURRENT);
            assert_int_equal(plugin->kind, t == 0 ? OMC_TRANSFORM : OMC_PREDICATE);
            assert_non_null(plugin->classes);
            assert_non_null(plugin->options); /* Unknown keys are refused everywhere. */
            assert_int_equal(strspn(plugin->name, "abcdefghijklmnopqrstuvwxyz0123456789-"),
                             strlen(plugin->name));
            assert_int_equal(plugin->doc[strlen(plugin->doc) - 1], '.');
            for (size_t k = 0; k < plugin->option_count; k++)
                assert_true(strlen(plugin->options[k].doc) > 10);
        }
    assert_int_equal(count, 18);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_configurations_are_told),
        cmocka_unit_test(check_adds_every_problem),
        cmocka_unit_test(no_transforms_is_an_empty_chain),
        cmocka_unit_test(a_name_may_begin_with_another),
        cmocka_unit_test(the_default_topic_is_routed_too),
        cmocka_unit_test(errors_keep_code_flags_and_record),
        cmocka_unit_test(foreign_plugins_are_checked_without_a_start),
        cmocka_unit_test(copies_of_builtin_plugins_are_checked_with_a_start),
        cmocka_unit_test(a_plugin_without_apply_is_refused),
        cmocka_unit_test(tables_are_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
