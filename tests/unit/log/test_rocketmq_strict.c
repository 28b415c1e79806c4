/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What brokers do late: sends that land after their writer was given up, and acknowledgements that
 * say less than was asked for. Strict writers and readers see each record once; without barriers
 * the same happenings make repeats, which the same tests show.
 */
#include "rocketmq_unit.h"

#include <utlist.h>

#define RECORDS 24

/* ---- reading as a sink does ------------------------------------------------------------------ */

typedef struct sink {
    bed *bed;
    rc_topic *topic;
    rc_reader *reader;
    rc_fetch fetch;
    int64_t position[8]; /* behind what was read */
    int seen[RECORDS];   /* times */
    int64_t at[RECORDS]; /* offset of the first time */
} sink;

static void sink_open(sink *s)
{
    const rc_reader_config config = {.name = "s-0", .group = "connect-s"};
    rc_arena arena;
    rc_error err = {0};
    rc_slice state;
    int64_t offset;

    rc_arena_init(&arena, 1024);
    OK(rc_reader_open(s->bed->log, &config, &s->reader, &err));
    for (int32_t q = 0; q < rc_topic_queues(s->topic); q++) {
        OK(rc_log_committed(s->bed->log, "connect-s", s->topic, q, &arena.pub, &offset, &state,
                            &err));
        s->position[q] = offset < 0 ? 0 : offset;
        OK(rc_reader_add(s->reader, s->topic, q, s->position[q], &err));
    }
    rc_arena_release(&arena);
}

static void sink_close(sink *s)
{
    rc_fetch_release(s->reader, &s->fetch);
    rc_reader_close(s->reader);
    s->reader = NULL;
}

/* Commits what was read up to `back` messages ago. */
static void sink_commit(sink *s, int32_t queue, int back)
{
    rc_commit commit = {.topic = s->topic, .queue = queue, .offset = s->position[queue] - back};
    rc_arena arena;
    rc_error err = {0};

    rc_arena_init(&arena, 1024);
    commit.offset = commit.offset < 0 ? 0 : commit.offset;
    commit.barriers = rc_reader_barriers(s->reader, s->topic, queue, commit.offset, &arena.pub);
    OK(rc_log_commit(s->bed->log, "connect-s", NULL, &commit, 1, &err));
    rc_arena_release(&arena);
}

static void note_record(sink *s, const rc_message *message)
{
    char text[16] = "";
    long i;

    memcpy(text, message->body.base, message->body.len < 15 ? message->body.len : 15);
    i = strtol(text, NULL, 10);
    if (i < 0 || i >= RECORDS || text[0] < '0' || text[0] > '9')
        fail_msg("'%s' is no record", text);
    if (s->seen[i]++ == 0)
        s->at[i] = message->offset;
    else if (s->at[i] != message->offset)
        s->seen[i] += 1000; /* another copy of it */
}

/* The next fetch; false: everything is read. */
static bool sink_read(sink *s, size_t max)
{
    int64_t behind = 0;
    rc_error err = {0};
    int n;

    for (int32_t q = 0; q < rc_topic_queues(s->topic); q++) {
        int64_t min, end;

        OK(rc_log_bounds(s->bed->log, s->topic, q, &min, &end, &err));
        behind += end - s->position[q];
    }
    if (behind == 0)
        return false;
    n = rc_reader_fetch(s->reader, max, 1 << 20, FOR_EVER, &s->fetch, &err);
    assert_true(n >= 0 && s->fetch.topic);
    for (int i = 0; i < n; i++)
        note_record(s, &s->fetch.messages[i]);
    s->position[s->fetch.queue] = s->fetch.next_offset;
    return true;
}

/* How many records come in more than one copy; none is missing. */
static int repeats(const sink *s)
{
    int n = 0;

    for (int i = 0; i < RECORDS; i++) {
        if (!s->seen[i])
            fail_msg("record %d is lost", i);
        n += s->seen[i] > 1000;
    }
    return n;
}

static int read_repeats(bed *b)
{
    sink s = {.bed = b, .topic = topic_of(b, "T")};

    sink_open(&s);
    while (sink_read(&s, 100))
        ;
    sink_close(&s);
    return repeats(&s);
}

