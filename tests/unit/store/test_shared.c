/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The shared state: records of a real Java runtime, records of ours there and back, and the fold:
 * by cases, and by random histories of several writers, whose readers must agree whatever
 * compaction and retention have left, and with them a reader that goes by the Java runtime's rules.
 */
#include "base/file.h"
#include "base/hash.h"
#include "config/options.h"
#include "record/json.h"
#include "store/shared_codec.h"
#include "store/snapshot.h"
#include "unit.h"

#define NONE omc_slice_of(NULL, 0)

typedef struct fixture {
    rc_shared *shared;
    rc_arena arena;
} fixture;

static int setup(void **state)
{
    fixture *f = rc_calloc(1, sizeof *f);

    f->shared = rc_shared_new();
    rc_arena_init(&f->arena, 4096);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;

    rc_shared_free(f->shared);
    rc_arena_release(&f->arena);
    free(f);
    return 0;
}

static const omc_keyvalue *config(omc_arena *arena, const char *value)
{
    rc_kv kv;

    rc_kv_init(&kv, arena);
    rc_kv_put_str(&kv, "connector.class", "file-source");
    rc_kv_put_str(&kv, "filename", value);
    return rc_kv_done(&kv);
}

static rc_shared_record next(fixture *f, rc_shared_kind kind, const char *name, const char *value)
{
    rc_shared_record record;

    rc_shared_next(f->shared, kind, name, 1000, &record);
    if (kind == RC_SHARED_CONFIG)
        record.config = config(&f->arena.pub, value);
    return record;
}

static rc_fold_result fold(fixture *f, const rc_shared_record *record)
{
    return rc_shared_fold(f->shared, record, 5000);
}

static const char *value_of(fixture *f, const char *name)
{
    const rc_shared_connector *c = rc_shared_find(f->shared, name);

    return c && !c->deleted ? rc_kv_text(c->config, "filename", "-", &f->arena.pub) : "none";
}

/* ---- the Java runtime's records -------------------------------------------------------------- */

typedef struct dump {
    rc_arena arena;
    rc_shared_record *records;
    const char **topics;
    size_t count;
} dump;

static void read_dump(dump *d)
{
    RC_AUTO_FREE char *text = NULL;
    size_t len, lines = 0;
    char *save = NULL;
    rc_error err = {0};

    rc_arena_init(&d->arena, 65536);
    if (rc_file_read(RC_JAVA_STATE "/dump.jsonl", 1 << 20, &text, &len, &err) < 0)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    d->records = omc_alloc(&d->arena.pub, lines * sizeof *d->records);
    d->topics = omc_alloc(&d->arena.pub, lines * sizeof *d->topics);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        const omc_map *map = NULL;
        rc_slice copy = rc_arena_slice(&d->arena.pub, omc_slice_str(line)), topic;
        char why[RC_SHARED_WHY_MAX];

        assert_int_equal(rc_json_to_map(copy, &d->arena.pub, &map, NULL), 0);
        topic = omc_map_get(map, "topic")->u.bytes;
        rc_shared_decode(omc_map_get(map, "keys")->u.bytes, omc_map_get(map, "body")->u.bytes, NULL,
                         0, &d->arena.pub, &d->records[d->count], why);
        if (!omc_slice_is(topic, "connector-position-topic"))
            assert_string_equal(why, "");
        d->topics[d->count++] = omc_copy(&d->arena.pub, topic.base, topic.len);
    }
    assert_int_equal(d->count, lines);
}

static size_t fold_dump(fixture *f, const dump *d, const char *topic, size_t from, size_t to)
{
    size_t n = 0;

    for (size_t i = 0; i < d->count; i++)
        if (strcmp(d->topics[i], topic) == 0) {
            if (n >= from && n < to)
                (void)fold(f, &d->records[i]);
            n++;
        }
    return n;
}

