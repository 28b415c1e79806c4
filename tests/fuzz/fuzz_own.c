/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Fuzzes records of the ownership log: each line is a body. Whatever was read is written and read
 * again, and folded; a snapshot of the fold is the same fold.
 */
#include "cluster/fold.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void load(void *arg, const rc_own_record *record)
{
    rc_fold *made = rc_fold_parts_add(arg, record, NULL);

    RC_ASSERT(made);
    rc_fold_free(made);
}

/** Texts that JSON cannot hold do not come out of JSON either: what was read can be written. */
static void there_and_back(const rc_own_record *record, omc_arena *arena)
{
    rc_buf body = RC_BUF(16 * RC_OWN_BODY_MAX);
    rc_own_record again;

    rc_own_write(record, &body);
    RC_ASSERT(body.len > RC_OWN_BODY_MAX || !rc_own_read(rc_buf_slice(&body), arena, &again, NULL));
    rc_buf_release(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rc_fold *fold = rc_fold_new(1, NULL);
    rc_fold_parts *parts = rc_fold_parts_new();
    const char *at = (const char *)data, *end = at + size;
    rc_arena arena;

    rc_arena_init(&arena, 4096);
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        rc_own_record record;
        bool ok;

        stop = stop ? stop : end;
        ok = rc_own_read(omc_slice_of(at, (size_t)(stop - at)), &arena.pub, &record, NULL) == 0;
        if (ok && record.kind != RC_OWN_OTHER)
            there_and_back(&record, &arena.pub);
        if (ok && record.kind == RC_OWN_SNAP)
            rc_fold_free(rc_fold_parts_add(parts, &record, NULL));
        (void)rc_fold_apply(fold, ok ? &record : NULL);
        at = stop + 1;
    }
    rc_fold_parts_free(parts);
    parts = rc_fold_parts_new();
    if (rc_fold_begun(fold) && rc_fold_worker_count(fold) + rc_fold_unit_count(fold) < 1000)
        rc_fold_write(fold, 1, "f", load, parts);
    rc_fold_parts_free(parts);
    rc_fold_free(fold);
    rc_arena_release(&arena);
    return 0;
}
