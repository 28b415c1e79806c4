/* SPDX-License-Identifier: Apache-2.0 */
/* Names of units: a connector's half by its name, its tasks by name and task record. */
#include "distributed/impl.h"
#include "unit.h"

#include <string.h>

static rc_arena arena;

static void expect(const char *unit, int32_t number, const char *connector, int64_t generation,
                   int64_t record)
{
    int64_t g = 0, r = 0;

    assert_string_equal(rc_catalog_connector(&arena.pub, unit, number, &g, &r), connector);
    assert_int_equal(g, generation);
    assert_int_equal(r, record);
}

static void names_go_there_and_back(void **state)
{
    static const char *const names[] = {"orders", "a#b", "x#1.2", "#", "1.2", "über/bestellungen"};

    (void)state;
    for (size_t i = 0; i < RC_COUNT(names); i++) {
        const char *unit = rc_catalog_unit_name(&arena.pub, names[i], INT64_C(1) << 60, 7);

        expect(unit, 0, names[i], INT64_C(1) << 60, 7);
        expect(unit, 41, names[i], INT64_C(1) << 60, 7);
    }
}

static void a_half_is_its_connector(void **state)
{
    (void)state;
    expect("orders", RC_OWN_HALF, "orders", -1, -1);
    expect("x#1.2", RC_OWN_HALF, "x#1.2", -1, -1); /* It may look like a task's. */
}

static void what_is_no_task_of_ours_stays_whole(void **state)
{
    static const char *const names[] = {"orders",    "orders#",    "orders#1",   "orders#1.",
                                        "orders#.1", "orders#a.1", "orders#1.b", "orders#1.2 "};

    (void)state;
    for (size_t i = 0; i < RC_COUNT(names); i++)
        expect(names[i], 3, names[i], -1, -1);
}

static int set_up(void **state)
{
    (void)state;
    rc_arena_init(&arena, 1024);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rc_arena_release(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_go_there_and_back),
        cmocka_unit_test(a_half_is_its_connector),
        cmocka_unit_test(what_is_no_task_of_ours_stays_whole),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
