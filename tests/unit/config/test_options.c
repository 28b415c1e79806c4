/* SPDX-License-Identifier: Apache-2.0 */
/** What users read when a configuration is wrong, and what plugins get when it is right. */
#include "unit.h"

#include "config/options.h"

struct all {
    const char *filename;
    bool enabled;
    int64_t tasks;
    double ratio;
    int64_t wait_ms;
    int64_t bytes;
    omc_list topics;
    const char *mode;
    const char *password;
    const char *klass;
    const char *pattern;
};

#define AT(member) offsetof(struct all, member)

static const omc_option rows[] = {
    {"filename", OMC_OPT_STRING, OMC_OPT_REQUIRED, NULL, AT(filename), "File to read.", 0, 0, NULL,
     NULL},
    {"enabled", OMC_OPT_BOOLEAN, 0, "true", AT(enabled), "On.", 0, 0, NULL, NULL},
    {"max.tasks", OMC_OPT_INT, 0, "1", AT(tasks), "Tasks.", 1, 1000, NULL, "max-task,tasks.max"},
    {"ratio", OMC_OPT_DOUBLE, 0, "0.5", AT(ratio), "Share.", 0, 1, NULL, NULL},
    {"wait", OMC_OPT_DURATION_MS, 0, "1s", AT(wait_ms), "Wait | pause.", 10, 3600000, NULL, NULL},
    {"bytes", OMC_OPT_SIZE, 0, "64KiB", AT(bytes), "Size.", 1024, INT64_MAX, NULL, NULL},
    {"topics", OMC_OPT_LIST, 0, NULL, AT(topics), "Topics.", 0, 0, NULL, NULL},
    {"mode", OMC_OPT_CHOICE, 0, "none", AT(mode), "Mode.", 0, 0, "none|all", NULL},
    {"login", OMC_OPT_PASSWORD, 0, NULL, AT(password), "Login.", 0, 0, NULL, "log.in"},
    {"converter", OMC_OPT_CLASS, 0, NULL, AT(klass), "Class.", 0, 0, NULL, NULL},
    {"pattern", OMC_OPT_REGEX, 0, NULL, AT(pattern), "Pattern.", 0, 0, NULL, NULL},
    {"oldest", OMC_OPT_INT, OMC_OPT_IGNORED, NULL, OMC_OPT_NOT_STORED, "Never used.", 0, 0, NULL,
     NULL},
    {"older", OMC_OPT_INT, OMC_OPT_DEPRECATED, NULL, OMC_OPT_NOT_STORED, "Use max.tasks.", 0, 0,
     NULL, NULL},
    {"errors.", OMC_OPT_STRING, OMC_OPT_PREFIX, NULL, OMC_OPT_NOT_STORED, "Errors.", 0, 0, NULL,
     NULL},
};
static const rc_option_table table = {rows, RC_COUNT(rows), 0, sizeof(struct all)};

/* "a=b&c=d" as a key-value list. */
static const omc_keyvalue *kv_of(omc_arena *arena, const char *text)
{
    rc_kv kv;

    rc_kv_init(&kv, arena);
    while (*text) {
        size_t key = strcspn(text, "=");
        size_t value = strcspn(text + key + 1, "&");

        rc_kv_put(&kv, omc_slice_of(text, key), omc_slice_of(text + key + 1, value));
        text += key + 1 + value;
        text += *text == '&';
    }
    return rc_kv_done(&kv);
}

struct run {
    rc_arena arena;
    rc_problems problems;
    struct all all;
    int r;
    rc_error err;
};

static void run(struct run *run, const char *config, unsigned flags)
{
    void *const options[] = {&run->all};

    memset(run, 0, sizeof *run);
    rc_arena_init(&run->arena, 4096);
    rc_problems_init(&run->problems, &run->arena.pub);
    run->r = rc_options_parse(&table, 1, kv_of(&run->arena.pub, config), flags, options,
                              &run->arena.pub, &run->problems);
    assert_int_equal(rc_problems_fail(&run->problems, &run->err), run->r);
}

