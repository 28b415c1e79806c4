/* SPDX-License-Identifier: Apache-2.0 */
/** The predicates users of Kafka Connect know, with its keys: by topic, by header, by tombstone. */
#include "record/transform.h"

#include "record/plugins.h"

#define RC_PREDICATES "org.apache.kafka.connect.transforms.predicates."

typedef struct topic_options {
    const char *pattern;
} topic_options;

static const omc_option topic_table[] = {
    {.name = "pattern",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_REQUIRED,
     .offset = offsetof(topic_options, pattern),
     .doc = "Java regex for the whole topic name; a record without a topic does not match."},
};

typedef struct topic_state {
    rc_regex *regex;
} topic_state;

static int topic_start(void *at, const omc_config *config, omc_error *err)
{
    topic_state *s = at;
    int r = rc_regex_new(((const topic_options *)config->options)->pattern, RC_REGEX_FULL,
                         &s->regex, err);

    return r < 0 ? rc_wrap(err, r, "key 'pattern'") : 0;
}

static int topic_test(void *at, const omc_record *record, omc_error *err)
{
    rc_slice topic = rc_record_topic_slice(record);
    topic_state *s = at;

    return topic.len ? rc_regex_match(s->regex, topic, err) : 0;
}

static void topic_stop(void *at)
{
    topic_state *s = at;

    rc_regex_free(s->regex);
    s->regex = NULL;
}

static const omc_predicate_ops topic_ops = {
    .size = sizeof topic_ops,
    .state_size = sizeof(topic_state),
    .start = topic_start,
    .test = topic_test,
    .stop = topic_stop,
};

static const omc_plugin topic_name_matches = {
    RC_BUILTIN(OMC_PREDICATE),
    .name = "topic-name-matches",
    .classes = RC_PREDICATES "TopicNameMatches",
    .doc = "True for records whose topic matches a regular expression.",
    .options = topic_table,
    .option_count = RC_COUNT(topic_table),
    .options_size = sizeof(topic_options),
    .ops = &topic_ops,
};

typedef struct header_options {
    const char *name;
} header_options;

static const omc_option header_table[] = {
    {.name = "name",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_REQUIRED,
     .offset = offsetof(header_options, name),
     .doc = "Name of the header: an extension of the record or a raw message property."},
};

typedef struct header_state {
    const char *name;
} header_state;

static int header_start(void *at, const omc_config *config, omc_error *err)
{
    header_state *s = at;

    (void)err;
    s->name = ((const header_options *)config->options)->name;
    return 0;
}

static int header_test(void *at, const omc_record *record, omc_error *err)
{
    header_state *s = at;

    (void)err;
    return omc_keyvalue_get(record->extensions, s->name) ||
           omc_keyvalue_get(record->properties, s->name);
}

static const omc_predicate_ops header_ops = {
    .size = sizeof header_ops,
    .state_size = sizeof(header_state),
    .start = header_start,
    .test = header_test,
};

static const omc_plugin has_header_key = {
    RC_BUILTIN(OMC_PREDICATE),
    .name = "has-header-key",
    .classes = RC_PREDICATES "HasHeaderKey",
    .doc = "True for records that have an extension or message property of a name.",
    .options = header_table,
    .option_count = RC_COUNT(header_table),
    .options_size = sizeof(header_options),
    .ops = &header_ops,
};

static int tombstone_test(void *at, const omc_record *record, omc_error *err)
{
    (void)at, (void)err;
    return record->value.kind == OMC_NULL;
}

static const omc_predicate_ops tombstone_ops = {.size = sizeof tombstone_ops,
                                                .test = tombstone_test};
static const omc_option no_options[1];

static const omc_plugin record_is_tombstone = {
    RC_BUILTIN(OMC_PREDICATE),
    .name = "record-is-tombstone",
    .classes = RC_PREDICATES "RecordIsTombstone",
    .doc = "True for records whose value is null.",
    .options = no_options,
    .ops = &tombstone_ops,
};

const omc_plugin *const rc_predicate_plugins[] = {
    &topic_name_matches,
    &has_header_key,
    &record_is_tombstone,
    NULL,
};
