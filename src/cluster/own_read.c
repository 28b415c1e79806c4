/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Reading records of the ownership log: foreign bytes, so everything is checked: kinds of values,
 * ranges, counts. The first fault ends it; `fault` in the reader keeps its text.
 */
#include "cluster/own_record.h"

#include <jansson.h>

#define WEIGHT_MAX 1000

struct reader {
    omc_arena *arena;
    const char *fault; /* NULL = none so far. */
};

static void fault(struct reader *in, const char *what)
{
    if (!in->fault)
        in->fault = what;
}

static int64_t number(struct reader *in, const json_t *value, int64_t least, int64_t most)
{
    json_int_t n = json_integer_value(value);

    if (json_is_integer(value) && n >= least && n <= most)
        return n;
    fault(in, "a number is missing or out of its range");
    return least;
}

static const char *text_of(struct reader *in, const json_t *value, size_t least, size_t most)
{
    size_t len = json_string_length(value);
    const char *bytes = json_string_value(value);

    if (!bytes || len < least || len > most || memchr(bytes, '\0', len)) {
        fault(in, "a text is missing, empty, or too long");
        return "";
    }
    return omc_copy(in->arena, bytes, len);
}

static const char *text(struct reader *in, const json_t *value)
{
    return text_of(in, value, 0, RC_OWN_TEXT_MAX);
}

static const char *name(struct reader *in, const json_t *value)
{
    return text_of(in, value, 1, RC_OWN_NAME_MAX);
}

static const char *text_or(struct reader *in, const json_t *value, const char *missing)
{
    return !value || json_is_null(value) ? missing : text(in, value);
}

static uint64_t hex(struct reader *in, const json_t *value)
{
    const char *at = json_string_value(value);
    uint64_t n = 0;

    if (!at || json_string_length(value) != 16) {
        fault(in, "a number of 16 hexadecimal digits is missing");
        return 0;
    }
    for (int i = 0; i < 16; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = at[i] ? strchr(digits, at[i]) : NULL;

        if (!digit) {
            fault(in, "a number has other than lower-case hexadecimal digits");
            return 0;
        }
        n = n << 4 | (uint64_t)(digit - digits);
    }
    return n;
}

static rc_own_about about(struct reader *in, const json_t *o)
{
    rc_own_about a = {.url = "", .labels = "", .version = "", .weight = 1};
    const json_t *weight = json_object_get(o, "weight"), *flags = json_object_get(o, "flags");

    a.url = text_or(in, json_object_get(o, "url"), "");
    a.labels = text_or(in, json_object_get(o, "labels"), "");
    a.version = text_or(in, json_object_get(o, "version"), "");
    if (weight)
        a.weight = (uint32_t)number(in, weight, 1, WEIGHT_MAX);
    if (flags)
        a.flags = (uint32_t)number(in, flags, 0, UINT32_MAX);
    return a;
}

