/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appends: messages are encoded straight into the items of the send they will travel in, one
 * buffer ("part") per queue and about 1 MiB: the one copy of a body. Task thread only, until the
 * append is submitted.
 */
#include "log/rocketmq/internal.h"

#include "base/encode.h"

#define PART_BYTES_FIRST ((size_t)16384)
/** Found messages have slots of their own kind. */
#define SLOT_FOUND UINT32_MAX
#define SPARES_MAX 32
/** Memory of parts kept for later. */
#define SPARE_BYTES_MAX ((size_t)4 << 20)
#define PROPERTIES_ON_STACK 32

rc_append *rc_rmq_append_new(rc_writer *writer)
{
    rc_append *append = writer->spare;

    if (append) {
        DL_DELETE(writer->spare, append);
        writer->spare_count--;
    } else {
        append = rc_calloc(1, sizeof *append);
        append->head = writer->head;
        append->writer = writer;
    }
    append->number = ++writer->next_number;
    if (writer->fence && writer->strict) /* with those that a recovery may take */
        rc_fence_number(writer->fence, rc_append_sequence(append) + RC_STAMP_STEP - 1);
    return append;
}

static void part_free(rc_part *part)
{
    free(part->data);
    free(part->offsets);
    free(part);
}

/* Buffers of a megabyte are not to be asked of the system, page by page, for every send. */
static void recycle(rc_writer *writer, rc_part *part)
{
    if (writer->spare_part_count == RC_SPARE_PARTS ||
        writer->spare_part_bytes + part->cap > SPARE_BYTES_MAX) {
        part_free(part);
        return;
    }
    writer->spare_part_bytes += part->cap;
    writer->spare_parts[writer->spare_part_count++] = part;
}

static rc_part *part_alloc(rc_writer *writer)
{
    rc_part *part;
    uint8_t *data;
    size_t cap;

    if (writer->spare_part_count == 0)
        return rc_calloc(1, sizeof *part);
    part = writer->spare_parts[--writer->spare_part_count];
    writer->spare_part_bytes -= part->cap;
    data = part->data;
    cap = part->cap;
    free(part->offsets);
    memset(part, 0, sizeof *part);
    part->data = data;
    part->cap = cap;
    return part;
}

/* Empties an append. */
static void clear(rc_append *append)
{
    for (uint32_t i = 0; i < append->part_count; i++)
        recycle(append->writer, append->parts[i]);
    for (uint32_t i = 0; i < append->position_count; i++) {
        free(append->positions[i].partition);
        free(append->positions[i].offset);
    }
    append->part_count = append->found_count = append->position_count = append->cover_count = 0;
    append->bytes = append->count = 0;
    append->stamp[0] = '\0';
    append->result = 0;
    free(append->err);
    append->err = NULL;
}

void rc_append_destroy(rc_append *append)
{
    clear(append);
    free(append->parts);
    free(append->found);
    free(append->positions);
    free(append->covers);
    free(append);
}

void rc_rmq_append_free(rc_append *append)
{
    rc_writer *writer;

    if (!append)
        return;
    writer = append->writer;
    if (writer->spare_count >= SPARES_MAX) {
        rc_append_destroy(append);
        return;
    }
    clear(append);
    DL_APPEND(writer->spare, append);
    writer->spare_count++;
}

void rc_rmq_writer_trim(rc_writer *writer)
{
    rc_append *append, *next;

    DL_FOREACH_SAFE(writer->spare, append, next)
    rc_append_destroy(append);
    writer->spare = NULL;
    writer->spare_count = 0;
    while (writer->spare_part_count > 0)
        part_free(writer->spare_parts[--writer->spare_part_count]);
    writer->spare_part_bytes = 0;
}

/* ---- lines and parts ------------------------------------------------------------------------- */

size_t rc_writer_line(rc_writer *writer, rc_topic *topic, int32_t queue)
{
    rc_line *line;
    size_t message_max;

    for (size_t i = 0; i < writer->line_count; i++) {
        /* Most often the same queue again, or the next one. */
        size_t at = (writer->last_line + i) % writer->line_count;

        if (writer->lines[at].topic == topic && writer->lines[at].queue == queue)
            return writer->last_line = at;
    }
    message_max = rc_rmq_message_max(writer->log, topic->queues[queue].broker);
    /* The I/O thread looks at lines, too. */
    (void)pthread_mutex_lock(&writer->mu);
    if (writer->line_count == writer->line_cap) {
        writer->line_cap = writer->line_cap ? 2 * writer->line_cap : 16;
        writer->lines = rc_realloc(writer->lines, writer->line_cap * sizeof *writer->lines);
    }
    line = &writer->lines[writer->line_count];
    memset(line, 0, sizeof *line);
    line->topic = topic;
    line->queue = queue;
    line->message_max = message_max;
    line->known_next = -1;
    writer->last_line = writer->line_count++;
    (void)pthread_mutex_unlock(&writer->mu);
    return writer->last_line;
}

