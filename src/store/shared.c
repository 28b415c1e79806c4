/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fold. A node per connector that any record named; what it was given last is kept in arenas
 * that are replaced whole. Beside the state a node remembers, per key of the topic, when its last
 * record was stored and whether that record says what the table says: that is what a reader gets
 * who comes when retention or compaction has left nothing else.
 */
#include "store/shared.h"

#include "base/hash.h"
#include "config/options.h"
#include "store/store_impl.h"

#define UNSEEN INT64_MAX

/** Last record of a key. */
typedef struct tail {
    int64_t stored_ms; /* UNSEEN: none */
    bool spoiled;
} tail;

typedef struct node {
    rc_shared_connector pub;
    bool known; /* by a configuration or a deletion; else only by what belongs to one */
    rc_arena config;
    /* Of the newest incarnation that has any; `pub` shows them when that is the present one. */
    rc_arena tasks;
    struct {
        int64_t incarnation, generation, number, version; /* incarnation 0: none */
        const omc_keyvalue *const *list;
        size_t count;
    } given;
    tail config_tail, target_tail, tasks_tail;
    UT_hash_handle hh;
} node;

typedef struct state_node {
    rc_shared_state pub;
    rc_arena arena; /* of its texts */
    bool again;     /* its last record is not what is known */
    size_t key_len;
    char *key; /* name NUL id */
    int64_t number;
    UT_hash_handle hh;
} state_node;

struct rc_shared {
    node *nodes;
    state_node *states;
};

/* ---- nodes ----------------------------------------------------------------------------------- */

static node *find(rc_shared *shared, rc_slice name)
{
    node *n = NULL;

    HASH_FIND(hh, shared->nodes, name.base, name.len, n);
    return n;
}

static node *add(rc_shared *shared, rc_slice name)
{
    node *n = rc_calloc(1, sizeof *n);

    n->pub.name = rc_strndup(name.base, name.len);
    n->pub.deleted = true;
    n->pub.target = RC_TARGET_STARTED;
    n->pub.generation = -1;
    n->config_tail.stored_ms = n->target_tail.stored_ms = n->tasks_tail.stored_ms = UNSEEN;
    rc_arena_init(&n->config, 1024);
    rc_arena_init(&n->tasks, 1024);
    HASH_ADD_KEYPTR(hh, shared->nodes, n->pub.name, name.len, n);
    return n;
}

static void set_config(node *n, const omc_keyvalue *config)
{
    rc_arena old = n->config;

    rc_arena_init(&n->config, 1024);
    n->pub.config = config ? rc_kv_copy(config, &n->config.pub) : NULL;
    rc_arena_release(&old); /* the new one may be a part of it */
}

static void show_tasks(node *n)
{
    const bool shown = n->known && !n->pub.deleted && n->given.incarnation == n->pub.incarnation;

    n->pub.tasks = shown ? n->given.list : NULL;
    n->pub.task_count = shown ? n->given.count : 0;
    n->pub.generation = shown ? n->given.generation : -1;
    n->pub.number = shown ? n->given.number : 0;
    n->pub.tasks_version = shown ? n->given.version : 0;
}

static void set_tasks(node *n, const rc_shared_record *record)
{
    rc_arena old = n->tasks;
    const omc_keyvalue **list;

    rc_arena_init(&n->tasks, 4096);
    list = omc_alloc(&n->tasks.pub, (record->task_count + 1) * sizeof *list);
    for (size_t i = 0; i < record->task_count; i++)
        list[i] = rc_kv_copy(record->tasks[i], &n->tasks.pub);
    n->given.incarnation = record->incarnation;
    n->given.generation = record->generation;
    n->given.number = record->number;
    n->given.version = record->version;
    n->given.list = list;
    n->given.count = record->task_count;
    show_tasks(n);
    rc_arena_release(&old);
}

static void free_node(node *n)
{
    rc_arena_release(&n->config);
    rc_arena_release(&n->tasks);
    free((char *)(uintptr_t)n->pub.name);
    free(n);
}

static void free_state(state_node *s)
{
    rc_arena_release(&s->arena);
    free(s->key);
    free(s);
}

rc_shared *rc_shared_new(void)
{
    return rc_calloc(1, sizeof(rc_shared));
}

void rc_shared_free(rc_shared *shared)
{
    node *n, *next_node;
    state_node *s, *next_state;

    if (!shared)
        return;
    n = shared->nodes;
    s = shared->states;
    HASH_CLEAR(hh, shared->nodes);
    HASH_CLEAR(hh, shared->states);
    for (; n; n = next_node) {
        next_node = n->hh.next;
        free_node(n);
    }
    for (; s; s = next_state) {
        next_state = s->hh.next;
        free_state(s);
    }
    free(shared);
}

