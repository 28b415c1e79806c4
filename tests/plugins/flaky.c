/* SPDX-License-Identifier: Apache-2.0 */
/**
 * flaky.so: a transform and a predicate that fail on demand, for tests of `errors.*`.
 *
 *   match      text the value must contain for the failure ("" = every record)
 *   times      how often it fails per instance (1; -1 = always)
 *   retriable  whether trying again may help (true)
 */
#include <openmessaging/connect.h>

typedef struct options {
    const char *match;
    int64_t times;
    bool retriable;
} options;

static const omc_option table[] = {
    {.name = "match",
     .type = OMC_OPT_STRING,
     .default_value = "",
     .offset = offsetof(options, match),
     .doc = "Text in the values of records that fail."},
    {.name = "times",
     .type = OMC_OPT_INT,
     .default_value = "1",
     .offset = offsetof(options, times),
     .min = -1,
     .max = INT64_MAX,
     .doc = "How often it fails; -1 = always."},
    {.name = "retriable",
     .type = OMC_OPT_BOOLEAN,
     .default_value = "true",
     .offset = offsetof(options, retriable),
     .doc = "Whether trying again may help."},
};

typedef struct flaky {
    const options *o;
    int64_t failures;
} flaky;

static int start(void *state, const omc_config *config, omc_error *err)
{
    (void)err;
    ((flaky *)state)->o = config->options;
    return 0;
}

static bool matches(const flaky *f, const omc_record *record)
{
    omc_slice text = record->value.u.bytes;
    size_t len = strlen(f->o->match);

    if (record->value.kind != OMC_STRING)
        return len == 0;
    for (size_t i = 0; i + len <= text.len; i++)
        if (memcmp(text.base + i, f->o->match, len) == 0)
            return true;
    return false;
}

static int fail_now(flaky *f, const omc_record *record, omc_error *err)
{
    if (!matches(f, record) || (f->o->times >= 0 && f->failures >= f->o->times))
        return 0;
    f->failures++;
    return omc_fail(err, OMC_ECONNECT, f->o->retriable ? OMC_ERR_RETRIABLE : 0,
                    "the registry is away");
}

/** Changes the record before it fails, as a careless transform would. */
static int apply(void *state, omc_record *record, omc_arena *arena, omc_error *err)
{
    omc_record before = *record;

    (void)arena;
    record->value = omc_string(omc_slice_str("half done"));
    if (fail_now(state, &before, err) < 0)
        return -OMC_ECONNECT;
    record->value = before.value;
    return 0;
}

static int test(void *state, const omc_record *record, omc_error *err)
{
    return fail_now(state, record, err) < 0 ? -OMC_ECONNECT : 1;
}

static const omc_transform_ops transform_ops = {.size = sizeof transform_ops,
                                                .state_size = sizeof(flaky),
                                                .start = start,
                                                .apply = apply};
static const omc_predicate_ops predicate_ops = {.size = sizeof predicate_ops,
                                                .state_size = sizeof(flaky),
                                                .start = start,
                                                .test = test};

#define HEAD                                                                                     \
    .abi = OMC_ABI_CURRENT, .size = sizeof(omc_plugin), .version = "1.0.0",                      \
    .doc = "Fails on demand.", .options = table, .option_count = sizeof table / sizeof table[0], \
    .option_size = sizeof table[0], .options_size = sizeof(options)

static const omc_plugin transform = {HEAD, .kind = OMC_TRANSFORM, .name = "flaky-transform",
                                     .ops = &transform_ops};
static const omc_plugin predicate = {HEAD, .kind = OMC_PREDICATE, .name = "flaky-predicate",
                                     .ops = &predicate_ops};

OMC_EXPORT const omc_plugin *const *omc_plugin_entry(uint32_t host_abi, const omc_host *host);
OMC_EXPORT const omc_plugin *const *omc_plugin_entry(uint32_t host_abi, const omc_host *host)
{
    static const omc_plugin *const list[] = {&transform, &predicate, NULL};

    (void)host_abi, (void)host;
    return list;
}