/* ---- late copies after a take-over (case C7 of the ownership rules) -------------------------- */

static void wait_stored(bed *b, int64_t count)
{
    for (int i = 0; i < 1000 && stored(b, "T") < count; i++)
        (void)usleep(10000);
    assert_int_equal(stored(b, "T"), count);
}

static void wait_hits(bed *b, int rule, int hits)
{
    for (int i = 0; i < 2000 && fakemq_fault_hits(b->mq, rule) < hits; i++)
        (void)usleep(10000);
    assert_int_equal(fakemq_fault_hits(b->mq, rule), hits);
}

/* A worker is given up while a batch for each queue waits in a broker that stands still; the next
 * one takes over and ends; then the broker goes on. The first one's log stays open: it is dead, and
 * what it has sent is out of reach. */
static void take_over_before_a_batch_lands(bed *b, bool strict)
{
    const fakemq_rule frozen = {.action = FAKEMQ_HOLD, .request = 320, .topic = "T", .count = 8};
    rc_writer *given_up = writer_with(b, true, strict, RC_ACK_STORED), *writer;
    bed next = *b;
    rc_error err = {0};
    int rule;

    append(given_up, topic_of(b, "T"), 0, 8, true);
    take_all(given_up);
    OK(rc_writer_sync(given_up, FOR_EVER, &err));
    rule = fakemq_fault(b->mq, &frozen);
    append(given_up, topic_of(b, "T"), 8, 16, true);
    wait_hits(b, rule, 8);

    open_log(&next);
    writer = writer_with(&next, true, strict, RC_ACK_STORED);
    append(writer, topic_of(&next, "T"), 8, RECORDS, true);
    take_all(writer);
    rc_writer_close(writer);
    close_log(&next);

    fakemq_fault_end(b->mq, rule);
    wait_stored(b, RECORDS + 8 + (strict ? 8 : 0)); /* late copies, and a barrier in each queue */
    take_all(given_up);
    rc_writer_close(given_up);
}

static void late_copies_are_repeats_without_barriers(void **state)
{
    take_over_before_a_batch_lands(*state, false);
    assert_int_equal(read_repeats(*state), 8);
}

static void late_copies_are_left_out_behind_barriers(void **state)
{
    bed *b = *state;

    take_over_before_a_batch_lands(b, true);
    assert_int_equal(read_repeats(b), 0);
    assert_position(b, "{\"nextPosition\":\"24\"}");
}

/* The batch waits, and the barrier behind it: what lands before the barrier is stored. */
static void *let_land(void *arg)
{
    void **all = arg;
    bed *b = all[0];
    const int *rules = all[1];

    for (int i = 0; i < 2000 && fakemq_fault_hits(b->mq, rules[1]) < 1; i++)
        (void)usleep(10000);
    fakemq_fault_end(b->mq, rules[0]);
    fakemq_fault_end(b->mq, rules[1]);
    return NULL;
}

static void what_lands_before_the_barrier_is_stored(void **state)
{
    const fakemq_rule batches = {.action = FAKEMQ_HOLD, .request = 320, .topic = "T", .count = 8};
    const fakemq_rule barriers = {.action = FAKEMQ_HOLD, .request = 320, .topic = "T"};
    bed *b = *state, next = *b;
    rc_writer *given_up = writer_with(b, true, true, RC_ACK_STORED), *writer;
    int rules[2];
    void *all[] = {b, rules};
    pthread_t thread;
    rc_error err = {0};

    append(given_up, topic_of(b, "T"), 0, 8, true);
    take_all(given_up);
    OK(rc_writer_sync(given_up, FOR_EVER, &err));
    rules[0] = fakemq_fault(b->mq, &batches);
    append(given_up, topic_of(b, "T"), 8, 16, true);
    wait_hits(b, rules[0], 8);
    rules[1] = fakemq_fault(b->mq, &barriers);
    assert_int_equal(pthread_create(&thread, NULL, let_land, all), 0);
    open_log(&next);
    writer = writer_with(&next, true, true, RC_ACK_STORED);
    append(writer, topic_of(&next, "T"), 8, RECORDS, true);
    take_all(writer);
    rc_writer_close(writer);
    close_log(&next);
    (void)pthread_join(thread, NULL);
    take_all(given_up);
    rc_writer_close(given_up);
    assert_int_equal(stored(b, "T"), RECORDS + 8);
    assert_int_equal(read_repeats(b), 0);
}

