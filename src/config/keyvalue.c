/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Key-value lists are arrays, because nearly all have a few dozen pairs. A builder that grows
 * past INDEX_FROM pairs keeps a hash index, so that a file of a hundred thousand keys takes
 * linear time as well.
 */
#include "config/options.h"

#define INDEX_FROM ((size_t)32)

static uint64_t hash_key(rc_slice key)
{
    uint64_t hash = 14695981039346656037u;

    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ (unsigned char)key.base[i]) * 1099511628211u;
    return hash ^ hash >> 29;
}

void rc_kv_init(rc_kv *kv, omc_arena *arena)
{
    *kv = (rc_kv){.arena = arena};
}

/* Slot of `key` in the index: holds its position + 1, or 0 when the key is new. */
static uint32_t *index_slot(rc_kv *kv, rc_slice key)
{
    size_t at = (size_t)hash_key(key) & (kv->index_cap - 1);

    while (kv->index[at] && !omc_slice_eq(kv->pairs[kv->index[at] - 1].key, key))
        at = (at + 1) & (kv->index_cap - 1);
    return &kv->index[at];
}

static void index_build(rc_kv *kv)
{
    size_t cap = INDEX_FROM * 4;

    while (cap < kv->count * 4)
        cap *= 2;
    if (cap > kv->index_cap)
        kv->index = omc_alloc(kv->arena, cap * sizeof *kv->index);
    kv->index_cap = RC_MAX(cap, kv->index_cap);
    memset(kv->index, 0, kv->index_cap * sizeof *kv->index);
    for (size_t i = 0; i < kv->count; i++)
        *index_slot(kv, kv->pairs[i].key) = (uint32_t)i + 1;
}

/* Position of `key`, or kv->count. */
static size_t kv_find(rc_kv *kv, rc_slice key)
{
    uint32_t found;

    if (kv->count > INDEX_FROM && kv->index) {
        found = *index_slot(kv, key);
        return found ? found - 1 : kv->count;
    }
    for (size_t i = 0; i < kv->count; i++)
        if (omc_slice_eq(kv->pairs[i].key, key))
            return i;
    return kv->count;
}

static void kv_append(rc_kv *kv, rc_slice key, rc_slice value)
{
    if (kv->count == kv->cap) {
        size_t cap = kv->cap ? kv->cap * 2 : 16;
        omc_pair *pairs = omc_alloc(kv->arena, cap * sizeof *pairs);

        if (kv->count)
            memcpy(pairs, kv->pairs, kv->count * sizeof *pairs);
        kv->pairs = pairs;
        kv->cap = cap;
    }
    RC_ASSERT(kv->count < UINT32_MAX);
    kv->pairs[kv->count++] = (omc_pair){rc_arena_slice(kv->arena, key), value};
    if (kv->count <= INDEX_FROM)
        return;
    if (!kv->index || kv->count * 2 > kv->index_cap)
        index_build(kv);
    else
        *index_slot(kv, key) = (uint32_t)kv->count;
}

void rc_kv_put(rc_kv *kv, rc_slice key, rc_slice value)
{
    size_t at = kv_find(kv, key);

    value = rc_arena_slice(kv->arena, value);
    if (at < kv->count)
        kv->pairs[at].value = value;
    else
        kv_append(kv, key, value);
}

void rc_kv_put_str(rc_kv *kv, const char *key, const char *value)
{
    rc_kv_put(kv, omc_slice_str(key), omc_slice_str(value));
}

void rc_kv_put_all(rc_kv *kv, const omc_keyvalue *from)
{
    for (size_t i = 0; from && i < from->count; i++)
        rc_kv_put(kv, from->pairs[i].key, from->pairs[i].value);
}

void rc_kv_remove(rc_kv *kv, const char *key)
{
    size_t at = kv_find(kv, omc_slice_str(key));

    if (at == kv->count)
        return;
    kv->count--;
    memmove(&kv->pairs[at], &kv->pairs[at + 1], (kv->count - at) * sizeof *kv->pairs);
    if (kv->index)
        index_build(kv);
}

const omc_keyvalue *rc_kv_done(rc_kv *kv)
{
    omc_keyvalue *done = omc_alloc(kv->arena, sizeof *done);

    *done = (omc_keyvalue){kv->count, kv->pairs};
    return done;
}

const char *rc_kv_text(const omc_keyvalue *kv, const char *key, const char *fallback,
                       omc_arena *arena)
{
    const omc_slice *value = omc_keyvalue_get(kv, key);

    return value ? omc_copy(arena, value->base, value->len) : fallback;
}

const omc_keyvalue *rc_kv_copy(const omc_keyvalue *kv, omc_arena *arena)
{
    rc_kv copy;

    rc_kv_init(&copy, arena);
    rc_kv_put_all(&copy, kv);
    return rc_kv_done(&copy);
}

bool rc_kv_equal(const omc_keyvalue *a, const omc_keyvalue *b)
{
    size_t count = a ? a->count : 0;

    if (count != (b ? b->count : 0))
        return false;
    for (size_t i = 0; i < count; i++) {
        const omc_pair *want = &a->pairs[i];
        size_t j = 0;

        if (omc_slice_eq(b->pairs[i].key, want->key)) /* Usually in the same order. */
            j = i;
        while (j < count && !omc_slice_eq(b->pairs[j].key, want->key))
            j++;
        if (j == count || !omc_slice_eq(b->pairs[j].value, want->value))
            return false;
    }
    return true;
}