static void java_records_are_understood(void **state)
{
    fixture *f = *state;
    const rc_shared_connector *c;
    const rc_shared_state *s;
    dump d = {0};

    read_dump(&d);
    (void)fold_dump(f, &d, "connector-config-topic", 0, 8);
    assert_string_equal(value_of(f, "src0"), "/tmp/peer-rest-in.txt");
    assert_string_equal(value_of(f, "a b\xc3\xa9"), "/tmp/peer-rest-out3.txt");
    c = rc_shared_find(f->shared, "src1");
    assert_int_equal(c->version, 2);
    assert_int_equal(c->rank, INT64_C(1795365843454)); /* its epoch */
    assert_int_equal(c->target, RC_TARGET_STARTED);
    assert_string_equal(rc_kv_text(c->config, "max.tasks", "", &f->arena.pub), "1");
    (void)fold_dump(f, &d, "connector-config-topic", 8, 10);
    assert_int_equal(rc_shared_find(f->shared, "src1")->target, RC_TARGET_PAUSED);
    (void)fold_dump(f, &d, "connector-config-topic", 10, 11);
    assert_int_equal(rc_shared_find(f->shared, "src1")->target, RC_TARGET_STARTED);
    assert_int_equal(fold_dump(f, &d, "connector-config-topic", 11, 1000), 29);
    assert_true(rc_shared_find(f->shared, "src1")->deleted);
    assert_true(rc_shared_find(f->shared, "badconv")->deleted);
    (void)fold_dump(f, &d, "connector-status-topic", 0, 1000);
    s = rc_shared_state_find(f->shared, "src0", 0);
    assert_string_equal(s->java, "UNASSIGNED");
    assert_string_equal(s->worker, "d1");
    assert_int_equal(s->epoch, INT64_C(1795365841877));
    assert_string_equal(rc_shared_state_find(f->shared, "src1", -1)->state, "RUNNING");
    rc_arena_release(&d.arena);
}

/* A worker that was away re-sends its old table at its start. */
static void java_tables_resurrect_nothing(void **state)
{
    fixture *f = *state;
    rc_shared_record old = {.kind = RC_SHARED_CONFIG,
                            .connector = omc_slice_str("c"),
                            .epoch = 1000,
                            .target = RC_TARGET_STARTED,
                            .generation = -1};
    rc_shared_record gone = {.kind = RC_SHARED_DELETED,
                             .connector = omc_slice_str("c"),
                             .epoch = 2000,
                             .generation = -1};

    old.config = config(&f->arena.pub, "java");
    assert_int_equal(fold(f, &old), RC_FOLD_APPLIED);
    assert_int_equal(fold(f, &old), RC_FOLD_SAME);
    assert_int_equal(fold(f, &gone), RC_FOLD_APPLIED);
    assert_int_equal(fold(f, &old), RC_FOLD_VOID);
    assert_string_equal(value_of(f, "c"), "none");
    old.epoch = 3000;
    assert_int_equal(fold(f, &old), RC_FOLD_APPLIED);
    assert_int_equal(rc_shared_find(f->shared, "c")->incarnation, 2001);
    /* Deleted by ours; the same table once more. */
    gone = next(f, RC_SHARED_DELETED, "c", NULL);
    assert_int_equal(fold(f, &gone), RC_FOLD_APPLIED);
    assert_int_equal(fold(f, &old), RC_FOLD_VOID);
    assert_string_equal(value_of(f, "c"), "none");
}

/* ---- there and back -------------------------------------------------------------------------- */

static rc_shared_record there_and_back(fixture *f, const rc_shared_record *record)
{
    rc_shared_message message;
    rc_shared_record back;
    char why[RC_SHARED_WHY_MAX];
    rc_error err = {0};

    if (rc_shared_encode(record, &f->arena.pub, &message, &err) < 0)
        fail_msg("encode: %s", err.msg);
    rc_shared_decode(message.keys, message.body, message.properties, message.property_count,
                     &f->arena.pub, &back, why);
    if (back.kind != record->kind)
        fail_msg("kind %d came back as %d: %s", record->kind, back.kind, why);
    assert_true(omc_slice_eq(back.connector, record->connector));
    assert_int_equal(back.epoch, record->epoch);
    assert_int_equal(back.rank, record->rank);
    assert_int_equal(back.again, record->again && record->kind != RC_SHARED_STATE);
    return back;
}