static void each_type_reaches_the_struct(void **state)
{
    struct run t;
    (void)state;

    run(&t,
        "filename=/a b&enabled=FALSE&tasks.max=7&ratio=0.25&wait=2s&bytes=1MiB&topics=a; b ,,c&"
        "mode=all&login=x&converter=json&pattern=^a(b|c)+$&errors.tolerance=all",
        RC_OPTIONS_STRICT);
    assert_string_equal(t.err.msg, "");
    assert_int_equal(t.r, 0);
    assert_string_equal(t.all.filename, "/a b");
    assert_false(t.all.enabled);
    assert_int_equal(t.all.tasks, 7);
    assert_true(t.all.ratio == 0.25);
    assert_int_equal(t.all.wait_ms, 2000);
    assert_int_equal(t.all.bytes, 1 << 20);
    assert_int_equal(t.all.topics.count, 3);
    assert_string_equal(t.all.topics.items[1], "b");
    assert_string_equal(t.all.mode, "all");
    assert_string_equal(t.all.password, "x");
    assert_string_equal(t.all.klass, "json");
    assert_string_equal(t.all.pattern, "^a(b|c)+$");
    assert_int_equal(t.problems.count, 0);
    rc_arena_release(&t.arena);
}

static void defaults_fill_the_rest(void **state)
{
    struct run t;
    (void)state;

    run(&t, "filename=x", RC_OPTIONS_STRICT);
    assert_int_equal(t.r, 0);
    assert_true(t.all.enabled);
    assert_int_equal(t.all.tasks, 1);
    assert_true(t.all.ratio == 0.5);
    assert_int_equal(t.all.wait_ms, 1000);
    assert_int_equal(t.all.bytes, 65536);
    assert_int_equal(t.all.topics.count, 0);
    assert_string_equal(t.all.mode, "none");
    assert_null(t.all.password);
    rc_arena_release(&t.arena);
}

static void problems_name_key_value_and_cure(void **state)
{
    static const struct {
        const char *config, *text;
    } cases[] = {
        {"max.tasks=abc", "key 'max.tasks' = 'abc': not a whole number; give one from 1 to 1000"},
        {"max.tasks=", "key 'max.tasks' = '': not a whole number; give one from 1 to 1000"},
        {"max.tasks=1001", "key 'max.tasks' = '1001': out of range; give one from 1 to 1000"},
        {"tasks.max=0", "key 'tasks.max' = '0': out of range; give one from 1 to 1000"},
        {"ratio=0x1", "key 'ratio' = '0x1': not a number; give one from 0 to 1, such as 0.5"},
        {"ratio=1.5", "key 'ratio' = '1.5': out of range; give one from 0 to 1"},
        {"ratio=nan", "key 'ratio' = 'nan': not a number; give one from 0 to 1, such as 0.5"},
        {"ratio=1e999", "key 'ratio' = '1e999': not a number; give one from 0 to 1, such as 0.5"},
        {"enabled=yes", "key 'enabled' = 'yes': neither true nor false; give one of them"},
        {"wait=soon", "key 'wait' = 'soon': not a duration; give one from 10ms to 1h, such as "
                      "250ms, 3s, 5m, 2h or 1d"},
        {"wait=9ms", "key 'wait' = '9ms': out of range; give one from 10ms to 1h"},
        {"bytes=1", "key 'bytes' = '1': out of range; give one of at least 1KiB"},
        {"bytes=big", "key 'bytes' = 'big': not a size; give one of at least 1KiB, such as 4096, "
                      "64KiB or 1MiB"},
        {"mode=some", "key 'mode' = 'some': not one of the choices; give one of none|all"},
        {"mode=ALL", "key 'mode' = 'ALL': not one of the choices; give one of none|all"},
        {"pattern=a(b", "key 'pattern' = 'a(b': not a regular expression: missing closing "
                        "parenthesis at character 4; correct it there"},
        {"filenam=x", "unknown key 'filenam'; did you mean 'filename'?"},
        {"zzz=x", "unknown key 'zzz'; remove it or correct its spelling"},
        {"max.tasks=2&max-task=3",
         "key 'max-task' = '3' contradicts 'max.tasks' = '2', which is the same option; give one "
         "of them"},
    };
    char config[200];
    struct run t;
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        (void)snprintf(config, sizeof config, "filename=x&%s", cases[i].config);
        run(&t, config, RC_OPTIONS_STRICT);
        if (t.r != -OMC_EINVAL || strcmp(t.err.msg, cases[i].text) != 0)
            fail_msg("case %zu '%s': got r=%d '%s'", i, cases[i].config, t.r, t.err.msg);
        rc_arena_release(&t.arena);
    }
}

