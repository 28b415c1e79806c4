/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: growth, references across threads, and what recycling keeps. */
#include "record_unit.h"

#include "record/batch.h"

#include <pthread.h>

static void grows_and_zeroes(void **state)
{
    RC_AUTO(rc_batch) batch = rc_batch_new(500, 1 << 20);

    (void)state;
    assert_int_equal(batch->pub.size, sizeof(omc_batch));
    assert_int_equal(batch->pub.records_max, 500);
    assert_int_equal(batch->pub.bytes_max, 1 << 20);
    for (int i = 0; i < 1000; i++) {
        omc_record *record = omc_batch_add(&batch->pub);

        assert_int_equal(record->timestamp_ms, OMC_NO_TIMESTAMP);
        assert_int_equal(record->queue, -1);
        assert_null(record->topic);
        assert_int_equal(record->value.kind, OMC_NULL);
        record->value = omc_integer(OMC_INT32, i);
        record->topic = "t";
    }
    assert_int_equal(batch->pub.count, 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(omc_batch_at(&batch->pub, i)->value.u.i64, i);
}

static void recycles_its_memory(void **state)
{
    rc_batch *batch = rc_batch_new(10, 1000), *again;
    char *records;

    (void)state;
    (void)omc_batch_add(&batch->pub);
    memset(omc_alloc(batch->pub.arena, 1000), 'x', 1000);
    records = batch->pub.records;
    again = rc_batch_recycle(batch);
    assert_ptr_equal(again, batch);
    assert_ptr_equal(again->pub.records, records);
    assert_int_equal(again->pub.count, 0);
    rc_batch_unref(again);
    rc_batch_unref(NULL);
}

/** Somebody still reads the batch: it stays as it is, and a new one with the same limits comes. */
static void leaves_a_held_batch_alone(void **state)
{
    rc_batch *batch = rc_batch_new(10, 1000), *fresh;
    char *bytes = omc_copy(batch->pub.arena, "kept", 4);

    (void)state;
    omc_batch_add(&batch->pub)->value = omc_string(omc_slice_of(bytes, 4));
    batch->pub.ref(&batch->pub);
    fresh = rc_batch_recycle(batch);
    assert_ptr_not_equal(fresh, batch);
    assert_int_equal(fresh->pub.records_max, 10);
    assert_int_equal(fresh->pub.bytes_max, 1000);
    assert_int_equal(batch->pub.count, 1);
    assert_true(omc_slice_is(omc_batch_at(&batch->pub, 0)->value.u.bytes, "kept"));
    batch->pub.unref(&batch->pub);
    rc_batch_unref(fresh);
}

static void *hold(void *arg)
{
    rc_batch *batch = arg;

    for (int i = 0; i < 10000; i++) {
        rc_batch_ref(batch);
        rc_batch_unref(batch);
    }
    rc_batch_unref(batch);
    return NULL;
}

/** The last reference frees, whichever thread has it (ASan and TSan watch). */
static void references_from_threads(void **state)
{
    rc_batch *batch = rc_batch_new(10, 1000);
    pthread_t threads[4];

    (void)state;
    (void)omc_alloc(batch->pub.arena, 100);
    for (size_t i = 0; i < RC_COUNT(threads); i++) {
        rc_batch_ref(batch);
        assert_int_equal(pthread_create(&threads[i], NULL, hold, batch), 0);
    }
    rc_batch_unref(batch);
    for (size_t i = 0; i < RC_COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_zeroes),
        cmocka_unit_test(recycles_its_memory),
        cmocka_unit_test(leaves_a_held_batch_alone),
        cmocka_unit_test(references_from_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
