/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JsonConverter: what it reads it can write, and what it wrote it reads as the same schema and
 * value. The first byte chooses the options. A converter is kept for some inputs, so that its
 * caches fill and overflow.
 */
#include "record/instance.h"
#include "record/plugins.h"
#include "record/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const omc_plugin *find(void *arg, omc_plugin_kind kind, const char *name)
{
    (void)arg;
    for (size_t i = 0; rc_converter_plugins[i]; i++)
        if (kind == OMC_CONVERTER && strcmp(rc_converter_plugins[i]->name, name) == 0)
            return rc_converter_plugins[i];
    return NULL;
}

static rc_converter *converter_for(unsigned choice)
{
    static rc_converter *kept[4];
    static unsigned used[4];
    rc_plugin_finder finder = {find, NULL};
    omc_pair pairs[3] = {{omc_slice_str("c.schemas.enable"),
                          omc_slice_str(choice & 1 ? "false" : "true")},
                         {omc_slice_str("c.decimal.format"),
                          omc_slice_str(choice & 2 ? "NUMERIC" : "BASE64")},
                         {omc_slice_str("c.schemas.cache.size"), omc_slice_str("8")}};
    omc_keyvalue config = {3, pairs};

    if (used[choice]++ % 1000 == 0) {
        rc_converter_free(kept[choice]);
        RC_ASSERT(rc_converter_new(&finder, "json", false, "c.", &config, &kept[choice], NULL) ==
                  0);
    }
    return kept[choice];
}

/** Writes, reads and compares; a value that was just read must pass. */
static void round_trip(rc_converter *converter, const omc_schema *schema, const omc_value *value,
                       rc_slice *ret, omc_arena *arena)
{
    const omc_schema *schema_back;
    omc_value back;
    rc_error err = {0};

    if (rc_converter_write(converter, "t", NULL, schema, value, arena, ret, &err) < 0) {
        fprintf(stderr, "write: %s\n", err.msg);
        abort();
    }
    if (rc_converter_read(converter, "t", NULL, *ret, arena, &schema_back, &back, &err) < 0) {
        fprintf(stderr, "read again: %s\n" RC_SLICE_FMT "\n", err.msg, RC_SLICE_ARG(*ret));
        abort();
    }
    RC_ASSERT((schema == NULL) == (schema_back == NULL));
    RC_ASSERT(!schema || schema->type == schema_back->type);
    RC_ASSERT(rc_schema_equal(schema_back, rc_schema_copy(schema_back, arena)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const omc_schema *schema;
    omc_value value;
    rc_arena arena;
    rc_error err = {0};
    rc_converter *converter;
    rc_slice first, second;

    if (size == 0)
        return 0;
    converter = converter_for(data[0] & 3);
    rc_arena_init(&arena, 4096);
    if (rc_converter_read(converter, "t", NULL, omc_slice_of((const char *)data + 1, size - 1),
                          &arena.pub, &schema, &value, &err) == 0) {
        round_trip(converter, schema, &value, &first, &arena.pub);
        if (rc_converter_read(converter, "t", NULL, first, &arena.pub, &schema, &value, &err) ==
            0) {
            round_trip(converter, schema, &value, &second, &arena.pub);
            RC_ASSERT(first.len == second.len || memchr(first.base, '\xEF', first.len));
        }
    } else {
        RC_ASSERT(err.code == OMC_EFORMAT && err.msg[0]);
    }
    rc_arena_release(&arena);
    return 0;
}