static void all_problems_come_at_once(void **state)
{
    struct run t;
    (void)state;

    run(&t, "max.tasks=x&enabled=y&zzz=1", RC_OPTIONS_STRICT);
    assert_int_equal(t.problems.errors, 4);
    assert_string_equal(
        t.err.msg,
        "key 'filename' is required: File to read.; key 'enabled' = 'y': neither true nor false; "
        "give one of them; key 'max.tasks' = 'x': not a whole number; give one from 1 to 1000; "
        "unknown key 'zzz'; remove it or correct its spelling");
    assert_string_equal(t.problems.items[2].key, "max.tasks");
    assert_string_equal(t.problems.items[2].value, "x");
    rc_arena_release(&t.arena);
    run(&t, "filename=", RC_OPTIONS_STRICT);
    assert_string_equal(t.err.msg, "key 'filename' is required: File to read.");
    rc_arena_release(&t.arena);
}

static void some_keys_only_warn(void **state)
{
    struct run t;
    (void)state;

    run(&t, "filename=x&oldest=junk&older=5&filenam=y", 0);
    assert_int_equal(t.r, 0);
    assert_int_equal(t.problems.errors, 0);
    assert_int_equal(t.problems.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(t.problems.items[i].warning);
    assert_string_equal(t.problems.items[0].text,
                        "key 'oldest' is accepted but has no effect: Never used.");
    assert_string_equal(t.problems.items[1].text, "key 'older' is deprecated: Use max.tasks.");
    assert_string_equal(t.problems.items[2].text,
                        "unknown key 'filenam'; did you mean 'filename'?");
    rc_arena_release(&t.arena);
    run(&t, "filename=x&max.tasks=3&tasks.max=3", RC_OPTIONS_STRICT); /* Agreeing names. */
    assert_int_equal(t.problems.count, 0);
    assert_int_equal(t.all.tasks, 3);
    rc_arena_release(&t.arena);
}

static void a_nul_in_a_value_is_refused(void **state)
{
    static const omc_pair pairs[] = {{{"filename", 8}, {"a\0b", 3}}};
    const omc_keyvalue kv = {1, pairs};
    rc_problems problems;
    rc_arena arena;
    (void)state;

    rc_arena_init(&arena, 1024);
    rc_problems_init(&problems, &arena.pub);
    assert_int_equal(rc_options_parse(&table, 1, &kv, 0, NULL, &arena.pub, &problems), -OMC_EINVAL);
    assert_non_null(strstr(problems.items[0].text, "NUL"));
    rc_arena_release(&arena);
}

static void several_tables_share_keys(void **state)
{
    struct other {
        const char *filename;
        int64_t more;
    } other = {0};
    static const omc_option more_rows[] = {
        {"filename", OMC_OPT_STRING, 0, NULL, offsetof(struct other, filename), "", 0, 0, NULL,
         NULL},
        {"more", OMC_OPT_INT, 0, "4", offsetof(struct other, more), "", 0, 0, NULL, NULL},
    };
    const rc_option_table tables[] = {table, {more_rows, 2, 0, sizeof other}};
    struct all all = {0};
    void *const options[] = {&all, &other};
    rc_problems problems;
    rc_arena arena;
    (void)state;

    rc_arena_init(&arena, 1024);
    rc_problems_init(&problems, &arena.pub);
    assert_int_equal(rc_options_parse(tables, 2, kv_of(&arena.pub, "filename=f&more=9"),
                                      RC_OPTIONS_STRICT, options, &arena.pub, &problems),
                     0);
    assert_string_equal(all.filename, "f");
    assert_string_equal(other.filename, "f");
    assert_int_equal(other.more, 9);
    rc_arena_release(&arena);
}

/* A plugin built with a header whose rows end before `choices`. */
static void shorter_rows_of_older_plugins_work(void **state)
{
    struct short_row {
        const char *name;
        omc_option_type type;
        uint32_t flags;
        const char *default_value;
        size_t offset;
        const char *doc;
        int64_t min, max;
    };
    static const struct short_row old_rows[] = {
        {"a", OMC_OPT_INT, 0, "1", 0, "A.", 0, 0},
        {"b", OMC_OPT_INT, 0, "2", 8, "B.", 0, 0},
        {"c", OMC_OPT_INT, 0, "3", 12, "Outside.", 0, 0},
        {"d", (omc_option_type)99, 0, NULL, 0, "New type.", 0, 0},
    };
    rc_option_table old = {(const omc_option *)(const void *)old_rows, 2, sizeof(struct short_row),
                           16};
    int64_t values[2] = {0};
    void *const options[] = {values};
    rc_problems problems;
    rc_arena arena;
    (void)state;

    rc_arena_init(&arena, 1024);
    rc_problems_init(&problems, &arena.pub);
    assert_int_equal(rc_options_parse(&old, 1, kv_of(&arena.pub, "b=5"), RC_OPTIONS_STRICT, options,
                                      &arena.pub, &problems),
                     0);
    assert_int_equal(values[0], 1);
    assert_int_equal(values[1], 5);
    assert_null(rc_option_at(&old, 1).aliases);
    old.count = 4;
    assert_int_equal(rc_options_parse(&old, 1, kv_of(&arena.pub, "d=1"), RC_OPTIONS_STRICT, options,
                                      &arena.pub, &problems),
                     -OMC_EINVAL);
    assert_non_null(strstr(problems.items[0].text, "outside the options struct"));
    assert_non_null(strstr(problems.items[1].text, "type 99"));
    rc_arena_release(&arena);
}

static void secrets_are_known_by_type_or_name(void **state)
{
    static const struct {
        const char *key;
        bool secret;
    } cases[] = {
        {"login", true},
        {"log.in", true},
        {"db.password", true},
        {"accessKey", true},
        {"secretKey", true},
        {"access-key", true},
        {"SECRET_KEY", true},
        {"auth.token", true},
        {"ssl.passwd", true},
        {"pwd", true},
        {"sasl.credential", true},
        {"private.key", true},
        {"filename", false},
        {"max.tasks", false},
        {"key.converter", false},
        {"topic", false},
        {"", false},
    };
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++)
        if (rc_option_secret(&table, 1, omc_slice_str(cases[i].key)) != cases[i].secret)
            fail_msg("'%s' should %sbe secret", cases[i].key, cases[i].secret ? "" : "not ");
}

