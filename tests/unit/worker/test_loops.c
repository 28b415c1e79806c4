/* SPDX-License-Identifier: Apache-2.0 */
/* The source and sink loops with plugins that do what they may, and what they should not. */
#include "unit.h"

#include "toys.h"
#include "worker/hooks.h"

#include <stdio.h>
#include <time.h>

#define SOURCE "connector.class=hook-source", "connect.topicname=t"
#define SINK "connector.class=hook-sink", "connect.topicnames=t"
#define LINES(n) "connector.class=toy-source", "connect.topicname=t", "to=" #n
#define assert_ok(r, err)              \
    do {                               \
        if ((r) < 0)                   \
            fail_msg("%s", (err).msg); \
    } while (0)

static atomic_int calls, others, put_records;
static atomic_bool gate, failed;

static void open_rig(toy_rig *rig, void (*tune)(rc_worker_config *config))
{
    atomic_store(&calls, 0);
    atomic_store(&others, 0);
    atomic_store(&put_records, 0);
    atomic_store(&gate, false);
    atomic_store(&failed, false);
    toy_rig_open(rig, tune);
}

static void add_text(omc_batch *out, const char *topic, const omc_map *partition, int n)
{
    omc_record *rec = omc_batch_add(out);

    rec->value = omc_string(omc_slice_str(rc_arena_format(out->arena, "r%d", n)));
    rec->topic = topic;
    rec->position.partition = partition;
    rec->position.counter_name = "n";
    rec->position.counter = n;
}

#define PARTITION(of, text)                                                                    \
    static const omc_entry of##_entry = {.key = {.kind = OMC_STRING, .u.bytes = {"p", 1}},     \
                                         .value = {.kind = OMC_STRING, .u.bytes = {text, 1}}}; \
    static const omc_map of = {1, &of##_entry}

PARTITION(part_x, "x");
PARTITION(part_x_again, "x");
PARTITION(part_y, "y");

static void check_position(toy_rig *rig, const char *partition, const char *want)
{
    rc_arena arena;
    rc_slice offset;
    rc_error err = {0};

    rc_arena_init(&arena, 256);
    assert_ok(rc_log_position(rig->log, "in", omc_slice_str(partition), &arena.pub, &offset, &err),
              err);
    if (want) {
        assert_non_null(offset.base);
        if (!omc_slice_eq(offset, omc_slice_str(want)))
            fail_msg("%s, not %s", offset.base, want);
    } else {
        assert_null(offset.base);
    }
    rc_arena_release(&arena);
}

static int count_put(hook_task *task, const omc_batch *batch, omc_error *err)
{
    (void)task;
    (void)err;
    atomic_fetch_add(&put_records, (int)batch->count);
    return 0;
}

/* Milliseconds of processor time of the whole program while the caller waits. */
static int64_t busy_ms(int wait_ms)
{
    clock_t begin = clock();

    hook_sleep(wait_ms);
    return (int64_t)(clock() - begin) * 1000 / CLOCKS_PER_SEC;
}

/* ---- sources ---- */

/* The same partition under two maps, out of step: the last record still decides. */
static int aliases(hook_task *task, omc_batch *out, omc_error *err)
{
    (void)err;
    if (task->next++ > 0)
        return hook_idle(task);
    add_text(out, NULL, &part_x, 1);
    add_text(out, NULL, &part_x_again, 2);
    add_text(out, NULL, &part_y, 7);
    add_text(out, NULL, &part_x, 3);
    return 4;
}

static void last_position_wins(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    open_rig(&rig, NULL);
    hooks.poll = aliases;
    assert_ok(toy_put(&rig, "in", &err, SOURCE, NULL), err);
    while (toy_metric(&rig, "in", RC_TM_WRITTEN) < 4)
        hook_sleep(5);
    check_position(&rig, "{\"p\":\"x\"}", "{\"n\":3}");
    check_position(&rig, "{\"p\":\"y\"}", "{\"n\":7}");
    toy_rig_close(&rig);
}

/* Several partitions and topics in one poll, with one record that cannot be stored. */
static int bad_in_the_middle(hook_task *task, omc_batch *out, omc_error *err)
{
    char *huge = omc_alloc0(out->arena, RC_MESSAGE_MAX + 1);

    (void)err;
    if (task->next++ > 0)
        return hook_idle(task);
    add_text(out, "a", &part_x, 1);
    add_text(out, "b", &part_x, 2);
    add_text(out, "a", &part_y, 3);
    omc_batch_at(out, 2)->value = omc_string(omc_slice_of(huge, RC_MESSAGE_MAX + 1));
    add_text(out, "b", &part_x, 4);
    return 4;
}

static int64_t end_of(toy_rig *rig, const char *name)
{
    rc_topic *topic;
    rc_error err = {0};
    int64_t sum = 0, min, max;

    if (rc_log_topic(rig->log, name, 0, &topic, &err) < 0)
        return -1;
    for (int32_t q = 0; q < rc_topic_queues(topic); q++) {
        assert_ok(rc_log_bounds(rig->log, topic, q, &min, &max, &err), err);
        sum += max;
    }
    return sum;
}

static void four_queues(rc_worker_config *config)
{
    config->log_queues = 4;
}

static void stores_what_came_before(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    open_rig(&rig, four_queues);
    hooks.poll = bad_in_the_middle;
    assert_ok(toy_put(&rig, "in", &err, SOURCE, NULL), err);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_FAILED));
    check_position(&rig, "{\"p\":\"x\"}", "{\"n\":2}");
    check_position(&rig, "{\"p\":\"y\"}", NULL);
    assert_int_equal(end_of(&rig, "a"), 1);
    assert_int_equal(end_of(&rig, "b"), 1);
    /* Tolerated, it is passed by, and its position with it. */
    assert_ok(toy_put(&rig, "in", &err, SOURCE, "errors.tolerance=all", NULL), err);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING));
    while (toy_metric(&rig, "in", RC_TM_WRITTEN) < 3)
        hook_sleep(5);
    check_position(&rig, "{\"p\":\"x\"}", "{\"n\":4}");
    check_position(&rig, "{\"p\":\"y\"}", "{\"n\":3}");
    toy_rig_close(&rig);
}

