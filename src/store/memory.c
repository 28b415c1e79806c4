/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The store in memory, for `run` and tests: a hash of connectors by name. A deleted connector
 * leaves its entry behind (target 0, no configuration), so that versions go on growing when it is
 * created again. Each configuration has its own arena, replaced whole.
 */
#include "base/hash.h"
#include "config/options.h"
#include "store/store_impl.h"

#define TARGET_DELETED 0

typedef struct entry {
    char *name;
    rc_arena arena; /**< Holds the configuration. */
    const omc_keyvalue *config;
    int target; /**< rc_target_state or TARGET_DELETED. */
    int64_t version;
    int64_t incarnation;
    int64_t changed_ms;
    UT_hash_handle hh;
} entry;

typedef struct memory_store {
    rc_store base;
    entry *entries;
    int64_t incarnations;
} memory_store;

static entry *find(memory_store *store, const char *name)
{
    entry *e = NULL;

    HASH_FIND_STR(store->entries, name, e);
    return e;
}

static entry *find_live(memory_store *store, const char *name)
{
    entry *e = find(store, name);

    return e && e->target != TARGET_DELETED ? e : NULL;
}

static rc_stored_connector view(const entry *e)
{
    return (rc_stored_connector){
        .name = e->name,
        .config = e->config,
        .target = (rc_target_state)e->target,
        .version = e->version,
        .incarnation = e->incarnation,
        .changed_ms = e->changed_ms,
    };
}

static void memory_close(rc_store *base)
{
    memory_store *store = RC_CONTAINER(base, memory_store, base);
    entry *e = store->entries, *next;

    HASH_CLEAR(hh, store->entries);
    for (; e; e = next) {
        next = e->hh.next;
        rc_arena_release(&e->arena);
        free(e->name);
        free(e);
    }
    free(store);
}

static int by_name(const entry *a, const entry *b)
{
    return strcmp(a->name, b->name);
}

/* The callback may change the store, as it may with the other back end: it sees copies. */
static int memory_each(rc_store *base, rc_stored_fn *each, void *arg, rc_error *err)
{
    memory_store *store = RC_CONTAINER(base, memory_store, base);
    rc_arena arena;
    rc_stored_connector *all;
    size_t count = 0;
    int r = 0;
    entry *e, *next;

    (void)err;
    rc_arena_init(&arena, 4096);
    HASH_SORT(store->entries, by_name);
    all = omc_alloc(&arena.pub, (HASH_COUNT(store->entries) + 1) * sizeof *all);
    HASH_ITER(hh, store->entries, e, next)
    {
        if (e->target == TARGET_DELETED)
            continue;
        all[count] = view(e);
        all[count].name = omc_copy(&arena.pub, e->name, strlen(e->name));
        all[count].config = rc_kv_copy(e->config, &arena.pub);
        count++;
    }
    for (size_t i = 0; i < count && r == 0; i++)
        r = each(arg, &all[i]);
    rc_arena_release(&arena);
    return r;
}

static entry *add(memory_store *store, const char *name)
{
    entry *e = rc_calloc(1, sizeof *e);

    e->name = rc_strdup(name);
    rc_arena_init(&e->arena, 1024);
    HASH_ADD_KEYPTR(hh, store->entries, e->name, strlen(e->name), e);
    return e;
}

static int put(memory_store *store, const rc_store_write *write, rc_error *err)
{
    entry *e = find(store, write->name);
    bool exists = e && e->target != TARGET_DELETED;
    int r = rc_store_check_version(write->name, write->expected, exists ? e->version : 0, err);
    rc_arena arena;

    if (r < 0)
        return r;
    if (!e)
        e = add(store, write->name);
    if (!exists) {
        e->target = (int)write->target;
        e->incarnation = ++store->incarnations;
    }
    /* The new configuration may borrow from the old one, so copy first. */
    rc_arena_init(&arena, 1024);
    e->config = rc_kv_copy(write->config, &arena.pub);
    rc_arena_release(&e->arena);
    e->arena = arena;
    e->version++;
    return 0;
}

static void remove_config(entry *e)
{
    e->target = TARGET_DELETED;
    e->version++;
    e->config = NULL;
    rc_arena_release(&e->arena);
}

static int memory_write(rc_store *base, const rc_store_write *write, omc_arena *arena,
                        rc_stored_connector *ret, rc_error *err)
{
    memory_store *store = RC_CONTAINER(base, memory_store, base);
    entry *e;
    int r = 0;

    if (write->kind == RC_WRITE_PUT)
        r = put(store, write, err);
    else if (!(e = find_live(store, write->name)))
        r = rc_store_unknown(write->name, err);
    else if (write->kind == RC_WRITE_TARGET)
        e->target = (int)write->target;
    else
        remove_config(e);
    if (r < 0)
        return r;
    e = find(store, write->name);
    e->changed_ms = rc_now_ms(base->clock);
    *ret = view(e);
    ret->name = omc_copy(arena, e->name, strlen(e->name));
    ret->config = e->config ? rc_kv_copy(e->config, arena) : NULL;
    return 0;
}

static const rc_store_ops memory_ops = {
    .close = memory_close,
    .each = memory_each,
    .write = memory_write,
};

rc_store *rc_store_new_memory(rc_clock *clock)
{
    memory_store *store = rc_calloc(1, sizeof *store);

    store->base.ops = &memory_ops;
    store->base.clock = clock;
    return &store->base;
}
