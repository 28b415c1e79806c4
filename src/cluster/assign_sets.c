/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From labels to sets of columns. Few texts are different among many units and members, so each
 * pair of texts is compared once; texts that let the same members through are one set. Sets are
 * numbered by size, then by their first unit, which is the same for every worker.
 */
#include "cluster/assign_impl.h"

#include "base/hash.h"

#include <string.h>

/* A text among the requirements or the labels, and what was found for it. */
typedef struct text {
    const char *text;
    int32_t number;
    UT_hash_handle hh;
} text;

typedef struct finder {
    rc_assign_work *work;
    size_t words;           /* Of the bits of a set. */
    text *labels;           /* Different label texts of columns... */
    const char **label_of;  /* ... by number */
    uint32_t *first_column; /* ... and their columns: first and, per column, the next one + 1 */
    uint32_t *next_column;
    text *requirements;
    rc_assign_set **sets; /* In the order of their first unit. */
    size_t count;
    uint64_t *bits; /* Of the set that is looked for. */
} finder;

static text *intern(finder *f, text **table, const char *key, int32_t number, bool *ret_new)
{
    size_t len = strlen(key);
    text *found;

    HASH_FIND(hh, *table, key, len, found);
    *ret_new = !found;
    if (found)
        return found;
    found = omc_alloc0(f->work->arena, sizeof *found);
    found->text = key;
    found->number = number;
    HASH_ADD_KEYPTR(hh, *table, found->text, len, found);
    return found;
}

static const char *text_of(const char *labels)
{
    return labels ? labels : "";
}

static void collect_labels(finder *f)
{
    rc_assign_work *work = f->work;
    int32_t count = 0;
    bool new;

    f->label_of = omc_alloc0(work->arena, (work->columns + 1) * sizeof(char *));
    f->first_column = omc_alloc0(work->arena, (work->columns + 1) * sizeof(uint32_t));
    f->next_column = omc_alloc0(work->arena, (work->columns + 1) * sizeof(uint32_t));
    for (size_t i = 0; i < work->columns; i++) {
        const rc_member *member = &work->in->members[work->member_of[i]];
        text *found = intern(f, &f->labels, text_of(member->labels), count, &new);

        count += new;
        f->label_of[found->number] = found->text;
        f->next_column[i] = f->first_column[found->number];
        f->first_column[found->number] = (uint32_t)i + 1;
    }
}

static size_t find_bits(finder *f, const char *required)
{
    size_t count = 0;

    memset(f->bits, 0, f->words * sizeof *f->bits);
    for (size_t i = 0; f->label_of[i]; i++) {
        if (!rc_labels_match(f->label_of[i], required))
            continue;
        for (uint32_t at = f->first_column[i]; at; at = f->next_column[at - 1]) {
            f->bits[(at - 1) / 64] |= UINT64_C(1) << ((at - 1) % 64);
            count++;
        }
    }
    return count;
}

static rc_assign_set *make_set(finder *f, size_t count)
{
    omc_arena *arena = f->work->arena;
    rc_assign_set *set = omc_alloc0(arena, sizeof *set);
    size_t n = 0;

    set->bits = omc_alloc(arena, f->words * sizeof *set->bits);
    memcpy(set->bits, f->bits, f->words * sizeof *set->bits);
    set->columns = omc_alloc(arena, count * sizeof *set->columns);
    set->count = count;
    for (size_t i = 0; i < f->work->columns; i++)
        if (rc_assign_set_has(set, (int32_t)i))
            set->columns[n++] = (int32_t)i;
    RC_ASSERT(n == count);
    return set;
}

/* Number of the set for a text that was not seen before. */
static int32_t set_of(finder *f, const char *required)
{
    size_t count = find_bits(f, required);

    if (count == 0)
        return RC_ASSIGN_NO_SET;
    for (size_t i = 0; i < f->count; i++)
        if (f->sets[i]->count == count &&
            memcmp(f->sets[i]->bits, f->bits, f->words * sizeof *f->bits) == 0)
            return (int32_t)i;
    if (f->count == RC_ASSIGN_SETS_MAX)
        return RC_ASSIGN_SET_BEYOND;
    f->sets[f->count] = make_set(f, count);
    return (int32_t)f->count++;
}

/* Small sets first: who has little choice is served before those that have much. */
static void number_by_size(finder *f, int32_t *number_of)
{
    rc_assign_work *work = f->work;

    work->sets = omc_alloc0(work->arena, (f->count + 1) * sizeof *work->sets);
    work->set_count = f->count;
    for (size_t i = 0; i < f->count; i++) {
        size_t number = 0;

        for (size_t j = 0; j < f->count; j++)
            number += f->sets[j]->count < f->sets[i]->count ||
                      (f->sets[j]->count == f->sets[i]->count && j < i);
        number_of[i] = (int32_t)number;
        work->sets[number] = *f->sets[i];
    }
}

void rc_assign_sets(rc_assign_work *work)
{
    finder f = {.work = work, .words = work->columns / 64 + 1};
    int32_t number_of[RC_ASSIGN_SETS_MAX];
    const char *last = NULL;
    text *found = NULL;
    bool new;

    f.bits = omc_alloc0(work->arena, f.words * sizeof *f.bits);
    f.sets = omc_alloc0(work->arena, RC_ASSIGN_SETS_MAX * sizeof(rc_assign_set *));
    collect_labels(&f);
    for (size_t i = 0; i < work->unit_count; i++) {
        const char *required = text_of(work->units[i].in->requires);

        /* Neighbours mostly share the text itself. */
        if (!found || required != last)
            found = intern(&f, &f.requirements, required, 0, &new);
        else
            new = false;
        if (new)
            found->number = set_of(&f, required);
        last = required;
        work->units[i].set = found->number;
    }
    number_by_size(&f, number_of);
    for (size_t i = 0; i < work->unit_count; i++)
        if (work->units[i].set >= 0)
            work->units[i].set = number_of[work->units[i].set];
    HASH_CLEAR(hh, f.labels);
    HASH_CLEAR(hh, f.requirements);
}
