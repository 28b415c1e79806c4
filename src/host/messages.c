/* SPDX-License-Identifier: Apache-2.0 */
/* The control frames' payloads, in the order of their tables in docs/host-protocol.md. */
#include "host/messages.h"
#include "host/values.h"

#define NAME_MAX_BYTES 256
#define TEXT_MAX_BYTES 4096
#define LONG_MAX_BYTES ((size_t)64 << 10)
#define OPTIONS_MAX 1000
#define RUN_RECORDS_MAX 1000000

/* ---- session -------------------------------------------------------------------------------- */

void rc_out_hello(rc_buf *out, const rc_hello *hello)
{
    rc_out_u32(out, hello->magic);
    rc_out_u16(out, hello->version_min);
    rc_out_u16(out, hello->version_max);
    rc_out_u32(out, hello->pid);
    rc_out_u64(out, hello->capabilities);
    rc_out_u32(out, hello->max_frame);
    rc_out_text(out, hello->name);
    rc_out_text(out, hello->version);
    rc_out_text(out, hello->language);
    rc_out_kv(out, hello->more);
}

void rc_in_hello(rc_wire_in *in, rc_hello *ret)
{
    *ret = (rc_hello){.magic = rc_in_u32(in)};
    if (ret->magic != RC_WIRE_MAGIC)
        rc_in_fault(in, "no-hello");
    ret->version_min = rc_in_u16(in);
    ret->version_max = rc_in_u16(in);
    ret->pid = rc_in_u32(in);
    ret->capabilities = rc_in_u64(in);
    ret->max_frame = rc_in_u32(in);
    ret->name = rc_in_name(in, NAME_MAX_BYTES);
    ret->version = rc_in_name(in, NAME_MAX_BYTES);
    ret->language = rc_in_name(in, NAME_MAX_BYTES);
    ret->more = rc_in_kv(in);
}

void rc_out_welcome(rc_buf *out, const rc_welcome *welcome)
{
    rc_out_u16(out, welcome->version);
    rc_out_u64(out, welcome->capabilities);
    rc_out_u32(out, welcome->max_frame);
    rc_out_u32(out, welcome->heartbeat_ms);
    rc_out_u8(out, welcome->log_level);
    rc_out_text(out, welcome->session);
    rc_out_text(out, welcome->worker_id);
    rc_out_text(out, welcome->worker_version);
    rc_out_kv(out, welcome->settings);
}

void rc_in_welcome(rc_wire_in *in, rc_welcome *ret)
{
    *ret = (rc_welcome){.version = rc_in_u16(in)};
    ret->capabilities = rc_in_u64(in);
    ret->max_frame = rc_in_u32(in);
    ret->heartbeat_ms = rc_in_u32(in);
    ret->log_level = rc_in_u8(in);
    ret->session = rc_in_name(in, NAME_MAX_BYTES);
    ret->worker_id = rc_in_name(in, TEXT_MAX_BYTES);
    ret->worker_version = rc_in_name(in, NAME_MAX_BYTES);
    ret->settings = rc_in_kv(in);
}

/* ---- instances ------------------------------------------------------------------------------ */

void rc_out_start(rc_buf *out, const rc_start *start)
{
    rc_out_u8(out, start->kind);
    rc_out_text(out, start->class_name);
    rc_out_text(out, start->location);
    rc_out_text(out, start->connector);
    rc_out_kv(out, start->config);
    rc_out_u16(out, start->connector_instance);
    rc_out_text(out, start->task);
    rc_out_u32(out, start->task_id);
    rc_out_u32(out, start->task_count);
    rc_out_u8(out, start->is_key);
    rc_out_u32(out, start->records_max);
    rc_out_u32(out, start->bytes_max);
    rc_out_u32(out, start->put_window);
}

void rc_in_start(rc_wire_in *in, rc_start *ret)
{
    *ret = (rc_start){.kind = rc_in_u8(in)};
    ret->class_name = rc_in_name(in, NAME_MAX_BYTES);
    ret->location = rc_in_name(in, TEXT_MAX_BYTES);
    ret->connector = rc_in_name(in, TEXT_MAX_BYTES);
    ret->config = rc_in_kv(in);
    ret->connector_instance = rc_in_u16(in);
    ret->task = rc_in_name(in, TEXT_MAX_BYTES);
    ret->task_id = rc_in_u32(in);
    ret->task_count = rc_in_u32(in);
    ret->is_key = rc_in_bool(in);
    ret->records_max = rc_in_u32(in);
    ret->bytes_max = rc_in_u32(in);
    ret->put_window = rc_in_u32(in);
}

/* ---- queues --------------------------------------------------------------------------------- */

void rc_out_queue(rc_buf *out, const omc_queue *queue)
{
    rc_out_text(out, queue->topic);
    rc_out_text(out, queue->broker);
    rc_out_u32(out, (uint32_t)queue->id);
}