/* What lies between it and that of the next append is for what is sent again. */
int64_t rc_append_sequence(const rc_append *append)
{
    return (int64_t)append->number * RC_STAMP_STEP;
}

static rc_part *part_new(rc_append *append, size_t line)
{
    rc_writer *writer = append->writer;
    const rc_topic *topic = writer->lines[line].topic;
    const rmq_queue *queue = &topic->queues[writer->lines[line].queue];
    rc_part *part = part_alloc(writer);

    if (append->part_count == append->part_cap) {
        append->part_cap = append->part_cap ? 2 * append->part_cap : 8;
        append->parts = rc_realloc(append->parts, append->part_cap * sizeof(rc_part *));
    }
    part->append = append;
    part->line = line;
    part->sequence = rc_append_sequence(append);
    part->parcel = (rmq_parcel){.topic = topic->name,
                                .broker = queue->broker,
                                .queue_id = queue->id,
                                .base_offset = -1,
                                .owner = part};
    writer->lines[line].append = append->number;
    writer->lines[line].part = append->part_count;
    append->parts[append->part_count++] = part;
    return part;
}

/* The part with room for `need` more bytes, and its number. */
static rc_part *part_for(rc_append *append, size_t line, size_t need, uint32_t *ret)
{
    rc_line *at = &append->writer->lines[line];
    rc_part *part = at->append == append->number ? append->parts[at->part] : NULL;

    if (!part || (part->parcel.bytes > 0 &&
                  part->parcel.bytes + need > RC_MIN(RC_SEND_BYTES_MAX, at->message_max)))
        part = part_new(append, line);
    *ret = append->writer->lines[line].part;
    if (part->parcel.bytes + need > part->cap) {
        part->cap = RC_MAX(RC_MAX(2 * part->cap, PART_BYTES_FIRST), part->parcel.bytes + need);
        part->data = rc_realloc(part->data, part->cap);
    }
    return part;
}

/* ---- encoding -------------------------------------------------------------------------------- */

typedef struct encoding {
    rmq_message message;
    rmq_property few[PROPERTIES_ON_STACK];
    rmq_property *many; /* NULL: few is enough */
    char id[RC_ID_TEXT_MAX];
} encoding;

static void make_stamp(rc_append *append)
{
    const rc_writer *writer = append->writer;
    const rmq_stamp stamp = {writer->strict, rc_eo_generation(writer), rc_append_sequence(append)};

    if (writer->strict)
        (void)rmq_stamp_text(&stamp, append->stamp);
    else
        (void)snprintf(append->stamp, sizeof append->stamp, "%lld.%llu",
                       (long long)stamp.generation, (unsigned long long)append->number);
}

static void add_identity(encoding *e, rmq_property *to, rc_append *append,
                         const rc_message *message)
{
    size_t len;

    if (!message->identity || !append->writer->eo)
        return;
    len = rc_id_text(message->identity, e->id);
    to[e->message.property_count++] =
        (rmq_property){omc_slice_str(RC_PROP_ID), omc_slice_of(e->id, len)};
    if (!append->stamp[0])
        make_stamp(append);
    to[e->message.property_count++] =
        (rmq_property){omc_slice_str(RC_PROP_GEN), omc_slice_str(append->stamp)};
}

static void prepare(encoding *e, rc_append *append, const rc_message *message)
{
    rmq_property *to = e->few;

    e->many = NULL;
    if (message->property_count + 2 > PROPERTIES_ON_STACK)
        to = e->many = rc_malloc((message->property_count + 2) * sizeof *to);
    e->message = (rmq_message){.body = message->body,
                               .keys = message->keys,
                               .tags = message->tags,
                               .flag = message->flag,
                               .born_ms = message->born_ms,
                               .properties = to};
    for (size_t i = 0; i < message->property_count; i++)
        to[i] = (rmq_property){message->properties[i].key, message->properties[i].value};
    e->message.property_count = message->property_count;
    add_identity(e, to, append, message);
}

static int check_size(const rc_line *line, const rc_message *message, size_t size, rc_error *err)
{
    const rmq_queue *queue = &line->topic->queues[line->queue];

    if (size <= line->message_max)
        return 0;
    return rc_fail(err, OMC_EINVAL,
                   "message of %zu bytes (body %zu, the rest properties) for topic '%s': broker "
                   "'%s' takes at most %zu (maxMessageSize); make records smaller, or skip those "
                   "that are larger (errors.tolerance=all)",
                   size, message->body.len, queue->topic, queue->broker, line->message_max);
}