/* Says 5, gives nothing; gives 2, says 0; gives 1, says "finished". */
static int liar(hook_task *task, omc_batch *out, omc_error *err)
{
    (void)task;
    (void)err;
    atomic_fetch_add(&calls, 1);
    if (!atomic_load(&gate))
        return 5;
    if (atomic_fetch_add(&others, 1) > 0) {
        add_text(out, NULL, &part_x, 3);
        return OMC_FINISHED;
    }
    add_text(out, NULL, &part_x, 1);
    add_text(out, NULL, &part_x, 2);
    return 0;
}

static void believes_the_batch(void **state)
{
    static const char *const classes[] = {"connector.class=hook-source",
                                          "connector.class=bare-source"};
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    for (size_t i = 0; i < RC_COUNT(classes); i++) {
        int before;

        open_rig(&rig, NULL);
        hooks.poll = liar;
        assert_ok(toy_put(&rig, "in", &err, classes[i], "connect.topicname=t", NULL), err);
        assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_RUNNING));
        before = atomic_load(&calls);
        hook_sleep(300);
        assert_true(atomic_load(&calls) - before < 30); /* it does not spin */
        atomic_store(&gate, true);
        assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_FINISHED));
        assert_int_equal(toy_metric(&rig, "in", RC_TM_WRITTEN), 3);
        check_position(&rig, "{\"p\":\"x\"}", "{\"n\":3}");
        toy_rig_close(&rig);
    }
}

/* A batch far beyond records_max, with a partition of its own for each record. */
static int flood(hook_task *task, omc_batch *out, omc_error *err)
{
    (void)err;
    if (task->next++ > 0)
        return hook_idle(task);
    for (int i = 0; i < 50000; i++) {
        omc_entry *entry = omc_alloc(out->arena, sizeof *entry);
        omc_map *map = omc_alloc(out->arena, sizeof *map);

        *entry = part_x_entry;
        *map = (omc_map){1, entry};
        add_text(out, NULL, map, i);
    }
    return 50000;
}

