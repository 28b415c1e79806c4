/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets of one queue: ends, by time, and a group's. */
#include "base/clock.h"
#include "base/units.h"
#include "rocketmq/admin_impl.h"
#include "rocketmq/lane.h"

#include <poll.h>
#include <string.h>

/* Version ordinal of 5.0.0 (protocol §2). */
#define VERSION_5 413
#define INDEX_WAIT_MS 10000
#define INDEX_LOOK_MS 50

/* Asks a queue's broker for one number. @return 0, `also`, or < 0; *ret_moved: the broker says that
 * another has the queue now. */
static int ask_broker(rmq_client *client, int code, const rmq_gate *gate, const rmq_queue *queue,
                      bool slave, bool fresh, const rmq_text_pair *more, size_t more_count,
                      int also, int64_t *ret, int32_t *ret_version, bool *ret_moved, rc_error *err)
{
    ADMIN_CALL call = {.answered = false};
    admin_place place = {.address = ""};
    char subject[300];
    char wire[256];
    int r = admin_topic_broker(client, queue, slave, fresh, &place, err);

    if (r < 0)
        return r;
    admin_call_init(&call, client, code, place.name, place.address);
    (void)snprintf(subject, sizeof subject, "topic '%s' queue %d", queue->topic, queue->id);
    call.subject = subject;
    call.gate = gate;
    admin_text(&call, "topic", rmq_client_wire_name(client, queue->topic, wire));
    admin_number(&call, "queueId", queue->id);
    for (size_t i = 0; i < more_count; i++)
        admin_text(&call, more[i].name, more[i].value);
    r = admin_ask(&call, also, err);
    *ret_moved =
        r < 0 && call.answered && call.answer.frame.header.code == RMQ_R_NOT_LEADER_FOR_QUEUE;
    if (r != 0 || !ret)
        return r;
    if (ret_version)
        *ret_version = call.answer.frame.header.version;
    r = rmq_header_int(&call.answer.frame.header, "offset", ret, err);
    return r < 0 ? rc_wrap(err, r, "%s at broker %s", subject, place.name) : 0;
}

/* A queue that has moved since the route was asked for is asked for where it is now. */
static int ask_offset_of(rmq_client *client, int code, const rmq_gate *gate, const rmq_queue *queue,
                         bool slave, const rmq_text_pair *more, size_t more_count, int also,
                         int64_t *ret, int32_t *ret_version, rc_error *err)
{
    bool moved = false;
    int r = ask_broker(client, code, gate, queue, slave, false, more, more_count, also, ret,
                       ret_version, &moved, err);

    return moved ? ask_broker(client, code, gate, queue, slave, true, more, more_count, also, ret,
                              ret_version, &moved, err)
                 : r;
}

static int ask_offset(rmq_client *client, int code, const rmq_queue *queue, bool slave,
                      const rmq_text_pair *more, size_t more_count, int also, int64_t *ret,
                      rc_error *err)
{
    return ask_offset_of(client, code, NULL, queue, slave, more, more_count, also, ret, NULL, err);
}

int rmq_offset_min(rmq_client *client, const rmq_queue *queue, int64_t *ret, rmq_error *err)
{
    return ask_offset(client, RMQ_GET_MIN_OFFSET, queue, true, NULL, 0, 0, ret, err);
}

int rmq_offset_max(rmq_client *client, const rmq_queue *queue, int64_t *ret, rmq_error *err)
{
    return ask_offset(client, RMQ_GET_MAX_OFFSET, queue, true, NULL, 0, 0, ret, err);
}

/* Brokers before 5.0 have no such question. Theirs is: how far behind is the index, in bytes of the
 * commit log? Once it has passed what the log ended at, all that was stored before is shown. */
static int table_number(const rmq_text_table *table, const char *name, int64_t *ret)
{
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->pairs[i].name, name) == 0)
            return rc_parse_int64(omc_slice_str(table->pairs[i].value), ret);
    return -OMC_ENOTFOUND;
}

static int indexed_up_to(rmq_client *client, const char *broker, int64_t *ret_end,
                         int64_t *ret_indexed, rc_error *err)
{
    rmq_text_table *table = NULL;
    int64_t behind = 0;
    int r = rmq_broker_runtime_get(client, broker, &table, err);

    if (r < 0)
        return r;
    if (table_number(table, "commitLogMaxOffset", ret_end) < 0 ||
        table_number(table, "dispatchBehindBytes", &behind) < 0)
        r = rc_fail(err, OMC_EUNSUPPORTED,
                    "broker %s does not tell how far its index is (GET_BROKER_RUNTIME_INFO)",
                    broker);
    *ret_indexed = *ret_end - behind;
    rmq_free(table);
    return r;
}