static void records_come_back(void **state)
{
    fixture *f = *state;
    rc_shared_record record = {.kind = RC_SHARED_CONFIG,
                               .connector = omc_slice_str("na-me 1\xc3\xa9\""),
                               .rank = 7,
                               .epoch = 1795365843454,
                               .version = 3,
                               .incarnation = 2,
                               .target = RC_TARGET_STOPPED,
                               .written = omc_slice_str("w.1"),
                               .generation = -1};
    rc_shared_record back;
    const omc_keyvalue *tasks[2];

    record.config = config(&f->arena.pub, "line\nbreak \"q\" \xe2\x82\xac");
    back = there_and_back(f, &record);
    assert_true(rc_kv_equal(back.config, record.config));
    assert_int_equal(back.target, RC_TARGET_STOPPED);
    assert_int_equal(back.version * 10 + back.incarnation, 32);
    assert_true(omc_slice_is(back.written, "w.1"));
    record.again = true;
    (void)there_and_back(f, &record);
    record.kind = RC_SHARED_TARGET;
    assert_int_equal(there_and_back(f, &record).target, RC_TARGET_STOPPED);
    record.kind = RC_SHARED_DELETED;
    (void)there_and_back(f, &record);
    record.kind = RC_SHARED_TASKS;
    record.rank = 0;
    record.generation = 5;
    record.number = 9;
    tasks[0] = config(&f->arena.pub, "a");
    tasks[1] = config(&f->arena.pub, "b\\");
    record.tasks = tasks;
    record.task_count = 2;
    back = there_and_back(f, &record);
    assert_int_equal(back.task_count, 2);
    assert_true(rc_kv_equal(back.tasks[1], tasks[1]));
    assert_int_equal(back.generation * 10 + back.number, 59);
}

static void states_come_back(void **state)
{
    fixture *f = *state;
    rc_shared_record record = {.kind = RC_SHARED_STATE,
                               .connector = omc_slice_str("a-b-1"),
                               .epoch = 77,
                               .generation = 4,
                               .number = 0,
                               .task = 12,
                               .java = omc_slice_str("FAILED"),
                               .state = omc_slice_str("STUCK"),
                               .trace = omc_slice_str("at line\n1"),
                               .worker = omc_slice_str("w1")};
    rc_shared_record back = there_and_back(f, &record);

    assert_int_equal(back.task, 12);
    assert_true(omc_slice_is(back.state, "STUCK"));
    assert_true(omc_slice_is(back.trace, "at line\n1"));
    record.task = -1;
    record.state = record.trace = NONE;
    back = there_and_back(f, &record);
    assert_int_equal(back.task, -1);
    assert_null(back.state.base);
    assert_null(back.trace.base);
}

static void what_cannot_be_a_record_is_refused(void **state)
{
    fixture *f = *state;
    rc_shared_message message;
    rc_error err = {0};
    char *big = rc_calloc(1, RC_SHARED_BODY_MAX + 2);
    rc_shared_record record = next(f, RC_SHARED_CONFIG, "c", "x");

    record.config = config(&f->arena.pub, "bad \xff byte");
    assert_int_equal(rc_shared_encode(&record, &f->arena.pub, &message, &err), -OMC_EINVAL);
    assert_non_null(strstr(err.msg, "filename"));
    memset(big, 'x', RC_SHARED_BODY_MAX);
    record.config = config(&f->arena.pub, big);
    assert_int_equal(rc_shared_encode(&record, &f->arena.pub, &message, &err), -OMC_EINVAL);
    free(big);
}

/* Whatever others put into the topic is told apart from what it is not. */
static void foreign_records_are_none(void **state)
{
    static const struct {
        const char *key, *body, *rank, *why;
    } cases[] = {
        {"connector-c", "", NULL, "no JSON"},
        {"connector-c", "{\"schema\":null}", NULL, "no payload"},
        {"connector-c", "{\"payload\":{\"epoch\":1}}", NULL, "STARTED"},
        {"connector-c", "{\"payload\":{\"epoch\":-1,\"state\":\"STARTED\",\"properties\":{}}}",
         NULL, "no epoch"},
        {"connector-c", "{\"payload\":{\"epoch\":1e30,\"state\":\"STARTED\",\"properties\":{}}}",
         NULL, "no epoch"},
        {"connector-c", "{\"payload\":{\"epoch\":1,\"state\":\"X\",\"properties\":{}}}", NULL,
         "STARTED"},
        {"connector-c", "{\"payload\":{\"epoch\":1,\"state\":\"PAUSED\",\"properties\":{\"a\":1}}}",
         NULL, "no texts"},
        {"connector-c", "{\"payload\":{\"epoch\":1,\"state\":\"PAUSED\",\"properties\":{}}}", "0",
         "__rc.rank"},
        {"connector-c", "{\"payload\":{\"epoch\":1,\"state\":\"PAUSED\",\"properties\":{}}}", "5",
         "__rc.version"},
        {"tasks-c", "{\"payload\":{\"epoch\":1,\"properties\":{\"count\":\"2\"}}}", NULL, "count"},
        {"status-connector-c", "{\"payload\":{\"state\":\"RUNNING\"}}", NULL, "generation"},
        {"status-task-c", "{}", NULL, ""},
        {"task-c-0", "{\"payload\":{\"epoch\":1,\"properties\":{}}}", NULL, ""},
        {"start-signal", "{}", NULL, ""},
        {"connector-", "{}", NULL, ""},
        {"\xff\xff", "{}", NULL, ""},
    };
    fixture *f = *state;

    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rmq_property rank = {omc_slice_str("__rc.rank"),
                             omc_slice_str(cases[i].rank ? cases[i].rank : "")};
        rc_shared_record record;
        char why[RC_SHARED_WHY_MAX];

        rc_shared_decode(rc_base64_encode(&f->arena.pub, omc_slice_str(cases[i].key)),
                         omc_slice_str(cases[i].body), &rank, cases[i].rank ? 1 : 0, &f->arena.pub,
                         &record, why);
        if (record.kind != RC_SHARED_NONE || !strstr(why, cases[i].why) || (!*cases[i].why && *why))
            fail_msg("case %zu: kind %d, '%s'", i, record.kind, why);
    }
}