/* ---- folding: connectors --------------------------------------------------------------------- */

static bool live(const node *n)
{
    return n->known && !n->pub.deleted;
}

static bool says_the_same(const node *n, const rc_shared_record *record)
{
    const rc_shared_connector *c = &n->pub;

    if (record->kind == RC_SHARED_DELETED)
        return n->known && c->deleted && c->version == record->version;
    if (!live(n) || c->incarnation != record->incarnation || c->target != record->target)
        return false;
    return record->kind == RC_SHARED_TARGET ||
           (c->version == record->version && rc_kv_equal(c->config, record->config));
}

static void apply_config(node *n, const rc_shared_record *record)
{
    set_config(n, record->config);
    n->known = true;
    n->pub.deleted = false;
    n->pub.target = record->target;
    n->pub.config_epoch = record->epoch;
    show_tasks(n);
}

static void apply_deleted(node *n)
{
    set_config(n, NULL);
    n->known = true;
    n->pub.deleted = true;
    n->pub.target = RC_TARGET_STARTED;
    show_tasks(n); /* they stay until a later incarnation has some: this may be a void record */
}

static rc_fold_result apply_ours(node *n, const rc_shared_record *record, int64_t stored_ms)
{
    if (!record->again)
        n->pub.changed_ms = stored_ms;
    n->pub.rank = record->rank;
    n->pub.incarnation = record->incarnation;
    if (record->kind == RC_SHARED_TARGET) {
        n->pub.target = record->target;
        return n->known ? RC_FOLD_APPLIED : RC_FOLD_NONE;
    }
    n->pub.version = record->version;
    if (record->kind == RC_SHARED_CONFIG)
        apply_config(n, record);
    else
        apply_deleted(n);
    if (n->pub.changed_ms == 0)
        n->pub.changed_ms = stored_ms;
    return RC_FOLD_APPLIED;
}

/* The first record with a rank has it; what repeats may say it again. */
static rc_fold_result fold_ours(node *n, const rc_shared_record *record, int64_t stored_ms)
{
    if (record->rank == n->pub.rank && says_the_same(n, record)) {
        if (record->kind == RC_SHARED_CONFIG) /* the newest epoch is the one Java compares with */
            n->pub.config_epoch = RC_MAX(n->pub.config_epoch, record->epoch);
        return RC_FOLD_SAME;
    }
    if (record->rank < n->pub.rank || (record->rank == n->pub.rank && !record->again))
        return RC_FOLD_VOID;
    if (record->kind == RC_SHARED_TARGET && n->known &&
        (n->pub.deleted || n->pub.incarnation != record->incarnation))
        return RC_FOLD_VOID; /* of a connector that is gone, or another of its name */
    return apply_ours(n, record, stored_ms);
}

static void java_applied(node *n, const rc_shared_record *record, int64_t stored_ms)
{
    n->pub.rank = RC_MAX(n->pub.rank + 1, record->epoch);
    n->pub.changed_ms = stored_ms;
}

static rc_fold_result fold_java_config(node *n, const rc_shared_record *record, int64_t stored_ms)
{
    if (live(n) && rc_kv_equal(n->pub.config, record->config))
        return RC_FOLD_SAME;
    if (n->known && record->epoch <= (n->pub.deleted ? n->pub.epoch : n->pub.config_epoch))
        return RC_FOLD_VOID;
    if (!live(n)) /* the deletion's rank is known to all: it is kept for ever */
        n->pub.incarnation = n->pub.rank + 1;
    java_applied(n, record, stored_ms);
    n->pub.version++;
    apply_config(n, record);
    return RC_FOLD_APPLIED;
}

static rc_fold_result fold_java_target(node *n, const rc_shared_record *record, int64_t stored_ms)
{
    if (!live(n) || record->epoch <= n->pub.config_epoch)
        return live(n) ? RC_FOLD_VOID : RC_FOLD_NONE;
    java_applied(n, record, stored_ms);
    n->pub.target = record->target;
    return RC_FOLD_APPLIED;
}

static rc_fold_result fold_java_deleted(node *n, const rc_shared_record *record, int64_t stored_ms)
{
    if (n->known && n->pub.deleted)
        return RC_FOLD_SAME;
    if (live(n) && record->epoch <= n->pub.config_epoch)
        return RC_FOLD_VOID;
    java_applied(n, record, stored_ms);
    n->pub.version++;
    apply_deleted(n);
    return RC_FOLD_APPLIED;
}