static void secrets_are_masked_and_come_back(void **state)
{
    rc_arena arena;
    const omc_keyvalue *kv;
    const omc_keyvalue *masked;
    const omc_keyvalue *back;
    struct run t;
    (void)state;

    rc_arena_init(&arena, 1024);
    kv = kv_of(&arena.pub, "login=hush&secretKey=shh&filename=f&token=");
    masked = rc_options_mask(&table, 1, kv, &arena.pub);
    assert_string_equal(rc_kv_text(masked, "login", "", &arena.pub), "******");
    assert_string_equal(rc_kv_text(masked, "secretKey", "", &arena.pub), "******");
    assert_string_equal(rc_kv_text(masked, "filename", "", &arena.pub), "f");
    assert_string_equal(rc_kv_text(masked, "token", "x", &arena.pub), "");
    back = rc_options_unmask(masked, kv, &arena.pub);
    assert_true(rc_kv_equal(back, kv));
    back = rc_options_unmask(kv_of(&arena.pub, "login=new&other=******"), kv, &arena.pub);
    assert_string_equal(rc_kv_text(back, "login", "", &arena.pub), "new");
    assert_string_equal(rc_kv_text(back, "other", "", &arena.pub), "******");
    rc_arena_release(&arena);
    /* Problems do not give them away either. */
    run(&t, "filename=f&db.passwrd=1&secret.tokn=hush", RC_OPTIONS_STRICT);
    assert_null(strstr(t.err.msg, "hush"));
    assert_string_equal(t.problems.items[1].value, "******");
    rc_arena_release(&t.arena);
}