/* ---- the fold -------------------------------------------------------------------------------- */

static void first_of_two_wins(void **state)
{
    fixture *f = *state;
    rc_shared_record a = next(f, RC_SHARED_CONFIG, "c", "a"),
                     b = next(f, RC_SHARED_CONFIG, "c", "b");
    rc_error err = {0};

    assert_int_equal(a.rank, b.rank);
    assert_int_equal(fold(f, &a), RC_FOLD_APPLIED);
    assert_int_equal(fold(f, &b), RC_FOLD_VOID);
    assert_int_equal(fold(f, &a), RC_FOLD_SAME); /* a copy that landed late */
    assert_string_equal(value_of(f, "c"), "a");
    assert_int_equal(rc_shared_check(f->shared, "c", 0, &err), -OMC_ESTATE);
    assert_int_equal(rc_shared_check(f->shared, "c", 2, &err), -OMC_ESTATE);
    assert_int_equal(rc_shared_check(f->shared, "c", 1, &err), 0);
    assert_int_equal(rc_shared_check(f->shared, "d", 0, &err), 0);
}

static void a_change_of_target_is_of_one_incarnation(void **state)
{
    fixture *f = *state;
    rc_shared_record r = next(f, RC_SHARED_CONFIG, "c", "a"), pause;

    (void)fold(f, &r);
    pause = next(f, RC_SHARED_TARGET, "c", NULL);
    pause.target = RC_TARGET_PAUSED;
    pause.rank += 5; /* of a writer who has seen more than is kept */
    r = next(f, RC_SHARED_DELETED, "c", NULL);
    (void)fold(f, &r);
    r = next(f, RC_SHARED_CONFIG, "c", "b");
    (void)fold(f, &r);
    assert_int_equal(fold(f, &pause), RC_FOLD_VOID);
    assert_int_equal(rc_shared_find(f->shared, "c")->target, RC_TARGET_STARTED);
    assert_int_equal(rc_shared_find(f->shared, "c")->version, 3);
}

static void the_highest_generation_has_the_tasks(void **state)
{
    fixture *f = *state;
    const omc_keyvalue *list[] = {config(&f->arena.pub, "t0")};
    rc_shared_record r = next(f, RC_SHARED_CONFIG, "c", "a"), tasks;

    (void)fold(f, &r);
    tasks = next(f, RC_SHARED_TARGET, "c", NULL);
    tasks.kind = RC_SHARED_TASKS;
    tasks.rank = 0;
    tasks.generation = 5;
    tasks.tasks = list;
    tasks.task_count = 1;
    assert_int_equal(fold(f, &tasks), RC_FOLD_APPLIED);
    assert_int_equal(fold(f, &tasks), RC_FOLD_SAME);
    tasks.generation = 4;
    assert_int_equal(fold(f, &tasks), RC_FOLD_VOID);
    tasks.generation = 5;
    tasks.number = 1;
    tasks.task_count = 0;
    assert_int_equal(fold(f, &tasks), RC_FOLD_APPLIED);
    assert_int_equal(rc_shared_find(f->shared, "c")->task_count, 0);
    r = next(f, RC_SHARED_DELETED, "c", NULL);
    (void)fold(f, &r);
    assert_int_equal(fold(f, &tasks), RC_FOLD_VOID);
}

