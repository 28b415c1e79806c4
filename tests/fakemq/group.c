/* SPDX-License-Identifier: Apache-2.0 */
/** Heartbeats, members of groups, and what the broker tells them (protocol §5). */
#include "impl.h"

#include <string.h>

/* ---- members --------------------------------------------------------------------------------- */

struct member *member_find(fakemq *mq, struct conn *conn, const char *group, bool producer)
{
    struct member *at = mq->members;

    while (at && (at->conn != conn || at->producer != producer || strcmp(at->group, group) != 0))
        at = at->next;
    return at;
}

struct member *member_any(fakemq *mq, struct server *server, const char *group)
{
    struct member *at = mq->members;

    while (at && (!at->conn || at->conn->server != server || at->producer ||
                  strcmp(at->group, group) != 0))
        at = at->next;
    return at;
}

json_t *subscription_find(fakemq *mq, struct server *server, const char *group, const char *topic)
{
    json_t *newest = NULL, *one;
    size_t k;

    for (struct member *at = mq->members; at; at = at->next) {
        if (!at->conn || at->conn->server != server || at->producer ||
            strcmp(at->group, group) != 0)
            continue;
        json_array_foreach(json_object_get(at->data, "subscriptionDataSet"), k, one)
        {
            const char *name = json_string_value(json_object_get(one, "topic"));

            if (name && !strcmp(name, topic) &&
                (!newest || json_integer_value(json_object_get(one, "subVersion")) >
                                json_integer_value(json_object_get(newest, "subVersion"))))
                newest = one;
        }
    }
    return newest;
}

void member_remove(fakemq *mq, struct member **at)
{
    struct member *member = *at;

    (void)mq;
    *at = member->next;
    json_decref(member->data);
    free(member->client);
    free(member->group);
    free(member);
}

void members_notify(fakemq *mq, struct server *server, const char *group)
{
    for (struct member *at = mq->members; at; at = at->next) {
        struct fields fields = {0};

        if (!at->conn || at->conn->dead || at->conn->server != server || at->producer ||
            strcmp(at->group, group) != 0)
            continue;
        fields_add(&fields, "consumerGroup", "%s", group);
        ask(mq, at->conn, 40, FLAG_ONEWAY, &fields, NULL, 0);
    }
}

static void leave(fakemq *mq, struct member **at)
{
    struct member *member = *at;
    RC_AUTO_FREE char *group = rc_strdup(member->group);
    struct server *server = member->conn->server;
    bool producer = member->producer;

    member_remove(mq, at);
    if (!producer)
        members_notify(mq, server, group);
}

void members_leave(fakemq *mq, struct conn *conn)
{
    for (struct member **at = &mq->members; *at;) {
        if ((*at)->conn == conn)
            leave(mq, at);
        else
            at = &(*at)->next;
    }
}

/* ---- heartbeats ------------------------------------------------------------------------------ */

static bool has_topic(json_t *subscriptions, const char *topic)
{
    size_t k;
    json_t *one;

    json_array_foreach(subscriptions, k, one)
    {
        const char *name = json_string_value(json_object_get(one, "topic"));

        if (name && !strcmp(name, topic))
            return true;
    }
    return false;
}

/** Topics changed; a new version of the same ones is no news to the others. */
static bool topics_differ(json_t *old, json_t *new)
{
    json_t *a = json_object_get(old, "subscriptionDataSet"),
           *b = json_object_get(new, "subscriptionDataSet"), *one;
    size_t k;

    if (json_array_size(a) != json_array_size(b))
        return true;
    json_array_foreach(a, k, one)
    {
        const char *name = json_string_value(json_object_get(one, "topic"));

        if (name && !has_topic(b, name))
            return true;
    }
    return false;
}

