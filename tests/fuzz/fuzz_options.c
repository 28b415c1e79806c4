/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Any keys and values against a table with every option type: no crash, good structs or a
 * problem, and masking that loses nothing. The input is a .properties text.
 */
#include "config/properties.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct all {
    const char *text[5];
    bool flag;
    int64_t number[3];
    double real;
    omc_list list;
};

#define ROW(name, type, def, member, min, max, choices, aliases)                             \
    {                                                                                        \
        name, type, 0, def, offsetof(struct all, member), "Doc.", min, max, choices, aliases \
    }

static const omc_option rows[] = {
    ROW("string", OMC_OPT_STRING, NULL, text[0], 0, 0, NULL, "s,text"),
    ROW("choice", OMC_OPT_CHOICE, "a", text[1], 0, 0, "a|b|", NULL),
    ROW("login", OMC_OPT_PASSWORD, NULL, text[2], 0, 0, NULL, NULL),
    ROW("class", OMC_OPT_CLASS, NULL, text[3], 0, 0, NULL, NULL),
    ROW("regex", OMC_OPT_REGEX, NULL, text[4], 0, 0, NULL, NULL),
    ROW("bool", OMC_OPT_BOOLEAN, "true", flag, 0, 0, NULL, NULL),
    ROW("int", OMC_OPT_INT, "1", number[0], 1, 1000, NULL, "i"),
    ROW("wait", OMC_OPT_DURATION_MS, "1s", number[1], 1, INT64_MAX, NULL, NULL),
    ROW("size", OMC_OPT_SIZE, "1k", number[2], 1, 1 << 30, NULL, NULL),
    ROW("double", OMC_OPT_DOUBLE, "0.5", real, -1, 1, NULL, NULL),
    ROW("list", OMC_OPT_LIST, NULL, list, 0, 0, NULL, NULL),
    {"prefix.", OMC_OPT_STRING, OMC_OPT_PREFIX, NULL, OMC_OPT_NOT_STORED, "", 0, 0, NULL, NULL},
    {"old", OMC_OPT_INT, OMC_OPT_IGNORED, NULL, OMC_OPT_NOT_STORED, "", 0, 0, NULL, NULL},
};

static void check_struct(const struct all *all)
{
    RC_ASSERT(all->number[0] >= 1 && all->number[0] <= 1000);
    RC_ASSERT(all->number[1] >= 1 && all->number[2] >= 1 && all->number[2] <= 1 << 30);
    RC_ASSERT(all->real >= -1 && all->real <= 1);
    for (size_t i = 0; i < all->list.count; i++)
        RC_ASSERT(all->list.items[i][0]);
}

static void check_problems(const rc_problems *problems)
{
    rc_error err = {0};

    RC_ASSERT(problems->count <= RC_PROBLEMS_MAX);
    for (size_t i = 0; i < problems->count; i++)
        RC_ASSERT(*problems->items[i].text);
    RC_ASSERT((rc_problems_fail(problems, &err) == 0) == (problems->errors == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const rc_option_table table = {rows, RC_COUNT(rows), 0, sizeof(struct all)};
    const omc_keyvalue *kv = NULL;
    const omc_keyvalue *masked;
    struct all all = {0};
    void *const options[] = {&all};
    rc_problems problems;
    rc_arena arena;

    if (size == 0)
        return -1;
    rc_arena_init(&arena, 4096);
    rc_problems_init(&problems, &arena.pub);
    if (rc_properties_parse("fuzz", omc_slice_of((const char *)data + 1, size - 1), &arena.pub, &kv,
                            NULL) == 0) {
        if (rc_options_parse(&table, 1, kv, data[0] & 1u, options, &arena.pub, &problems) == 0)
            check_struct(&all);
        check_problems(&problems);
        masked = rc_options_mask(&table, 1, kv, &arena.pub);
        RC_ASSERT(rc_kv_equal(rc_options_unmask(masked, kv, &arena.pub), kv));
    }
    rc_arena_release(&arena);
    return 0;
}