static rc_fold_result fold_java(node *n, const rc_shared_record *record, int64_t stored_ms)
{
    switch (record->kind) {
    case RC_SHARED_CONFIG:
        return fold_java_config(n, record, stored_ms);
    case RC_SHARED_TARGET:
        return fold_java_target(n, record, stored_ms);
    default:
        return fold_java_deleted(n, record, stored_ms);
    }
}

static bool same_tasks(const node *n, const rc_shared_record *record)
{
    bool same = record->incarnation == n->given.incarnation &&
                record->generation == n->given.generation && record->number == n->given.number &&
                record->version == n->given.version && record->task_count == n->given.count;

    for (size_t i = 0; same && i < record->task_count; i++)
        same = rc_kv_equal(n->given.list[i], record->tasks[i]);
    return same;
}

static bool older_tasks(const node *n, const rc_shared_record *record)
{
    if (record->incarnation != n->given.incarnation)
        return record->incarnation < n->given.incarnation;
    if (record->generation != n->given.generation)
        return record->generation < n->given.generation;
    return record->number < n->given.number ||
           (record->number == n->given.number && !record->again);
}

/* Those of a connector that is not known, or not in this incarnation, are kept unseen: compaction
 * leaves the last record of each key, in any order of keys, and void ones among them. */
static rc_fold_result fold_tasks(node *n, const rc_shared_record *record)
{
    if (n->given.incarnation) {
        if (same_tasks(n, record) && n->pub.tasks)
            return RC_FOLD_SAME;
        if (older_tasks(n, record))
            return RC_FOLD_VOID;
    }
    set_tasks(n, record);
    return n->pub.tasks ? RC_FOLD_APPLIED : n->known ? RC_FOLD_VOID : RC_FOLD_NONE;
}

static void tasks_tail(node *n, int64_t stored_ms, rc_fold_result result)
{
    n->tasks_tail.stored_ms = stored_ms;
    n->tasks_tail.spoiled = result == RC_FOLD_VOID;
}

/* A void record spoils the connector until what counts is written again, with a newer epoch: until
 * then a Java runtime goes by it, and whoever reads what compaction leaves. A Java record that says
 * the same lacks what only ours say, so it spoils them too. */
static void set_tails(node *n, const rc_shared_record *record, int64_t stored_ms, bool ours_before,
                      rc_fold_result result)
{
    tail *t = record->kind == RC_SHARED_CONFIG ? &n->config_tail : &n->target_tail;
    const bool repeats = record->again && record->epoch > n->pub.epoch;

    t->stored_ms = stored_ms;
    if (result == RC_FOLD_VOID || (result == RC_FOLD_SAME && ours_before && record->rank == 0))
        n->config_tail.spoiled = n->target_tail.spoiled = true;
    else if (repeats)
        t->spoiled = false;
    if (repeats && record->kind == RC_SHARED_DELETED && result != RC_FOLD_VOID)
        n->config_tail.spoiled = false;
}

static rc_fold_result fold_connector(rc_shared *shared, const rc_shared_record *record,
                                     int64_t stored_ms)
{
    node *n = find(shared, record->connector);
    rc_fold_result result;
    bool ours_before;

    if (!n && HASH_COUNT(shared->nodes) >= RC_SHARED_CONNECTORS_MAX)
        return RC_FOLD_FULL;
    if (!n)
        n = add(shared, record->connector);
    ours_before = n->pub.rank != 0;
    if (record->kind == RC_SHARED_TASKS)
        result = fold_tasks(n, record);
    else if (record->rank)
        result = fold_ours(n, record, stored_ms);
    else
        result = fold_java(n, record, stored_ms);
    if (record->kind == RC_SHARED_TASKS) {
        tasks_tail(n, stored_ms, result);
        return result;
    }
    set_tails(n, record, stored_ms, ours_before, result);
    n->pub.epoch = RC_MAX(n->pub.epoch, record->epoch);
    return result;
}

/* ---- folding: states ------------------------------------------------------------------------- */

static char *state_key(rc_slice name, int task, size_t *ret_len)
{
    char *key = rc_format(RC_SLICE_FMT "%c%d", RC_SLICE_ARG(name), 1, task);

    key[name.len] = '\0'; /* no name has one */
    *ret_len = name.len + 1 + strlen(key + name.len + 1);
    return key;
}

