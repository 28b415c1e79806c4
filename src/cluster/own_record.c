/* SPDX-License-Identifier: Apache-2.0 */
/** Writing records of the ownership log. Reading them is own_read.c. */
#include "cluster/own_record.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

static const char *const kind_names[] = {
    [RC_OWN_OTHER] = "other", [RC_OWN_HB] = "hb",           [RC_OWN_CLOSE] = "close",
    [RC_OWN_CLAIM] = "claim", [RC_OWN_RELEASE] = "release", [RC_OWN_GENESIS] = "genesis",
    [RC_OWN_SEAL] = "seal",   [RC_OWN_SNAP] = "snap",       [RC_OWN_FORGET] = "forget",
};

const char *rc_own_kind_name(rc_own_kind kind)
{
    return kind_names[kind];
}

/** Bytes that are no UTF-8 would make the body unreadable; no name of ours has them. */
static json_t *text(const char *value)
{
    json_t *string = json_string(value ? value : "");

    return string ? string : json_string("?");
}

static json_t *hex(uint64_t value)
{
    char digits[17];

    (void)snprintf(digits, sizeof digits, "%016" PRIx64, value);
    return json_string(digits);
}

static void set(json_t *object, const char *key, json_t *value)
{
    RC_ASSERT(value && !json_object_set_new_nocheck(object, key, value));
}

static void add(json_t *array, json_t *value)
{
    RC_ASSERT(value && !json_array_append_new(array, value));
}

static json_t *about_of(const rc_own_about *about)
{
    json_t *object = json_object();

    set(object, "url", text(about->url));
    set(object, "labels", text(about->labels));
    set(object, "version", text(about->version));
    set(object, "weight", json_integer(about->weight));
    set(object, "flags", json_integer(about->flags));
    return object;
}

/** [connector, number, prev] and, of claims, closed and floor: short, there are many. */
static json_t *items_of(const rc_own_record *r)
{
    json_t *all = json_array();

    for (size_t i = 0; i < r->item_count; i++) {
        const rc_own_item *item = &r->items[i];
        json_t *one = json_array();

        add(one, text(item->connector));
        add(one, json_integer(item->number));
        add(one, json_integer(item->prev));
        if (r->kind == RC_OWN_CLAIM) {
            add(one, json_integer(item->closed));
            add(one, json_integer(item->floor));
        }
        add(all, one);
    }
    return all;
}

static json_t *workers_of(const rc_own_record *r)
{
    json_t *all = json_array();

    for (size_t i = 0; i < r->worker_count; i++) {
        const rc_own_worker *w = &r->workers[i];
        json_t *one = json_array();

        add(one, text(w->name));
        add(one, hex(w->incarnation));
        add(one, json_integer(w->session));
        add(one, json_integer(w->opened));
        add(one, json_integer(w->closed));
        add(one, about_of(&w->about));
        add(all, one);
    }
    return all;
}

static json_t *units_of(const rc_own_record *r)
{
    json_t *all = json_array();

    for (size_t i = 0; i < r->unit_count; i++) {
        const rc_own_unit *u = &r->units[i];
        json_t *one = json_array();

        add(one, text(u->connector));
        add(one, json_integer(u->number));
        add(one, json_integer(u->generation));
        add(one, json_integer(u->since));
        add(one, u->owner ? text(u->owner) : json_null());
        add(one, hex(u->incarnation));
        add(one, u->from ? text(u->from) : json_null());
        add(all, one);
    }
    return all;
}

static void write_snap(json_t *o, const rc_own_record *r)
{
    set(o, "by", text(r->by));
    set(o, "id", hex(r->snap));
    set(o, "upto", json_integer(r->upto));
    set(o, "hash", hex(r->hash));
    set(o, "part", json_integer(r->part));
    set(o, "parts", json_integer(r->parts));
    set(o, "workers", workers_of(r));
    set(o, "units", units_of(r));
}

static void write_log(json_t *o, const rc_own_record *r)
{
    set(o, "by", text(r->by));
    set(o, "epoch", json_integer(r->epoch));
    set(o, "home", text(r->home));
    if (r->kind == RC_OWN_SEAL)
        set(o, "why", text(r->why));
    else
        set(o, "cluster", text(r->cluster));
    if (r->kind == RC_OWN_GENESIS && r->imports)
        set(o, "imports", hex(r->hash));
}

static void write_worker(json_t *o, const rc_own_record *r)
{
    set(o, "w", text(r->worker));
    if (r->kind != RC_OWN_CLOSE)
        set(o, "i", hex(r->incarnation));
    if (r->kind != RC_OWN_RELEASE)
        set(o, "s", json_integer(r->session));
    if (r->kind == RC_OWN_CLOSE) {
        set(o, "by", text(r->by));
        set(o, "why", text(r->why));
    }
    if (r->kind == RC_OWN_HB)
        set(o, "about", about_of(&r->about));
}

static int to_buf(const char *bytes, size_t len, void *out)
{
    rc_buf_add(out, bytes, len);
    return 0;
}

void rc_own_write(const rc_own_record *record, rc_buf *out)
{
    json_t *o = json_object();

    RC_ASSERT(record->kind != RC_OWN_OTHER);
    set(o, "v", json_integer(1));
    set(o, "k", json_string(rc_own_kind_name(record->kind)));
    set(o, "x", hex(record->nonce));
    if (record->kind == RC_OWN_SNAP)
        write_snap(o, record);
    else if (record->kind == RC_OWN_GENESIS || record->kind == RC_OWN_SEAL)
        write_log(o, record);
    else if (record->kind == RC_OWN_FORGET)
        set(o, "by", text(record->by));
    else
        write_worker(o, record);
    if (record->kind == RC_OWN_CLAIM || record->kind == RC_OWN_RELEASE ||
        record->kind == RC_OWN_FORGET)
        set(o, "u", items_of(record));
    RC_ASSERT(!json_dump_callback(o, to_buf, out, JSON_COMPACT));
    json_decref(o);
}

uint64_t rc_own_print(rc_slice body)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    const uint8_t *at = (const uint8_t *)body.base;

    for (size_t i = 0; i < body.len; i++)
        hash = (hash ^ at[i]) * 0x100000001b3u;
    return hash;
}
