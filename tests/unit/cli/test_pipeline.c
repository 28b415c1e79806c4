/* SPDX-License-Identifier: Apache-2.0 */
/* Pipeline files: what becomes of each section, and what is said about mistakes, with the place. */
#include "unit.h"

#include "cli/pipeline.h"

typedef struct built {
    rc_arena arena;
    rc_pipeline p;
    rc_problems problems;
    rc_error err;
    int r;
} built;

static void build_with(built *b, const char *text, const char *const *sets)
{
    rc_yaml *root = NULL;

    memset(b, 0, sizeof *b);
    rc_arena_init(&b->arena, 4096);
    rc_problems_init(&b->problems, &b->arena.pub);
    if (rc_yaml_parse("dir/copy.yaml", omc_slice_str(text), &b->arena.pub, &root, &b->err) < 0)
        fail_msg("yaml: %s", b->err.msg);
    b->r =
        rc_pipeline_build("dir/copy.yaml", root, sets, &b->arena.pub, &b->p, &b->problems, &b->err);
}

static void build(built *b, const char *text)
{
    build_with(b, text, NULL);
}

static void expect(const built *b, const omc_keyvalue *kv, const char *key, const char *value)
{
    const omc_slice *got = omc_keyvalue_get(kv, key);

    if (b->r < 0)
        fail_msg("refused: %s", b->err.msg);
    if (!got && value)
        fail_msg("no '%s'", key);
    if (got && !value)
        fail_msg("'%s' is '%.*s', should be absent", key, (int)got->len, got->base);
    if (got && !omc_slice_is(*got, value))
        fail_msg("'%s' is '%.*s', not '%s'", key, (int)got->len, got->base, value);
}

#define ENDS "source: {class: s}\nsink: {class: t}\n"

static void shortest_pipeline_is_complete(void **state)
{
    built b;

    (void)state;
    build(&b, ENDS);
    expect(&b, b.p.source, "connector.class", "s");
    expect(&b, b.p.source, "connect.topicname", "copy");
    expect(&b, b.p.sink, "connector.class", "t");
    expect(&b, b.p.sink, "connect.topicnames", "copy");
    assert_string_equal(b.p.name, "copy"); /* the file's name */
    assert_string_equal(b.p.source_name, "copy-source");
    assert_string_equal(b.p.sink_name, "copy-sink");
    assert_string_equal(b.p.log_dir, "copy.rc/log");
    assert_int_equal(b.p.source->count, 2);
    assert_int_equal(b.p.sink->count, 2);
    rc_arena_release(&b.arena);
}

static void every_section_becomes_keys(void **state)
{
    built b;

    (void)state;
    build(&b, "name: orders-1\n"
              "source:\n"
              "  class: file-source\n"
              "  filename: in.txt\n"
              "  value.converter: json\n"
              "  value:\n"
              "    converter:\n"
              "      schemas.enable: false\n"
              "  number: 1.10\n"
              "  connect.topicname: orders\n"
              "transforms:\n"
              "  - name: mask\n"
              "    class: MaskField\n"
              "    fields: [a, b]\n"
              "    predicate: is-big\n"
              "  - {class: Other}\n"
              "predicates:\n"
              "  - {name: is-big, class: Big, over: 10}\n"
              "sink: {class: file-sink, filename: 'out file.txt', empty: ''}\n"
              "log: {dir: /tmp/x, keep: 10GiB}\n"
              "errors: {tolerance: all, deadletterqueue: {topic.name: dead}}\n");
    expect(&b, b.p.source, "filename", "in.txt");
    expect(&b, b.p.source, "value.converter", "json");
    expect(&b, b.p.source, "value.converter.schemas.enable", "false");
    expect(&b, b.p.source, "number", "1.10"); /* the text as written */
    expect(&b, b.p.source, "transforms", "mask,t2");
    expect(&b, b.p.source, "transforms.mask.class", "MaskField");
    expect(&b, b.p.source, "transforms.mask.fields", "a,b");
    expect(&b, b.p.source, "transforms.mask.predicate", "is-big");
    expect(&b, b.p.source, "transforms.mask.name", NULL);
    expect(&b, b.p.source, "transforms.t2.class", "Other");
    expect(&b, b.p.source, "predicates", "is-big");
    expect(&b, b.p.source, "predicates.is-big.over", "10");
    expect(&b, b.p.source, "errors.tolerance", "all");
    expect(&b, b.p.source, "errors.deadletterqueue.topic.name", "dead");
    expect(&b, b.p.sink, "errors.deadletterqueue.topic.name", "dead");
    expect(&b, b.p.sink, "filename", "out file.txt");
    expect(&b, b.p.sink, "empty", "");
    expect(&b, b.p.sink, "transforms", NULL);
    expect(&b, b.p.sink, "connect.topicnames", "orders"); /* the source's */
    expect(&b, b.p.worker, "log.dir", "/tmp/x");
    expect(&b, b.p.worker, "log.keep.bytes", "10GiB");
    expect(&b, b.p.worker, "log.keep.time", "0");
    assert_string_equal(b.p.name, "orders-1");
    assert_string_equal(b.p.state_dir, "orders-1.rc");
    assert_string_equal(rc_pipeline_where(&b.p, "source", "filename", &b.arena.pub),
                        "dir/copy.yaml:4:3");
    assert_string_equal(rc_pipeline_where(&b.p, "source", "transforms.mask.fields", &b.arena.pub),
                        "dir/copy.yaml:14:5");
    assert_string_equal(rc_pipeline_where(&b.p, "sink", "nothing", &b.arena.pub), "dir/copy.yaml");
    rc_arena_release(&b.arena);
}