static int put(rc_append *append, size_t line, const rc_message *message, rc_slot *ret,
               rc_error *err)
{
    encoding e;
    char unique[33];
    size_t properties = 0, size = 0;
    rc_part *part;
    int r;

    prepare(&e, append, message);
    r = rmq_properties_check(&e.message, err);
    if (r == 0) {
        properties = rmq_properties_size(&e.message, true);
        size = rmq_item_size(e.message.body.len, properties);
        r = check_size(&append->writer->lines[line], message, size, err);
    }
    if (r == 0) {
        part = part_for(append, line, size, &ret->part);
        ret->index = part->items++;
        rmq_unique_key(unique);
        (void)rmq_item_put(part->data + part->parcel.bytes, &e.message, e.message.body, unique,
                           properties);
        part->parcel.bytes += size;
        append->bytes += size;
        append->count++;
    }
    free(e.many);
    return r;
}

static void note_found(rc_append *append, const rc_found *found, rc_slot *ret)
{
    if (append->found_count == append->found_cap) {
        append->found_cap = append->found_cap ? 2 * append->found_cap : 8;
        append->found = rc_realloc(append->found, append->found_cap * sizeof *append->found);
    }
    *ret = (rc_slot){SLOT_FOUND, append->found_count};
    append->found[append->found_count++] = *found;
}

int rc_rmq_append_add(rc_append *append, rc_topic *topic, int32_t queue, const rc_message *message,
                      rc_slot *ret_slot, rc_error *err)
{
    bool known = message->identity && append->writer->eo;
    rc_slot slot = {0};
    rc_found found = {0};
    int r = 0;

    RC_ASSERT(queue >= 0 && queue < topic->writable);
    if (append->writer->ack != RC_ACK_STORED)
        r = rc_writer_check_ack(append->writer, topic, queue, err);
    if (r == 0 && known)
        r = rc_eo_before_add(append, topic, queue, message->identity, &found, err);
    if (r < 0)
        return r;
    if (r == 1) {
        note_found(append, &found, &slot);
    } else {
        r = put(append, rc_writer_line(append->writer, topic, queue), message, &slot, err);
        if (r < 0)
            return rc_wrap(err, r, "topic '%s'", topic->name);
        if (known)
            rc_eo_added(append, slot.part, slot.index);
    }
    if (ret_slot)
        *ret_slot = slot;
    return 0;
}

void rc_rmq_append_position(rc_append *append, rc_slice partition, rc_slice offset)
{
    rc_appended_position *at;

    for (uint32_t i = 0; i < append->position_count; i++) {
        at = &append->positions[i];
        if (strlen(at->partition) == partition.len &&
            memcmp(at->partition, partition.base, partition.len) == 0) {
            free(at->offset);
            at->offset = rc_strndup(offset.base, offset.len);
            return;
        }
    }
    if (append->position_count == append->position_cap) {
        append->position_cap = append->position_cap ? 2 * append->position_cap : 4;
        append->positions =
            rc_realloc(append->positions, append->position_cap * sizeof *append->positions);
    }
    at = &append->positions[append->position_count++];
    at->partition = rc_strndup(partition.base, partition.len);
    at->offset = rc_strndup(offset.base, offset.len);
}

/* ---- what is in it --------------------------------------------------------------------------- */

size_t rc_rmq_append_bytes(const rc_append *append)
{
    return append->bytes;
}

size_t rc_rmq_append_count(const rc_append *append)
{
    return append->count;
}

size_t rc_rmq_append_positions(const rc_append *append)
{
    return append->position_count;
}

int64_t rc_rmq_append_offset(const rc_append *append, rc_slot slot)
{
    const rc_part *part;

    if (slot.part == SLOT_FOUND)
        return append->found[slot.index].offset;
    part = append->parts[slot.part];
    if (part->offsets)
        return part->offsets[slot.index];
    return part->parcel.base_offset < 0 ? -1 : part->parcel.base_offset + slot.index;
}

rc_topic *rc_rmq_append_topic(const rc_append *append, rc_slot slot)
{
    if (slot.part == SLOT_FOUND)
        return append->found[slot.index].topic;
    return append->writer->lines[append->parts[slot.part]->line].topic;
}

int32_t rc_rmq_append_queue(const rc_append *append, rc_slot slot)
{
    if (slot.part == SLOT_FOUND)
        return append->found[slot.index].queue;
    return append->writer->lines[append->parts[slot.part]->line].queue;
}
