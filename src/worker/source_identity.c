/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identities of records for logs on which exactly once is not free: what the source says about a
 * record (partition and position), so that a record that is polled again after a crash is known.
 * Records that share one position are numbered; a source never splits them over two polls.
 */
#include "worker/source_loop.h"

#include "record/json.h"

bool rc_source_exactly_once(const rc_task *task)
{
    const omc_source_ops *ops = task->plan.plugin->ops;
    const char *support = task->plan.options.exactly_once;

    if (rc_log_caps_of(task->log) & RC_LOG_ATOMIC)
        return false; /* free there, without identities */
    if (!(ops->flags & OMC_SOURCE_REPLAYS) || strcmp(support, "off") == 0)
        return false;
    return strcmp(support, "requested") != 0 || (ops->flags & OMC_SOURCE_EXACTLY_ONCE);
}

void rc_source_identity_reset(rc_source *s)
{
    s->same_partition = NULL;
    memset(&s->identity, 0, sizeof s->identity);
}

static bool is_aside(const omc_entry *entry)
{
    return entry->key.kind == OMC_STRING && entry->key.u.bytes.len >= 2 &&
           memcmp(entry->key.u.bytes.base, "__", 2) == 0;
}

/* The offset without what the source only keeps with it. */
static rc_slice identifying_offset(const omc_position *position, omc_arena *arena)
{
    size_t count = position->offset ? position->offset->count : 0, kept = 0;
    omc_position known = *position;
    omc_entry *entries;
    omc_map map;

    for (size_t i = 0; i < count; i++)
        kept += !is_aside(&position->offset->entries[i]);
    if (kept == count)
        return rc_json_of_offset(position, arena);
    entries = omc_alloc(arena, (kept + 1) * sizeof *entries);
    kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!is_aside(&position->offset->entries[i]))
            entries[kept++] = position->offset->entries[i];
    map = (omc_map){kept, entries};
    known.offset = &map;
    return rc_json_of_offset(&known, arena);
}

int rc_source_identify(rc_source *s, const omc_record *record, rc_error *err)
{
    const omc_map *partition = record->position.partition;
    omc_arena *arena = &s->scratch.pub;
    rc_identity now = {0};
    rc_slice offset;

    if (!partition || (!record->position.offset && !record->position.counter_name))
        return omc_fail(err, OMC_EINVAL, OMC_ERR_FATAL,
                        "the record has no position, so it cannot be recognised after a crash: "
                        "set exactly.once.support=off, or use a source that gives positions");
    if (partition != s->same_partition) {
        s->same_partition_text = rc_json_of_map(partition, arena);
        s->same_partition = partition;
    }
    offset = identifying_offset(&record->position, arena);
    rc_identity_of(s->task->setup.connector, s->same_partition_text, offset, &now);
    if (memcmp(now.hash, s->identity.hash, sizeof now.hash) == 0)
        now.ordinal = s->identity.ordinal + 1;
    s->identity = now;
    return 0;
}