static void states_go_by_owner_then_time(void **state)
{
    fixture *f = *state;
    rc_shared_record s = {.kind = RC_SHARED_STATE,
                          .connector = omc_slice_str("c"),
                          .task = 0,
                          .epoch = 100,
                          .generation = 2,
                          .java = omc_slice_str("RUNNING"),
                          .worker = omc_slice_str("w")};

    assert_int_equal(fold(f, &s), RC_FOLD_APPLIED);
    s.epoch = 50;
    assert_int_equal(fold(f, &s), RC_FOLD_VOID);
    s.generation = 3; /* whose clock is behind */
    assert_int_equal(fold(f, &s), RC_FOLD_APPLIED);
    s.generation = 2;
    s.epoch = 500; /* the old owner, late */
    assert_int_equal(fold(f, &s), RC_FOLD_VOID);
    s.task = -1;
    s.java = omc_slice_str("DESTROYED");
    assert_int_equal(fold(f, &s), RC_FOLD_APPLIED);
    assert_null(rc_shared_state_find(f->shared, "c", 0));
}

/* ---- the file -------------------------------------------------------------------------------- */

static void the_file_comes_back(void **state)
{
    fixture *f = *state;
    const omc_keyvalue *list[] = {config(&f->arena.pub, "t0")};
    rc_snapshot_queue queue = {"broker-a", 0, 12};
    rc_snapshot head = {.topic = "t", .queues = &queue, .queue_count = 1}, back;
    rc_buf a = RC_BUF(1 << 20), b = RC_BUF(1 << 20);
    rc_shared *other = rc_shared_new();
    rc_shared_record r = next(f, RC_SHARED_CONFIG, "c", "a");
    rc_error err = {0};

    (void)fold(f, &r);
    r = next(f, RC_SHARED_TARGET, "c", NULL);
    r.kind = RC_SHARED_TASKS;
    r.rank = 0;
    r.generation = 3;
    r.tasks = list;
    r.task_count = 1;
    (void)fold(f, &r);
    r = next(f, RC_SHARED_CONFIG, "d", "b");
    (void)fold(f, &r);
    r = next(f, RC_SHARED_DELETED, "d", NULL);
    (void)fold(f, &r);
    rc_snapshot_write(f->shared, &head, NULL, NULL, &a);
    if (rc_snapshot_read(rc_buf_slice(&a), other, &f->arena.pub, &back, &err) < 0)
        fail_msg("%s in %.*s", err.msg, (int)a.len, a.data);
    assert_int_equal(back.queues[0].next, 12);
    rc_snapshot_write(other, &back, NULL, NULL, &b);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    assert_int_equal(rc_snapshot_read(omc_slice_str("{}"), other, &f->arena.pub, &back, &err),
                     -OMC_EFORMAT);
    a.data[a.len / 2] = '\x01';
    assert_int_equal(rc_snapshot_read(rc_buf_slice(&a), other, &f->arena.pub, &back, &err),
                     -OMC_EFORMAT);
    rc_shared_free(other);
    rc_buf_release(&a);
    rc_buf_release(&b);
}

/* ---- random histories ------------------------------------------------------------------------ */

#define WRITERS 4
#define NAMES 3
#define STEPS 120
#define LOG_MAX 4000

typedef struct world {
    rc_arena arena;
    rc_shared_message log[LOG_MAX];
    size_t count;
    rc_shared *full;             /* has read everything */
    rc_shared *writers[WRITERS]; /* behind */
    size_t read[WRITERS];
    int64_t now_ms[WRITERS]; /* their clocks differ */
    uint64_t seed;
} world;

static uint32_t draw(world *w, uint32_t below)
{
    w->seed = w->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(w->seed >> 33) % below;
}

static rc_fold_result read_record(world *w, rc_shared *shared, const rc_shared_message *message)
{
    rc_shared_record record;

    rc_shared_decode(message->keys, message->body, message->properties, message->property_count,
                     &w->arena.pub, &record, NULL);
    assert_int_not_equal(record.kind, RC_SHARED_NONE);
    return rc_shared_fold(shared, &record, 1000);
}

static void append(void *arg, const rc_shared_record *record, rc_again_why why)
{
    world *w = arg;
    rc_error err = {0};

    (void)why;
    assert_true(w->count < LOG_MAX);
    if (rc_shared_encode(record, &w->arena.pub, &w->log[w->count], &err) < 0)
        fail_msg("%s", err.msg);
    w->count++;
}