static state_node *find_state(rc_shared *shared, rc_slice name, int task)
{
    size_t len;
    RC_AUTO_FREE char *key = state_key(name, task, &len);
    state_node *s = NULL;

    HASH_FIND(hh, shared->states, key, len, s);
    return s;
}

static state_node *add_state(rc_shared *shared, rc_slice name, int task)
{
    state_node *s = rc_calloc(1, sizeof *s);

    s->key = state_key(name, task, &s->key_len);
    s->pub.connector = s->key;
    s->pub.task = task;
    s->pub.epoch = s->pub.generation = -1;
    rc_arena_init(&s->arena, 256);
    HASH_ADD_KEYPTR(hh, shared->states, s->key, s->key_len, s);
    return s;
}

/* As Java: that of the connector or of one task removes them all. */
static rc_fold_result remove_states(rc_shared *shared, rc_slice name)
{
    rc_fold_result result = RC_FOLD_NONE;
    state_node *s, *next;

    HASH_ITER(hh, shared->states, s, next)
    {
        if (!omc_slice_is(name, s->pub.connector))
            continue;
        HASH_DEL(shared->states, s); /* NOLINT(clang-analyzer-unix.Malloc) */
        free_state(s);
        result = RC_FOLD_APPLIED;
    }
    return result;
}

/* Owners come one after the other; one owner's states, and Java's, in order of their times. */
static bool older_state(const state_node *s, const rc_shared_record *record)
{
    if (record->generation >= 0 && s->pub.generation >= 0 &&
        record->generation != s->pub.generation)
        return record->generation < s->pub.generation;
    return record->epoch < s->pub.epoch ||
           (record->epoch == s->pub.epoch && record->number <= s->number);
}

static const char *keep(state_node *s, rc_slice text)
{
    return text.base ? omc_copy(&s->arena.pub, text.base, text.len) : NULL;
}

static bool same_text(const char *a, rc_slice b)
{
    return a && b.base ? omc_slice_is(b, a) : !a && !b.base;
}

static bool same_state(const state_node *s, const rc_shared_record *record)
{
    return s->pub.epoch == record->epoch && s->pub.generation == record->generation &&
           same_text(s->pub.java, record->java) && same_text(s->pub.trace, record->trace) &&
           same_text(s->pub.worker, record->worker) &&
           same_text(s->pub.state, record->state.base ? record->state : record->java);
}

static void set_state(state_node *s, const rc_shared_record *record)
{
    rc_arena old = s->arena;

    rc_arena_init(&s->arena, 256);
    s->pub.java = keep(s, record->java);
    s->pub.state = record->state.base ? keep(s, record->state) : s->pub.java;
    s->pub.trace = keep(s, record->trace);
    s->pub.worker = keep(s, record->worker);
    s->pub.epoch = record->epoch;
    s->pub.generation = record->generation;
    s->number = record->number;
    rc_arena_release(&old);
}

static rc_fold_result fold_state(rc_shared *shared, const rc_shared_record *record,
                                 int64_t stored_ms)
{
    state_node *s = find_state(shared, record->connector, record->task);
    rc_fold_result result = RC_FOLD_APPLIED;

    if (omc_slice_is(record->java, "DESTROYED"))
        return remove_states(shared, record->connector);
    if (!s && HASH_COUNT(shared->states) >= RC_SHARED_STATES_MAX)
        return RC_FOLD_FULL;
    if (!s)
        s = add_state(shared, record->connector, record->task);
    if (s->pub.java && same_state(s, record))
        result = RC_FOLD_SAME;
    else if (s->pub.java && older_state(s, record))
        result = RC_FOLD_VOID;
    else
        set_state(s, record);
    s->pub.stored_ms = stored_ms;
    s->again = result == RC_FOLD_VOID;
    return result;
}

