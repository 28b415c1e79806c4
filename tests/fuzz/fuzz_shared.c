/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Messages of the config and status topics, and files of a cluster's state. Input: lines of
 * "key TAB body TAB rank TAB version TAB state TAB generation", folded one after the other; or,
 * after "#", a file. What was read is written and read again, and says the same.
 */
#include "base/encode.h"
#include "config/options.h"
#include "store/shared_codec.h"
#include "store/snapshot.h"

#define FIELDS 6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void come_back(const rc_shared_record *record, omc_arena *arena)
{
    rc_shared_message message;
    rc_shared_record back;
    rc_error err = {0};

    if (rc_shared_encode(record, arena, &message, &err) < 0)
        return; /* texts that are no UTF-8 */
    rc_shared_decode(message.keys, message.body, message.properties, message.property_count, arena,
                     &back, NULL);
    RC_ASSERT(back.kind == record->kind && back.epoch == record->epoch);
    RC_ASSERT(omc_slice_eq(back.connector, record->connector));
    RC_ASSERT(record->kind != RC_SHARED_CONFIG || rc_kv_equal(back.config, record->config));
    RC_ASSERT(back.task_count == record->task_count);
}

static void again(void *arg, const rc_shared_record *record, rc_again_why why)
{
    (void)why;
    come_back(record, arg);
}

static void one(rc_shared *shared, rc_slice line, omc_arena *arena)
{
    static const char *const names[] = {"__rc.rank", "__rc.version", "__rc.state", "__rc.gen"};
    rc_slice fields[FIELDS] = {{0}};
    rmq_property properties[4];
    rc_shared_record record;
    char why[RC_SHARED_WHY_MAX];
    size_t count = 0, n = 0;

    for (size_t i = 0, from = 0; i <= line.len && n < FIELDS; i++)
        if (i == line.len || line.base[i] == '\t') {
            fields[n++] = omc_slice_of(line.base + from, i - from);
            from = i + 1;
        }
    for (size_t i = 2; i < n; i++)
        if (fields[i].len)
            properties[count++] = (rmq_property){omc_slice_str(names[i - 2]), fields[i]};
    rc_shared_decode(rc_base64_encode(arena, fields[0]), fields[1], properties, count, arena,
                     &record, why);
    if (record.kind == RC_SHARED_NONE)
        return;
    (void)rc_shared_fold(shared, &record, 1000);
    if (record.rank || record.kind == RC_SHARED_TASKS || record.kind == RC_SHARED_STATE)
        come_back(&record, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rc_slice text = omc_slice_of((const char *)data, size);
    rc_shared *shared = rc_shared_new();
    rc_arena arena;

    rc_arena_init(&arena, 65536);
    if (size && data[0] == '#') {
        rc_snapshot head;
        rc_error err = {0};

        (void)rc_snapshot_read(omc_slice_of(text.base + 1, size - 1), shared, &arena.pub, &head,
                               &err);
    } else {
        for (size_t i = 0, from = 0; i <= size; i++)
            if (i == size || data[i] == '\n') {
                one(shared, omc_slice_of(text.base + from, i - from), &arena.pub);
                from = i + 1;
            }
    }
    (void)rc_shared_again(shared, NULL, INT64_MAX, 2000, again, &arena.pub);
    rc_arena_release(&arena);
    rc_shared_free(shared);
    return 0;
}