static void random_write(world *w, int writer)
{
    static const char *const names[NAMES] = {"a", "b", "c"};
    const char *name = names[draw(w, NAMES)];
    rc_shared *shared = w->writers[writer];
    const rc_shared_connector *c = rc_shared_find(shared, name);
    bool alive = c && !c->deleted;
    const omc_keyvalue *tasks[2] = {config(&w->arena.pub, "t0"), config(&w->arena.pub, "t1")};
    rc_shared_record r;
    uint32_t what = draw(w, 10);

    w->now_ms[writer] += draw(w, 50);
    if (!alive || what < 4) {
        rc_shared_next(shared, RC_SHARED_CONFIG, name, w->now_ms[writer], &r);
        r.config = config(&w->arena.pub, rc_arena_format(&w->arena.pub, "%u", draw(w, 1000)));
    } else if (what < 8) {
        rc_shared_next(shared, RC_SHARED_TARGET, name, w->now_ms[writer], &r);
        r.target = (rc_target_state)(1 + draw(w, 3));
    } else if (what < 9) {
        rc_shared_next(shared, RC_SHARED_DELETED, name, w->now_ms[writer], &r);
    } else {
        rc_shared_next(shared, RC_SHARED_TARGET, name, w->now_ms[writer], &r);
        r.kind = RC_SHARED_TASKS;
        r.rank = 0;
        r.generation = draw(w, 20);
        r.tasks = tasks;
        r.task_count = draw(w, 3);
    }
    append(w, &r, RC_AGAIN_OLD);
}

static void catch_up(world *w, rc_shared *shared, size_t *from, size_t to)
{
    for (; *from < to; (*from)++)
        (void)read_record(w, shared, &w->log[*from]);
}

static rc_slice picture(rc_shared *shared, omc_arena *arena)
{
    rc_snapshot head = {.topic = ""};
    rc_buf out = RC_BUF(1 << 20), kept = RC_BUF(1 << 20);
    rc_slice all, ret;

    rc_snapshot_write(shared, &head, NULL, NULL, &out);
    all = rc_buf_slice(&out);
    /* Epochs and times of change may differ: they are for Java and for people. */
    for (size_t i = 0; i < all.len;) {
        if (strncmp(all.base + i, "\"epoch\"", 7) == 0)
            while (i < all.len && all.base[i] != '\n')
                i++;
        else
            rc_buf_char(&kept, all.base[i++]);
    }
    ret = rc_arena_slice(arena, rc_buf_slice(&kept));
    rc_buf_release(&out);
    rc_buf_release(&kept);
    return ret;
}

/* What is left when a key's last record is all there is; a random prefix may be uncompacted. */
static rc_shared *read_compacted(world *w, size_t clean_to)
{
    rc_shared *shared = rc_shared_new();

    for (size_t i = 0; i < w->count; i++) {
        bool last = true;

        for (size_t j = i + 1; last && i < clean_to && j < w->count; j++)
            last = !omc_slice_eq(w->log[i].keys, w->log[j].keys);
        if (last || i >= clean_to)
            (void)read_record(w, shared, &w->log[i]);
    }
    return shared;
}

/* A Java worker's table, by its own rules. */
typedef struct java {
    char name[8];
    bool there;
    int64_t epoch;
    const omc_keyvalue *config;
    const char *target;
} java;

static java *java_entry(java *table, rc_slice name)
{
    for (size_t i = 0; i < NAMES; i++) {
        if (!table[i].name[0])
            (void)snprintf(table[i].name, sizeof table[i].name, RC_SLICE_FMT, RC_SLICE_ARG(name));
        if (omc_slice_is(name, table[i].name))
            return &table[i];
    }
    fail_msg("too many names");
    return NULL;
}

static void java_read(world *w, java *table, const rc_shared_message *message)
{
    rc_shared_record r;
    java *j;

    rc_shared_decode(message->keys, message->body, NULL, 0, &w->arena.pub, &r, NULL);
    if (r.kind == RC_SHARED_NONE) /* tasks without our properties: Java discards their key */
        return;
    j = java_entry(table, r.connector);
    if (r.kind == RC_SHARED_CONFIG &&
        (!j->there || (!rc_kv_equal(j->config, r.config) && r.epoch > j->epoch)))
        *j = (java){.there = true,
                    .epoch = r.epoch,
                    .config = r.config,
                    .target = rc_shared_java_target(r.target),
                    .name = {j->name[0]}};
    else if (r.kind == RC_SHARED_TARGET && j->there && r.epoch > j->epoch)
        j->target = rc_shared_java_target(r.target);
    else if (r.kind == RC_SHARED_DELETED && j->there && r.epoch > j->epoch)
        j->there = false;
}

