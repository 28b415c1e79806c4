/* SPDX-License-Identifier: Apache-2.0 */
/** Helpers of this room's tests: an arena per test, converters by name, bytes as hex. */
#ifndef RC_RECORD_UNIT_H
#define RC_RECORD_UNIT_H

#include "unit.h"

#include "config/options.h"
#include "record/instance.h"
#include "record/plugins.h"

#include <stdio.h>
#include <string.h>

/** setup and teardown of a test that allocates in *state (an rc_arena). */
static inline int arena_setup(void **state)
{
    rc_arena *arena = rc_calloc(1, sizeof *arena);

    rc_arena_init(arena, 4096);
    *state = arena;
    return 0;
}

static inline int arena_teardown(void **state)
{
    rc_arena *arena = *state;

    rc_arena_release(arena);
    free(arena);
    return 0;
}

static inline omc_arena *arena_of(void **state)
{
    return &((rc_arena *)*state)->pub;
}

#define ARENA_TEST(test) cmocka_unit_test_setup_teardown(test, arena_setup, arena_teardown)

static inline rc_slice text(const char *of)
{
    return omc_slice_str(of);
}

/** "00ff" to bytes in the arena. */
static inline rc_slice unhex(const char *hex, omc_arena *arena)
{
    size_t len = strlen(hex) / 2;
    char *bytes = omc_alloc(arena, len + 1);

    for (size_t i = 0; i < len; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        bytes[i] = (char)strtoul(pair, NULL, 16);
    }
    return omc_slice_of(bytes, len);
}

static inline const char *hex_of(rc_slice bytes, omc_arena *arena)
{
    char *hex = omc_alloc(arena, 2 * bytes.len + 1);

    hex[0] = '\0';
    for (size_t i = 0; i < bytes.len; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", (unsigned char)bytes.base[i]);
    return hex;
}

/** What the registry does: plugin name, full class name, or its last component. */
static inline const omc_plugin *find_converter(void *arg, omc_plugin_kind kind, const char *name)
{
    (void)arg;
    for (size_t i = 0; rc_converter_plugins[i]; i++) {
        const omc_plugin *plugin = rc_converter_plugins[i];
        const char *at = plugin->classes;

        if (strcmp(plugin->name, name) == 0)
            return plugin;
        while (at && kind == OMC_CONVERTER) {
            size_t len = strcspn(at, ","), simple = len;

            while (simple && at[simple - 1] != '.')
                simple--;
            if (omc_slice_is(omc_slice_of(at, len), name) ||
                omc_slice_is(omc_slice_of(at + simple, len - simple), name))
                return plugin;
            at = at[len] ? at + len + 1 : NULL;
        }
    }
    return NULL;
}

/** Makes a converter from "key=value" settings (NULL-terminated list), which must be accepted. */
static inline rc_converter *make_converter(const char *name, bool is_key,
                                           const char *const *settings, omc_arena *arena)
{
    rc_plugin_finder finder = {find_converter, NULL};
    rc_converter *converter = NULL;
    rc_error err = {0};
    rc_kv kv;

    rc_kv_init(&kv, arena);
    for (; settings && *settings; settings++) {
        size_t len = strcspn(*settings, "=");

        rc_kv_put(&kv, omc_slice_of(*settings, len), text(*settings + len + 1));
    }
    if (rc_converter_new(&finder, name, is_key, is_key ? "key.converter." : "value.converter.",
                         rc_kv_done(&kv), &converter, &err) < 0)
        fail_msg("converter %s: %s", name, err.msg);
    return converter;
}

#endif
