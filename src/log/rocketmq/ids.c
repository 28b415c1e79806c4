/* SPDX-License-Identifier: Apache-2.0 */
/* Identities as text of a property, and a table of those that were found in the log. */
#include "log/rocketmq/internal.h"

#include "base/units.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
#define HASH_TEXT 22 /* 16 bytes as base64url without padding */

size_t rc_id_text(const rc_identity *identity, char out[RC_ID_TEXT_MAX])
{
    const uint8_t *h = identity->hash;
    uint32_t bits = 0;
    size_t n = 0;
    int have = 0;

    for (size_t i = 0; i < sizeof identity->hash; i++) {
        bits = bits << 8 | h[i];
        for (have += 8; have >= 6; have -= 6)
            out[n++] = digits[bits >> (have - 6) & 63];
    }
    out[n++] = digits[bits << (6 - have) & 63];
    RC_ASSERT(n == HASH_TEXT);
    if (identity->ordinal == 0) { /* nearly always */
        out[n++] = '.';
        out[n++] = '0';
        out[n] = '\0';
        return n;
    }
    return n + (size_t)snprintf(out + n, RC_ID_TEXT_MAX - n, ".%u", identity->ordinal);
}

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool rc_id_parse(rc_slice text, rc_id *ret)
{
    uint32_t bits = 0;
    size_t n = 0;
    int have = 0;
    int64_t ordinal;

    if (text.len < HASH_TEXT + 2 || text.base[HASH_TEXT] != '.')
        return false;
    for (size_t i = 0; i < HASH_TEXT; i++) {
        int digit = digit_of(text.base[i]);

        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8 && n < sizeof ret->hash) {
            have -= 8;
            ret->hash[n++] = (uint8_t)(bits >> have);
        }
    }
    if (rc_parse_int64(omc_slice_of(text.base + HASH_TEXT + 1, text.len - HASH_TEXT - 1),
                       &ordinal) < 0 ||
        ordinal < 0 || ordinal > UINT32_MAX)
        return false;
    ret->ordinal = (uint32_t)ordinal;
    return true;
}

/* ---- the table ------------------------------------------------------------------------------- */

static size_t place_of(const rc_id_table *table, const rc_id *id)
{
    uint64_t h;
    size_t at;

    /* The hash is a good one already; its head is common to a partition. */
    memcpy(&h, id->hash + sizeof id->hash - sizeof h, sizeof h);
    for (at = (size_t)(h + id->ordinal) & (table->cap - 1); table->entries[at].offset >= 0;
         at = (at + 1) & (table->cap - 1))
        if (table->entries[at].id.ordinal == id->ordinal &&
            memcmp(table->entries[at].id.hash, id->hash, sizeof id->hash) == 0)
            break;
    return at;
}

rc_id_entry *rc_ids_find(const rc_id_table *table, const rc_id *id)
{
    rc_id_entry *entry;

    if (table->count == 0)
        return NULL;
    entry = &table->entries[place_of(table, id)];
    return entry->offset >= 0 ? entry : NULL;
}

static void grow(rc_id_table *table)
{
    rc_id_table bigger = {.cap = table->cap ? 2 * table->cap : 1024};

    bigger.entries = rc_malloc(bigger.cap * sizeof *bigger.entries);
    for (size_t i = 0; i < bigger.cap; i++)
        bigger.entries[i].offset = -1;
    for (size_t i = 0; i < table->cap; i++)
        if (table->entries[i].offset >= 0)
            bigger.entries[place_of(&bigger, &table->entries[i].id)] = table->entries[i];
    bigger.count = table->count;
    free(table->entries);
    *table = bigger;
}

int rc_ids_add(rc_id_table *table, const rc_id *id, rc_topic *topic, int32_t queue, int64_t offset,
               rc_error *err)
{
    rc_id_entry *entry;

    if (table->count >= RC_IDS_MAX)
        return rc_fail(err, OMC_ENOMEM,
                       "more than %zu messages lie behind the last committed position: too many "
                       "to recognise; lower offsetCommitIntervalMsConfig, or set "
                       "exactly.once.support=off to go on with repeats",
                       RC_IDS_MAX);
    if (2 * table->count >= table->cap)
        grow(table);
    entry = &table->entries[place_of(table, id)];
    if (entry->offset >= 0)
        return 0;
    *entry = (rc_id_entry){*id, queue, topic, offset};
    table->count++;
    return 1;
}

void rc_ids_release(rc_id_table *table)
{
    free(table->entries);
    memset(table, 0, sizeof *table);
}
