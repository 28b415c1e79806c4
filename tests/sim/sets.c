/* SPDX-License-Identifier: Apache-2.0 */
/** Small collections in the arena of the run. */
#include "world.h"

#include <string.h>

void *sim_grow(sim *s, void *old, int count, int *cap, size_t size)
{
    void *more;

    if (count < *cap)
        return old;
    *cap = *cap ? *cap * 2 : 16;
    more = omc_alloc(&s->engine.arena.pub, (size_t)*cap * size);
    if (count > 0)
        memcpy(more, old, (size_t)count * size);
    return more;
}

/* ---- sets of identities ---------------------------------------------------------------------- */

bool bits_has(const struct bits *b, int32_t id)
{
    return id < b->end && (b->word[id / 64] >> (id % 64) & 1) != 0;
}

void bits_add(sim *s, struct bits *b, int32_t id)
{
    int32_t words = id / 64 + 1;

    if (words > b->words) {
        int32_t cap = RC_MAX(words, b->words ? b->words * 2 : 16);
        uint64_t *more = engine_new(&s->engine, (size_t)cap * sizeof(*more));

        if (b->words > 0)
            memcpy(more, b->word, (size_t)b->words * sizeof(*more));
        b->word = more;
        b->words = cap;
    }
    b->word[id / 64] |= (uint64_t)1 << (id % 64);
    b->end = RC_MAX(b->end, id + 1);
}

/* ---- lists of identities --------------------------------------------------------------------- */

void ids_drop(struct ids *list, int count)
{
    list->count -= count;
    memmove(list->at, list->at + count, (size_t)list->count * sizeof(*list->at));
}

void ids_remove(struct ids *list, int i)
{
    list->count--;
    memmove(list->at + i, list->at + i + 1, (size_t)(list->count - i) * sizeof(*list->at));
}

void ids_put_back(sim *s, struct ids *list, const int32_t *id, int count)
{
    for (int i = 0; i < count; i++) {
        list->at = sim_grow(s, list->at, list->count, &list->cap, sizeof(*list->at));
        list->count++;
    }
    memmove(list->at + count, list->at, (size_t)(list->count - count) * sizeof(*list->at));
    memcpy(list->at, id, (size_t)count * sizeof(*id));
}

/* ---- what is stored where -------------------------------------------------------------------- */

void lane_stored(sim *s, struct lane *lane, int32_t offset, int32_t id)
{
    struct placed_list *list = &lane->stored;

    list->at = sim_grow(s, list->at, list->count, &list->cap, sizeof(*list->at));
    list->at[list->count++] = (struct placed){offset, id};
}

void lane_forget(struct lane *lane, int32_t below)
{
    struct placed_list *list = &lane->stored;
    int kept = 0;

    for (int i = 0; i < list->count; i++)
        if (list->at[i].offset >= below)
            list->at[kept++] = list->at[i];
    list->count = kept;
}

bool rank_passes(const sim *s, struct rank *highest, const struct stored *m)
{
    if (!s->strict)
        return true;
    if (m->gen < highest->gen || (m->gen == highest->gen && m->seq < highest->seq))
        return false;
    *highest = (struct rank){m->gen, m->seq};
    return true;
}
