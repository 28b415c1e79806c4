/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Regexes and the transforms that use them: byte 0 = flags, byte 1 = case formats, then lines
 * pattern, replacement, text (the rest). Whatever the three are: no crash, a bounded time, the
 * replacement $0 gives the text back, and an error leaves a record as it was.
 */
#include "record/plugins.h"
#include "record/transform.h"

#include <time.h>

#define SECONDS_MAX 20 /* Sanitizers and fuzzing make it slow; normally far below 1. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static double now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static const omc_plugin *find(void *arg, omc_plugin_kind kind, const char *name)
{
    (void)arg;
    for (size_t i = 0; kind == OMC_TRANSFORM && rc_transform_plugins[i]; i++)
        if (strcmp(rc_transform_plugins[i]->name, name) == 0)
            return rc_transform_plugins[i];
    return NULL;
}

static void check_regex(const char *pattern, const char *replacement, unsigned flags, rc_slice text,
                        omc_arena *arena)
{
    RC_AUTO(rc_regex) regex = NULL;
    rc_error err = {0};
    rc_slice out;

    if (rc_regex_new(pattern, flags, &regex, &err) < 0) {
        RC_ASSERT(err.msg[0]);
        return;
    }
    RC_ASSERT(rc_regex_set_replacement(regex, "$0", &err) == 0);
    if (rc_regex_replace(regex, text, arena, &out, &err) >= 0)
        RC_ASSERT(omc_slice_eq(out, text));
    if (rc_regex_set_replacement(regex, replacement, &err) == 0)
        (void)rc_regex_replace(regex, text, arena, &out, &err);
    (void)rc_regex_match(regex, text, &err);
}

/** A map {text: text, "fooBar": text} through renaming, case and filter. */
static void check_chain(const char *pattern, const char *replacement, unsigned formats,
                        rc_slice text, omc_arena *arena)
{
    static const char *const names[] = {"LOWER_HYPHEN", "LOWER_UNDERSCORE", "LOWER_CAMEL",
                                        "UPPER_CAMEL", "UPPER_UNDERSCORE"};
    static const rc_plugin_finder finder = {find, NULL};
    omc_entry entries[2] = {{omc_string(text), omc_string(text)},
                            {omc_string(omc_slice_str("fooBar")), omc_string(text)}};
    omc_map map = {2, entries};
    omc_record record = {0};
    rc_chain *chain = NULL;
    rc_error err = {0};
    rc_kv kv;

    rc_kv_init(&kv, arena);
    rc_kv_put_str(&kv, "transforms", "c,r,f");
    rc_kv_put_str(&kv, "transforms.c.class", "change-case-value");
    rc_kv_put_str(&kv, "transforms.c.from", names[formats % 5]);
    rc_kv_put_str(&kv, "transforms.c.to", names[formats / 5 % 5]);
    rc_kv_put_str(&kv, "transforms.r.class", "pattern-rename-value");
    rc_kv_put_str(&kv, "transforms.r.field.pattern", pattern);
    rc_kv_put_str(&kv, "transforms.r.field.replacement", replacement);
    rc_kv_put_str(&kv, "transforms.f.class", "pattern-filter-value");
    rc_kv_put_str(&kv, "transforms.f.fields", "fooBar,foo_bar");
    rc_kv_put_str(&kv, "transforms.f.pattern", pattern);
    if (rc_chain_new(&finder, rc_kv_done(&kv), &chain, &err) < 0)
        return;
    record.value.kind = OMC_MAP;
    record.value.u.map = &map;
    for (size_t i = 0; i < rc_chain_length(chain); i++) {
        omc_record before = record;

        if (rc_chain_apply(chain, i, &record, arena, &err) < 0)
            RC_ASSERT(memcmp(&before, &record, sizeof before) == 0 && err.msg[0]);
    }
    rc_chain_free(chain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *pattern, *replacement, *end;
    double start = now();
    rc_arena arena;
    char *copy;
    rc_slice text;

    if (size < 4 || size > 70000)
        return 0;
    rc_arena_init(&arena, 4096);
    copy = omc_copy(&arena.pub, (const char *)data + 2, size - 2);
    end = copy + size - 2;
    pattern = copy;
    replacement = copy + strcspn(copy, "\n");
    if (replacement < end) {
        copy[replacement - copy] = '\0';
        replacement++;
    }
    text = omc_slice_str(replacement + strcspn(replacement, "\n"));
    if (text.base < end) {
        copy[text.base - copy] = '\0';
        text = omc_slice_of(text.base + 1, (size_t)(end - text.base - 1));
    }
    check_regex(pattern, replacement, (data[0] & 0xFFu) | (data[1] & 128 ? RC_REGEX_FULL : 0), text,
                &arena.pub);
    check_chain(pattern, replacement, data[1] & 127u, text, &arena.pub);
    RC_ASSERT(now() - start < SECONDS_MAX);
    rc_arena_release(&arena);
    return 0;
}