static void takes_large_batches(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    open_rig(&rig, NULL);
    hooks.poll = flood;
    assert_ok(toy_put(&rig, "in", &err, SOURCE, NULL), err);
    for (int i = 0; i < 1000 && toy_metric(&rig, "in", RC_TM_WRITTEN) < 50000; i++)
        hook_sleep(10);
    assert_int_equal(toy_metric(&rig, "in", RC_TM_WRITTEN), 50000);
    check_position(&rig, "{\"p\":\"x\"}", "{\"n\":49999}");
    toy_rig_close(&rig);
}

static int wordless_poll(hook_task *task, omc_batch *out, omc_error *err)
{
    (void)out;
    if (task->next++ == 0)
        return omc_fail(err, OMC_ECONNECT, OMC_ERR_RETRIABLE, "an old story");
    return -7;
}

static int wordless_put(hook_task *task, const omc_batch *batch, omc_error *err)
{
    (void)batch;
    if (task->next++ == 0)
        return omc_fail(err, OMC_ECONNECT, OMC_ERR_RETRIABLE, "an old story");
    return -7;
}

static int fail_always(hook_task *task, omc_error *err)
{
    (void)task;
    (void)err;
    return -OMC_EIO;
}

static void no_restarts(rc_worker_config *config)
{
    config->restart_max = 0;
}

/* The error of an earlier call is not taken for that of a later one. */
static void names_errors_without_text(void **state)
{
    toy_rig rig;
    rc_error err = {0};
    char trace[512];

    (void)state;
    open_rig(&rig, no_restarts);
    hooks.poll = wordless_poll;
    hooks.put = wordless_put;
    assert_ok(toy_put(&rig, "lines", &err, LINES(3), NULL), err);
    assert_ok(toy_put(&rig, "in", &err, SOURCE, NULL), err);
    assert_ok(toy_put(&rig, "out", &err, SINK, NULL), err);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_FAILED));
    toy_trace(&rig, "in", 0, trace, sizeof trace);
    assert_non_null(
        strstr(trace, "poll of plugin 'hook-source' returned -7 without an error text"));
    assert_true(toy_wait_state(&rig, "out", 0, RC_STATE_FAILED));
    toy_trace(&rig, "out", 0, trace, sizeof trace);
    assert_non_null(
        strstr(trace, "put of 3 records of plugin 'hook-sink' returned -7 without an error text"));
    hooks.start = fail_always;
    assert_ok(toy_put(&rig, "other", &err, SOURCE, NULL), err);
    assert_true(toy_wait_state(&rig, "other", 0, RC_STATE_FAILED));
    toy_trace(&rig, "other", 0, trace, sizeof trace);
    assert_non_null(strstr(trace, "start of plugin"));
    toy_rig_close(&rig);
}

/* ---- queues of sinks ---- */

static atomic_int owners[8];
static atomic_llong opened_at[8];

static int note_queues(hook_task *task, const omc_queue_offset *queues, size_t count,
                       omc_error *err)
{
    (void)task;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        atomic_fetch_add(&owners[queues[i].queue.id], 1);
        atomic_store(&opened_at[queues[i].queue.id], queues[i].offset);
    }
    atomic_fetch_add(&others, 1);
    return 0;
}

