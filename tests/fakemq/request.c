/* SPDX-License-Identifier: Apache-2.0 */
/** The way of a request: log, strict checks, faults, signature, and the handler of its code. */
#include "impl.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool is_send(int code)
{
    return code == 10 || code == 310 || code == 320;
}

const char *field(const struct request *request, const char *name)
{
    const char *value = fields_get(&request->header.fields, name);

    return value ? value : "";
}

int64_t number(const struct request *request, const char *name)
{
    return strtoll(field(request, name), NULL, 10);
}

const char *request_topic(const struct request *request)
{
    int code = request->header.code;

    return field(request, code == 310 || code == 320 ? "b" : code == 36 ? "originTopic" : "topic");
}

/* ---- strict checks --------------------------------------------------------------------------- */

void strict_text(fakemq *mq, char *text)
{
    if (mq->failure)
        free(text);
    else
        mq->failure = text;
}

void strict(struct request *request, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    strict_text(request->mq, rc_format("request %d to %s: %s", request->header.code,
                                       request->server->name, text));
}

static bool is_number(const char *text)
{
    char *end;

    strtoll(text, &end, 10);
    return *text && !*end;
}

/** `required`: names with a blank behind each; '#' in front of numbers, '?' of optional numbers. */
bool check_fields(struct request *request, const char *required)
{
    while (*required) {
        size_t len = strcspn(required, " ");
        char name[64], kind = *required == '#' || *required == '?' ? *required : 0;
        const char *value;

        snprintf(name, sizeof name, "%.*s", (int)len - (kind != 0), required + (kind != 0));
        required += len + (required[len] == ' ');
        value = fields_get(&request->header.fields, name);
        if (!value && kind != '?') {
            strict(request, "the field %s is missing", name);
            answer_text(request, 1, "the custom field <%s> is null", name);
            return false;
        }
        if (value && kind && !is_number(value)) {
            strict(request, "the field %s is no number but '%s'", name, value);
            answer_text(request, 1, "NumberFormatException: For input string: \"%s\"", value);
            return false;
        }
    }
    return true;
}

static void check_opaque(struct request *request)
{
    struct request *other = request->mq->live;

    for (; other && !(request->header.flag & FLAG_ONEWAY); other = other->next) {
        if (other != request && other->conn == request->conn &&
            !(other->header.flag & FLAG_ONEWAY) && other->header.opaque == request->header.opaque)
            strict(request, "its opaque %d is that of an unanswered request %d",
                   request->header.opaque, other->header.code);
    }
}

/* ---- the log of requests --------------------------------------------------------------------- */

static void log_request(fakemq *mq, struct request *request)
{
    struct header *header = &request->header;
    struct fields copy = {0};

    for (size_t k = 0; k < header->fields.count; k++)
        fields_add(&copy, header->fields.at[k].name, "%s", header->fields.at[k].value);
    fields_add(&copy, "@version", "%d", header->version);
    fields_add(&copy, "@language", "%d", header->language);
    fields_add(&copy, "@opaque", "%d", header->opaque);
    fields_add(&copy, "@flag", "%d", header->flag);
    if (!is_send(header->code))
        fields_add(&copy, "@body", "%s", request->body);
    if (mq->log_count == MAX_LOG)
        give_up("the log of requests is full");
    if (mq->log_count == mq->log_cap) {
        mq->log_cap = mq->log_cap ? mq->log_cap * 2 : 256;
        mq->log = rc_realloc(mq->log, mq->log_cap * sizeof *mq->log);
    }
    mq->log[mq->log_count++] = (struct logged){header->code, request->server, copy};
}

/* ---- faults ---------------------------------------------------------------------------------- */