/** The group keeps the newest version of a subscription, whoever beats with an older one (seen). */
static void keep_newest(struct request *request, const char *group, json_t *data)
{
    json_t *one;
    size_t k;

    json_array_foreach(json_object_get(data, "subscriptionDataSet"), k, one)
    {
        const char *topic = json_string_value(json_object_get(one, "topic"));
        json_t *old = topic ? subscription_find(request->mq, request->server, group, topic) : NULL;

        if (old && json_integer_value(json_object_get(old, "subVersion")) >
                       json_integer_value(json_object_get(one, "subVersion")))
            json_object_update(one, old);
    }
}

/** True when the member is new or subscribes to other topics. */
static bool join(struct request *request, const char *client, json_t *data, bool producer)
{
    fakemq *mq = request->mq;
    const char *group = json_string_value(json_object_get(data, "groupName"));
    struct member *member;
    bool changed;

    if (!group || !*group) {
        strict(request, "a group of the heartbeat has no groupName");
        return false;
    }
    member = member_find(mq, request->conn, group, producer);
    changed = !member;
    if (!member) {
        member = rc_calloc(1, sizeof *member);
        member->conn = request->conn;
        member->client = rc_strdup(client);
        member->group = rc_strdup(group);
        member->producer = producer;
        member->next = mq->members;
        mq->members = member;
    } else if (strcmp(member->client, client) != 0) {
        strict(request, "client id %s became %s on one connection", member->client, client);
    }
    changed = changed || topics_differ(member->data, data);
    keep_newest(request, group, data);
    json_decref(member->data);
    member->data = json_incref(data);
    return changed && !producer;
}

static void check_consumer(struct request *request, json_t *data)
{
    static const char *const needed[] = {"consumeType", "messageModel", "consumeFromWhere"};
    json_t *one;
    size_t k;

    for (k = 0; k < RC_COUNT(needed); k++) {
        if (!json_is_string(json_object_get(data, needed[k])))
            strict(request, "a consumer of the heartbeat has no %s", needed[k]);
    }
    json_array_foreach(json_object_get(data, "subscriptionDataSet"), k, one)
    {
        if (!json_is_string(json_object_get(one, "topic")) ||
            !json_is_string(json_object_get(one, "subString")) ||
            !json_is_integer(json_object_get(one, "subVersion")) ||
            !json_is_array(json_object_get(one, "codeSet")))
            strict(request, "a subscription of the heartbeat lacks topic, subString, subVersion "
                            "or codeSet");
    }
}

static void beat(struct request *request, const char *client, json_t *root)
{
    fakemq *mq = request->mq;
    json_t *one;
    size_t k;

    json_array_foreach(json_object_get(root, "producerDataSet"), k, one)
        join(request, client, one, true);
    json_array_foreach(json_object_get(root, "consumerDataSet"), k, one)
    {
        check_consumer(request, one);
        if (!join(request, client, one, false))
            continue;
        group_make(request->server->broker, json_string_value(json_object_get(one, "groupName")));
        members_notify(mq, request->server, json_string_value(json_object_get(one, "groupName")));
    }
}

static void remember_version(struct request *request)
{
    fields_free(&request->conn->version);
    fields_add(&request->conn->version, "version", "%d", request->header.version);
    fields_add(&request->conn->version, "language", "%d", request->header.language);
}

void heartbeat(struct request *request)
{
    json_t *root = json_loadb(request->body, request->body_len, 0, NULL);
    const char *client = json_string_value(json_object_get(root, "clientID"));
    int64_t print = json_integer_value(json_object_get(root, "heartbeatFingerprint"));
    bool without = json_is_true(json_object_get(root, "withoutSub")), known = false;
    struct fields fields = {0};

    if (!client || !*client) {
        strict(request, "a heartbeat without clientID");
        answer_text(request, 1, "java.lang.NullPointerException");
        json_decref(root);
        return;
    }
    if (request->conn) { /* Held, and its connection went away: nobody is there to join. */
        known = print && request->conn->fingerprint == print;
        if (!without)
            beat(request, client, root);
        request->conn->fingerprint = known || !without ? print : 0;
        remember_version(request);
    }
    fields_add(&fields, "IS_SUPPORT_HEART_BEAT_V2", "true");
    fields_add(&fields, "IS_SUB_CHANGE", known ? "false" : "true");
    answer(request, 0, NULL, &fields, NULL, 0);
    json_decref(root);
}

