/* SPDX-License-Identifier: Apache-2.0 */
/* What a record is known by when it is polled again. */
#include "unit.h"

#include "worker/source_loop.h"

typedef struct place {
    int64_t counter;
    const char *aside; /* value of "__aside"; NULL = no such member */
} place;

static rc_identity identity_of(const place *at)
{
    rc_task task = {.setup = {.connector = "c"}};
    rc_source source = {.task = &task};
    const omc_entry partition = {omc_string(omc_slice_str("file")), omc_string(omc_slice_str("f"))};
    const omc_map partitions = {1, &partition};
    omc_entry aside = {omc_string(omc_slice_str("__aside")), omc_null()};
    omc_map offset = {1, &aside};
    omc_record record = {.position = {.partition = &partitions,
                                      .offset = at->aside ? &offset : NULL,
                                      .counter_name = "line",
                                      .counter = at->counter}};
    rc_error err = {0};

    aside.value = omc_string(omc_slice_str(at->aside ? at->aside : ""));
    rc_arena_init(&source.scratch, 1024);
    rc_source_identity_reset(&source);
    assert_int_equal(rc_source_identify(&source, &record, &err), 0);
    rc_arena_release(&source.scratch);
    return source.identity;
}

static void what_is_kept_aside_is_no_part_of_it(void **state)
{
    const rc_identity plain = identity_of(&(place){7, NULL});
    const rc_identity aside = identity_of(&(place){7, "something"});
    const rc_identity other = identity_of(&(place){8, "something"});

    (void)state;
    assert_memory_equal(plain.hash, aside.hash, sizeof plain.hash);
    assert_memory_not_equal(plain.hash, other.hash, sizeof plain.hash);
    assert_memory_equal(plain.hash, other.hash, RC_IDENTITY_PARTITION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_kept_aside_is_no_part_of_it)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
