/* SPDX-License-Identifier: Apache-2.0 */
/** What tests call: start, stop, faults from outside, and questions. */
#include "impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

_Noreturn void give_up(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("fakemq: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    abort();
}

/* ---- between threads ------------------------------------------------------------------------- */

static void lock(fakemq *mq)
{
    pthread_mutex_lock(&mq->lock);
}

static void unlock(fakemq *mq)
{
    pthread_mutex_unlock(&mq->lock);
}

static void wake_up(fakemq *mq)
{
    uint64_t one = 1;

    if (write(mq->wake, &one, sizeof one) < 0)
        give_up("write of the wake-up descriptor: %s", strerror(errno));
}

void in_thread(fakemq *mq, void (*run)(fakemq *mq, void *arg), void *arg)
{
    struct op op = {run, arg, false};

    lock(mq);
    while (mq->op)
        pthread_cond_wait(&mq->changed, &mq->lock);
    mq->op = &op;
    wake_up(mq);
    while (!op.done)
        pthread_cond_wait(&mq->changed, &mq->lock);
    unlock(mq);
}

static struct server *find_server(fakemq *mq, const char *name)
{
    for (int k = 0; k < mq->server_count; k++) {
        if (!strcmp(mq->servers[k].name, name))
            return &mq->servers[k];
    }
    give_up("there is no server '%s'", name);
}

static struct broker *find_broker(fakemq *mq, const char *name)
{
    for (int k = 0; k < mq->broker_count; k++) {
        if (!name || !strcmp(mq->brokers[k].name, name))
            return &mq->brokers[k];
    }
    give_up("there is no broker '%s'", name);
}

static struct queue *find_queue(fakemq *mq, const char *topic, const char *broker, int queue)
{
    struct topic *found = topic_find(find_broker(mq, broker), topic);

    if (!found || queue < 0 || queue >= found->made)
        give_up("there is no queue %d of topic '%s' on %s", queue, topic, broker);
    return &found->at[queue];
}

/* ---- start and stop -------------------------------------------------------------------------- */

static void add_server(fakemq *mq, enum role role, int number, struct broker *broker)
{
    struct server *server = &mq->servers[mq->server_count];

    snprintf(server->name, sizeof server->name, "%s-%d%s",
             role == NAME_SERVER ? "namesrv" : "broker", number, role == SLAVE ? "-slave" : "");
    server->role = role;
    server->broker = broker;
    server->index = mq->server_count++;
    server_listen(server);
    if (role == MASTER)
        broker->port = server->port;
}

static void make_broker(fakemq *mq, int number)
{
    struct broker *broker = &mq->brokers[number];
    static const char *const config[][2] = {{"brokerClusterName", "DefaultCluster"},
                                            {"brokerRole", "ASYNC_MASTER"},
                                            {"brokerPermission", "6"},
                                            {"flushDiskType", "ASYNC_FLUSH"},
                                            {"minInSyncReplicas", "1"},
                                            {"inSyncReplicas", "1"},

                                            {"maxMessageSize", "4194304"},
                                            {"fileReservedTime", "72"},
                                            {"enablePropertyFilter", "false"},
                                            {"slaveReadEnable", "true"}};

    snprintf(broker->name, sizeof broker->name, "broker-%d", number);
    fields_add(&broker->config, "brokerName", "%s", broker->name);
    for (size_t k = 0; k < RC_COUNT(config); k++)
        fields_add(&broker->config, config[k][0], "%s", config[k][1]);
    fields_add(&broker->config, "autoCreateTopicEnable", "%s",
               mq->config.no_auto_create ? "false" : "true");
    if (!mq->config.no_auto_create)
        topic_make(broker, "TBW102", mq->config.queues, mq->config.queues, 7);
    add_server(mq, MASTER, number, broker);
    if (mq->config.slaves)
        add_server(mq, SLAVE, number, broker);
}

static void make_servers(fakemq *mq)
{
    const fakemq_config *config = &mq->config;
    rc_buf list = RC_BUF(4096);

    mq->servers =
        rc_calloc((size_t)(config->name_servers + 2 * config->brokers), sizeof *mq->servers);
    mq->brokers = rc_calloc((size_t)config->brokers, sizeof *mq->brokers);
    mq->broker_count = config->brokers;
    for (int k = 0; k < config->name_servers; k++) {
        add_server(mq, NAME_SERVER, k, NULL);
        rc_buf_printf(&list, "%s127.0.0.1:%d", k ? ";" : "", mq->servers[k].port);
    }
    mq->namesrv = rc_buf_take(&list);
    for (int k = 0; k < config->brokers; k++)
        make_broker(mq, k);
}

static void make_tls(fakemq *mq)
{
    mq->tls = SSL_CTX_new(TLS_server_method());
    if (!mq->tls || SSL_CTX_use_certificate_chain_file(mq->tls, mq->config.tls_cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(mq->tls, mq->config.tls_key, SSL_FILETYPE_PEM) != 1)
        give_up("certificate %s or key %s cannot be used", mq->config.tls_cert, mq->config.tls_key);
    SSL_CTX_set_mode(mq->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

fakemq *fakemq_start(const fakemq_config *config)
{
    fakemq *mq = rc_calloc(1, sizeof *mq);
    pthread_condattr_t monotonic;

    if (config)
        mq->config = *config;
    mq->config.brokers = mq->config.brokers ? mq->config.brokers : 1;
    mq->config.queues = mq->config.queues ? mq->config.queues : 4;
    mq->config.name_servers = mq->config.name_servers ? mq->config.name_servers : 1;
    mq->access_key = mq->config.access_key ? rc_strdup(mq->config.access_key) : NULL;
    mq->secret_key = mq->config.secret_key ? rc_strdup(mq->config.secret_key) : NULL;
    mq->random = mq->config.seed;
    mq->opaque = 2904673;
    pthread_mutex_init(&mq->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&mq->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    mq->wake = eventfd(0, EFD_CLOEXEC);
    if (mq->config.tls_cert)
        make_tls(mq);
    make_servers(mq);
    if (mq->wake < 0 || pthread_create(&mq->thread, NULL, serve, mq) != 0)
        give_up("no descriptor or thread: %s", strerror(errno));
    return mq;
}

static void free_all(fakemq *mq)
{
    for (int k = 0; k < mq->server_count; k++) {
        if (!mq->servers[k].down)
            close(mq->servers[k].fd);
        close(mq->servers[k].guard);
    }
    for (int k = 0; k < mq->broker_count; k++)
        broker_free(&mq->brokers[k]);
    for (int k = 0; k < mq->rule_count; k++) {
        free(mq->rules[k]->broker);
        free(mq->rules[k]->topic);
        free(mq->rules[k]->remark);
        free(mq->rules[k]);
    }
    for (size_t k = 0; k < mq->log_count; k++)
        fields_free(&mq->log[k].fields);
    for (int k = 0; k < MAX_ANSWERED; k++)
        free(mq->answered[k].body);
    while (mq->members)
        member_remove(mq, &mq->members);
    SSL_CTX_free(mq->tls);
    mappings_free(mq);
    free(mq->servers);
    free(mq->brokers);
    free(mq->rules);
    free(mq->log);
    free(mq->asked);
    free(mq->namesrv);
    free(mq->access_key);
    free(mq->secret_key);
    free(mq->failure);
}

void fakemq_stop(fakemq *mq)
{
    if (!mq)
        return;
    lock(mq);
    mq->stopping = true;
    wake_up(mq);
    unlock(mq);
    pthread_join(mq->thread, NULL);
    close(mq->wake);
    if (mq->failure)
        give_up("%s", mq->failure);
    free_all(mq);
    pthread_mutex_destroy(&mq->lock);
    pthread_cond_destroy(&mq->changed);
    free(mq);
}

const char *fakemq_namesrv(fakemq *mq)
{
    return mq->namesrv;
}

/* ---- topics ---------------------------------------------------------------------------------- */

void fakemq_topic_on(fakemq *mq, const char *topic, const char *broker, int queues)
{
    lock(mq);
    if (queues)
        topic_make(find_broker(mq, broker), topic, queues, queues, 6);
    else
        topic_delete(find_broker(mq, broker), topic, false);
    unlock(mq);
}

void fakemq_topic(fakemq *mq, const char *topic, int queues)
{
    for (int k = 0; k < mq->broker_count; k++)
        fakemq_topic_on(mq, topic, mq->brokers[k].name, queues);
}

struct place {
    const char *topic, *broker;
    int total, id, local;
    int64_t delta;
};

static void place_op(fakemq *mq, void *arg)
{
    const struct place *p = arg;

    mapping_place(mq, p->topic, p->total, p->id, find_broker(mq, p->broker), p->local, p->delta);
}

void fakemq_place(fakemq *mq, const char *topic, int total, int id, const char *broker, int local,
                  int64_t delta)
{
    struct place place = {topic, broker, total, id, local, delta};

    in_thread(mq, place_op, &place);
}

void fakemq_topic_perm(fakemq *mq, const char *topic, const char *broker, int perm)
{
    struct topic *found;

    lock(mq);
    found = topic_find(find_broker(mq, broker), topic);
    if (!found)
        give_up("there is no topic '%s' on %s", topic, broker);
    found->perm = perm;
    unlock(mq);
}

void fakemq_broker_config(fakemq *mq, const char *broker, const char *key, const char *value)
{
    lock(mq);
    config_set(find_broker(mq, broker), key, value);
    unlock(mq);
}

void fakemq_suggest(fakemq *mq, const char *broker, int id)
{
    lock(mq);
    find_broker(mq, broker)->suggest = id;
    unlock(mq);
}

/* ---- faults ---------------------------------------------------------------------------------- */

static char *copy_text(const char *text)
{
    return text ? rc_strdup(text) : NULL;
}

int fakemq_fault(fakemq *mq, const fakemq_rule *rule)
{
    struct rule *copy = rc_calloc(1, sizeof *copy);
    int number;

    copy->rule = *rule;
    copy->broker = copy_text(rule->broker);
    copy->topic = copy_text(rule->topic);
    copy->remark = copy_text(rule->remark);
    lock(mq);
    if (rule->broker)
        find_server(mq, rule->broker);
    mq->rules = rc_realloc(mq->rules, (size_t)(mq->rule_count + 1) * sizeof(struct rule *));
    mq->rules[mq->rule_count] = copy;
    number = mq->rule_count++;
    unlock(mq);
    return number;
}

static struct rule *find_rule(fakemq *mq, int rule)
{
    if (rule < 0 || rule >= mq->rule_count)
        give_up("there is no rule %d", rule);
    return mq->rules[rule];
}

int fakemq_fault_hits(fakemq *mq, int rule)
{
    int hits;

    lock(mq);
    hits = find_rule(mq, rule)->hits;
    unlock(mq);
    return hits;
}

static void end_op(fakemq *mq, void *arg)
{
    struct rule *rule = arg;

    rule->ended = true;
    for (struct request *at = mq->live; at; at = at->next)
        if (at->state == HELD && at->rule == rule && !rule->rule.ms)
            at->due_ns = 0;
}

void fakemq_fault_end(fakemq *mq, int rule)
{
    struct rule *found;

    lock(mq);
    found = find_rule(mq, rule);
    unlock(mq);
    in_thread(mq, end_op, found);
}

void fakemq_shuffle(fakemq *mq, int ms)
{
    lock(mq);
    mq->shuffle_ms = ms;
    unlock(mq);
}

static void reset_all(fakemq *mq, const struct server *server)
{
    for (struct conn *conn = mq->conns; conn; conn = conn->next) {
        if (!server || conn->server == server)
            conn_reset(conn);
    }
}

static void kill_op(fakemq *mq, void *arg)
{
    struct server *server = arg;

    if (server->down)
        return;
    server_unlisten(server);
    reset_all(mq, server);
}

void fakemq_kill(fakemq *mq, const char *server)
{
    in_thread(mq, kill_op, find_server(mq, server));
}

static void revive_op(fakemq *mq, void *arg)
{
    struct server *server = arg;

    (void)mq;
    if (server->down)
        server_listen(server);
}

void fakemq_revive(fakemq *mq, const char *server)
{
    in_thread(mq, revive_op, find_server(mq, server));
}

struct freeze {
    struct server *server;
    bool frozen;
};

static void freeze_op(fakemq *mq, void *arg)
{
    struct freeze *freeze = arg;

    (void)mq;
    freeze->server->frozen = freeze->frozen;
}

void fakemq_freeze(fakemq *mq, const char *server, bool frozen)
{
    struct freeze freeze = {find_server(mq, server), frozen};

    in_thread(mq, freeze_op, &freeze);
}

static void disconnect_op(fakemq *mq, void *arg)
{
    reset_all(mq, arg);
}

void fakemq_disconnect_all(fakemq *mq, const char *server)
{
    in_thread(mq, disconnect_op, server ? find_server(mq, server) : NULL);
}

void fakemq_truncate(fakemq *mq, const char *topic, const char *broker, int queue, int64_t offset)
{
    struct queue *at;

    lock(mq);
    at = find_queue(mq, topic, broker, queue);
    queue_cut(at, RC_MIN(at->min, offset), offset);
    unlock(mq);
}

void fakemq_trim(fakemq *mq, const char *topic, const char *broker, int queue, int64_t offset)
{
    struct queue *at;

    lock(mq);
    at = find_queue(mq, topic, broker, queue);
    queue_cut(at, offset, queue_end(at));
    unlock(mq);
}

struct hide {
    const char *topic, *broker;
    int queue;
    bool hidden;
};

static void hide_op(fakemq *mq, void *arg)
{
    struct hide *hide = arg;
    struct queue *queue = find_queue(mq, hide->topic, hide->broker, hide->queue);

    queue->shown = queue_max(queue);
    queue->hiding = hide->hidden;
    wake_pulls(mq, find_broker(mq, hide->broker), hide->topic, hide->queue);
}

void fakemq_hide(fakemq *mq, const char *topic, const char *broker, int queue, bool hidden)
{
    struct hide hide = {topic, broker, queue, hidden};

    in_thread(mq, hide_op, &hide);
}

/* ---- messages -------------------------------------------------------------------------------- */

int64_t fakemq_max_offset(fakemq *mq, const char *topic, const char *broker, int queue)
{
    int64_t max;

    lock(mq);
    max = queue_end(find_queue(mq, topic, broker, queue));
    unlock(mq);
    return max;
}

fakemq_message *fakemq_message_at(fakemq *mq, const char *topic, const char *broker, int queue,
                                  int64_t offset)
{
    fakemq_message *copy = rc_calloc(1, sizeof *copy);
    const struct message *message;
    struct queue *at;

    lock(mq);
    at = find_queue(mq, topic, broker, queue);
    if (offset < at->min || offset >= queue_end(at))
        give_up("there is no message %lld in queue %d of '%s' on %s, only %lld to %lld",
                (long long)offset, queue, topic, broker, (long long)at->min,
                (long long)queue_end(at) - 1);
    message = at->at[offset - at->min];
    *copy = (fakemq_message){.body = rc_malloc(message->body_len + 1),
                             .body_len = message->body_len,
                             .properties = rc_strdup(message->properties),
                             .flag = message->flag,
                             .sys_flag = message->sys_flag,
                             .queue_id = message->queue_id,
                             .offset = message->offset,
                             .born_ms = message->born_ms,
                             .stored_ms = message->stored_ms};
    memcpy(copy->body, message->body, message->body_len + 1);
    unlock(mq);
    return copy;
}

void fakemq_message_free(fakemq_message *message)
{
    if (!message)
        return;
    free(message->body);
    free(message->properties);
    free(message);
}

struct put {
    const char *topic, *broker;
    int queue, count;
    struct message message;
};

static void put_op(fakemq *mq, void *arg)
{
    struct put *put = arg;
    struct broker *broker = find_broker(mq, put->broker);
    struct queue *queue = find_queue(mq, put->topic, put->broker, put->queue);
    struct topic *topic = topic_find(broker, put->topic);
    char body[32];

    put->message.queue_id = put->queue;
    put->message.born_ms = wall_ms();
    if (!put->count)
        store_append(broker, topic, &put->message);
    for (int k = 0; k < put->count; k++) {
        const char *properties = k % 2 ? "TAGS\001TagB\002" : "TAGS\001TagA\002";

        snprintf(body, sizeof body, "body-%lld", (long long)queue_end(queue));
        put->message.body = body;
        put->message.body_len = strlen(body);
        put->message.properties = (char *)(uintptr_t)properties;
        put->message.properties_len = strlen(properties);
        store_append(broker, topic, &put->message);
    }
    wake_pulls(mq, broker, put->topic, put->queue);
}

void fakemq_fill(fakemq *mq, const char *topic, const char *broker, int queue, int count)
{
    struct put put = {topic, broker, queue, count, {0}};

    if (count > 0)
        in_thread(mq, put_op, &put);
}

void fakemq_put(fakemq *mq, const char *topic, const char *broker, int queue, const void *body,
                size_t body_len, const char *properties, int32_t sys_flag)
{
    struct put put = {topic, broker, queue, 0, {0}};

    put.message.body = (char *)(uintptr_t)body;
    put.message.body_len = body_len;
    put.message.properties = (char *)(uintptr_t)(properties ? properties : "");
    put.message.properties_len = strlen(put.message.properties);
    put.message.sys_flag = sys_flag;
    in_thread(mq, put_op, &put);
}

/* ---- groups ---------------------------------------------------------------------------------- */

int64_t fakemq_committed(fakemq *mq, const char *group, const char *topic, const char *broker,
                         int queue)
{
    struct committed *at;
    int64_t offset;

    lock(mq);
    at = committed_find(find_broker(mq, broker), group, topic, queue);
    offset = at ? at->offset : -1;
    unlock(mq);
    return offset;
}

void fakemq_commit(fakemq *mq, const char *group, const char *topic, const char *broker, int queue,
                   int64_t offset)
{
    lock(mq);
    group_make(find_broker(mq, broker), group);
    committed_set(find_broker(mq, broker), group, topic, queue, offset);
    unlock(mq);
}

/** Is there an earlier member of the list with this id in this group? */
static bool counted(const struct member *first, const struct member *member)
{
    for (; first != member; first = first->next) {
        if (first->conn && !strcmp(first->group, member->group) &&
            !strcmp(first->client, member->client))
            return true;
    }
    return false;
}

int fakemq_members(fakemq *mq, const char *group)
{
    int count = 0;

    lock(mq);
    for (struct member *at = mq->members; at; at = at->next)
        count += at->conn && !strcmp(at->group, group) && !counted(mq->members, at);
    unlock(mq);
    return count;
}

int fakemq_connections(fakemq *mq, const char *server)
{
    int count = 0;

    lock(mq);
    for (struct conn *conn = mq->conns; conn; conn = conn->next)
        count += !conn->dead && (!server || !strcmp(conn->server->name, server));
    unlock(mq);
    return count;
}

struct foreign {
    const char *group, *client;
    bool present;
};

static void foreign_op(fakemq *mq, void *arg)
{
    struct foreign *foreign = arg;
    struct member **at = &mq->members;

    while (*at && ((*at)->conn || strcmp((*at)->group, foreign->group) != 0 ||
                   strcmp((*at)->client, foreign->client) != 0))
        at = &(*at)->next;
    if (foreign->present == (*at != NULL))
        return;
    if (foreign->present) {
        *at = rc_calloc(1, sizeof **at);
        (*at)->group = rc_strdup(foreign->group);
        (*at)->client = rc_strdup(foreign->client);
    } else {
        member_remove(mq, at);
    }
    for (int k = 0; k < mq->server_count; k++)
        members_notify(mq, &mq->servers[k], foreign->group);
}

void fakemq_foreign_member(fakemq *mq, const char *group, const char *client_id, bool present)
{
    struct foreign foreign = {group, client_id, present};

    in_thread(mq, foreign_op, &foreign);
}

struct question {
    const char *group, *fields, *body;
    int code;
};

static struct fields fields_of_json(const char *text)
{
    json_t *root = text ? json_loads(text, 0, NULL) : NULL, *value;
    struct fields fields = {0};
    const char *name;

    if (text && !root)
        give_up("no JSON: %s", text);
    json_object_foreach(root, name, value)
        fields_add(&fields, name, "%s", json_string_value(value));
    json_decref(root);
    return fields;
}

static void ask_op(fakemq *mq, void *arg)
{
    struct question *question = arg;
    int code = question->code;
    bool oneway = code == 39 || code == 40 || code == 220;

    for (struct member *at = mq->members; at; at = at->next) {
        struct fields fields;

        if (!at->conn || at->conn->dead || strcmp(at->group, question->group) != 0)
            continue;
        fields = fields_of_json(question->fields);
        ask(mq, at->conn, code, oneway ? FLAG_ONEWAY : 0, &fields, question->body,
            question->body ? strlen(question->body) : 0);
    }
}

void fakemq_ask_members(fakemq *mq, const char *group, int code, const char *fields_json,
                        const char *body)
{
    struct question question = {group, fields_json, body, code};

    in_thread(mq, ask_op, &question);
}

int fakemq_answers(fakemq *mq, int code)
{
    int count = 0;

    lock(mq);
    for (int k = 0; k < MAX_ANSWERED; k++)
        count += mq->answered[k].code == code ? mq->answered[k].count : 0;
    unlock(mq);
    return count;
}

/* ---- the log of requests --------------------------------------------------------------------- */

int fakemq_requests(fakemq *mq, int code, const char *server)
{
    int count = 0;

    lock(mq);
    for (size_t k = 0; k < mq->log_count; k++)
        count += (!code || mq->log[k].code == code) &&
                 (!server || !strcmp(mq->log[k].server->name, server));
    unlock(mq);
    return count;
}

char *fakemq_request_field(fakemq *mq, int code, int n, const char *name)
{
    const char *value = NULL;
    char *copy;

    lock(mq);
    for (size_t k = 0; k < mq->log_count; k++) {
        struct logged *at = &mq->log[n < 0 ? mq->log_count - 1 - k : k];

        if (code && at->code != code)
            continue;
        if (n == 0 || n == -1) {
            value = fields_get(&at->fields, name);
            break;
        }
        n += n < 0 ? 1 : -1;
    }
    copy = rc_strdup(value ? value : "");
    unlock(mq);
    return copy;
}

int fakemq_most_unanswered(fakemq *mq)
{
    int most;

    lock(mq);
    most = mq->most_unanswered;
    unlock(mq);
    return most;
}

void fakemq_wait(fakemq *mq, bool (*done)(fakemq *mq, void *arg), void *arg, const char *what)
{
    int64_t end = mono_ns() + 20 * INT64_C(1000000000);

    while (!done(mq, arg)) {
        int64_t until = mono_ns() + 5 * INT64_C(1000000);
        struct timespec at = {until / 1000000000, until % 1000000000};

        lock(mq);
        if (until > end)
            give_up("waited 20 s in vain: %s%s%s", what, mq->failure ? "; " : "",
                    mq->failure ? mq->failure : "");
        pthread_cond_timedwait(&mq->changed, &mq->lock, &at);
        unlock(mq);
    }
}