uint64_t random_next(fakemq *mq)
{
    uint64_t x = mq->random += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/** Counts the request at a rule it matches; true when it is hit. */
static bool rule_hits(struct rule *rule, struct request *request)
{
    const fakemq_rule *want = &rule->rule;

    if (rule->ended || (want->request && want->request != request->header.code) ||
        (rule->broker && strcmp(rule->broker, request->server->name) != 0) ||
        (rule->topic && strcmp(rule->topic, request_topic(request)) != 0))
        return false;
    if (rule->seen < want->skip) {
        rule->seen++;
        return false;
    }
    if (want->count && rule->hits >= want->count)
        return false;
    if (want->chance > 0 &&
        (double)(random_next(request->mq) >> 11) / (double)(UINT64_C(1) << 53) >= want->chance)
        return false;
    rule->hits++;
    return true;
}

static struct rule *find_rule(struct request *request)
{
    fakemq *mq = request->mq;

    for (int k = 0; k < mq->rule_count; k++) {
        if (rule_hits(mq->rules[k], request))
            return mq->rules[k];
    }
    return NULL;
}

#define FOR_EVER (INT64_MAX / 4)

static void hold(struct request *request, int64_t ns)
{
    request->state = HELD;
    request->due_ns = mono_ns() + ns;
}

/** Without an answer of the handler's: what the request's rule says. */
static void refuse(struct request *request)
{
    struct rule *rule = request->rule;

    request->rule = NULL;
    answer(request, rule->rule.code, rule->remark, NULL, NULL, 0);
}

void request_take(struct request *request)
{
    fakemq *mq = request->mq;
    int64_t shuffle_ns = mq->shuffle_ms * INT64_C(1000000);

    log_request(mq, request);
    check_opaque(request);
    request->rule = find_rule(request);
    switch (request->rule ? request->rule->rule.action : FAKEMQ_CODE) {
    case FAKEMQ_IGNORE:
        request_free(request);
        return;
    case FAKEMQ_CUT:
        conn_reset(request->conn);
        request_free(request);
        return;
    case FAKEMQ_REFUSE:
        refuse(request);
        return;
    case FAKEMQ_HOLD:
        hold(request,
             request->rule->rule.ms ? request->rule->rule.ms * INT64_C(1000000) : FOR_EVER);
        return;
    default:
        break;
    }
    if (shuffle_ns && is_send(request->header.code))
        hold(request, (int64_t)(random_next(mq) % (uint64_t)shuffle_ns));
    else
        request_run(request);
}

/* ---- signatures ------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct field *)a)->name, ((const struct field *)b)->name);
}

/** Protocol §16: the values sorted by name, then the body. `out` holds 28 characters and a NUL. */
static void sign(struct request *request, char out[32])
{
    struct fields *fields = &request->header.fields;
    struct field *sorted = rc_calloc(fields->count + 1, sizeof *sorted);
    rc_buf text = RC_BUF(2 * MAX_FRAME);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    const char *key = request->mq->secret_key;

    memcpy(sorted, fields->at, fields->count * sizeof *sorted);
    qsort(sorted, fields->count, sizeof *sorted, by_name);
    for (size_t k = 0; k < fields->count; k++) {
        if (strcmp(sorted[k].name, "Signature") != 0)
            rc_buf_str(&text, sorted[k].value);
    }
    rc_buf_add(&text, request->body, request->body_len);
    HMAC(EVP_sha1(), key, (int)strlen(key), (const unsigned char *)text.data, text.len, digest,
         &len);
    EVP_EncodeBlock((unsigned char *)out, digest, (int)len);
    rc_buf_release(&text);
    free(sorted);
}

static bool signature_holds(struct request *request)
{
    const char *user = field(request, "AccessKey");
    char right[32];

    if (!request->mq->access_key || request->server->role == NAME_SERVER)
        return true;
    sign(request, right);
    if (!*user)
        answer_text(request, 16, "username cannot be null.");
    else if (strcmp(user, request->mq->access_key) != 0)
        answer_text(request, 16, "User:%s is not found.", user);
    else if (strcmp(field(request, "Signature"), right) != 0)
        answer_text(request, 16, "check signature failed.");
    else
        return true;
    return false;
}

/* ---- the table ------------------------------------------------------------------------------- */

static void ignore(struct request *request)
{
    request_free(request);
}

#define SEND_V2 "a b c #d #e #f #g #h ?j "
#define PULL                                                                        \
    "consumerGroup topic #queueId #queueOffset #maxMsgNums #sysFlag #commitOffset " \
    "#suspendTimeoutMillis #subVersion ?maxMsgBytes "

static const struct {
    int code;
    int where;
    const char *required;
    handler *run;
} handlers[] = {
    {105, NAME_SERVER, "topic ", route_topic},
    {106, NAME_SERVER, "", route_cluster},
    {206, NAME_SERVER, "", route_topics},
    {216, NAME_SERVER, "topic ", route_delete},
    {224, NAME_SERVER, "cluster ", route_topics_of_cluster},
    {10, BROKERS,
     "producerGroup topic defaultTopic #defaultTopicQueueNums #queueId #sysFlag #bornTimestamp "
     "#flag ?reconsumeTimes ",
     send_message},
    {310, BROKERS, SEND_V2, send_message},
    {320, BROKERS, SEND_V2, send_message},
    {36, BROKERS, "#offset group #delayLevel ?maxReconsumeTimes ", send_back},
    {11, BROKERS, PULL, pull_message},
    {361, BROKERS, PULL, pull_message},
    {34, BROKERS, "", heartbeat},
    {35, BROKERS, "clientID ", unregister},
    {38, BROKERS, "consumerGroup ", member_list},
    {203, BROKERS, "consumerGroup ", member_connections},
    {46, BROKERS, "", check_client},
    {14, BROKERS, "consumerGroup topic #queueId ", offset_query},
    {15, BROKERS, "consumerGroup topic #queueId #commitOffset ", offset_update},
    {29, BROKERS, "topic #queueId #timestamp ", offset_search},
    {30, BROKERS, "topic #queueId ", offset_max},
    {31, BROKERS, "topic #queueId ", offset_min},
    {32, BROKERS, "topic #queueId ", offset_earliest},
    {17, BROKERS, "topic defaultTopic #readQueueNums #writeQueueNums #perm topicFilterType order ",
     admin_topic},
    {215, BROKERS, "topic ", admin_topic_delete},
    {200, BROKERS, "", admin_group},
    {207, BROKERS, "groupName ", admin_group_delete},
    {25, BROKERS, "", admin_config_set},
    {26, BROKERS, "", admin_config_get},
    {28, BROKERS, "", admin_runtime},
    {202, BROKERS, "topic ", admin_stats},
    {208, BROKERS, "consumerGroup ", admin_consume_stats},
    {33, BROKERS, "#offset ", admin_view},
    {37, BROKERS, "", ignore},
};

void request_run(struct request *request)
{
    request->state = RUNNING;
    if (!signature_holds(request))
        return;
    for (size_t k = 0; k < RC_COUNT(handlers); k++) {
        if (handlers[k].code != request->header.code ||
            !(handlers[k].where & (int)request->server->role))
            continue;
        if (check_fields(request, handlers[k].required) && mapping_apply(request))
            handlers[k].run(request);
        return;
    }
    answer_text(request, 3, " request type %d not supported", request->header.code);
}