static void every_queue_has_one_task(void **state)
{
    static const struct {
        const char *max;
        int tasks;
    } cases[] = {{"max.tasks=1", 1}, {"max.tasks=3", 3}, {"max.tasks=4", 4}, {"max.tasks=6", 6}};

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        toy_rig rig;
        rc_error err = {0};

        open_rig(&rig, four_queues);
        for (size_t q = 0; q < RC_COUNT(owners); q++)
            atomic_store(&owners[q], 0);
        hooks.open = note_queues;
        hooks.put = count_put;
        assert_ok(toy_put(&rig, "out", &err, SINK, cases[i].max, NULL), err);
        hook_wait_count(&others, cases[i].tasks);
        for (size_t q = 0; q < RC_COUNT(owners); q++)
            assert_int_equal(owners[q], q < 4);
        assert_ok(toy_put(&rig, "in", &err, LINES(40), "ordering=none", NULL), err);
        hook_wait_count(&put_records, 40);
        if (cases[i].tasks == 6) /* tasks without queues sleep, too */
            assert_true(busy_ms(300) < 100);
        toy_rig_close(&rig);
        assert_int_equal(put_records, 40);
    }
}

static void begins_where_it_is_told(void **state)
{
    char stamp[64];
    toy_rig rig;
    rc_error err = {0};
    const struct {
        const char *key;
        int records;
    } cases[] = {{"consume.from.where=CONSUME_FROM_FIRST_OFFSET", 10},
                 {"consume.from.where=CONSUME_FROM_LAST_OFFSET", 4},
                 {"consume.from.where=CONSUME_FROM_TIMESTAMP", 4}};

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        open_rig(&rig, NULL);
        hooks.put = count_put;
        hooks.open = note_queues;
        assert_ok(toy_put(&rig, "in", &err, LINES(6), NULL), err);
        while (toy_metric(&rig, "in", RC_TM_WRITTEN) < 6)
            hook_sleep(5);
        hook_sleep(20);
        (void)snprintf(stamp, sizeof stamp, "consume.from.timestamp=%lld",
                       (long long)rc_now_ms(rc_clock_real()));
        hook_sleep(20);
        assert_ok(toy_put(&rig, "out", &err, SINK, cases[i].key, i == 2 ? stamp : "a=x", NULL),
                  err);
        hook_wait_count(&others, 1);
        assert_true(toy_wait_state(&rig, "out", 0, RC_STATE_RUNNING));
        assert_ok(toy_put(&rig, "in", &err, LINES(10), NULL), err);
        hook_wait_count(&put_records, cases[i].records);
        toy_rig_close(&rig);
        assert_int_equal(put_records, cases[i].records);
    }
}

/* ---- commits of sinks ---- */

static int64_t committed(toy_rig *rig)
{
    rc_arena arena;
    rc_topic *topic;
    rc_slice state;
    rc_error err = {0};
    int64_t offset = -2;

    rc_arena_init(&arena, 256);
    assert_ok(rc_log_topic(rig->log, "t", 1, &topic, &err), err);
    assert_ok(rc_log_committed(rig->log, "connect-out", topic, 0, &arena.pub, &offset, &state,
                               &err),
              err);
    rc_arena_release(&arena);
    return offset;
}

static void wait_committed(toy_rig *rig, int64_t offset)
{
    for (int i = 0; i < 1000 && committed(rig) != offset; i++)
        hook_sleep(5);
    assert_int_equal(committed(rig), offset);
}

static int hold_back(hook_task *task, omc_queue_offset *offsets, size_t count, omc_error *err)
{
    (void)task;
    (void)count;
    (void)err;
    atomic_fetch_add(&calls, 1);
    if (!atomic_load(&gate) && offsets[0].offset > 0)
        offsets[0].offset = offsets[0].offset > 2 ? 2 : -1;
    return 0;
}

/* What a sink holds back is committed when it lets go, without another record, and without being
 * asked more often than the interval says. */
static void asks_again_what_was_held_back(void **state)
{
    toy_rig rig;
    rc_error err = {0};
    int before;

    (void)state;
    open_rig(&rig, NULL);
    hooks.put = count_put;
    hooks.pre_commit = hold_back;
    assert_ok(toy_put(&rig, "out", &err, SINK, NULL), err);
    assert_ok(toy_put(&rig, "in", &err, LINES(10), NULL), err);
    hook_wait_count(&put_records, 10);
    wait_committed(&rig, 2);
    before = atomic_load(&calls);
    hook_sleep(500);
    assert_true(atomic_load(&calls) - before <= 6); /* the interval is 100 ms */
    atomic_store(&gate, true);
    wait_committed(&rig, 10);
    before = atomic_load(&calls);
    hook_sleep(300);
    assert_true(atomic_load(&calls) - before <= 1); /* then there is peace */
    toy_rig_close(&rig);
}