void rc_out_queues(rc_buf *out, const omc_queue *queues, size_t count)
{
    rc_out_u32(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        rc_out_queue(out, &queues[i]);
}

void rc_out_queue_offsets(rc_buf *out, const omc_queue_offset *offsets, size_t count)
{
    rc_wire_ids ids;

    rc_wire_ids_init(&ids); /* states hold no structs */
    rc_out_u32(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        rc_out_queue(out, &offsets[i].queue);
        rc_out_u64(out, (uint64_t)offsets[i].offset);
        rc_out_u8(out, offsets[i].state != NULL);
        if (offsets[i].state)
            rc_out_map(out, &ids, offsets[i].state);
    }
    rc_wire_ids_release(&ids);
}

static omc_queue in_queue(rc_wire_in *in)
{
    omc_queue queue = {.topic = rc_in_name(in, TEXT_MAX_BYTES)};

    queue.broker = rc_in_name(in, TEXT_MAX_BYTES);
    queue.id = rc_in_i32(in);
    return queue;
}

size_t rc_in_queues(rc_wire_in *in, const omc_queue **ret)
{
    uint32_t count = rc_in_count(in, 12, RC_WIRE_QUEUES_MAX);
    omc_queue *queues = rc_in_alloc(in, count, sizeof *queues);

    for (uint32_t i = 0; i < count && !in->fault; i++)
        queues[i] = in_queue(in);
    *ret = queues;
    return in->fault ? 0 : count;
}

size_t rc_in_queue_offsets(rc_wire_in *in, omc_queue_offset **ret)
{
    uint32_t count = rc_in_count(in, 21, RC_WIRE_QUEUES_MAX);
    omc_queue_offset *offsets = rc_in_alloc(in, count, sizeof *offsets);

    for (uint32_t i = 0; i < count && !in->fault; i++) {
        offsets[i].queue = in_queue(in);
        offsets[i].offset = rc_in_i64(in);
        offsets[i].state = rc_in_bool(in) ? rc_in_map(in) : NULL;
    }
    *ret = offsets;
    return in->fault ? 0 : count;
}

/* ---- results of sends ----------------------------------------------------------------------- */

static bool follows(const omc_send_result *first, const omc_send_result *next, size_t distance)
{
    if (first->status != next->status)
        return false;
    return first->status != 0 ||
           (first->queue == next->queue && first->offset + (int64_t)distance == next->offset &&
            strcmp(first->topic, next->topic) == 0 && strcmp(first->broker, next->broker) == 0 &&
            !first->message_id[0] == !next->message_id[0]);
}

static void out_run(rc_buf *out, rc_wire_refs *refs, const omc_send_result *first, size_t count)
{
    bool ids = first->status == 0 && first->message_id[0];

    rc_out_u32(out, (uint32_t)count);
    rc_out_u8(out, first->status);
    rc_out_u8(out, ids);
    if (first->status == 0) {
        rc_out_text_ref(out, refs, first->topic);
        rc_out_text_ref(out, refs, first->broker);
        rc_out_u32(out, (uint32_t)first->queue);
        rc_out_u64(out, (uint64_t)first->offset);
    }
    for (size_t i = 0; ids && i < count; i++)
        rc_out_text(out, first[i].message_id);
}

void rc_out_results(rc_buf *out, const omc_send_result *results, size_t count)
{
    size_t mark = rc_out_mark(out), from = 0;
    rc_wire_refs refs = {0};
    uint32_t runs = 0;

    while (from < count) {
        size_t to = from + 1;

        while (to < count && follows(&results[from], &results[to], to - from))
            to++;
        out_run(out, &refs, &results[from], to - from);
        from = to;
        runs++;
    }
    rc_out_patch(out, mark, runs);
}

typedef struct result_list {
    omc_send_result *items;
    size_t count, cap;
} result_list;

static omc_send_result *room(rc_wire_in *in, result_list *list, size_t more)
{
    size_t cap = RC_MAX(list->cap * 2, list->count + more);
    omc_send_result *items;

    if (list->count + more <= list->cap)
        return list->items + list->count;
    items = rc_in_alloc(in, cap, sizeof *items);
    if (in->fault)
        return NULL;
    if (list->count)
        memcpy(items, list->items, list->count * sizeof *items);
    list->items = items;
    list->cap = cap;
    return items + list->count;
}

static void in_run(rc_wire_in *in, rc_wire_texts *texts, result_list *list)
{
    uint32_t count = rc_in_u32(in);
    unsigned status = rc_in_u8(in), bits = rc_in_u8(in);
    omc_send_result first = {.status = (uint8_t)status,
                             .queue = -1,
                             .offset = -1,
                             .topic = "",
                             .broker = "",
                             .message_id = ""};
    omc_send_result *at;

    if (status > 2 || count == 0)
        rc_in_fault(in, "bad-value");
    if (count > RUN_RECORDS_MAX)
        rc_in_fault(in, "over-limit");
    if (!in->fault && status == 0) {
        first.topic = rc_in_text_ref(in, texts);
        first.broker = rc_in_text_ref(in, texts);
        first.queue = rc_in_i32(in);
        first.offset = rc_in_i64(in);
    }
    at = in->fault ? NULL : room(in, list, count);
    for (uint32_t i = 0; at && i < count; i++) {
        at[i] = first;
        at[i].offset = status == 0 ? (int64_t)((uint64_t)first.offset + i) : -1;
        if (bits & 1)
            at[i].message_id = rc_in_name(in, NAME_MAX_BYTES);
    }
    list->count += at ? count : 0;
}

size_t rc_in_results(rc_wire_in *in, omc_send_result **ret)
{
    uint32_t runs = rc_in_count(in, 6, UINT32_MAX);
    rc_wire_texts texts = {0};
    result_list list = {0};

    for (uint32_t i = 0; i < runs && !in->fault; i++)
        in_run(in, &texts, &list);
    *ret = list.items;
    return in->fault ? 0 : list.count;
}

/* ---- plugins -------------------------------------------------------------------------------- */

void rc_out_problem(rc_buf *out, bool warning, const char *key, const char *value, const char *text)
{
    rc_out_u8(out, warning);
    rc_out_text(out, key);
    rc_out_text(out, value);
    rc_out_text(out, text);
}

static void out_option(rc_buf *out, const omc_option *option)
{
    size_t mark = rc_out_mark(out);

    rc_out_text(out, option->name);
    rc_out_u8(out, option->type);
    rc_out_u32(out, option->flags & (OMC_OPT_REQUIRED | OMC_OPT_DEPRECATED | OMC_OPT_PREFIX));
    rc_out_optional(out, option->default_value);
    rc_out_text(out, option->doc);
    rc_out_u64(out, (uint64_t)option->min);
    rc_out_u64(out, (uint64_t)option->max);
    rc_out_text(out, option->choices);
    rc_out_optional(out, NULL);
    rc_out_u8(out, 1);
    rc_out_sized(out, mark);
}

void rc_out_plugin(rc_buf *out, const rc_host_plugin *plugin)
{
    size_t mark = rc_out_mark(out);

    rc_out_u8(out, plugin->kind);
    rc_out_u32(out, plugin->flags);
    rc_out_text(out, plugin->class_name);
    rc_out_text(out, plugin->location);
    rc_out_text(out, plugin->version);
    rc_out_text(out, plugin->doc);
    rc_out_u32(out, (uint32_t)plugin->option_count);
    for (size_t i = 0; i < plugin->option_count; i++)
        out_option(out, &plugin->options[i]);
    rc_out_sized(out, mark);
}

static const char *in_optional_text(rc_wire_in *in)
{
    const char *at = in->at;

    if (rc_in_u32(in) == RC_WIRE_NONE)
        return NULL;
    in->at = in->fault ? in->at : at;
    return rc_in_name(in, LONG_MAX_BYTES);
}

static void in_option(rc_wire_in *in, omc_option *option)
{
    const char *choices;

    *option = (omc_option){.offset = OMC_OPT_NOT_STORED};
    option->name = rc_in_name(in, NAME_MAX_BYTES);
    option->type = (omc_option_type)rc_in_u8(in);
    option->flags = rc_in_u32(in) & (OMC_OPT_REQUIRED | OMC_OPT_DEPRECATED | OMC_OPT_PREFIX);
    option->default_value = in_optional_text(in);
    option->doc = rc_in_name(in, LONG_MAX_BYTES);
    option->min = rc_in_i64(in);
    option->max = rc_in_i64(in);
    choices = rc_in_name(in, LONG_MAX_BYTES);
    option->choices = *choices ? choices : NULL;
    (void)in_optional_text(in);
    (void)rc_in_u8(in);
    if (option->type < OMC_OPT_STRING || option->type > OMC_OPT_REGEX)
        option->type = OMC_OPT_STRING; /* a type of a later version */
    if (option->type == OMC_OPT_CHOICE && !option->choices)
        option->type = OMC_OPT_STRING;
}

void rc_in_plugin(rc_wire_in *in, rc_host_plugin *ret)
{
    rc_wire_in part = rc_in_enter(in);
    omc_option *options;
    uint32_t count;

    *ret = (rc_host_plugin){.kind = rc_in_u8(&part)};
    ret->flags = rc_in_u32(&part);
    ret->class_name = rc_in_name(&part, NAME_MAX_BYTES);
    ret->location = rc_in_name(&part, TEXT_MAX_BYTES);
    ret->version = rc_in_name(&part, LONG_MAX_BYTES);
    ret->doc = rc_in_name(&part, LONG_MAX_BYTES);
    count = rc_in_count(&part, 4, OPTIONS_MAX);
    options = rc_in_alloc(&part, count, sizeof *options);
    for (uint32_t i = 0; i < count && !part.fault; i++) {
        rc_wire_in one = rc_in_enter(&part);

        in_option(&one, &options[i]);
        rc_in_leave(&part, &one);
    }
    ret->options = count ? options : NULL;
    ret->option_count = part.fault ? 0 : count;
    rc_in_leave(in, &part);
}
