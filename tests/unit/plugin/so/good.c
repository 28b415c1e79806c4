/* SPDX-License-Identifier: Apache-2.0 */
/** Everything right: a source, a sink and a transform with options, nested class and aliases. */
#include "so.h"

#ifndef VERSION
#define VERSION "1.0.0"
#endif

typedef struct options {
    const char *path;
    int64_t size;
    omc_list names;
} options;

static const omc_option table[] = {
    {.name = "path",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_REQUIRED,
     .offset = offsetof(options, path),
     .doc = "A path.",
     .aliases = "file, filename"},
    {.name = "size",
     .type = OMC_OPT_SIZE,
     .default_value = "64KiB",
     .offset = offsetof(options, size),
     .doc = "A size."},
    {.name = "names",
     .type = OMC_OPT_LIST,
     .default_value = "a,b",
     .offset = offsetof(options, names),
     .doc = "Names."},
    {.name = "extra.",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_PREFIX,
     .offset = OMC_OPT_NOT_STORED,
     .doc = "Anything."},
};

static int put(void *task, const omc_batch *batch, omc_error *err)
{
    (void)task, (void)batch, (void)err;
    return 0;
}

static int apply(void *state, omc_record *record, omc_arena *arena, omc_error *err)
{
    (void)state, (void)record, (void)arena, (void)err;
    return OMC_DROP;
}

static const omc_source_ops source_ops = {.size = sizeof source_ops, .poll = idle_poll};
static const omc_sink_ops sink_ops = {.size = sizeof sink_ops, .put = put};
static const omc_transform_ops transform_ops = {.size = sizeof transform_ops, .apply = apply};

static const omc_plugin source = {.abi = OMC_ABI_CURRENT,
                                  .size = sizeof source,
                                  .kind = OMC_SOURCE,
                                  .name = "good-source",
                                  .classes =
                                      "org.example.GoodSourceConnector, org.example.old.OldGood",
                                  .version = VERSION,
                                  .doc = "A test.",
                                  .options = table,
                                  .option_count = sizeof table / sizeof table[0],
                                  .option_size = sizeof table[0],
                                  .options_size = sizeof(options),
                                  .ops = &source_ops};
static const omc_plugin sink = {.abi = OMC_ABI_CURRENT,
                                .size = sizeof sink,
                                .kind = OMC_SINK,
                                .name = "good-sink",
                                .classes = "org.example.GoodSinkConnector",
                                .version = VERSION,
                                .ops = &sink_ops};
static const omc_plugin transform = {.abi = OMC_ABI_CURRENT,
                                     .size = sizeof transform,
                                     .kind = OMC_TRANSFORM,
                                     .name = "good-drop",
                                     .classes = "org.example.Drop$Value",
                                     .version = VERSION,
                                     .ops = &transform_ops};

SO_ENTRY(&source, &sink, &transform)
