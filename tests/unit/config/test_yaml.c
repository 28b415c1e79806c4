/* SPDX-License-Identifier: Apache-2.0 */
/** Pipeline files as trees with places, and errors a user can click on. */
#include "unit.h"

#include "base/buf.h"
#include "config/yaml.h"

static const char pipeline[] = "name: copy\n"
                               "source:\n"
                               "  class: file-source\n"
                               "  filename: \"in.txt\"\n"
                               "transforms:\n"
                               "  - {name: t1, class: drop}\n"
                               "  - name: t2\n"
                               "version: 1.10\n"
                               "flag: true\n"
                               "nothing:\n"
                               "quoted: ''\n"
                               "text: |\n"
                               "  two\n"
                               "  lines\n";

static void a_pipeline_becomes_a_tree(void **state)
{
    rc_yaml *root = NULL;
    const rc_yaml *node;
    rc_error err = {0};
    rc_arena arena;
    (void)state;

    rc_arena_init(&arena, 4096);
    assert_int_equal(rc_yaml_parse("p.yaml", omc_slice_str(pipeline), &arena.pub, &root, &err), 0);
    assert_int_equal(root->kind, RC_YAML_MAP);
    assert_int_equal(root->count, 8);
    assert_string_equal(rc_yaml_get(root, "name")->text, "copy");
    node = rc_yaml_get(rc_yaml_get(root, "source"), "filename");
    assert_string_equal(node->text, "in.txt");
    assert_true(node->quoted);
    assert_int_equal(node->line, 4);
    assert_int_equal(node->column, 13);
    assert_int_equal(node->key_line, 4);
    assert_int_equal(node->key_column, 3);
    node = rc_yaml_get(root, "transforms");
    assert_int_equal(node->kind, RC_YAML_LIST);
    assert_int_equal(node->count, 2);
    assert_string_equal(rc_yaml_get(node->children, "class")->text, "drop");
    assert_string_equal(rc_yaml_get(node->children->next, "name")->text, "t2");
    assert_null(node->children->next->next);
    assert_string_equal(rc_yaml_get(root, "version")->text, "1.10");
    assert_false(rc_yaml_get(root, "flag")->quoted);
    assert_string_equal(rc_yaml_get(root, "nothing")->text, "");
    assert_false(rc_yaml_get(root, "nothing")->quoted);
    assert_true(rc_yaml_get(root, "quoted")->quoted);
    assert_string_equal(rc_yaml_get(root, "text")->text, "two\nlines\n");
    assert_null(rc_yaml_get(root, "none"));
    assert_null(rc_yaml_get(rc_yaml_get(root, "name"), "x"));
    rc_arena_release(&arena);
}

static void empty_documents_are_empty_maps(void **state)
{
    static const char *const texts[] = {"", "\n\n", "# only a comment\n", "---\n", "--- \n...\n"};
    (void)state;

    for (size_t i = 0; i < RC_COUNT(texts); i++) {
        rc_yaml *root = NULL;
        rc_error err = {0};
        rc_arena arena;

        rc_arena_init(&arena, 1024);
        if (rc_yaml_parse("p", omc_slice_str(texts[i]), &arena.pub, &root, &err) < 0)
            fail_msg("case %zu: %s", i, err.msg);
        assert_int_equal(root->kind, RC_YAML_MAP);
        assert_int_equal(root->count, 0);
        rc_arena_release(&arena);
    }
}