/* A broker that has just started fails to answer (SYSTEM_ERROR, NoSuchElementException) until it
 * has figures of its first seconds. */
static bool too_young(int r, const rc_error *err)
{
    return r < 0 && strstr(err->msg, "NoSuchElementException") != NULL;
}

static int wait_for_index(rmq_client *client, const char *broker, rc_error *err)
{
    int64_t deadline = rc_mono_ms(rc_clock_real()) + INDEX_WAIT_MS;
    int64_t target = -1, end = 0, indexed = 0;

    for (;;) {
        int r = indexed_up_to(client, broker, &end, &indexed, err);

        if (r == 0 && target < 0)
            target = end;
        if ((r < 0 && !too_young(r, err)) || (r == 0 && indexed >= target))
            return r;
        if (rc_mono_ms(rc_clock_real()) > deadline)
            return r < 0 ? r
                         : rc_fail_retriable(
                               err, OMC_ETIMEDOUT,
                               "broker %s is more than %d s behind with its index: %lld bytes "
                               "are stored and not shown yet",
                               broker, INDEX_WAIT_MS / 1000, (long long)(target - indexed));
        (void)poll(NULL, 0, INDEX_LOOK_MS);
    }
}

int rmq_offset_next(rmq_client *client, const rmq_queue *queue, int64_t *ret, rmq_error *err)
{
    /* GetMaxOffsetRequestHeader: with committed=false a broker of 5.x answers from the table it
     * numbers messages by; it has no entry, and says 0, for a queue nothing was ever sent to. */
    const rmq_text_pair more = {"committed", "false"};
    int32_t version = 0;
    int64_t shown = 0;
    int r = ask_offset_of(client, RMQ_GET_MAX_OFFSET, NULL, queue, false, &more, 1, 0, ret,
                          &version, err);

    if (r == 0 && version < VERSION_5)
        r = wait_for_index(client, queue->broker, err);
    if (r == 0)
        r = rmq_offset_max(client, queue, &shown, err);
    if (r == 0)
        *ret = RC_MAX(*ret, shown);
    return r;
}

int rmq_offset_by_time(rmq_client *client, const rmq_queue *queue, int64_t wall_ms, int64_t *ret,
                       rmq_error *err)
{
    char text[24];
    const rmq_text_pair more = {"timestamp", text};

    (void)snprintf(text, sizeof text, "%lld", (long long)wall_ms);
    return ask_offset(client, RMQ_SEARCH_OFFSET_BY_TIMESTAMP, queue, false, &more, 1, 0, ret, err);
}

int rmq_offset_committed(rmq_client *client, const char *group, const rmq_queue *queue,
                         int64_t *ret, rmq_error *err)
{
    char wire[256];
    /* Without the second field a young queue of a new group answers 0 (protocol §9). */
    const rmq_text_pair more[] = {{"consumerGroup", wire}, {"setZeroIfNotFound", "false"}};
    int r = admin_name(client, "group", group, ADMIN_GROUP_MAX, wire, err);

    r = r < 0 ? r
              : ask_offset(client, RMQ_QUERY_CONSUMER_OFFSET, queue, false, more, RC_COUNT(more),
                           RMQ_R_QUERY_NOT_FOUND, ret, err);
    if (r == RMQ_R_QUERY_NOT_FOUND)
        *ret = -1;
    return r < 0 ? r : 0;
}

int rmq_offset_commit_gated(rmq_client *client, const char *group, const rmq_queue *queue,
                            int64_t offset, const rmq_gate *gate, rmq_error *err)
{
    char wire[256];
    char text[24];
    const rmq_text_pair more[] = {{"consumerGroup", wire}, {"commitOffset", text}};
    int r = admin_name(client, "group", group, ADMIN_GROUP_MAX, wire, err);

    if (r == 0 && offset < 0)
        r = rc_fail(err, OMC_EINVAL, "group '%s': an offset to commit is 0 or more, not %lld",
                    group, (long long)offset);
    (void)snprintf(text, sizeof text, "%lld", (long long)offset);
    r = r < 0 ? r
              : ask_offset_of(client, RMQ_UPDATE_CONSUMER_OFFSET, gate, queue, false, more,
                              RC_COUNT(more), 0, NULL, NULL, err);
    return r < 0 ? rc_wrap(err, r, "commit offset %lld of group '%s'", (long long)offset,
                           group ? group : "")
                 : 0;
}

int rmq_offset_commit(rmq_client *client, const char *group, const rmq_queue *queue, int64_t offset,
                      rmq_error *err)
{
    return rmq_offset_commit_gated(client, group, queue, offset, NULL, err);
}