/* Everything a third worker must know is in the notes, also that the barriers are below them. */
static void what_barriers_left_out_is_not_found_again(void **state)
{
    const fakemq_rule frozen = {.action = FAKEMQ_HOLD, .request = 320, .topic = "T", .count = 8};
    const fakemq_rule crashed = {.action = FAKEMQ_REFUSE,
                                 .request = 320,
                                 .topic = "connector-position-topic",
                                 .code = 16,
                                 .remark = "crashed"};
    bed *b = *state, next = *b;
    rc_writer *given_up = writer_with(b, true, true, RC_ACK_STORED), *writer;
    rc_error err = {0};
    int rule, end;

    append(given_up, topic_of(b, "T"), 0, 8, true);
    take_all(given_up);
    OK(rc_writer_sync(given_up, FOR_EVER, &err));
    rule = fakemq_fault(b->mq, &frozen);
    append(given_up, topic_of(b, "T"), 8, RECORDS, true); /* two to each queue */
    wait_hits(b, rule, 8);
    /* The second one gets to 12, says so in its notes, and ends. */
    open_log(&next);
    writer = writer_with(&next, true, true, RC_ACK_STORED);
    append(writer, topic_of(&next, "T"), 8, 12, true);
    take_all(writer);
    OK(rc_writer_sync(writer, FOR_EVER, &err));
    end = fakemq_fault(b->mq, &crashed);
    rc_writer_close(writer);
    close_log(&next);
    fakemq_fault_end(b->mq, rule); /* now those of the first one land */
    take_all(given_up);
    rc_writer_close(given_up);
    fakemq_fault_end(b->mq, end);

    assert_position(b, "{\"nextPosition\":\"12\"}");
    open_log(&next);
    writer = writer_with(&next, true, true, RC_ACK_STORED);
    append(writer, topic_of(&next, "T"), 12, RECORDS, true);
    take_all(writer);
    rc_writer_close(writer);
    close_log(&next);
    assert_int_equal(read_repeats(b), 0);
}

static void a_writer_without_barriers_may_follow(void **state)
{
    const fakemq_rule crashed = {.action = FAKEMQ_REFUSE,
                                 .request = 320,
                                 .topic = "connector-position-topic",
                                 .code = 16,
                                 .remark = "crashed"};
    bed *b = *state;
    rc_writer *writer = writer_with(b, true, true, RC_ACK_STORED);
    rc_error err = {0};
    int rule;

    append(writer, topic_of(b, "T"), 0, 8, true);
    take_all(writer);
    OK(rc_writer_sync(writer, FOR_EVER, &err));
    rule = fakemq_fault(b->mq, &crashed);
    append(writer, topic_of(b, "T"), 8, 16, true);
    take_all(writer);
    crash(b, writer);
    fakemq_fault_end(b->mq, rule);
    writer = writer_with(b, true, false, RC_ACK_STORED);
    append(writer, topic_of(b, "T"), 8, RECORDS, true);
    take_all(writer);
    rc_writer_close(writer);
    assert_records(b, "T", RECORDS); /* and no barrier, which is no record */
}

/* ---- sends whose outcome is unknown ---------------------------------------------------------- */

static void send_with_faults(bed *b, bool strict)
{
    const fakemq_rule rules[] = {
        {.action = FAKEMQ_SWALLOW, .request = 320, .topic = "T", .skip = 3, .count = 1},
        {.action = FAKEMQ_IGNORE, .request = 320, .topic = "T", .skip = 9, .count = 1},
        {.action = FAKEMQ_CUT_AFTER, .request = 320, .topic = "T", .skip = 15, .count = 1},
        {.action = FAKEMQ_HOLD, .request = 320, .topic = "T", .skip = 17, .count = 1},
    };
    rc_writer *writer = writer_with(b, true, strict, RC_ACK_STORED);
    int last = 0;

    for (size_t i = 0; i < RC_COUNT(rules); i++)
        last = fakemq_fault(b->mq, &rules[i]);
    for (int i = 0; i < RECORDS; i += 8)
        append(writer, topic_of(b, "T"), i, i + 8, true);
    take_all(writer);
    rc_writer_close(writer);
    fakemq_fault_end(b->mq, last); /* it lands only now, if it was held */
}

