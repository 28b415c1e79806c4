/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transforms, predicates and converters in a host. All of one kind of host share a process, each is
 * an instance of its own. A host that ends fails the task and not the record: it is not the
 * record's fault, and must not make it be skipped.
 */
#include "host/hosted_impl.h"

#include "base/diag.h"

typedef struct component {
    rc_guest guest;
} component;

enum result { RESULT_KEEP = 0, RESULT_OTHER = 1, RESULT_ERROR = 2 };

static void upcall(void *arg, const rc_frame *f)
{
    component *c = arg;

    (void)rc_guest_take(&c->guest, f, NULL, NULL); /* SCHEMAS and ERROR are all that may come */
}

static int start_component(component *c, const omc_config *config, bool is_key, rc_error *err)
{
    const rc_hosted *hosted = config->plugin->data;
    const rc_channel_config setup = {.kind = RC_CHANNEL_COMPONENT, .upcall = upcall, .arg = c};
    const rc_start start = {.kind = (uint8_t)hosted->kind,
                            .class_name = hosted->class_name,
                            .location = hosted->location,
                            .connector = "",
                            .task = "",
                            .config = config->raw,
                            .is_key = is_key};
    int r = rc_guest_open(&c->guest, config, "components", NULL, &setup, err);

    return r < 0 ? r
                 : rc_guest_start(&c->guest, RC_FRAME_COMPONENT_START, &start, config->plugin->name,
                                  err);
}

static int start(void *state, const omc_config *config, omc_error *err)
{
    return start_component(state, config, false, err);
}

static int start_converter(void *state, const omc_config *config, bool is_key, omc_error *err)
{
    return start_component(state, config, is_key, err);
}

static void stop(void *state)
{
    rc_guest_close(&((component *)state)->guest);
}

/* ---- calls ---------------------------------------------------------------------------------- */

/* A frame with one item, which the caller adds. */
static rc_buf *begin_one(component *c)
{
    rc_wire_ids_begin(&c->guest.ids);
    rc_channel_begin(&c->guest.out);
    rc_out_u32(&c->guest.out, 1);
    return &c->guest.out;
}

static void begin_record(component *c, const omc_record *record)
{
    rc_wire_refs refs = {0};
    rc_buf *out = begin_one(c);

    rc_out_record(out, &c->guest.ids, &refs, record);
}

static rc_buf *begin_conversion(component *c, const char *topic, const omc_keyvalue *extensions)
{
    rc_buf *out = begin_one(c);

    rc_out_text(out, topic);
    rc_out_kv(out, extensions);
    return out;
}

static int item_error(component *c, unsigned type, rc_wire_in *in, rc_error *err)
{
    rc_wire_error error;
    int r;

    rc_in_error(in, &error);
    r = rc_guest_check(&c->guest, in, type, err);
    if (r < 0)
        return r;
    rc_wire_error_take(&error, err);
    return -err->code;
}

/* The call that was begun; `ret` is a cursor at what follows the item's result. @return KEEP or
 * OTHER, or an error: the item's or the call's. The reply's bytes live in `arena`. */
static int call_one(component *c, unsigned type, const char *what, omc_arena *arena,
                    rc_wire_in *ret, rc_error *err)
{
    RC_AUTO(rc_frame) reply = NULL;
    unsigned result;
    int r = rc_guest_send_schemas(&c->guest, err);

    if (r == 0 && c->guest.ids.fault)
        r = rc_fail(err, OMC_EFORMAT, "the record cannot be given to the host: %s",
                    c->guest.ids.fault);
    if (r == 0)
        r = rc_guest_call(&c->guest, type, what,
                          rc_hosts_settings(c->guest.hosted->hosts)->call_timeout_ms, &reply, err);
    if (r < 0)
        return r;
    RC_ASSERT(reply);
    rc_in_init(ret,
               omc_slice_of(omc_copy(arena, reply->payload, reply->head.length),
                            reply->head.length),
               arena);
    ret->schemas = &c->guest.schemas;
    if (rc_in_u32(ret) != 1)
        rc_in_fault(ret, "wrong-sequence");
    result = rc_in_u8(ret);
    if (result > RESULT_ERROR)
        rc_in_fault(ret, "bad-value");
    r = rc_guest_check(&c->guest, ret, type, err);
    if (r < 0)
        return r;
    return result == RESULT_ERROR ? item_error(c, type, ret, err) : (int)result;
}

