/* SPDX-License-Identifier: Apache-2.0 */
/** Topics, queues, messages, groups and offsets of a broker name, in memory (protocol §8, §9). */
#include "impl.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

/* ---- topics ---------------------------------------------------------------------------------- */

struct topic *topic_find(struct broker *broker, const char *name)
{
    struct topic *topic = broker->topics;

    while (topic && (topic->gone || strcmp(topic->name, name) != 0))
        topic = topic->next;
    return topic;
}

struct topic *topic_make(struct broker *broker, const char *name, int read, int write, int perm)
{
    struct topic *topic = topic_find(broker, name);
    int queues = RC_MAX(read, write);

    if (!topic) {
        topic_delete(broker, name, false);
        topic = rc_calloc(1, sizeof *topic);
        topic->name = rc_strdup(name);
        topic->next = broker->topics;
        broker->topics = topic;
    }
    if (queues > topic->made) {
        topic->at = rc_realloc(topic->at, (size_t)queues * sizeof *topic->at);
        memset(topic->at + topic->made, 0, (size_t)(queues - topic->made) * sizeof *topic->at);
        topic->made = queues;
    }
    topic->read = read;
    topic->write = write;
    topic->perm = perm;
    topic->hidden = false;
    return topic;
}

static void message_free(struct message *message)
{
    free(message->body);
    free(message->properties);
    free(message);
}

void queue_cut(struct queue *queue, int64_t from, int64_t to)
{
    int64_t kept = 0;

    from = RC_MIN(RC_MAX(from, queue->min), queue_end(queue));
    to = RC_MAX(RC_MIN(to, queue_end(queue)), from);
    for (int64_t k = 0; k < queue->count; k++) {
        int64_t offset = queue->min + k;

        if (offset >= from && offset < to)
            queue->at[kept++] = queue->at[k];
        else
            message_free(queue->at[k]);
    }
    queue->min = from;
    queue->count = kept;
}

static void topic_free(struct topic *topic)
{
    for (int k = 0; k < topic->made; k++) {
        queue_cut(&topic->at[k], 0, 0);
        free(topic->at[k].at);
    }
    free(topic->at);
    free(topic->name);
    free(topic);
}

void topic_delete(struct broker *broker, const char *name, bool in_route)
{
    for (struct topic **at = &broker->topics; *at; at = &(*at)->next) {
        struct topic *topic = *at;

        if (strcmp(topic->name, name) != 0)
            continue;
        topic->gone = true;
        if (in_route)
            return;
        *at = topic->next;
        topic_free(topic);
        return;
    }
}

/* ---- groups and offsets ---------------------------------------------------------------------- */

struct group *group_find(struct broker *broker, const char *name)
{
    struct group *group = broker->groups;

    while (group && strcmp(group->name, name) != 0)
        group = group->next;
    return group;
}

bool group_make(struct broker *broker, const char *name)
{
    struct group *group;
    RC_AUTO_FREE char *retry = rc_format("%%RETRY%%%s", name);

    if (!*name || strpbrk(name, " \t\r\n.$/") || strlen(name) > 120)
        return false;
    if (!group_find(broker, name)) {
        group = rc_calloc(1, sizeof *group);
        group->name = rc_strdup(name);
        group->next = broker->groups;
        broker->groups = group;
    }
    if (!topic_find(broker, retry))
        topic_make(broker, retry, 1, 1, 6);
    return true;
}

static void committed_free(struct committed *committed)
{
    free(committed->group);
    free(committed->topic);
    free(committed);
}

void group_delete(struct broker *broker, const char *name, bool offsets)
{
    for (struct group **at = &broker->groups; *at;) {
        struct group *group = *at;

        if (strcmp(group->name, name) != 0) {
            at = &group->next;
            continue;
        }
        *at = group->next;
        free(group->name);
        free(group);
    }
    for (struct committed **at = &broker->committed; offsets && *at;) {
        struct committed *committed = *at;

        if (strcmp(committed->group, name) != 0) {
            at = &committed->next;
            continue;
        }
        *at = committed->next;
        committed_free(committed);
    }
}