/** An array of at most `max` rows: each an array of at least `columns`. Their count, 0 on fault. */
static size_t rows(struct reader *in, const json_t *all, size_t max, size_t columns)
{
    size_t count = json_array_size(all);

    if (!json_is_array(all) || count > max) {
        fault(in, "a list is missing or too long");
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        if (json_array_size(json_array_get(all, i)) < columns) {
            fault(in, "a row of a list is too short");
            return 0;
        }
    return count;
}

static void items(struct reader *in, const json_t *o, rc_own_record *r)
{
    const json_t *all = json_object_get(o, "u");
    bool claim = r->kind == RC_OWN_CLAIM;
    int least = r->kind == RC_OWN_FORGET ? RC_OWN_NAME : RC_OWN_HALF;

    r->item_count = rows(in, all, RC_OWN_ITEMS_MAX, claim ? 5 : 3);
    r->items = omc_alloc0(in->arena, (r->item_count + 1) * sizeof *r->items);
    for (size_t i = 0; i < r->item_count && !in->fault; i++) {
        const json_t *row = json_array_get(all, i);
        rc_own_item *item = &r->items[i];

        item->connector = name(in, json_array_get(row, 0));
        item->number = (int32_t)number(in, json_array_get(row, 1), least, INT32_MAX);
        item->prev = number(in, json_array_get(row, 2), -1, RC_OWN_POSITION_MAX);
        item->closed = item->floor = -1;
        if (claim) {
            item->closed = number(in, json_array_get(row, 3), -1, RC_OWN_POSITION_MAX);
            item->floor = number(in, json_array_get(row, 4), -1, RC_OWN_POSITION_MAX);
        }
    }
}

static void workers(struct reader *in, const json_t *all, rc_own_record *r)
{
    r->worker_count = rows(in, all, RC_OWN_CHUNK_MAX, 6);
    r->workers = omc_alloc0(in->arena, (r->worker_count + 1) * sizeof *r->workers);
    for (size_t i = 0; i < r->worker_count && !in->fault; i++) {
        const json_t *row = json_array_get(all, i);
        rc_own_worker *w = &r->workers[i];

        w->name = name(in, json_array_get(row, 0));
        w->incarnation = hex(in, json_array_get(row, 1));
        w->session = number(in, json_array_get(row, 2), 1, RC_OWN_POSITION_MAX);
        w->opened = number(in, json_array_get(row, 3), 0, RC_OWN_POSITION_MAX);
        w->closed = number(in, json_array_get(row, 4), -1, RC_OWN_POSITION_MAX);
        w->about = about(in, json_array_get(row, 5));
    }
}

static void units(struct reader *in, const json_t *all, rc_own_record *r)
{
    r->unit_count = rows(in, all, RC_OWN_CHUNK_MAX, 7);
    r->units = omc_alloc0(in->arena, (r->unit_count + 1) * sizeof *r->units);
    for (size_t i = 0; i < r->unit_count && !in->fault; i++) {
        const json_t *row = json_array_get(all, i);
        rc_own_unit *u = &r->units[i];

        u->connector = name(in, json_array_get(row, 0));
        u->number = (int32_t)number(in, json_array_get(row, 1), RC_OWN_HALF, INT32_MAX);
        u->generation = number(in, json_array_get(row, 2), 0, RC_OWN_POSITION_MAX);
        u->since = number(in, json_array_get(row, 3), 0, RC_OWN_POSITION_MAX);
        u->owner = text_or(in, json_array_get(row, 4), NULL);
        u->incarnation = hex(in, json_array_get(row, 5));
        u->from = text_or(in, json_array_get(row, 6), NULL);
    }
}

static void read_snap(struct reader *in, const json_t *o, rc_own_record *r)
{
    r->by = name(in, json_object_get(o, "by"));
    r->snap = hex(in, json_object_get(o, "id"));
    r->upto = number(in, json_object_get(o, "upto"), 0, RC_OWN_POSITION_MAX);
    r->hash = hex(in, json_object_get(o, "hash"));
    r->parts = (int32_t)number(in, json_object_get(o, "parts"), 1, RC_OWN_PARTS_MAX);
    r->part = (int32_t)number(in, json_object_get(o, "part"), 0, r->parts - 1);
    workers(in, json_object_get(o, "workers"), r);
    units(in, json_object_get(o, "units"), r);
}

static void read_log(struct reader *in, const json_t *o, rc_own_record *r)
{
    const json_t *imports = json_object_get(o, "imports");

    r->by = name(in, json_object_get(o, "by"));
    r->epoch = number(in, json_object_get(o, "epoch"), 1, RC_OWN_EPOCH_MAX);
    r->home = text(in, json_object_get(o, "home"));
    r->why = text_or(in, json_object_get(o, "why"), "");
    if (r->kind == RC_OWN_SEAL)
        return;
    r->cluster = name(in, json_object_get(o, "cluster"));
    r->imports = imports != NULL;
    if (imports)
        r->hash = hex(in, imports);
}

static void read_worker(struct reader *in, const json_t *o, rc_own_record *r)
{
    r->worker = name(in, json_object_get(o, "w"));
    if (r->kind != RC_OWN_CLOSE)
        r->incarnation = hex(in, json_object_get(o, "i"));
    if (r->kind != RC_OWN_RELEASE)
        r->session = number(in, json_object_get(o, "s"), 1, RC_OWN_POSITION_MAX);
    if (r->kind == RC_OWN_CLOSE) {
        r->by = text_or(in, json_object_get(o, "by"), "");
        r->why = text_or(in, json_object_get(o, "why"), "");
    }
    if (r->kind == RC_OWN_HB)
        r->about = about(in, json_object_get(o, "about"));
}

static rc_own_kind kind_of(const char *word)
{
    for (rc_own_kind k = RC_OWN_HB; k <= RC_OWN_FORGET; k++)
        if (!strcmp(word, rc_own_kind_name(k)))
            return k;
    return RC_OWN_OTHER;
}

static void read_object(struct reader *in, const json_t *o, rc_own_record *r)
{
    (void)number(in, json_object_get(o, "v"), 1, INT32_MAX);
    r->kind = kind_of(name(in, json_object_get(o, "k")));
    if (r->kind == RC_OWN_OTHER)
        return;
    r->nonce = hex(in, json_object_get(o, "x"));
    if (r->kind == RC_OWN_SNAP)
        read_snap(in, o, r);
    else if (r->kind == RC_OWN_GENESIS || r->kind == RC_OWN_SEAL)
        read_log(in, o, r);
    else if (r->kind == RC_OWN_FORGET)
        r->by = text_or(in, json_object_get(o, "by"), "");
    else
        read_worker(in, o, r);
    if (r->kind == RC_OWN_CLAIM || r->kind == RC_OWN_RELEASE || r->kind == RC_OWN_FORGET)
        items(in, o, r);
}

int rc_own_read(rc_slice body, omc_arena *arena, rc_own_record *ret, rc_error *err)
{
    struct reader in = {arena, NULL};
    rc_own_record r = {0};
    json_error_t why;
    json_t *o;

    if (body.len > RC_OWN_BODY_MAX)
        return rc_fail(err, OMC_EFORMAT, "%zu bytes are too long for a record of ownership",
                       body.len);
    o = body.len ? json_loadb((const char *)body.base, body.len, JSON_REJECT_DUPLICATES, &why)
                 : NULL;
    if (!json_is_object(o))
        fault(&in, "it is no JSON object");
    else
        read_object(&in, o, &r);
    json_decref(o);
    if (in.fault)
        return rc_fail(err, OMC_EFORMAT, "no record of ownership: %s", in.fault);
    *ret = r;
    return 0;
}
