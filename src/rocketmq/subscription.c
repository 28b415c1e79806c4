/* SPDX-License-Identifier: Apache-2.0 */
/* What a consumer wants of a topic: the expression as brokers and heartbeats get it, and the check
 * by tag that brokers leave to clients because they compare hash codes only (protocol §5, §7). */
#include "rocketmq/consumer_impl.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>

static rc_slice trimmed(const char *from, const char *to)
{
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
        to--;
    return omc_slice_of(from, (size_t)(to - from));
}

static void add_tag(rmq_subscription *sub, rc_slice tag)
{
    if (tag.len == 0)
        return;
    sub->tags = rc_realloc(sub->tags, (sub->tag_count + 1) * sizeof *sub->tags);
    sub->tags[sub->tag_count++] = rc_strndup(tag.base, tag.len);
}

/* "A || B", as Java splits it. */
static int split_tags(rmq_subscription *sub, rc_error *err)
{
    const char *from = sub->expression;

    for (;;) {
        const char *bars = strstr(from, "||");

        add_tag(sub, trimmed(from, bars ? bars : from + strlen(from)));
        if (!bars)
            break;
        from = bars + 2;
    }
    if (sub->tag_count == 0)
        return rc_fail(err, OMC_EINVAL,
                       "subscription of topic %s: the expression \"%s\" has no tag in it; write "
                       "\"*\" for all messages, or tags like \"TagA || TagB\"",
                       sub->topic, sub->expression);
    return 0;
}

int rmq_subscription_new(const rmq_client *client, const char *topic, enum rmq_filter filter,
                         const char *expression, rmq_subscription **ret, rc_error *err)
{
    rmq_subscription *sub;
    char wire[256];
    bool all = !expression || !expression[0] || strcmp(expression, "*") == 0;
    int r = 0;

    if (expression && strlen(expression) > RMQ_EXPRESSION_MAX)
        return rc_fail(err, OMC_EINVAL,
                       "subscription of topic %s: the expression has %zu bytes, at most %d are "
                       "possible because every pull carries it",
                       topic, strlen(expression), RMQ_EXPRESSION_MAX);
    if (filter == RMQ_FILTER_SQL92 && all)
        return rc_fail(err, OMC_EINVAL,
                       "subscription of topic %s: SQL92 needs an expression like \"a > 5\"; use "
                       "the filter TAG with \"*\" for all messages",
                       topic);
    sub = rc_calloc(1, sizeof *sub);
    sub->refs = 1;
    sub->topic = rc_strdup(topic);
    sub->wire = rc_strdup(rmq_client_wire_name(client, topic, wire));
    sub->filter = filter;
    sub->expression = rc_strdup(all ? "*" : expression);
    (void)snprintf(sub->version, sizeof sub->version, "%" PRId64, rc_now_ms(rc_clock_real()));
    if (filter == RMQ_FILTER_TAG && !all)
        r = split_tags(sub, err);
    if (r < 0) {
        rmq_subscription_free(sub);
        return r;
    }
    *ret = sub;
    return 0;
}

void rmq_subscription_free(rmq_subscription *sub)
{
    for (size_t i = 0; i < sub->tag_count; i++)
        free(sub->tags[i]);
    free(sub->tags);
    free(sub->expression);
    free(sub->wire);
    free(sub->topic);
    free(sub);
}

bool rmq_subscription_wants(const rmq_subscription *sub, const rmq_message *message)
{
    if (sub->tag_count == 0)
        return true;
    for (size_t i = 0; i < sub->tag_count; i++) {
        if (message->tags.base && omc_slice_is(message->tags, sub->tags[i]))
            return true;
    }
    return false;
}

json_t *rmq_subscription_json(const rmq_subscription *sub)
{
    json_t *tags = json_array(), *codes = json_array();
    long long version = strtoll(sub->version, NULL, 10);

    for (size_t i = 0; i < sub->tag_count; i++) {
        json_array_append_new(tags, json_string(sub->tags[i]));
        json_array_append_new(codes, json_integer(rmq_java_hash(omc_slice_str(sub->tags[i]))));
    }
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:I, s:b}", "topic", sub->wire, "subString",
                     sub->expression, "expressionType",
                     sub->filter == RMQ_FILTER_SQL92 ? "SQL92" : "TAG", "tagsSet", tags, "codeSet",
                     codes, "subVersion", (json_int_t)version, "classFilterMode", 0);
}
