/* SPDX-License-Identifier: Apache-2.0 */
/** The predicates under their short names and Kafka Connect's class names, in front of Filter. */
#include "transform_unit.h"

#define P "org.apache.kafka.connect.transforms.predicates."

/** One record as a row: topic, extension `topic`, and whether the value is null. */
typedef struct sample {
    const char *class_name, *key, *value;
    const char *topic, *extension;
    bool tombstone;
    bool matches;
} sample;

static const sample rows[] = {
    {P "TopicNameMatches", "pattern", "orders-.*", "orders-eu", NULL, false, true},
    {P "TopicNameMatches", "pattern", "orders", "orders-eu", NULL, false, false},
    {P "TopicNameMatches", "pattern", "eu", "orders-eu", NULL, false, false},
    {"topic-name-matches", "pattern", "a|b", NULL, "b", false, true},
    {"topic-name-matches", "pattern", ".*", NULL, NULL, false, false},
    {P "HasHeaderKey", "name", "ext", "t", NULL, false, true},
    {P "HasHeaderKey", "name", "prop", "t", NULL, false, true},
    {"has-header-key", "name", "Ext", "t", NULL, false, false},
    {P "RecordIsTombstone", NULL, NULL, "t", NULL, true, true},
    {"record-is-tombstone", NULL, NULL, "t", NULL, false, false},
};

static void check(const sample *row, bool negate)
{
    rc_arena arena;
    rc_chain *chain = NULL;
    omc_record record;
    rc_error err = {0};
    rc_kv kv;

    rc_arena_init(&arena, 4096);
    rc_kv_init(&kv, &arena.pub);
    rc_kv_put_all(&kv,
                  PAIRS(&arena.pub, "transforms", "drop", "transforms.drop.type",
                        "org.apache.kafka.connect.transforms.Filter", "transforms.drop.predicate",
                        "p", "predicates", "p", "predicates.p.type", row->class_name));
    if (row->key)
        rc_kv_put_str(&kv, rc_arena_format(&arena.pub, "predicates.p.%s", row->key), row->value);
    if (negate)
        rc_kv_put_str(&kv, "transforms.drop.negate", "true");
    if (rc_chain_new(&unit_finder, rc_kv_done(&kv), &chain, &err) < 0)
        fail_msg("%s: %s", row->class_name, err.msg);
    record = unit_record(&arena.pub);
    record.topic = row->topic;
    if (row->extension)
        record.extensions = PAIRS(&arena.pub, "topic", row->extension);
    if (!row->tombstone)
        record.value = unit_text("v");
    if (rc_chain_apply(chain, 0, &record, &arena.pub, &err) !=
        (row->matches != negate ? OMC_DROP : 0))
        fail_msg("%s '%s' topic '%s'%s: %s", row->class_name, row->value ? row->value : "",
                 row->topic ? row->topic : "", negate ? " negated" : "", err.msg);
    rc_chain_free(chain);
    rc_arena_release(&arena);
}

static void predicates_choose_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < RC_COUNT(rows); i++)
        check(&rows[i], false);
}

static void negate_turns_the_choice_around(void **state)
{
    (void)state;
    for (size_t i = 0; i < RC_COUNT(rows); i++)
        check(&rows[i], true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predicates_choose_records),
        cmocka_unit_test(negate_turns_the_choice_around),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