static int fail_commit(hook_task *task, omc_queue_offset *offsets, size_t count, omc_error *err)
{
    (void)task;
    (void)count;
    if (atomic_load(&gate) || offsets[0].offset == 0)
        return 0;
    atomic_fetch_add(&calls, 1);
    return omc_fail(err, OMC_ECONNECT, OMC_ERR_RETRIABLE, "not now");
}

static void commits_again_after_a_failure(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    open_rig(&rig, NULL);
    hooks.put = count_put;
    hooks.pre_commit = fail_commit;
    assert_ok(toy_put(&rig, "out", &err, SINK, "errors.retry.delay.max.ms=50", NULL), err);
    assert_ok(toy_put(&rig, "in", &err, LINES(10), NULL), err);
    assert_true(toy_wait_state(&rig, "out", 0, RC_STATE_STALLED));
    hook_wait_count(&put_records, 10);
    atomic_store(&gate, true);
    wait_committed(&rig, 10);
    assert_true(toy_wait_state(&rig, "out", 0, RC_STATE_RUNNING));
    assert_true(toy_metric(&rig, "out", RC_TM_COMMIT_FAILURES) > 0);
    toy_rig_close(&rig);
}

/* Back once from within put, to record 4; forward once from within pre_commit. */
static int back_once(hook_task *task, const omc_batch *batch, omc_error *err)
{
    omc_queue_offset to = {.queue = {.topic = "t", .broker = ""}, .offset = 4};

    atomic_fetch_add(&put_records, (int)batch->count);
    if (atomic_load(&put_records) >= 10 && atomic_fetch_add(&others, 1) == 0)
        return task->sink->reset_offset(task->sink->host, &to, 1, err);
    return 0;
}

static void resets_back_and_goes_on(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    open_rig(&rig, NULL);
    hooks.put = back_once;
    assert_ok(toy_put(&rig, "in", &err, LINES(10), NULL), err);
    while (toy_metric(&rig, "in", RC_TM_WRITTEN) < 10)
        hook_sleep(5);
    assert_ok(toy_put(&rig, "out", &err, SINK, NULL), err);
    hook_wait_count(&put_records, 16);
    wait_committed(&rig, 10);
    assert_int_equal(put_records, 16);
    assert_true(toy_wait_metric(&rig, "out", RC_TM_LAG, 0)); /* measured behind the commit */
    toy_rig_close(&rig);
}

static int skip_all(hook_task *task, const omc_queue_offset *queues, size_t count, omc_error *err)
{
    omc_queue_offset to = {.queue = {.topic = "t", .broker = ""}, .offset = 7};

    (void)queues;
    (void)count;
    return task->sink->reset_offset(task->sink->host, &to, 1, err);
}

static void resets_forward_and_commits(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    open_rig(&rig, NULL);
    hooks.put = count_put;
    hooks.open = skip_all;
    assert_ok(toy_put(&rig, "in", &err, LINES(7), NULL), err);
    while (toy_metric(&rig, "in", RC_TM_WRITTEN) < 7)
        hook_sleep(5);
    assert_ok(toy_put(&rig, "out", &err, SINK, NULL), err);
    wait_committed(&rig, 7);
    assert_int_equal(put_records, 0);
    toy_rig_close(&rig);
}

/* An offset beyond what the log has: FAILED with the reason, nothing skipped in silence. */
static void fails_on_a_lost_offset(void **state)
{
    toy_rig rig;
    rc_error err = {0};
    rc_commit commit = {.offset = 1000};
    char trace[512];

    (void)state;
    open_rig(&rig, NULL);
    hooks.put = count_put;
    assert_ok(rc_log_topic(rig.log, "t", 1, &commit.topic, &err), err);
    assert_ok(rc_log_commit(rig.log, "connect-out", NULL, &commit, 1, &err), err);
    assert_ok(toy_put(&rig, "out", &err, SINK, NULL), err);
    assert_true(toy_wait_state(&rig, "out", 0, RC_STATE_FAILED));
    toy_trace(&rig, "out", 0, trace, sizeof trace);
    assert_non_null(strstr(trace, "1000"));
    toy_rig_close(&rig);
}