static void problems_are_bounded(void **state)
{
    rc_problems problems;
    rc_arena arena;
    rc_error err = {0};
    char wide[2000];
    (void)state;

    memset(wide, 'w', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    rc_arena_init(&arena, 1024);
    rc_problems_init(&problems, &arena.pub);
    for (int i = 0; i < 300; i++)
        rc_problem_add(&problems, false, "k", wide, "wrong %d", i);
    assert_int_equal(problems.count, 200);
    assert_int_equal(problems.errors, 300);
    assert_int_equal(strncmp(problems.items[0].text, "key 'k' = 'www", 14), 0);
    assert_int_equal(rc_problems_fail(&problems, &err), -OMC_EINVAL);
    assert_non_null(strstr(err.msg, "; and 29")); /* Three or four fit. */
    rc_problems_init(&problems, &arena.pub);
    rc_problem_add(&problems, false, "", "", "%s", wide);
    assert_int_equal(rc_problems_fail(&problems, &err), -OMC_EINVAL);
    rc_problems_init(&problems, &arena.pub);
    rc_problem_add(&problems, true, "k", NULL, "only a warning");
    assert_string_equal(problems.items[0].text, "key 'k': only a warning");
    assert_int_equal(rc_problems_fail(&problems, &err), 0);
    rc_arena_release(&arena);
}

static void tables_describe_themselves(void **state)
{
    RC_AUTO(rc_buf) out = &(rc_buf)RC_BUF(1 << 16);
    (void)state;

    rc_options_describe(&table, out);
    assert_non_null(strstr(out->data, "| `filename` | string | required |  | File to read. |\n"));
    assert_non_null(
        strstr(out->data,
               "| `max.tasks` | int | `1` | 1 to 1000 | Tasks. Also: `max-task,tasks.max`. |"));
    assert_non_null(
        strstr(out->data, "| `wait` | duration | `1s` | 10ms to 1h | Wait \\| pause. |"));
    assert_non_null(strstr(out->data, "| `mode` | choice | `none` | none\\|all | Mode. |"));
    assert_non_null(strstr(out->data, "| `errors.*` | string |"));
    assert_string_equal(rc_option_type_name((omc_option_type)77), "unknown");
}

static void key_values_keep_the_last(void **state)
{
    rc_arena arena;
    rc_kv kv;
    char key[16];
    (void)state;

    rc_arena_init(&arena, 4096);
    rc_kv_init(&kv, &arena.pub);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 5000; i++) {
            (void)snprintf(key, sizeof key, "k%d", i);
            rc_kv_put_str(&kv, key, round ? "new" : "old");
        }
    assert_int_equal(kv.count, 5000);
    rc_kv_remove(&kv, "k0");
    rc_kv_remove(&kv, "none");
    rc_kv_put_str(&kv, "k4999", "last");
    assert_int_equal(kv.count, 4999);
    assert_string_equal(rc_kv_text(rc_kv_done(&kv), "k4999", "", &arena.pub), "last");
    assert_string_equal(rc_kv_text(rc_kv_done(&kv), "k1", "", &arena.pub), "new");
    assert_null(rc_kv_text(rc_kv_done(&kv), "k0", NULL, &arena.pub));
    rc_arena_release(&arena);
}

static void key_values_compare_in_any_order(void **state)
{
    rc_arena arena;
    const omc_keyvalue *ab;
    (void)state;

    rc_arena_init(&arena, 4096);
    ab = kv_of(&arena.pub, "a=1&b=2");
    assert_true(rc_kv_equal(ab, kv_of(&arena.pub, "b=2&a=1")));
    assert_true(rc_kv_equal(ab, rc_kv_copy(ab, &arena.pub)));
    assert_false(rc_kv_equal(ab, kv_of(&arena.pub, "b=2&a=2")));
    assert_false(rc_kv_equal(ab, kv_of(&arena.pub, "a=1&c=2")));
    assert_false(rc_kv_equal(ab, kv_of(&arena.pub, "a=1")));
    assert_true(rc_kv_equal(NULL, kv_of(&arena.pub, "")));
    rc_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_reaches_the_struct),
        cmocka_unit_test(defaults_fill_the_rest),
        cmocka_unit_test(problems_name_key_value_and_cure),
        cmocka_unit_test(all_problems_come_at_once),
        cmocka_unit_test(some_keys_only_warn),
        cmocka_unit_test(a_nul_in_a_value_is_refused),
        cmocka_unit_test(several_tables_share_keys),
        cmocka_unit_test(shorter_rows_of_older_plugins_work),
        cmocka_unit_test(secrets_are_known_by_type_or_name),
        cmocka_unit_test(secrets_are_masked_and_come_back),
        cmocka_unit_test(problems_are_bounded),
        cmocka_unit_test(tables_describe_themselves),
        cmocka_unit_test(key_values_keep_the_last),
        cmocka_unit_test(key_values_compare_in_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
