/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Built with an older header whose structs ended earlier: its function table ends before commit,
 * its option rows before `min`. What lies behind in memory must never be read as members.
 */
#include "so.h"

/* The row of that header. */
typedef struct old_option {
    const char *name;
    omc_option_type type;
    uint32_t flags;
    const char *default_value;
    size_t offset;
    const char *doc;
} old_option;

typedef struct options {
    const char *path;
    int64_t size;
} options;

static const old_option table[] = {
    {"path", OMC_OPT_STRING, 0, "/tmp", offsetof(options, path), "A path."},
    {"size", OMC_OPT_INT, 0, "7", offsetof(options, size), "A number."},
};

static int wrong_commit(void *task, const omc_batch *batch, const omc_send_result *results,
                        omc_error *err)
{
    (void)task, (void)batch, (void)results, (void)err;
    return -1;
}

/* Behind the old size stands something that is no member of it. */
static const omc_source_ops ops = {.size = offsetof(omc_source_ops, commit),
                                   .poll = idle_poll,
                                   .commit = wrong_commit};

static const omc_plugin plugin = {.abi = OMC_ABI_CURRENT,
                                  .size = sizeof plugin,
                                  .kind = OMC_SOURCE,
                                  .name = "older-source",
                                  .version = "0.9.0",
                                  .doc = "A test.",
                                  .options = (const omc_option *)(const void *)table,
                                  .option_count = 2,
                                  .option_size = sizeof(old_option),
                                  .options_size = sizeof(options),
                                  .ops = &ops};

SO_ENTRY(&plugin)