/* ---- reports of sinks ---- */

/* Refuses one record, and fails the first tries of the same put. */
static int report_and_fail(hook_task *task, const omc_batch *batch, omc_error *err)
{
    omc_error why = {.code = OMC_EFORMAT, .msg = "too green"};
    int r = task->sink->report(task->sink->host, omc_batch_at(batch, 0), &why, err);

    if (r < 0 && !atomic_load(&gate))
        return r;
    if (atomic_fetch_add(&calls, 1) < 3)
        return omc_fail(err, OMC_ECONNECT, OMC_ERR_RETRIABLE, "busy");
    atomic_fetch_add(&put_records, (int)batch->count - 1);
    return 0;
}

static void reports_count_once(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    open_rig(&rig, NULL);
    hooks.put = report_and_fail;
    assert_ok(toy_put(&rig, "in", &err, LINES(5), "size=5", NULL), err);
    while (toy_metric(&rig, "in", RC_TM_WRITTEN) < 5)
        hook_sleep(5);
    assert_ok(toy_put(&rig, "out", &err, SINK, "errors.tolerance=all",
                      "errors.retry.delay.max.ms=20", "errors.deadletterqueue.topic.name=dead",
                      NULL),
              err);
    hook_wait_count(&put_records, 4);
    wait_committed(&rig, 5);
    assert_int_equal(toy_metric(&rig, "out", RC_TM_SKIPPED), 1);
    assert_int_equal(end_of(&rig, "dead"), 1);
    toy_rig_close(&rig);
}

/* A sink that goes on although the report was refused does not lose the record in silence. */
static void refused_reports_stop_the_task(void **state)
{
    toy_rig rig;
    rc_error err = {0};
    char trace[512];

    (void)state;
    open_rig(&rig, NULL);
    atomic_store(&gate, true); /* ignores what report() says */
    atomic_store(&calls, 3);
    hooks.put = report_and_fail;
    assert_ok(toy_put(&rig, "in", &err, LINES(5), "size=5", NULL), err);
    assert_ok(toy_put(&rig, "out", &err, SINK, NULL), err);
    assert_true(toy_wait_state(&rig, "out", 0, RC_STATE_FAILED));
    toy_trace(&rig, "out", 0, trace, sizeof trace);
    assert_non_null(strstr(trace, "too green"));
    assert_int_equal(committed(&rig), 0);
    toy_rig_close(&rig);
}

/* ---- a log with faults ---- */

static rc_log_ops faulty;
static const rc_log_ops *sound;
static atomic_int commit_faults, early_commits;

/* The rig's log with some of its functions replaced; before any connector uses it. */
static void break_log(toy_rig *rig)
{
    sound = rig->log->ops;
    faulty = *sound;
    rig->log->ops = &faulty;
    atomic_store(&commit_faults, 0);
    atomic_store(&early_commits, 0);
}

/* Dead letters that the log refuses, once. */
static int refuse_letters(rc_writer *writer, int64_t deadline_ns, rc_receipt *ret)
{
    int r = sound->receipt(writer, deadline_ns, ret);

    if (r == 1 &&
        strncmp(rc_topic_name(rc_append_topic(ret->append, (rc_slot){0})), "dead", 4) == 0 &&
        !atomic_exchange(&failed, true))
        ret->result = rc_fail_retriable(&ret->err, OMC_EIO, "the disk coughs");
    return r;
}

