/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The log interface: every call goes through the table of functions of its back end. Objects
 * begin with their log, so one load finds the table. The only rule kept here, because it is the
 * same for all back ends, is the form of names.
 */
#include "log/log.h"

/* Table of the back end that made an object (topic, writer, append, reader). */
static inline const rc_log_ops *ops_of(const void *object)
{
    return ((const rc_log_object *)object)->log->ops;
}

static bool name_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '%' ||
           c == '|' || c == '_' || c == '-';
}

int rc_topic_name_check(const char *name, rc_error *err)
{
    size_t len = name ? strlen(name) : 0;

    if (len == 0)
        return rc_fail(err, OMC_EINVAL,
                       "name is empty: give 1 to %d letters, digits, %%, |, _ or -",
                       RC_TOPIC_NAME_MAX);
    if (len > RC_TOPIC_NAME_MAX)
        return rc_fail(err, OMC_EINVAL,
                       "name '%.40s...' has %zu characters, at most %d are allowed", name, len,
                       RC_TOPIC_NAME_MAX);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];

        if (name_char(c))
            continue;
        if (c >= 0x20 && c < 0x7f)
            return rc_fail(err, OMC_EINVAL,
                           "name '%s': character '%c' at place %zu is not allowed; use letters, "
                           "digits, %%, |, _ and -",
                           name, c, i + 1);
        return rc_fail(err, OMC_EINVAL,
                       "name '%s': byte 0x%02x at place %zu is not allowed; use letters, digits, "
                       "%%, |, _ and -",
                       name, c, i + 1);
    }
    return 0;
}

/* ---- topics --------------------------------------------------------------------------------- */

int rc_log_topic(rc_log *log, const char *name, int32_t queues, rc_topic **ret, rc_error *err)
{
    int r = rc_topic_name_check(name, err);

    if (r < 0)
        return rc_wrap(err, r, "topic");
    return log->ops->topic(log, name, queues, ret, err);
}

const char *rc_topic_name(const rc_topic *topic)
{
    return ops_of(topic)->topic_name(topic);
}

int32_t rc_topic_queues(const rc_topic *topic)
{
    return ops_of(topic)->topic_queues(topic);
}

const char *rc_topic_broker(const rc_topic *topic, int32_t queue)
{
    return ops_of(topic)->topic_broker(topic, queue);
}

int32_t rc_topic_writable(const rc_topic *topic)
{
    const rc_log_ops *ops = ops_of(topic);

    return ops->topic_writable ? ops->topic_writable(topic) : ops->topic_queues(topic);
}

int32_t rc_topic_queue_id(const rc_topic *topic, int32_t queue)
{
    const rc_log_ops *ops = ops_of(topic);

    return ops->topic_queue_id ? ops->topic_queue_id(topic, queue) : queue;
}

int rc_log_bounds(rc_log *log, rc_topic *topic, int32_t queue, int64_t *ret_min, int64_t *ret_max,
                  rc_error *err)
{
    return log->ops->bounds(log, topic, queue, ret_min, ret_max, err);
}

int rc_log_search(rc_log *log, rc_topic *topic, int32_t queue, int64_t wall_ms, int64_t *ret,
                  rc_error *err)
{
    return log->ops->search(log, topic, queue, wall_ms, ret, err);
}

int rc_log_topics(rc_log *log, rc_topic_fn *each, void *arg, rc_error *err)
{
    return log->ops->topics(log, each, arg, err);
}

/* ---- writing -------------------------------------------------------------------------------- */

int rc_writer_open(rc_log *log, const rc_writer_config *config, rc_writer **ret, rc_error *err)
{
    return log->ops->writer_open(log, config, ret, err);
}

void rc_writer_close(rc_writer *writer)
{
    if (writer)
        ops_of(writer)->writer_close(writer);
}

void rc_writer_trim(rc_writer *writer)
{
    ops_of(writer)->writer_trim(writer);
}