rc_fold_result rc_shared_fold(rc_shared *shared, const rc_shared_record *record, int64_t stored_ms)
{
    switch (record->kind) {
    case RC_SHARED_NONE:
        return RC_FOLD_NONE;
    case RC_SHARED_STATE:
        return fold_state(shared, record, stored_ms);
    default:
        return fold_connector(shared, record, stored_ms);
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

const rc_shared_connector *rc_shared_find(rc_shared *shared, const char *name)
{
    const node *n = find(shared, omc_slice_str(name));

    return n && n->known ? &n->pub : NULL;
}

static int by_name(const node *a, const node *b)
{
    return strcmp(a->pub.name, b->pub.name);
}

int rc_shared_each(rc_shared *shared, int (*each)(void *arg, const rc_shared_connector *connector),
                   void *arg)
{
    node *n, *next;
    int r = 0;

    HASH_SORT(shared->nodes, by_name);
    HASH_ITER(hh, shared->nodes, n, next)
    {
        if (n->known && (r = each(arg, &n->pub)) != 0)
            break;
    }
    return r;
}

const rc_shared_state *rc_shared_state_find(rc_shared *shared, const char *name, int task)
{
    const state_node *s = find_state(shared, omc_slice_str(name), task);

    return s ? &s->pub : NULL;
}

static int by_key(const state_node *a, const state_node *b)
{
    int order = strcmp(a->pub.connector, b->pub.connector);

    return order ? order : (a->pub.task > b->pub.task) - (a->pub.task < b->pub.task);
}

int rc_shared_each_state(rc_shared *shared, int (*each)(void *arg, const rc_shared_state *state),
                         void *arg)
{
    state_node *s, *next;
    int r = 0;

    HASH_SORT(shared->states, by_key);
    HASH_ITER(hh, shared->states, s, next)
    {
        if ((r = each(arg, &s->pub)) != 0)
            break;
    }
    return r;
}

/* ---- writing --------------------------------------------------------------------------------- */

int rc_shared_check(rc_shared *shared, const char *name, int64_t expected, rc_error *err)
{
    const node *n = find(shared, omc_slice_str(name));

    return rc_store_check_version(name, expected, n && live(n) ? n->pub.version : 0, err);
}

static int64_t next_epoch(const node *n, int64_t now_ms)
{
    return n ? RC_MAX(now_ms, n->pub.epoch + 1) : now_ms;
}

void rc_shared_next(rc_shared *shared, rc_shared_kind kind, const char *name, int64_t now_ms,
                    rc_shared_record *ret)
{
    const node *n = find(shared, omc_slice_str(name));
    const bool alive = n && live(n);

    RC_ASSERT(kind == RC_SHARED_CONFIG || alive);
    *ret = (rc_shared_record){
        .kind = kind,
        .connector = omc_slice_str(name),
        .rank = n ? n->pub.rank + 1 : 1,
        .epoch = next_epoch(n, now_ms),
        .version = (n ? n->pub.version : 0) + (kind == RC_SHARED_TARGET ? 0 : 1),
        .incarnation = alive ? n->pub.incarnation
                       : n   ? n->pub.rank + 1
                             : 1,
        .target = alive ? n->pub.target : RC_TARGET_STARTED,
        .config = alive ? n->pub.config : NULL,
        .generation = -1,
        .task = -1,
    };
}

void rc_shared_forget_log(rc_shared *shared)
{
    const tail unseen = {.stored_ms = UNSEEN};
    node *n, *next;

    HASH_ITER(hh, shared->nodes, n, next)
    {
        n->config_tail = n->target_tail = n->tasks_tail = unseen;
    }
}

typedef struct merge {
    rc_shared *to;
    bool only_new;
    int count;
} merge;

static rc_shared_record whole(const rc_shared_connector *c)
{
    return (rc_shared_record){
        .kind = c->deleted ? RC_SHARED_DELETED : RC_SHARED_CONFIG,
        .connector = omc_slice_str(c->name),
        .rank = c->rank,
        .again = true,
        .epoch = c->epoch,
        .version = c->version,
        .incarnation = c->incarnation,
        .target = c->target,
        .config = c->config,
        .generation = -1,
        .task = -1,
    };
}

static void merge_tasks(rc_shared *to, const rc_shared_connector *c)
{
    node *n = find(to, omc_slice_str(c->name));
    rc_shared_record record = whole(c);

    record.kind = RC_SHARED_TASKS;
    record.rank = 0;
    record.version = c->tasks_version;
    record.generation = c->generation;
    record.number = c->number;
    record.tasks = c->tasks;
    record.task_count = c->task_count;
    if (!n || !n->known || same_tasks(n, &record) || older_tasks(n, &record))
        return;
    set_tasks(n, &record);
    n->tasks_tail.stored_ms = UNSEEN;
}

static int merge_one(void *arg, const rc_shared_connector *c)
{
    merge *m = arg;
    const rc_shared_record record = whole(c);
    node *n = find(m->to, record.connector);
    const bool known = n && n->known;

    if (known && m->only_new)
        return 0;
    if (!known || c->rank > n->pub.rank || (c->rank == n->pub.rank && !says_the_same(n, &record))) {
        if (fold_connector(m->to, &record, c->changed_ms) != RC_FOLD_APPLIED)
            return 0;
        n = find(m->to, record.connector);
        n->config_tail.stored_ms = n->target_tail.stored_ms = UNSEEN;
        m->count++;
    }
    if (c->tasks)
        merge_tasks(m->to, c);
    return 0;
}

int rc_shared_merge(rc_shared *to, rc_shared *from, bool only_new)
{
    merge m = {.to = to, .only_new = only_new};

    (void)rc_shared_each(from, merge_one, &m);
    return m.count;
}

/* ---- writing again --------------------------------------------------------------------------- */

typedef struct again {
    int64_t before_ms, now_ms;
    rc_again_fn *each;
    void *arg;
    size_t count;
} again;

static void emit(again *a, const rc_shared_record *record, bool spoiled)
{
    a->count++;
    a->each(a->arg, record, spoiled ? RC_AGAIN_SPOILED : RC_AGAIN_OLD);
}

static bool old(const tail *t, const again *a)
{
    return t->stored_ms == UNSEEN || t->stored_ms < a->before_ms || a->before_ms == INT64_MAX;
}

static rc_shared_record repeat(const node *n, rc_shared_kind kind, const again *a)
{
    return (rc_shared_record){
        .kind = kind,
        .connector = omc_slice_str(n->pub.name),
        .rank = n->pub.rank,
        .again = true,
        .epoch = next_epoch(n, a->now_ms),
        .version = n->pub.version,
        .incarnation = n->pub.incarnation,
        .target = n->pub.target,
        .config = n->pub.config,
        .generation = -1,
        .task = -1,
    };
}

/* The configuration goes first: for Java it creates, and what follows changes. */
static void again_connector(const node *n, again *a)
{
    const bool spoiled = n->config_tail.spoiled || n->target_tail.spoiled;
    rc_shared_record record;

    if (n->pub.deleted) {
        if (!spoiled && !old(&n->target_tail, a))
            return;
        record = repeat(n, RC_SHARED_DELETED, a);
        emit(a, &record, spoiled);
        return;
    }
    if (!spoiled && !old(&n->config_tail, a))
        return;
    record = repeat(n, RC_SHARED_CONFIG, a);
    emit(a, &record, spoiled);
    if (!spoiled)
        return;
    record = repeat(n, RC_SHARED_TARGET, a);
    record.epoch++;
    emit(a, &record, true);
}

static void again_tasks(const node *n, again *a)
{
    rc_shared_record record = repeat(n, RC_SHARED_TASKS, a);

    if (n->pub.deleted || !n->pub.tasks || (!n->tasks_tail.spoiled && !old(&n->tasks_tail, a)))
        return;
    record.rank = 0;
    record.version = n->pub.tasks_version;
    record.generation = n->pub.generation;
    record.number = n->pub.number;
    record.tasks = n->pub.tasks;
    record.task_count = n->pub.task_count;
    emit(a, &record, n->tasks_tail.spoiled);
}

static void again_state(const state_node *s, again *a)
{
    const rc_shared_record record = {
        .kind = RC_SHARED_STATE,
        .connector = omc_slice_str(s->pub.connector),
        .again = true,
        .epoch = s->pub.epoch,
        .generation = s->pub.generation,
        .number = s->number,
        .task = s->pub.task,
        .java = omc_slice_str(s->pub.java),
        .state = s->pub.state == s->pub.java ? omc_slice_of(NULL, 0) : omc_slice_str(s->pub.state),
        .trace = s->pub.trace ? omc_slice_str(s->pub.trace) : omc_slice_of(NULL, 0),
        .worker = omc_slice_str(s->pub.worker),
    };

    if (s->again || s->pub.stored_ms < a->before_ms)
        emit(a, &record, s->again);
}

size_t rc_shared_again(rc_shared *shared, const char *only, int64_t before_ms, int64_t now_ms,
                       rc_again_fn *each, void *arg)
{
    again a = {.before_ms = before_ms, .now_ms = now_ms, .each = each, .arg = arg};
    node *n, *next_node;
    state_node *s, *next_state;

    HASH_ITER(hh, shared->nodes, n, next_node)
    {
        if (!n->known || (only && strcmp(n->pub.name, only) != 0))
            continue;
        again_connector(n, &a);
        again_tasks(n, &a);
    }
    HASH_ITER(hh, shared->states, s, next_state)
    {
        if (!only || strcmp(s->pub.connector, only) == 0)
            again_state(s, &a);
    }
    return a.count;
}