static void a_send_that_lands_late_is_left_out(void **state)
{
    bed *b = *state;

    send_with_faults(b, true);
    assert_position(b, "{\"nextPosition\":\"24\"}");
    assert_int_equal(read_repeats(b), 0);
}

/* Its first repetition is lost, too, and each copy lands in the end. */
static void a_send_lost_again_and_again_is_read_once(void **state)
{
    bed *b = *state;
    const fakemq_rule first = {.action = FAKEMQ_HOLD, .request = 320, .topic = "T", .count = 1};
    const fakemq_rule again = {
        .action = FAKEMQ_HOLD, .request = 320, .topic = "T", .skip = 1, .count = 1};
    rc_writer *writer = writer_with(b, true, true, RC_ACK_STORED);
    rc_topic *topic = topic_of(b, "T");
    int rules[2];

    append(writer, topic, 0, 8, true); /* the notes */
    take_all(writer);
    rules[0] = fakemq_fault(b->mq, &first);
    rules[1] = fakemq_fault(b->mq, &again); /* the barrier gets through */
    append(writer, topic, 8, 9, true);
    take_all(writer);
    wait_stored(b, 8 + 1 + 2); /* and two barriers */
    fakemq_fault_end(b->mq, rules[0]);
    fakemq_fault_end(b->mq, rules[1]);
    wait_stored(b, 8 + 1 + 2 + 2);
    append(writer, topic, 9, RECORDS, true);
    take_all(writer);
    rc_writer_close(writer);
    assert_int_equal(read_repeats(b), 0);
}

/* ---- readers that begin in the middle -------------------------------------------------------- */

/* Message by message, with a restart after each; `back`: what a sink that is slow to be durable
 * commits. */
static void read_with_restarts(bed *b, int back)
{
    sink s = {.bed = b, .topic = topic_of(b, "T")};
    int64_t done = -1;

    sink_open(&s);
    for (int round = 0; round < 1000 && sink_read(&s, 1); round++) {
        int64_t sum = 0;

        sink_commit(&s, s.fetch.queue, back);
        for (int q = 0; q < 8; q++)
            sum += s.position[q];
        if (sum > done) { /* got further: else the way is read again up to here */
            done = sum;
            sink_close(&s);
            close_log(b);
            open_log(b);
            s.topic = topic_of(b, "T");
            sink_open(&s);
        }
    }
    sink_close(&s);
    assert_int_equal(repeats(&s), 0);
}

static void a_reader_may_restart_anywhere(void **state)
{
    take_over_before_a_batch_lands(*state, true);
    read_with_restarts(*state, 0);
}

static void a_reader_may_restart_far_behind(void **state)
{
    take_over_before_a_batch_lands(*state, true);
    read_with_restarts(*state, 2);
}

/* Many barriers between what is durable and what is read. */
static void more_barriers_than_are_remembered_are_read_again(void **state)
{
    bed *b = *state;
    sink s = {.bed = b, .topic = topic_of(b, "T")};
    char text[128];

    for (int i = 0; i < 200; i++) {
        (void)snprintf(text, sizeof text,
                       "TAGS\001rc-barrier\002__rc.gen\0015.%015d.00000000000000%02x\002", 10,
                       i + 1);
        fakemq_put(b->mq, "T", "broker-0", 0, "b", 1, text, 0);
        if (i < RECORDS) {
            char body[16];

            (void)snprintf(body, sizeof body, "%d", i);
            fakemq_put(b->mq, "T", "broker-0", 0, body, strlen(body), "", 0);
        }
    }
    for (int i = 0; i < RECORDS; i++) { /* late copies of all of them */
        char body[16];

        (void)snprintf(body, sizeof body, "%d", i);
        (void)snprintf(text, sizeof text, "__rc.gen\0015.%015d.00000000000000%02x\002", 9, 200 - i);
        fakemq_put(b->mq, "T", "broker-0", 0, body, strlen(body), text, 0);
    }
    sink_open(&s);
    for (int i = 0; i < 3; i++)
        (void)sink_read(&s, 1);
    sink_commit(&s, 0, 0);
    while (sink_read(&s, 5))
        ;
    assert_int_equal(repeats(&s), 0);
    sink_commit(&s, 0, 60); /* long behind */
    sink_close(&s);
    sink_open(&s);
    while (sink_read(&s, 5))
        ;
    sink_close(&s);
    assert_int_equal(repeats(&s), 0);
}

