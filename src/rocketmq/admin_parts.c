/* SPDX-License-Identifier: Apache-2.0 */
/* Names, results of one allocation, and the tables of offsets whose keys are objects. */
#include "rocketmq/admin_impl.h"

#include <string.h>

#define OFFSETS_MAX 1048576
#define NAMES_MAX 1048576

void rmq_free(void *result)
{
    free(result);
}

/* ---- names ----------------------------------------------------------------------------------- */

int admin_name(const rmq_client *client, const char *kind, const char *name, size_t max,
               char out[256], rc_error *err)
{
    int r = rmq_name_check(kind, name, max, err);

    if (r == 0)
        (void)rmq_client_wire_name(client, name, out);
    return r;
}

const char *admin_own_name(const rmq_client *client, const char *wire, char out[256])
{
    const char *space = rmq_client_settings(client)->name_space;
    size_t len = space ? strlen(space) : 0;
    size_t head = strncmp(wire, "%RETRY%", 7) == 0 ? 7 : strncmp(wire, "%DLQ%", 5) == 0 ? 5 : 0;

    if (len && strncmp(wire + head, space, len) == 0 && wire[head + len] == '%')
        (void)snprintf(out, 256, "%.*s%s", (int)head, wire, wire + head + len + 1);
    else
        (void)snprintf(out, 256, "%s", wire);
    return out;
}

/* ---- results --------------------------------------------------------------------------------- */

void *admin_pack_new(admin_pack *pack, size_t head, size_t item, size_t count, size_t texts,
                     void *array)
{
    char *memory = rc_calloc(1, head + item * count + texts + 1);
    char *behind = memory + head;

    memcpy(array, &behind, sizeof behind);
    pack->at = memory + head + item * count;
    pack->left = texts;
    return memory;
}

const char *admin_pack_text(admin_pack *pack, const char *text)
{
    size_t size = strlen(text) + 1;
    char *at = pack->at;

    RC_ASSERT(size <= pack->left);
    memcpy(at, text, size);
    pack->at += size;
    pack->left -= size;
    return at;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int admin_name_list(rmq_client *client, const json_t *array, rmq_name_list **ret, rc_error *err)
{
    size_t count = json_array_size(array);
    rmq_name_list *list;
    admin_pack pack;
    size_t texts = 0;
    char own[256];
    void *items;

    if (!json_is_array(array) || count > NAMES_MAX)
        return rc_fail(err, OMC_EFORMAT, "the reply has no list of names");
    for (size_t i = 0; i < count; i++) {
        if (json_string_length(json_array_get(array, i)) == 0 ||
            json_string_length(json_array_get(array, i)) > 255)
            return rc_fail(err, OMC_EFORMAT, "the reply's name %zu is no text of 1 to 255 bytes",
                           i);
        texts += json_string_length(json_array_get(array, i)) + 1;
    }
    list = admin_pack_new(&pack, sizeof *list, sizeof *list->names, count, texts, &items);
    list->names = items;
    for (size_t i = 0; i < count; i++)
        list->names[list->count++] = admin_pack_text(
            &pack, admin_own_name(client, json_string_value(json_array_get(array, i)), own));
    if (count)
        qsort(list->names, count, sizeof *list->names, by_text);
    *ret = list;
    return 0;
}

/* ---- tables of offsets ----------------------------------------------------------------------- */

void admin_offsets_release(admin_offsets *offsets)
{
    for (size_t i = 0; i < offsets->count; i++) {
        free(offsets->at[i].topic);
        free(offsets->at[i].broker);
    }
    free(offsets->at);
    *offsets = (admin_offsets){0};
}

static int bad_table(const admin_call *call, rc_error *err)
{
    char name[32];

    return rc_fail(err, OMC_EFORMAT,
                   "%s at broker %s: the reply has no table of offsets as brokers "
                   "5.x and 4.9 send it",
                   rmq_request_name(call->code, name), call->broker);
}

static bool take_offset(const char *key, const json_t *value, const char *const names[3],
                        admin_offset *ret)
{
    ADMIN_JSON queue = json_loads(key, 0, NULL);
    const char *topic = json_string_value(json_object_get(queue, "topic"));
    const char *broker = json_string_value(json_object_get(queue, "brokerName"));
    const json_t *id = json_object_get(queue, "queueId");

    if (!topic || !broker || strlen(topic) > 255 || strlen(broker) > RMQ_BROKER_MAX ||
        !json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX ||
        !json_is_integer(json_object_get(value, names[0])) ||
        !json_is_integer(json_object_get(value, names[1])))
        return false;
    ret->topic = rc_strdup(topic);
    ret->broker = rc_strdup(broker);
    ret->id = (int32_t)json_integer_value(id);
    ret->first = json_integer_value(json_object_get(value, names[0]));
    ret->second = json_integer_value(json_object_get(value, names[1]));
    ret->last_ms = json_integer_value(json_object_get(value, names[2]));
    return true;
}

int admin_offsets_add(const admin_call *call, const char *first, const char *second,
                      const char *last, admin_offsets *offsets, rc_error *err)
{
    const char *const names[] = {first, second, last};
    ADMIN_JSON root = NULL;
    json_t *table;
    json_t *value;
    const char *key;
    char own[256];
    int r = admin_json(call, &root, err);

    if (r < 0)
        return r;
    table = json_object_get(root, "offsetTable");
    if (!json_is_object(table) || offsets->count + json_object_size(table) > OFFSETS_MAX)
        return bad_table(call, err);
    offsets->at = rc_realloc(offsets->at,
                             (offsets->count + json_object_size(table) + 1) * sizeof *offsets->at);
    json_object_foreach(table, key, value)
    {
        admin_offset *at = &offsets->at[offsets->count];

        if (!take_offset(key, value, names, at))
            return bad_table(call, err);
        offsets->count++;
        (void)admin_own_name(call->client, at->topic, own);
        (void)snprintf(at->topic, strlen(at->topic) + 1, "%s", own); /* Never longer. */
    }
    return 0;
}

static int by_queue(const void *a, const void *b)
{
    const admin_offset *x = a, *y = b;
    int r = strcmp(x->topic, y->topic);

    r = r ? r : strcmp(x->broker, y->broker);
    return r ? r : (x->id > y->id) - (x->id < y->id);
}

size_t admin_offsets_sort(const admin_offsets *offsets)
{
    size_t texts = 0;

    if (offsets->count)
        qsort(offsets->at, offsets->count, sizeof *offsets->at, by_queue);
    for (size_t i = 0; i < offsets->count; i++)
        texts += strlen(offsets->at[i].topic) + strlen(offsets->at[i].broker) + 2;
    return texts;
}