void unregister(struct request *request)
{
    fakemq *mq = request->mq;
    const char *client = field(request, "clientID"),
               *groups[] = {field(request, "consumerGroup"), field(request, "producerGroup")};

    for (struct member **at = &mq->members; *at;) {
        struct member *member = *at;

        if (member->conn == request->conn && member->conn && !strcmp(member->client, client) &&
            !strcmp(member->group, groups[member->producer]))
            leave(mq, at);
        else
            at = &member->next;
    }
    answer(request, 0, NULL, NULL, NULL, 0);
}

/* ---- questions about members ----------------------------------------------------------------- */

static bool at_server(const struct member *member, const struct server *server, const char *group)
{
    return !member->producer && (!member->conn || member->conn->server == server) &&
           !strcmp(member->group, group);
}

void member_list(struct request *request)
{
    const char *group = field(request, "consumerGroup");
    json_t *ids = json_array(), *root = json_object();
    char *text;

    for (struct member *at = request->mq->members; at; at = at->next) {
        if (at_server(at, request->server, group))
            json_array_append_new(ids, json_string(at->client));
    }
    if (!json_array_size(ids)) {
        answer_text(request, 1, "no consumer for this group, %s", group);
        json_decref(ids);
        json_decref(root);
        return;
    }
    json_object_set_new(root, "consumerIdList", ids);
    text = json_dumps(root, JSON_COMPACT);
    answer(request, 0, NULL, NULL, text, strlen(text));
    free(text);
    json_decref(root);
}

static json_t *connection_of(const struct member *member)
{
    const char *version = fields_get(&member->conn->version, "version");
    RC_AUTO_FREE char *address = rc_format("127.0.0.1:%d", member->conn->port);
    const char *language = fields_get(&member->conn->version, "language");

    return json_pack("{s:s, s:s, s:s, s:i}", "clientAddr", address, "clientId", member->client,
                     "language", language && !strcmp(language, "0") ? "JAVA" : "CPP", "version",
                     version ? (int)strtol(version, NULL, 10) : 0);
}

void member_connections(struct request *request)
{
    const char *group = field(request, "consumerGroup");
    json_t *set = json_array(), *table = json_object(), *root = json_object(), *one;
    struct member *any = member_any(request->mq, request->server, group);
    size_t k;
    char *text;

    for (struct member *at = request->mq->members; at; at = at->next) {
        if (!at->conn || !at_server(at, request->server, group))
            continue;
        json_array_append_new(set, connection_of(at));
        json_array_foreach(json_object_get(at->data, "subscriptionDataSet"), k, one)
            json_object_set(table, json_string_value(json_object_get(one, "topic")), one);
    }
    json_object_set_new(root, "connectionSet", set);
    json_object_set_new(root, "subscriptionTable", table);
    for (k = 0; any && k < 3; k++) {
        static const char *const names[] = {"consumeFromWhere", "consumeType", "messageModel"};

        json_object_set(root, names[k], json_object_get(any->data, names[k]));
    }
    text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
    if (any)
        answer(request, 0, NULL, NULL, text, strlen(text));
    else
        answer_text(request, 206, "the consumer group[%s] not online", group);
    free(text);
    json_decref(root);
}

/** Stock brokers refuse SQL92. */
void check_client(struct request *request)
{
    json_t *root = json_loadb(request->body, request->body_len, 0, NULL);
    json_t *data = json_object_get(root, "subscriptionData");
    const char *type = json_string_value(json_object_get(data, "expressionType"));

    if (!data) {
        strict(request, "no subscriptionData in the body");
        answer_text(request, 1, "java.lang.NullPointerException");
    } else if (type && strcmp(type, "TAG") != 0) {
        answer_text(request, 1, "The broker does not support consumer to filter message by %s",
                    type);
    } else {
        answer(request, 0, NULL, NULL, NULL, 0);
    }
    json_decref(root);
}