static void mistakes_are_told_with_their_place(void **state)
{
    static const struct {
        const char *text, *says, *also;
    } cases[] = {
        {ENDS "sorce: {}\n", "dir/copy.yaml:3:1: 'sorce'", "did you mean 'source'?"},
        {ENDS "xyzzy: 1\n", "dir/copy.yaml:3:1: 'xyzzy'", "transforms"},
        {"source: {class: s}\n", "'sink' needs a class", "plugin list"},
        {"sink: {class: s}\nsource: {filename: x}\n", "'source' needs a class", ""},
        {ENDS "log: {dri: x}\n", "dir/copy.yaml:3:7: 'dri'", "did you mean 'dir'?"},
        {ENDS "log: {keep: 5m}\n", "dir/copy.yaml:3:13:", "10GiB"},
        {ENDS "log: {keep: 250}\n", "keep = '250'", "48h"},
        {ENDS "log: {keep: lots}\n", "keep = 'lots'", "48h"},
        {ENDS "log: [a]\n", "dir/copy.yaml:3:6: 'log' must be a map", ""},
        {"source: [a]\nsink: {class: t}\n", "dir/copy.yaml:1:9: 'source' must be a map", ""},
        {ENDS "transforms: {a: b}\n", "'transforms' must be a list", ""},
        {ENDS "transforms: [a]\n", "dir/copy.yaml:3:14:", "must be maps"},
        {ENDS "transforms:\n  - {name: a}\n", "dir/copy.yaml:4:5: 'a'", "needs a class"},
        {ENDS "transforms:\n  - {name: 'a,b', class: c}\n", "name 'a,b'", "letters"},
        {ENDS "transforms:\n  - {name: a, class: c}\n  - {name: a, class: d}\n",
         "dir/copy.yaml:5:15: 'transforms.a.class' was set in line 4", ""},
        {"source:\n  class: s\n  filename:\nsink: {class: t}\n", "'filename' has no value", "''"},
        {"source:\n  class: s\n  a: {b: 1}\n  a.b: 2\nsink: {class: t}\n",
         "dir/copy.yaml:4:3: 'a.b' was set in line 3", ""},
        {"source: {class: s, l: ['a,b']}\nsink: {class: t}\n", "'a,b' cannot be one of them", ""},
        {"source: {class: s, l: [[a]]}\nsink: {class: t}\n", "'l' must be a single value", ""},
        {"name: a/b\n" ENDS, "name 'a/b'", "letters"},
        {"name: ''\n" ENDS, "name ''", "letters"},
        {"name: [a]\n" ENDS, "'name' must be a single value", ""},
        {"[1, 2]\n", "a pipeline is a map", ""},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        built b;

        build(&b, cases[i].text);
        if (b.r != -OMC_EINVAL)
            fail_msg("case %zu '%s': r = %d", i, cases[i].text, b.r);
        if (!strstr(b.err.msg, cases[i].says) || !strstr(b.err.msg, cases[i].also))
            fail_msg("case %zu '%s': no '%s' and '%s' in: %s", i, cases[i].text, cases[i].says,
                     cases[i].also, b.err.msg);
        rc_arena_release(&b.arena);
    }
}

static void all_mistakes_are_told_at_once(void **state)
{
    built b;

    (void)state;
    build(&b, "nmae: x\nsource: {filename: }\nsnik: {}\n");
    assert_int_equal(b.r, -OMC_EINVAL);
    assert_int_equal(b.problems.errors, 5); /* nmae, filename, snik, two classes */
    rc_arena_release(&b.arena);
}

static void set_overrides_the_file(void **state)
{
    static const char *const sets[] = {"source.filename=b.txt",
                                       "sink.class=u",
                                       "name=other",
                                       "errors.tolerance=all",
                                       "log.keep=1GiB",
                                       "log.dir=/d",
                                       "worker.log.level=debug",
                                       "sink.empty=",
                                       "transforms.a.over=a=b",
                                       NULL};
    built b;

    (void)state;
    build_with(&b,
               "source: {class: s, filename: a.txt}\nsink: {class: t}\n"
               "transforms: [{name: a, class: c, over: 1}]\n",
               sets);
    expect(&b, b.p.source, "filename", "b.txt");
    expect(&b, b.p.sink, "connector.class", "u");
    expect(&b, b.p.sink, "empty", "");
    expect(&b, b.p.source, "errors.tolerance", "all");
    expect(&b, b.p.sink, "errors.tolerance", "all");
    expect(&b, b.p.source, "transforms.a.over", "a=b");
    expect(&b, b.p.worker, "log.level", "debug");
    expect(&b, b.p.worker, "log.keep.bytes", "1GiB");
    assert_string_equal(b.p.log_dir, "/d");
    assert_string_equal(b.p.name, "other");
    assert_string_equal(rc_pipeline_where(&b.p, "source", "filename", &b.arena.pub), "--set");
    rc_arena_release(&b.arena);
}

static void wrong_sets_are_refused(void **state)
{
    static const char *const cases[] = {"filename=x", "source",     "=x",
                                        "source.=x",  "log.keep=x", "log.other=x"};

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        const char *const sets[] = {cases[i], NULL};
        built b;

        build_with(&b, ENDS, sets);
        if (b.r != -OMC_EINVAL || !strstr(b.err.msg, cases[i]))
            fail_msg("--set %s: r = %d, %s", cases[i], b.r, b.err.msg);
        rc_arena_release(&b.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shortest_pipeline_is_complete),
        cmocka_unit_test(every_section_becomes_keys),
        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(all_mistakes_are_told_at_once),
        cmocka_unit_test(set_overrides_the_file),
        cmocka_unit_test(wrong_sets_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