static int apply(void *state, omc_record *record, omc_arena *arena, omc_error *err)
{
    component *c = state;
    omc_record changed = {.timestamp_ms = OMC_NO_TIMESTAMP, .queue = -1};
    rc_wire_maps maps = {0};
    rc_wire_texts texts = {0};
    rc_wire_in in;
    int r;

    begin_record(c, record);
    r = call_one(c, RC_FRAME_APPLY, "apply", arena, &in, err);
    if (r < 0)
        return r;
    if (r == RESULT_OTHER)
        return OMC_DROP;
    rc_in_record(&in, &maps, &texts, &changed);
    r = rc_guest_check(&c->guest, &in, RC_FRAME_APPLY, err);
    if (r < 0)
        return r;
    changed.position = record->position; /* not a transform's to change */
    *record = changed;
    return 0;
}

/* The reply lives as long as the call. */
static int test(void *state, const omc_record *record, omc_error *err)
{
    component *c = state;
    rc_arena arena;
    rc_wire_in in;
    int r;

    rc_arena_init(&arena, 256);
    begin_record(c, record);
    r = call_one(c, RC_FRAME_APPLY, "test", &arena.pub, &in, err);
    rc_arena_release(&arena);
    return r;
}

static int from_connect(void *state, const char *topic, const omc_keyvalue *extensions,
                        const omc_schema *schema, const omc_value *value, omc_arena *arena,
                        omc_slice *ret, omc_error *err)
{
    component *c = state;
    rc_buf *out = begin_conversion(c, topic, extensions);
    rc_wire_in in;
    int r;

    rc_out_u32(out, rc_wire_schema_id(&c->guest.ids, schema));
    rc_out_value(out, &c->guest.ids, value);
    r = call_one(c, RC_FRAME_TO_BYTES, "from_connect", arena, &in, err);
    if (r < 0)
        return r;
    *ret = rc_in_optional(&in);
    return rc_guest_check(&c->guest, &in, RC_FRAME_TO_BYTES, err);
}

static int to_connect(void *state, const char *topic, const omc_keyvalue *extensions,
                      omc_slice bytes, omc_arena *arena, const omc_schema **ret_schema,
                      omc_value *ret_value, omc_error *err)
{
    component *c = state;
    rc_buf *out = begin_conversion(c, topic, extensions);
    rc_wire_in in;
    int r;

    if (bytes.base)
        rc_out_str(out, bytes);
    else
        rc_out_u32(out, RC_WIRE_NONE);
    r = call_one(c, RC_FRAME_TO_VALUES, "to_connect", arena, &in, err);
    if (r < 0)
        return r;
    *ret_schema = rc_in_schema(&in);
    *ret_value = rc_in_value(&in, NULL);
    return rc_guest_check(&c->guest, &in, RC_FRAME_TO_VALUES, err);
}

const omc_transform_ops rc_hosted_transform_ops = {
    .size = sizeof(omc_transform_ops),
    .state_size = sizeof(component),
    .start = start,
    .apply = apply,
    .stop = stop,
};

const omc_predicate_ops rc_hosted_predicate_ops = {
    .size = sizeof(omc_predicate_ops),
    .state_size = sizeof(component),
    .start = start,
    .test = test,
    .stop = stop,
};

const omc_converter_ops rc_hosted_converter_ops = {
    .size = sizeof(omc_converter_ops),
    .state_size = sizeof(component),
    .start = start_converter,
    .from_connect = from_connect,
    .to_connect = to_connect,
    .stop = stop,
};