rc_append *rc_append_new(rc_writer *writer)
{
    return ops_of(writer)->append_new(writer);
}

void rc_append_free(rc_append *append)
{
    if (append)
        ops_of(append)->append_free(append);
}

int rc_append_add(rc_append *append, rc_topic *topic, int32_t queue, const rc_message *message,
                  rc_slot *ret_slot, rc_error *err)
{
    return ops_of(append)->append_add(append, topic, queue, message, ret_slot, err);
}

void rc_append_position(rc_append *append, rc_slice partition, rc_slice offset)
{
    ops_of(append)->append_position(append, partition, offset);
}

size_t rc_append_bytes(const rc_append *append)
{
    return ops_of(append)->append_bytes(append);
}

size_t rc_append_count(const rc_append *append)
{
    return ops_of(append)->append_count(append);
}

size_t rc_append_positions(const rc_append *append)
{
    return ops_of(append)->append_positions(append);
}

int64_t rc_append_offset(const rc_append *append, rc_slot slot)
{
    return ops_of(append)->append_offset(append, slot);
}

rc_topic *rc_append_topic(const rc_append *append, rc_slot slot)
{
    return ops_of(append)->append_topic(append, slot);
}

int32_t rc_append_queue(const rc_append *append, rc_slot slot)
{
    return ops_of(append)->append_queue(append, slot);
}

void rc_writer_health(rc_writer *writer, rc_log_health *ret)
{
    const rc_log_ops *ops = ops_of(writer);

    if (ops->writer_health)
        ops->writer_health(writer, ret);
    else
        rc_log_health_get(((const rc_log_object *)(const void *)writer)->log, ret);
}

int rc_writer_sync(rc_writer *writer, int64_t deadline_ns, rc_error *err)
{
    const rc_log_ops *ops = ops_of(writer);

    return ops->sync ? ops->sync(writer, deadline_ns, err) : 0;
}

int rc_writer_submit(rc_writer *writer, rc_append *append, void *cookie, rc_error *err)
{
    return ops_of(writer)->submit(writer, append, cookie, err);
}

int rc_writer_receipt(rc_writer *writer, int64_t deadline_ns, rc_receipt *ret)
{
    return ops_of(writer)->receipt(writer, deadline_ns, ret);
}

size_t rc_writer_pending(const rc_writer *writer)
{
    return ops_of(writer)->pending(writer);
}

size_t rc_writer_pending_bytes(const rc_writer *writer)
{
    return ops_of(writer)->pending_bytes(writer);
}

/* ---- reading -------------------------------------------------------------------------------- */

int rc_reader_open(rc_log *log, const rc_reader_config *config, rc_reader **ret, rc_error *err)
{
    return log->ops->reader_open(log, config, ret, err);
}

void rc_reader_close(rc_reader *reader)
{
    if (reader)
        ops_of(reader)->reader_close(reader);
}

int rc_reader_add(rc_reader *reader, rc_topic *topic, int32_t queue, int64_t offset, rc_error *err)
{
    return ops_of(reader)->reader_add(reader, topic, queue, offset, err);
}

int rc_reader_remove(rc_reader *reader, rc_topic *topic, int32_t queue, rc_error *err)
{
    return ops_of(reader)->reader_remove(reader, topic, queue, err);
}

int rc_reader_seek(rc_reader *reader, rc_topic *topic, int32_t queue, int64_t offset, rc_error *err)
{
    return ops_of(reader)->reader_seek(reader, topic, queue, offset, err);
}

int rc_reader_pause(rc_reader *reader, rc_topic *topic, int32_t queue, bool paused, rc_error *err)
{
    return ops_of(reader)->reader_pause(reader, topic, queue, paused, err);
}