static int watch_commits(rc_log *log, const char *group, rc_fence *fence, const rc_commit *commits,
                         size_t count, rc_error *err)
{
    /* After the refusal and before the restart nothing may be committed. */
    if (atomic_load(&failed) && atomic_load(&others) == 1 && commits[0].offset > 0)
        atomic_fetch_add(&early_commits, 1);
    if (atomic_load(&commit_faults) > 0) {
        atomic_fetch_sub(&commit_faults, 1);
        return rc_fail_retriable(err, OMC_EIO, "the disk coughs");
    }
    return sound->commit(log, group, fence, commits, count, err);
}

static int report_first(hook_task *task, const omc_batch *batch, omc_error *err)
{
    omc_error why = {.code = OMC_EFORMAT, .msg = "too green"};

    atomic_fetch_add(&put_records, (int)batch->count);
    return task->sink->report(task->sink->host, omc_batch_at(batch, 0), &why, err);
}

/* Letters come before offsets also when they fail: the records are read again. */
static void lost_letters_hold_offsets_back(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    open_rig(&rig, NULL);
    break_log(&rig);
    faulty.receipt = refuse_letters;
    faulty.commit = watch_commits;
    hooks.put = report_first;
    hooks.open = note_queues; /* counts the starts */
    assert_ok(toy_put(&rig, "in", &err, LINES(5), "size=5", NULL), err);
    assert_ok(toy_put(&rig, "out", &err, SINK, "errors.tolerance=all",
                      "errors.deadletterqueue.topic.name=dead", NULL),
              err);
    wait_committed(&rig, 5);
    assert_true(atomic_load(&failed));
    assert_int_equal(others, 2);
    assert_int_equal(early_commits, 0);
    assert_int_equal(put_records, 10);
    toy_rig_close(&rig);
}

static void commits_survive_a_faulty_log(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    open_rig(&rig, NULL);
    break_log(&rig);
    faulty.commit = watch_commits;
    hooks.put = count_put;
    assert_ok(toy_put(&rig, "out", &err, SINK, "errors.retry.delay.max.ms=20", NULL), err);
    wait_committed(&rig, 0);
    atomic_store(&commit_faults, 3);
    assert_ok(toy_put(&rig, "in", &err, LINES(5), NULL), err);
    wait_committed(&rig, 5);
    assert_int_equal(put_records, 5);
    assert_int_equal(toy_metric(&rig, "out", RC_TM_COMMIT_FAILURES), 3);
    toy_rig_close(&rig);
}

/* No receipt comes, as when the disk is full. */
static int no_receipts(rc_writer *writer, int64_t deadline_ns, rc_receipt *ret)
{
    if (atomic_load(&gate))
        return sound->receipt(writer, deadline_ns, ret);
    if (deadline_ns > 0)
        hook_sleep(50);
    return 0;
}

static void full_disk(rc_log *log, rc_log_health *ret)
{
    sound->health(log, ret);
    if (!atomic_load(&gate)) {
        ret->writable = false;
        (void)snprintf(ret->text, sizeof ret->text, "disk full");
    }
}

static void small_window(rc_worker_config *config)
{
    config->pending_bytes_max = 300;
}

/* While the log cannot store, a task says so, sleeps, can be stopped, and goes on afterwards. */
static void waits_for_the_log_asleep(void **state)
{
    toy_rig rig;
    rc_error err = {0};
    char trace[512];

    (void)state;
    open_rig(&rig, small_window);
    break_log(&rig);
    faulty.receipt = no_receipts;
    faulty.health = full_disk;
    assert_ok(toy_put(&rig, "in", &err, LINES(1000), NULL), err);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_STALLED));
    toy_trace(&rig, "in", 0, trace, sizeof trace);
    assert_non_null(strstr(trace, "disk full"));
    assert_true(busy_ms(500) < 60);
    assert_ok(toy_request(&rig, RC_REQUEST_STOP, "in", &err), err);
    assert_true(toy_wait_state(&rig, "in", -1, RC_STATE_STOPPED));
    assert_ok(toy_request(&rig, RC_REQUEST_RESUME, "in", &err), err);
    assert_true(toy_wait_state(&rig, "in", 0, RC_STATE_STALLED));
    atomic_store(&gate, true);
    for (int i = 0; i < 1000 && end_of(&rig, "t") < 1000; i++)
        hook_sleep(10);
    assert_int_equal(end_of(&rig, "t"), 1000);
    toy_rig_close(&rig);
}

