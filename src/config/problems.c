/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The list of everything that is wrong with a configuration, so that a user cures it in one go.
 * Each text is whole by itself: it names the key. Texts that do not are given the key in front.
 */
#include "config/options.h"

#include <stdarg.h>
#include <stdio.h>

#define TEXT_MAX 1000
#define VALUE_MAX 200 /* Of a shown value; what is longer is cut. */

void rc_problems_init(rc_problems *problems, omc_arena *arena)
{
    *problems = (rc_problems){.arena = arena};
}

/* Copy of `text` that ends in an ellipsis when it is longer than `max`. */
static char *cut(omc_arena *arena, const char *text, size_t max)
{
    size_t len = strnlen(text, max + 1);

    if (len <= max)
        return omc_copy(arena, text, len);
    while (max > 0 && ((unsigned char)text[max] & 0xC0u) == 0x80u)
        max--; /* Not in the middle of a character. */
    return rc_arena_format(arena, "%.*s\xE2\x80\xA6", (int)max, text);
}

/* Whether `text` names `key` between quotes. */
static bool names_key(const char *text, const char *key)
{
    size_t len = strlen(key);

    for (const char *at = strchr(text, '\''); at; at = strchr(at + 1, '\''))
        if (strncmp(at + 1, key, len) == 0 && at[1 + len] == '\'')
            return true;
    return false;
}

static rc_problem *problems_append(rc_problems *problems)
{
    if (problems->count == problems->cap) {
        size_t cap = problems->cap ? problems->cap * 2 : 8;
        rc_problem *items = omc_alloc(problems->arena, cap * sizeof *items);

        if (problems->count)
            memcpy(items, problems->items, problems->count * sizeof *items);
        problems->items = items;
        problems->cap = cap;
    }
    return &problems->items[problems->count++];
}

void rc_problem_add(rc_problems *problems, bool warning, const char *key, const char *value,
                    const char *fmt, ...)
{
    omc_arena *arena = problems->arena;
    char text[TEXT_MAX];
    rc_problem *problem;
    va_list ap;

    problems->errors += !warning;
    if (problems->count >= RC_PROBLEMS_MAX)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    problem = problems_append(problems);
    problem->warning = warning;
    problem->key = cut(arena, key ? key : "", VALUE_MAX);
    problem->value = cut(arena, value ? value : "", VALUE_MAX);
    if (!*problem->key || names_key(text, problem->key))
        problem->text = cut(arena, text, TEXT_MAX);
    else if (*problem->value)
        problem->text =
            rc_arena_format(arena, "key '%s' = '%s': %s", problem->key, problem->value, text);
    else
        problem->text = rc_arena_format(arena, "key '%s': %s", problem->key, text);
}

int rc_problems_fail(const rc_problems *problems, rc_error *err)
{
    char text[OMC_ERROR_TEXT_MAX - 40]; /* Room for "; and N more". */
    size_t len = 0;
    size_t told = 0;

    if (problems->errors == 0)
        return 0;
    text[0] = '\0';
    for (size_t i = 0; i < problems->count; i++) {
        const rc_problem *problem = &problems->items[i];
        size_t more = strlen(problem->text);

        if (problem->warning)
            continue;
        if (told > 0 && more + 3 > sizeof text - len)
            break;
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", told ? "; " : "",
                                problem->text);
        told++;
        if (len >= sizeof text)
            break; /* The first one alone is cut. */
    }
    if (told < problems->errors)
        return rc_fail(err, OMC_EINVAL, "%s; and %zu more", text, problems->errors - told);
    return rc_fail(err, OMC_EINVAL, "%s", text);
}