rc_slice rc_reader_barriers(rc_reader *reader, rc_topic *topic, int32_t queue, int64_t offset,
                            omc_arena *arena)
{
    const rc_log_ops *ops = ops_of(reader);

    return ops->reader_barriers ? ops->reader_barriers(reader, topic, queue, offset, arena)
                                : omc_slice_of(NULL, 0);
}

int rc_reader_fetch(rc_reader *reader, size_t messages_max, size_t bytes_max, int64_t deadline_ns,
                    rc_fetch *fetch, rc_error *err)
{
    fetch->topic = NULL;
    return ops_of(reader)->fetch(reader, messages_max, bytes_max, deadline_ns, fetch, err);
}

void rc_fetch_release(rc_reader *reader, rc_fetch *fetch)
{
    ops_of(reader)->fetch_release(reader, fetch);
}

void rc_reader_trim(rc_reader *reader)
{
    ops_of(reader)->reader_trim(reader);
}

int rc_reader_lag(rc_reader *reader, int64_t *ret, rc_error *err)
{
    return ops_of(reader)->lag(reader, ret, err);
}

/* ---- positions and offsets ------------------------------------------------------------------ */

int rc_log_position(rc_log *log, const char *connector, rc_slice partition, omc_arena *arena,
                    rc_slice *ret, rc_error *err)
{
    return log->ops->position(log, connector, partition, arena, ret, err);
}

int rc_log_positions(rc_log *log, const char *connector, rc_position_fn *each, void *arg,
                     rc_error *err)
{
    return log->ops->positions(log, connector, each, arg, err);
}

int rc_log_position_set(rc_log *log, const char *connector, rc_slice partition, rc_slice offset,
                        rc_error *err)
{
    return log->ops->position_set(log, connector, partition, offset, err);
}

int rc_log_commit(rc_log *log, const char *group, rc_fence *fence, const rc_commit *commits,
                  size_t count, rc_error *err)
{
    int r = rc_topic_name_check(group, err);

    if (r < 0)
        return rc_wrap(err, r, "group");
    switch (rc_fence_check(fence)) {
    case RC_FENCE_OPEN:
        break;
    case RC_FENCE_CLOSED:
        return rc_fail_retriable(err, OMC_EAGAIN, "group '%s': suspended", group);
    case RC_FENCE_REVOKED:
        return rc_fence_fail(fence, group, err);
    }
    return log->ops->commit(log, group, fence, commits, count, err);
}

int rc_log_committed(rc_log *log, const char *group, rc_topic *topic, int32_t queue,
                     omc_arena *arena, int64_t *ret_offset, rc_slice *ret_state, rc_error *err)
{
    return log->ops->committed(log, group, topic, queue, arena, ret_offset, ret_state, err);
}

int rc_log_group_delete(rc_log *log, const char *group, rc_error *err)
{
    return log->ops->group_delete(log, group, err);
}

/* ---- ownership ------------------------------------------------------------------------------ */

int rc_log_take_over(rc_log *log, const rc_task_name *name, rc_fence *fence, rc_error *err)
{
    return log->ops->take_over ? log->ops->take_over(log, name, fence, true, err) : 0;
}

int rc_log_verify(rc_log *log, const rc_task_name *name, rc_fence *fence, rc_error *err)
{
    return log->ops->take_over ? log->ops->take_over(log, name, fence, false, err) : 0;
}

int rc_log_generation(rc_log *log, const rc_task_name *name, int64_t *ret, rc_error *err)
{
    if (log->ops->generation)
        return log->ops->generation(log, name, ret, err);
    *ret = -1;
    return 0;
}

/* ---- the log -------------------------------------------------------------------------------- */

void rc_log_health_get(rc_log *log, rc_log_health *ret)
{
    memset(ret, 0, sizeof *ret);
    log->ops->health(log, ret);
}

unsigned rc_log_caps_of(const rc_log *log)
{
    return log->ops->caps;
}

void rc_log_close(rc_log *log)
{
    if (log)
        log->ops->close(log);
}