/* ---- pauses, and peace when there is nothing to do ---- */

static int fail_until_told(hook_task *task, const omc_batch *batch, omc_error *err)
{
    atomic_fetch_add(&calls, 1);
    return atomic_load(&gate) ? count_put(task, batch, err)
                              : omc_fail(err, OMC_ECONNECT, OMC_ERR_RETRIABLE, "target away");
}

static void pauses_while_put_fails(void **state)
{
    toy_rig rig;
    rc_error err = {0};
    int before;

    (void)state;
    open_rig(&rig, NULL);
    hooks.put = fail_until_told;
    assert_ok(toy_put(&rig, "in", &err, LINES(5), NULL), err);
    assert_ok(toy_put(&rig, "out", &err, SINK, NULL), err);
    assert_true(toy_wait_state(&rig, "out", 0, RC_STATE_STALLED));
    assert_ok(toy_request(&rig, RC_REQUEST_PAUSE, "out", &err), err);
    assert_true(toy_wait_state(&rig, "out", 0, RC_STATE_PAUSED));
    before = atomic_load(&calls);
    hook_sleep(400);
    assert_int_equal(atomic_load(&calls), before);
    atomic_store(&gate, true);
    assert_ok(toy_request(&rig, RC_REQUEST_RESUME, "out", &err), err);
    hook_wait_count(&put_records, 5);
    assert_true(toy_wait_state(&rig, "out", 0, RC_STATE_RUNNING));
    toy_rig_close(&rig);
}

static void idle_tasks_sleep(void **state)
{
    toy_rig rig;
    rc_error err = {0};

    (void)state;
    open_rig(&rig, NULL);
    assert_ok(toy_put(&rig, "in", &err, LINES(5), NULL), err);
    assert_ok(toy_put(&rig, "out", &err, SINK, NULL), err);
    assert_ok(toy_put(&rig, "bare", &err, "connector.class=bare-sink", "connect.topicnames=t",
                      NULL),
              err);
    assert_ok(toy_put(&rig, "paused", &err, SOURCE, NULL), err);
    assert_ok(toy_put(&rig, "halted", &err, SINK, NULL), err);
    assert_ok(toy_request(&rig, RC_REQUEST_PAUSE, "paused", &err), err);
    assert_ok(toy_request(&rig, RC_REQUEST_PAUSE, "halted", &err), err);
    assert_true(toy_wait_state(&rig, "paused", 0, RC_STATE_PAUSED));
    assert_true(toy_wait_state(&rig, "halted", 0, RC_STATE_PAUSED));
    while (toy_metric(&rig, "bare", RC_TM_PUT) < 5)
        hook_sleep(5);
    hook_sleep(300); /* the last commits */
    assert_true(busy_ms(500) < 50);
    toy_rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_position_wins),
        cmocka_unit_test(stores_what_came_before),
        cmocka_unit_test(believes_the_batch),
        cmocka_unit_test(takes_large_batches),
        cmocka_unit_test(names_errors_without_text),
        cmocka_unit_test(every_queue_has_one_task),
        cmocka_unit_test(begins_where_it_is_told),
        cmocka_unit_test(asks_again_what_was_held_back),
        cmocka_unit_test(commits_again_after_a_failure),
        cmocka_unit_test(resets_back_and_goes_on),
        cmocka_unit_test(resets_forward_and_commits),
        cmocka_unit_test(fails_on_a_lost_offset),
        cmocka_unit_test(reports_count_once),
        cmocka_unit_test(refused_reports_stop_the_task),
        cmocka_unit_test(lost_letters_hold_offsets_back),
        cmocka_unit_test(commits_survive_a_faulty_log),
        cmocka_unit_test(waits_for_the_log_asleep),
        cmocka_unit_test(pauses_while_put_fails),
        cmocka_unit_test(idle_tasks_sleep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