/* ---- acknowledgements that say less than was asked ------------------------------------------- */

static void want_replicas(bed *b)
{
    for (int i = 0; i < 2; i++) {
        const char *broker = i ? "broker-1" : "broker-0";

        fakemq_broker_config(b->mq, broker, "brokerRole", "SYNC_MASTER");
        fakemq_broker_config(b->mq, broker, "inSyncReplicas", "2");
    }
}

static const fakemq_rule slave_late = {.action = FAKEMQ_CODE,
                                       .request = 320,
                                       .topic = "T",
                                       .code = 12};
static const fakemq_rule never_confirmed = {.action = FAKEMQ_CODE,
                                            .request = 320,
                                            .topic = "rocketmq-connect-confirm",
                                            .code = 12};

/* Stored at the master, the slave does not say so in time: it counts when a later append to the
 * same broker was acknowledged by the slave, which has it then, too. */
static void what_is_not_replicated_waits_for_a_confirmation(void **state)
{
    bed *b = *state;
    rc_writer *writer;
    rc_receipt receipt;
    rc_error err = {0};
    int late, never;

    want_replicas(b);
    writer = writer_with(b, true, false, RC_ACK_REPLICATED);
    append(writer, topic_of(b, "T"), 0, 8, true);
    take_all(writer);
    late = fakemq_fault(b->mq, &slave_late);
    never = fakemq_fault(b->mq, &never_confirmed);
    append(writer, topic_of(b, "T"), 8, 16, true);
    for (int i = 0; i < 2000 && fakemq_fault_hits(b->mq, never) < 3; i++)
        (void)usleep(10000);
    assert_true(fakemq_fault_hits(b->mq, never) >= 3);
    assert_int_equal(rc_writer_receipt(writer, 0, &receipt), 0);
    OK(rc_writer_sync(writer, FOR_EVER, &err));
    assert_position(b, "{\"nextPosition\":\"8\"}");
    fakemq_fault_end(b->mq, late);
    fakemq_fault_end(b->mq, never);
    append(writer, topic_of(b, "T"), 16, RECORDS, true);
    take_all(writer);
    rc_writer_close(writer);
    assert_records(b, "T", RECORDS);
    assert_position(b, "{\"nextPosition\":\"24\"}");
}

/* The same over a restart: what is found at the master is not there as asked for all the same. */
static void what_is_found_waits_for_a_confirmation(void **state)
{
    const fakemq_rule slow = {.action = FAKEMQ_CODE,
                              .request = 320,
                              .topic = "rocketmq-connect-confirm",
                              .count = 3,
                              .code = 12};
    const fakemq_rule crashed = {.action = FAKEMQ_REFUSE,
                                 .request = 320,
                                 .topic = "connector-position-topic",
                                 .code = 16,
                                 .remark = "crashed"};
    bed *b = *state;
    rc_writer *writer;
    rc_error err = {0};
    int late, end;

    want_replicas(b);
    writer = writer_with(b, true, false, RC_ACK_REPLICATED);
    append(writer, topic_of(b, "T"), 0, 8, true);
    take_all(writer);
    OK(rc_writer_sync(writer, FOR_EVER, &err));
    end = fakemq_fault(b->mq, &crashed);
    append(writer, topic_of(b, "T"), 8, 16, true);
    take_all(writer);
    crash(b, writer);
    fakemq_fault_end(b->mq, end);
    late = fakemq_fault(b->mq, &slow);
    writer = writer_with(b, true, false, RC_ACK_REPLICATED);
    append(writer, topic_of(b, "T"), 8, RECORDS, true);
    assert_int_equal(fakemq_fault_hits(b->mq, late), 3); /* it insisted */
    take_all(writer);
    rc_writer_close(writer);
    assert_records(b, "T", RECORDS);
}

