/* SPDX-License-Identifier: Apache-2.0 */
/**
 * RegexRouter: sends a record to another topic when the whole topic name matches.
 *
 * Differences to Java, where it is abstract and thus never runs: it changes the target topic (the
 * record's, or extension `topic`; the Java code changes the source partition), and the whole name
 * is replaced (the Java code would replace the first place the regex is found).
 */
#include "record/transform.h"

typedef struct options {
    const char *regex, *replacement;
} options;

static const omc_option table[] = {
    {.name = "regex",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_REQUIRED,
     .offset = offsetof(options, regex),
     .doc = "Java regex for the whole topic name: a source's target topic, a sink's origin. Topics "
            "that do not match stay. Class unions and intersections are not supported."},
    {.name = "replacement",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_REQUIRED,
     .offset = offsetof(options, replacement),
     .doc = "The new topic: text with $1 or ${name} for groups, \\ before a literal $ or \\. In "
            "Java this transform cannot be instantiated; here it works, on the target topic."},
};

typedef struct state {
    rc_regex *regex;
} state;

static int router_start(void *at, const omc_config *config, omc_error *err)
{
    const options *o = config->options;
    state *s = at;
    int r = rc_regex_new(o->regex, RC_REGEX_FULL, &s->regex, err);

    if (r < 0)
        return rc_wrap(err, r, "key 'regex'");
    r = rc_regex_set_replacement(s->regex, o->replacement, err);
    return r < 0 ? rc_wrap(err, r, "key 'replacement'") : 0;
}

/** The extensions with another `topic`; values are shared. */
static const omc_keyvalue *replace_extension(const omc_keyvalue *old, rc_slice topic,
                                             omc_arena *arena)
{
    omc_keyvalue *kv = omc_alloc(arena, sizeof *kv);
    omc_pair *pairs = omc_alloc(arena, (old->count + 1) * sizeof *pairs);

    memcpy(pairs, old->pairs, old->count * sizeof *pairs);
    for (size_t i = 0; i < old->count; i++)
        if (omc_slice_is(pairs[i].key, RC_EXT_TOPIC))
            pairs[i].value = topic;
    kv->count = old->count;
    kv->pairs = pairs;
    return kv;
}

static int router_apply(void *at, omc_record *record, omc_arena *arena, omc_error *err)
{
    bool extension = !record->topic || !*record->topic;
    rc_slice topic = rc_record_topic_slice(record), routed;
    state *s = at;
    int r;

    if (!topic.len)
        return 0;
    r = rc_regex_replace(s->regex, topic, arena, &routed, err);
    if (r <= 0)
        return r < 0 ? rc_wrap(err, r, "topic '" RC_SLICE_FMT "'", RC_SLICE_ARG(topic)) : 0;
    if (!routed.len)
        return rc_fail(err, OMC_EFORMAT,
                       "RegexRouter: topic '" RC_SLICE_FMT "' would become empty; change "
                       "'replacement'",
                       RC_SLICE_ARG(topic));
    if (memchr(routed.base, '\0', routed.len))
        return rc_fail(err, OMC_EFORMAT, "RegexRouter: the new topic would have a NUL byte");
    if (extension)
        record->extensions = replace_extension(record->extensions, routed, arena);
    record->topic = routed.base;
    return 0;
}

static void router_stop(void *at)
{
    state *s = at;

    rc_regex_free(s->regex);
    s->regex = NULL;
}

static const omc_transform_ops ops = {
    .size = sizeof ops,
    .state_size = sizeof(state),
    .start = router_start,
    .apply = router_apply,
    .stop = router_stop,
};

const omc_plugin rc_regex_router = {
    RC_BUILTIN(OMC_TRANSFORM),
    .name = "regex-router",
    .classes = RC_TRANSFORMS "RegexRouter," RC_KAFKA_TRANSFORMS "RegexRouter",
    .doc = "Changes the topic of records by a regular expression.",
    .options = table,
    .option_count = RC_COUNT(table),
    .options_size = sizeof(options),
    .ops = &ops,
};