static void check_java(world *w, const java *table, const char *how)
{
    for (size_t i = 0; i < NAMES; i++) {
        const rc_shared_connector *c =
            table[i].name[0] ? rc_shared_find(w->full, table[i].name) : NULL;
        bool alive = c && !c->deleted;

        if (alive != table[i].there ||
            (alive && (!rc_kv_equal(c->config, table[i].config) ||
                       strcmp(rc_shared_java_target(c->target), table[i].target) != 0)))
            fail_msg("seed %llu: a Java runtime that reads %s sees '%s' otherwise",
                     (unsigned long long)w->seed, how, table[i].name);
    }
}

static void java_agrees(world *w)
{
    java all[NAMES] = {0}, left[NAMES] = {0};

    for (size_t i = 0; i < w->count; i++) {
        bool last = true;

        for (size_t j = i + 1; last && j < w->count; j++)
            last = !omc_slice_eq(w->log[i].keys, w->log[j].keys);
        java_read(w, all, &w->log[i]);
        if (last)
            java_read(w, left, &w->log[i]);
    }
    check_java(w, all, "everything");
    check_java(w, left, "what compaction left");
}

/* Writes again what is spoiled until nothing is: each time, what was written is read first. */
static void settle(world *w, size_t *read)
{
    int rounds = 0;

    catch_up(w, w->full, read, w->count);
    while (rc_shared_again(w->full, NULL, INT64_MIN + 1, 1000000 + rounds, append, w)) {
        assert_true(++rounds < 5);
        catch_up(w, w->full, read, w->count);
    }
}

static void one_history(uint64_t seed)
{
    world *w = rc_calloc(1, sizeof *w);
    size_t read = 0;
    rc_slice want;

    w->seed = seed;
    w->full = rc_shared_new();
    rc_arena_init(&w->arena, 65536);
    for (int i = 0; i < WRITERS; i++) {
        w->writers[i] = rc_shared_new();
        w->now_ms[i] = 1000 + 500 * i;
    }
    for (int step = 0; step < STEPS; step++) {
        int writer = (int)draw(w, WRITERS);

        if (draw(w, 3) == 0)
            catch_up(w, w->writers[writer], &w->read[writer], w->count);
        random_write(w, writer);
    }
    settle(w, &read);
    want = picture(w->full, &w->arena.pub);
    for (int i = 0; i < WRITERS; i++) {
        catch_up(w, w->writers[i], &w->read[i], w->count);
        assert_true(omc_slice_eq(want, picture(w->writers[i], &w->arena.pub)));
        rc_shared_free(w->writers[i]);
    }
    for (size_t clean = 0; clean <= w->count; clean = RC_MIN(clean + 1 + draw(w, 40), w->count)) {
        rc_shared *fresh = read_compacted(w, clean);
        rc_slice got = picture(fresh, &w->arena.pub);

        if (!omc_slice_eq(want, got))
            fail_msg("seed %llu, compacted up to %zu of %zu:\n" RC_SLICE_FMT "\n" RC_SLICE_FMT,
                     (unsigned long long)seed, clean, w->count, RC_SLICE_ARG(want),
                     RC_SLICE_ARG(got));
        rc_shared_free(fresh);
        if (clean == w->count)
            break;
    }
    java_agrees(w);
    rc_shared_free(w->full);
    rc_arena_release(&w->arena);
    free(w);
}

static void readers_agree_whatever_is_left(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++)
        one_history(seed);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH(java_records_are_understood),
        WITH(java_tables_resurrect_nothing),
        WITH(records_come_back),
        WITH(states_come_back),
        WITH(what_cannot_be_a_record_is_refused),
        WITH(foreign_records_are_none),
        WITH(first_of_two_wins),
        WITH(a_change_of_target_is_of_one_incarnation),
        WITH(the_highest_generation_has_the_tasks),
        WITH(states_go_by_owner_then_time),
        WITH(the_file_comes_back),
        cmocka_unit_test(readers_agree_whatever_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