struct committed *committed_find(struct broker *broker, const char *group, const char *topic,
                                 int queue)
{
    struct committed *at = broker->committed;

    while (at &&
           (at->queue != queue || strcmp(at->group, group) != 0 || strcmp(at->topic, topic) != 0))
        at = at->next;
    return at;
}

void committed_set(struct broker *broker, const char *group, const char *topic, int queue,
                   int64_t offset)
{
    struct committed *at = committed_find(broker, group, topic, queue);

    if (!at) {
        at = rc_calloc(1, sizeof *at);
        at->group = rc_strdup(group);
        at->topic = rc_strdup(topic);
        at->queue = queue;
        at->next = broker->committed;
        broker->committed = at;
    }
    at->offset = offset;
}

void broker_free(struct broker *broker)
{
    while (broker->topics)
        topic_delete(broker, broker->topics->name, false);
    for (struct group *at = broker->groups, *next; at; at = next) {
        next = at->next;
        free(at->name);
        free(at);
    }
    for (struct committed *at = broker->committed, *next; at; at = next) {
        next = at->next;
        committed_free(at);
    }
    fields_free(&broker->config);
}

/* ---- messages -------------------------------------------------------------------------------- */

static size_t topic_len_bytes(const struct topic *topic)
{
    return strlen(topic->name) > 127 ? 2 : 1;
}

size_t message_size(const struct topic *topic, const struct message *message)
{
    return 88 + message->body_len + topic_len_bytes(topic) + strlen(topic->name) + 2 +
           message->properties_len;
}

void message_write(rc_buf *out, const struct broker *broker, const struct topic *topic,
                   const struct message *message)
{
    size_t v2 = topic_len_bytes(topic) - 1;
    uLong crc = crc32(0, (const Bytef *)message->body, (uInt)message->body_len);

    put_be(out, message_size(topic, message), 4);
    put_be(out, v2 ? 0xdaa320ab : 0xdaa320a7, 4);
    put_be(out, crc & 0x7fffffff, 4);
    put_be(out, (uint64_t)message->queue_id, 4);
    put_be(out, (uint64_t)message->flag, 4);
    put_be(out, (uint64_t)message->offset, 8);
    put_be(out, (uint64_t)message->position, 8);
    put_be(out, (uint64_t)message->sys_flag, 4);
    put_be(out, (uint64_t)message->born_ms, 8);
    put_be(out, 0x7f000001, 4);
    put_be(out, (uint64_t)message->born_port, 4);
    put_be(out, (uint64_t)message->stored_ms, 8);
    put_be(out, 0x7f000001, 4);
    put_be(out, (uint64_t)broker->port, 4);
    put_be(out, (uint64_t)message->reconsume, 4);
    put_be(out, 0, 8);
    put_be(out, message->body_len, 4);
    rc_buf_add(out, message->body, message->body_len);
    put_be(out, strlen(topic->name), v2 ? 2 : 1);
    rc_buf_str(out, topic->name);
    put_be(out, message->properties_len, 2);
    rc_buf_add(out, message->properties, message->properties_len);
}

struct message *store_append(struct broker *broker, struct topic *topic,
                             const struct message *message)
{
    struct message *copy = rc_malloc(sizeof *copy);
    struct queue *queue;
    size_t len = 0;
    const char *tag;

    RC_ASSERT(message->queue_id >= 0 && message->queue_id < topic->made);
    queue = &topic->at[message->queue_id];
    *copy = *message;
    copy->body = rc_malloc(message->body_len + 1);
    if (message->body_len)
        memcpy(copy->body, message->body, message->body_len);
    copy->body[message->body_len] = 0;
    copy->properties = rc_strndup(message->properties, message->properties_len);
    tag = property_get(copy->properties, copy->properties_len, "TAGS", &len);
    copy->tag_code = tag ? java_hash(tag, len) : 0;
    copy->offset = queue_end(queue);
    copy->position = broker->position;
    copy->stored_ms = wall_ms();
    broker->position += (int64_t)message_size(topic, copy);
    if ((size_t)queue->count == queue->cap) {
        queue->cap = queue->cap ? queue->cap * 2 : 64;
        queue->at = rc_realloc(queue->at, queue->cap * sizeof(struct message *));
    }
    queue->at[queue->count++] = copy;
    return copy;
}

