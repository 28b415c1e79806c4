/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which units there should be: the half of each connector that is not stopped, and the tasks of its
 * newest record, unless tasks of an older one are still owned.
 */
#include "distributed/impl.h"

#include "base/units.h"
#include "config/labels.h"

const char *rc_catalog_unit_name(omc_arena *arena, const char *connector, int64_t generation,
                                 int64_t number)
{
    return rc_arena_format(arena, "%s#%lld.%lld", connector, (long long)generation,
                           (long long)number);
}

const char *rc_catalog_connector(omc_arena *arena, const char *unit, int32_t number,
                                 int64_t *ret_generation, int64_t *ret_record)
{
    /* Names of connectors may hold such marks, too: the last one is ours, and a half has none. */
    const char *mark = number == RC_OWN_HALF ? NULL : strrchr(unit, '#');
    const char *dot = mark ? strchr(mark, '.') : NULL;

    *ret_generation = *ret_record = -1;
    if (!dot ||
        rc_parse_int64(omc_slice_of(mark + 1, (size_t)(dot - mark) - 1), ret_generation) < 0 ||
        rc_parse_int64(omc_slice_str(dot + 1), ret_record) < 0) {
        *ret_generation = *ret_record = -1;
        return unit;
    }
    return omc_copy(arena, unit, (size_t)(mark - unit));
}

typedef struct making {
    rc_topic_store *store;
    const rc_fold *fold;
    rc_catalog *catalog;
    size_t room;
    /* Connectors whose older tasks have owners; keys are unit names without their record. */
    struct busy *busy;
} making;

typedef struct busy {
    char *connector;
    int64_t generation, number; /* of the newest record that has an owner */
    bool several;
    UT_hash_handle hh;
} busy;

static rc_catalog_unit *add(making *m)
{
    rc_catalog *c = m->catalog;

    if (c->count == m->room) {
        m->room = m->room ? 2 * m->room : 256;
        c->units = rc_realloc(c->units, m->room * sizeof *c->units);
    }
    return &c->units[c->count++];
}

/* Of which records tasks are owned. */
static void look_at_owned(making *m)
{
    rc_fold_unit *unit = NULL;
    rc_arena arena;

    rc_arena_init(&arena, 4096);
    while ((unit = rc_fold_next_unit(m->fold, unit))) {
        int64_t generation, number;
        const char *connector;
        busy *b;

        if (!unit->owner || unit->number < 0)
            continue;
        rc_arena_reset(&arena, 4096);
        connector =
            rc_catalog_connector(&arena.pub, unit->connector, unit->number, &generation, &number);
        HASH_FIND_STR(m->busy, connector, b);
        if (!b) {
            b = rc_calloc(1, sizeof *b);
            b->connector = rc_strdup(connector);
            b->generation = generation;
            b->number = number;
            HASH_ADD_KEYPTR(hh, m->busy, b->connector, strlen(b->connector), b);
        } else if (b->generation != generation || b->number != number) {
            b->several = true;
        }
    }
    rc_arena_release(&arena);
}

static bool held_back(const making *m, const char *connector, const rc_stored_tasks *tasks)
{
    const busy *b;

    HASH_FIND_STR(m->busy, connector, b);
    return b && (b->several || b->generation != tasks->generation || b->number != tasks->number);
}

static uint32_t weight_of(const omc_keyvalue *config)
{
    int64_t weight;
    const omc_slice *text = omc_keyvalue_get(config, "task.weight");

    if (!text || rc_parse_int64(*text, &weight) < 0 || weight < 1 || weight > RC_ASSIGN_WEIGHT_MAX)
        return 1;
    return (uint32_t)weight;
}

static const char *labels_of(const omc_keyvalue *config, omc_arena *arena)
{
    char labels[RC_LABELS_TEXT_MAX] = "";
    const omc_slice *text = omc_keyvalue_get(config, "worker.labels");
    rc_error err = {0};

    if (!text || rc_labels_parse(omc_copy(arena, text->base, text->len), labels, &err) < 0)
        return NULL; /* Refused when it was stored. */
    return omc_copy(arena, labels, strlen(labels));
}

static int each(void *arg, const rc_stored_connector *connector)
{
    making *m = arg;
    omc_arena *arena = &m->catalog->arena.pub;
    const char *name = omc_copy(arena, connector->name, strlen(connector->name));
    const char *labels = labels_of(connector->config, arena);
    const uint32_t weight = weight_of(connector->config);
    rc_stored_tasks tasks;
    rc_error err = {0};
    const char *unit;

    if (connector->target == RC_TARGET_STOPPED)
        return 0;
    *add(m) = (rc_catalog_unit){{name, RC_OWN_HALF}, 1, labels};
    if (rc_topic_store_tasks_get(m->store, name, arena, &tasks, &err) < 0 ||
        tasks.incarnation != connector->incarnation)
        return 0;
    if (held_back(m, name, &tasks)) {
        m->catalog->held_back++;
        return 0;
    }
    unit = rc_catalog_unit_name(arena, name, tasks.generation, tasks.number);
    for (size_t i = 0; i < tasks.count; i++)
        *add(m) = (rc_catalog_unit){{unit, (int32_t)i}, weight, labels};
    return 0;
}

int rc_catalog_make(rc_topic_store *store, const rc_fold *fold, rc_catalog *ret, rc_error *err)
{
    making m = {.store = store, .fold = fold, .catalog = ret};
    busy *b, *next;
    int r;

    memset(ret, 0, sizeof *ret);
    rc_arena_init(&ret->arena, 65536);
    look_at_owned(&m);
    r = rc_store_each(rc_topic_store_base(store), each, &m, err);
    HASH_ITER(hh, m.busy, b, next)
    {
        HASH_DEL(m.busy, b); /* NOLINT(clang-analyzer-unix.Malloc) */
        free(b->connector);
        free(b);
    }
    return r;
}

void rc_catalog_release(rc_catalog *catalog)
{
    free(catalog->units);
    rc_arena_release(&catalog->arena);
    memset(catalog, 0, sizeof *catalog);
}