/* ---- notes ----------------------------------------------------------------------------------- */

/* Records may be dropped by transforms: a position that moves alone keeps what is noted. */
static void a_position_alone_keeps_the_notes(void **state)
{
    const fakemq_rule crashed = {.action = FAKEMQ_REFUSE,
                                 .request = 320,
                                 .topic = "connector-position-topic",
                                 .code = 16,
                                 .remark = "crashed"};
    bed *b = *state;
    rc_writer *writer = writer_of(b, true);
    rc_append *alone;
    rc_error err = {0};
    int rule;

    append(writer, topic_of(b, "T"), 0, 8, true);
    take_all(writer);
    OK(rc_writer_sync(writer, FOR_EVER, &err));
    rule = fakemq_fault(b->mq, &crashed);
    append(writer, topic_of(b, "T"), 8, 20, true);
    take_all(writer);
    crash(b, writer);
    fakemq_fault_end(b->mq, rule);
    writer = writer_of(b, true);
    alone = rc_append_new(writer);
    rc_append_position(alone, omc_slice_str(PARTITION), omc_slice_str("{\"nextPosition\":\"10\"}"));
    OK(rc_writer_submit(writer, alone, NULL, &err));
    take_all(writer);
    rc_writer_close(writer);
    assert_position(b, "{\"nextPosition\":\"10\"}");
    writer = writer_of(b, true);
    append(writer, topic_of(b, "T"), 10, RECORDS, true);
    take_all(writer);
    rc_writer_close(writer);
    assert_records(b, "T", RECORDS);
}

static bool reads_topic(fakemq *mq, int from)
{
    for (int i = from; i < fakemq_requests(mq, 11, NULL); i++) {
        char *name = fakemq_request_field(mq, 11, i, "topic");
        bool is = strcmp(name, "T") == 0;

        free(name);
        if (is)
            return true;
    }
    return false;
}

/* Each worker gets somewhere and crashes. What the positions cover by then lies behind notes that
 * the rest holds back; it never comes again, and the notes must not wait for it. */
static void crashes_one_after_another(bed *b, bool strict)
{
    /* The position gets to the first, what is stored to the second. */
    static const int steps[][2] = {{8, 20}, {10, 22}, {13, 24}};
    const fakemq_rule crashed = {.action = FAKEMQ_REFUSE,
                                 .request = 320,
                                 .topic = "connector-position-topic",
                                 .code = 16,
                                 .remark = "crashed"};
    rc_writer *writer = writer_with(b, true, strict, RC_ACK_STORED);
    rc_error err = {0};
    int at = 0, pulls;

    for (size_t i = 0; i < RC_COUNT(steps); i++) {
        int rule;

        append(writer, topic_of(b, "T"), at, steps[i][0], true);
        take_all(writer);
        OK(rc_writer_sync(writer, FOR_EVER, &err));
        at = steps[i][0];
        rule = fakemq_fault(b->mq, &crashed);
        append(writer, topic_of(b, "T"), at, steps[i][1], true);
        take_all(writer);
        crash(b, writer);
        fakemq_fault_end(b->mq, rule);
        writer = writer_with(b, true, strict, RC_ACK_STORED);
    }
    append(writer, topic_of(b, "T"), at, RECORDS, true);
    take_all(writer);
    rc_writer_close(writer);
    assert_int_equal(read_repeats(b), 0);
    close_log(b);
    open_log(b);
    pulls = fakemq_requests(b->mq, 11, NULL);
    writer = writer_with(b, true, strict, RC_ACK_STORED);
    append(writer, topic_of(b, "T"), RECORDS, RECORDS + 1, true);
    take_all(writer);
    rc_writer_close(writer);
    assert_false(reads_topic(b->mq, pulls)); /* no note was left */
}