struct message *message_by_position(struct broker *broker, int64_t position, struct topic **topic)
{
    for (*topic = broker->topics; *topic; *topic = (*topic)->next) {
        for (int q = 0; q < (*topic)->made; q++) {
            struct queue *queue = &(*topic)->at[q];

            for (int64_t k = 0; k < queue->count; k++) {
                if (queue->at[k]->position == position)
                    return queue->at[k];
            }
        }
    }
    return NULL;
}

/* ---- properties ------------------------------------------------------------------------------ */

struct property {
    const char *name, *value;
    size_t name_len, value_len;
};

/** Takes the next name \1 value \2; false at the end. A pair without \1 is skipped, as in Java. */
static bool next_property(const char **at, const char *end, struct property *property)
{
    while (*at < end) {
        const char *stop = memchr(*at, 2, (size_t)(end - *at)), *eq;

        if (!stop)
            stop = end;
        eq = memchr(*at, 1, (size_t)(stop - *at));
        if (eq)
            *property = (struct property){*at, eq + 1, (size_t)(eq - *at), (size_t)(stop - eq - 1)};
        *at = stop + (stop < end);
        if (eq)
            return true;
    }
    return false;
}

const char *property_get(const char *properties, size_t len, const char *name, size_t *value_len)
{
    const char *at = properties;
    struct property one;

    while (next_property(&at, properties + len, &one)) {
        if (one.name_len == strlen(name) && !memcmp(one.name, name, one.name_len)) {
            *value_len = one.value_len;
            return one.value;
        }
    }
    return NULL;
}

/** Puts like Java's HashMap: a known name keeps its place and gets the new value. */
static size_t put_property(struct property *all, size_t count, struct property one)
{
    for (size_t k = 0; k < count; k++) {
        if (all[k].name_len == one.name_len && !memcmp(all[k].name, one.name, one.name_len)) {
            all[k].value = one.value;
            all[k].value_len = one.value_len;
            return count;
        }
    }
    all[count] = one;
    return count + 1;
}

static struct property property_of(const char *name, const char *value)
{
    return (struct property){name, value, strlen(name), strlen(value)};
}

/** Writes in the order in which a HashMap(128) walks its buckets: what brokers store (seen). */
static char *in_java_order(const struct property *all, size_t count)
{
    rc_buf out = RC_BUF(MAX_FRAME);
    size_t buckets = 128;

    while (count > buckets * 3 / 4)
        buckets *= 2;
    for (size_t bucket = 0; bucket < buckets; bucket++) {
        for (size_t k = 0; k < count; k++) {
            uint32_t hash = (uint32_t)java_hash(all[k].name, all[k].name_len);

            if (((hash ^ hash >> 16) & (buckets - 1)) != bucket)
                continue;
            rc_buf_add(&out, all[k].name, all[k].name_len);
            rc_buf_char(&out, 1);
            rc_buf_add(&out, all[k].value, all[k].value_len);
            rc_buf_char(&out, 2);
        }
    }
    return rc_buf_take(&out);
}

char *properties_as_stored(fakemq *mq, const char *properties, char **unique)
{
    const char *at = properties, *end = at + strlen(at), *value;
    size_t count = 0, max = 4, len = 0;
    struct property one, *all;
    char *stored;

    for (const char *p = properties; *p; p++)
        max += *p == 1;
    all = rc_calloc(max, sizeof *all);
    while (next_property(&at, end, &one))
        count = put_property(all, count, one);
    count = put_property(all, count, property_of("MSG_REGION", "DefaultRegion"));
    count = put_property(all, count, property_of("TRACE_ON", "true"));
    value = property_get(properties, strlen(properties), "UNIQ_KEY", &len);
    *unique = value && len ? rc_strndup(value, len)
                           : rc_format("7F00000100010000%08X%08X", (unsigned)wall_ms(),
                                       (unsigned)++mq->unique);
    count = put_property(all, count, property_of("UNIQ_KEY", *unique));
    count = put_property(all, count, property_of("CLUSTER", "DefaultCluster"));
    stored = in_java_order(all, count);
    free(all);
    return stored;
}