static void mistakes_are_told_with_their_place(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"a: 1\nb: 2\na: 3\n",
         "p.yaml:3:1: key 'a' is given twice, first on line 1; keep one of them"},
        {"x: {b: 1, c: 2, b: 3}\n",
         "p.yaml:1:17: key 'b' is given twice, first on line 1; keep one of them"},
        {"a: &x 1\n", "p.yaml:1:4: anchor '&x' is not supported; remove it"},
        {"a: &x {b: 1}\n", "p.yaml:1:4: anchor '&x' is not supported; remove it"},
        {"a: *x\n", "p.yaml:1:4: alias '*x' is not supported; write it out"},
        {"a: !!str 1\n", "p.yaml:1:4: tag 'tag:yaml.org,2002:str' is not supported; remove it"},
        {"a: !x [1]\n", "p.yaml:1:4: tag '!x' is not supported; remove it"},
        {"a: 1\n---\nb: 2\n", "p.yaml:2:1: a second document; give one per file"},
        {"? [a]\n: b\n", "p.yaml:1:3: a key must be a word, not a list or map"},
        {"'': b\n", "p.yaml:1:1: a key without a name"},
        {"\"a\\0\": b\n", "p.yaml:1:1: a key with a NUL byte"},
    };
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_yaml *root = NULL;
        rc_error err = {0};
        rc_arena arena;
        int r;

        rc_arena_init(&arena, 1024);
        r = rc_yaml_parse("p.yaml", omc_slice_str(cases[i].text), &arena.pub, &root, &err);
        if (r != -OMC_EINVAL || root || strcmp(err.msg, cases[i].message) != 0)
            fail_msg("case %zu '%s': r=%d '%s'", i, cases[i].text, r, err.msg);
        rc_arena_release(&arena);
    }
}

static void syntax_errors_have_a_place(void **state)
{
    static const struct {
        const char *text, *start;
    } cases[] = {
        {"a: [1, 2\nb: 3\n", "p.yaml:2:"},
        {"a:\n\tb: 1\n", "p.yaml:2:1: "},
        {"a: 'x\n", "p.yaml:"},
        {"a: \xFF\n", "p.yaml:"},
    };
    (void)state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_yaml *root = NULL;
        rc_error err = {0};
        rc_arena arena;

        rc_arena_init(&arena, 1024);
        assert_int_equal(rc_yaml_parse("p.yaml", omc_slice_str(cases[i].text), &arena.pub, &root,
                                       &err),
                         -OMC_EINVAL);
        if (strncmp(err.msg, cases[i].start, strlen(cases[i].start)) != 0)
            fail_msg("case %zu: '%s'", i, err.msg);
        rc_arena_release(&arena);
    }
}

static void depth_and_count_are_bounded(void **state)
{
    RC_AUTO(rc_buf) text = &(rc_buf)RC_BUF(1 << 21);
    rc_yaml *root = NULL;
    rc_error err = {0};
    rc_arena arena;
    (void)state;

    rc_arena_init(&arena, 1024);
    for (int i = 0; i < 32; i++)
        rc_buf_char(text, '[');
    for (int i = 0; i < 32; i++)
        rc_buf_char(text, ']');
    assert_int_equal(rc_yaml_parse("p", rc_buf_slice(text), &arena.pub, &root, &err), 0);
    rc_buf_clear(text);
    for (int i = 0; i < 33; i++)
        rc_buf_char(text, '[');
    assert_int_equal(rc_yaml_parse("p", rc_buf_slice(text), &arena.pub, &root, &err), -OMC_EINVAL);
    assert_string_equal(err.msg, "p:1:33: nested deeper than 32 levels");
    rc_buf_clear(text);
    for (int i = 0; i < 100000; i++)
        rc_buf_str(text, "- a\n");
    assert_int_equal(rc_yaml_parse("p", rc_buf_slice(text), &arena.pub, &root, &err), -OMC_EINVAL);
    assert_string_equal(err.msg, "p:100000:3: more than 100000 values");
    while (!text->overflow)
        rc_buf_str(text, "# comment\n");
    assert_int_equal(rc_yaml_parse("p", rc_buf_slice(text), &arena.pub, &root, &err), -OMC_EINVAL);
    assert_int_equal(rc_yaml_load("/does/not/exist", &arena.pub, &root, &err), -OMC_ENOTFOUND);
    rc_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pipeline_becomes_a_tree),
        cmocka_unit_test(empty_documents_are_empty_maps),
        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(syntax_errors_have_a_place),
        cmocka_unit_test(depth_and_count_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