/* What was missing is sent to a queue where later records lie that are not covered yet. */
static void nor_for_what_is_covered_behind_it(void **state)
{
    const fakemq_rule crashed = {.action = FAKEMQ_REFUSE,
                                 .request = 320,
                                 .topic = "connector-position-topic",
                                 .code = 16,
                                 .remark = "crashed"};
    bed *b = *state;
    rc_writer *writer = writer_of(b, true);
    rc_error err = {0};
    int rule, pulls;

    append(writer, topic_of(b, "T"), 0, 8, true);
    take_all(writer);
    OK(rc_writer_sync(writer, FOR_EVER, &err));
    rule = fakemq_fault(b->mq, &crashed);
    append(writer, topic_of(b, "T"), 8, RECORDS, true);
    take_all(writer);
    crash(b, writer);
    fakemq_fault_end(b->mq, rule);
    fakemq_truncate(b->mq, "T", "broker-0", 1, 1); /* 9 and 17 never arrived */
    writer = writer_of(b, true);
    append_to(writer, topic_of(b, "T"), 8, 10, true, 0); /* 9 comes behind 16 */
    take_all(writer);
    OK(rc_writer_sync(writer, FOR_EVER, &err));
    rule = fakemq_fault(b->mq, &crashed);
    crash(b, writer);
    fakemq_fault_end(b->mq, rule);
    writer = writer_of(b, true);
    append(writer, topic_of(b, "T"), 10, RECORDS, true);
    take_all(writer);
    rc_writer_close(writer);
    assert_int_equal(stored(b, "T"), RECORDS);
    assert_int_equal(read_repeats(b), 0);
    close_log(b);
    open_log(b);
    pulls = fakemq_requests(b->mq, 11, NULL);
    writer = writer_of(b, true);
    append(writer, topic_of(b, "T"), RECORDS, RECORDS + 1, true);
    take_all(writer);
    rc_writer_close(writer);
    assert_false(reads_topic(b->mq, pulls));
}

static void notes_do_not_wait_for_what_is_covered(void **state)
{
    crashes_one_after_another(*state, false);
}

static void nor_do_those_of_a_strict_writer(void **state)
{
    crashes_one_after_another(*state, true);
}

static int64_t position_records(bed *b)
{
    return stored(b, "connector-position-topic");
}

/* The first record of a partition lands a second time when newer ones are there. */
static void a_position_record_that_lands_late_is_void(void **state)
{
    const fakemq_rule frozen = {.action = FAKEMQ_HOLD,
                                .request = 320,
                                .topic = "connector-position-topic",
                                .count = 1};
    bed *b = *state;
    rc_writer *writer = writer_of(b, true);
    int rule = fakemq_fault(b->mq, &frozen);
    int64_t before;
    rc_error err = {0};

    append(writer, topic_of(b, "T"), 0, 16, true);
    take_all(writer);
    OK(rc_writer_sync(writer, FOR_EVER, &err));
    before = position_records(b);
    fakemq_fault_end(b->mq, rule);
    for (int i = 0; i < 1000 && position_records(b) == before; i++)
        (void)usleep(10000);
    assert_int_equal(position_records(b), before + 1);
    assert_position(b, "{\"nextPosition\":\"16\"}");
    rc_writer_close(writer);
    close_log(b);
    open_log(b);
    assert_position(b, "{\"nextPosition\":\"16\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(late_copies_are_repeats_without_barriers),
        TEST(late_copies_are_left_out_behind_barriers),
        TEST(what_lands_before_the_barrier_is_stored),
        TEST(what_barriers_left_out_is_not_found_again),
        TEST(a_writer_without_barriers_may_follow),
        IMPATIENT(a_send_that_lands_late_is_left_out),
        IMPATIENT(a_send_lost_again_and_again_is_read_once),
        TEST(a_reader_may_restart_anywhere),
        TEST(a_reader_may_restart_far_behind),
        TEST(more_barriers_than_are_remembered_are_read_again),
        TEST(what_is_not_replicated_waits_for_a_confirmation),
        TEST(what_is_found_waits_for_a_confirmation),
        TEST(a_position_alone_keeps_the_notes),
        TEST(notes_do_not_wait_for_what_is_covered),
        TEST(nor_do_those_of_a_strict_writer),
        TEST(nor_for_what_is_covered_behind_it),
        IMPATIENT(a_position_record_that_lands_late_is_void),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
