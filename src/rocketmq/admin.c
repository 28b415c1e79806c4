/* SPDX-License-Identifier: Apache-2.0 */
/* What a broker says of itself: its configuration (26) and its figures (28). */
#include "rocketmq/admin_impl.h"

#include <string.h>

#define PAIRS_MAX 65536

static int by_name(const void *a, const void *b)
{
    const rmq_text_pair *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static void sort_table(rmq_text_table *table)
{
    if (table->count)
        qsort(table->pairs, table->count, sizeof *table->pairs, by_name);
}

/* Asks a broker's master; the call is the caller's to release. */
static int ask_master(admin_call *call, rmq_client *client, const char *broker, int code,
                      admin_brokers **brokers, rc_error *err)
{
    int r;

    admin_call_init(call, client, code, NULL, NULL);
    if (!broker || !*broker)
        return rc_fail(err, OMC_EINVAL, "no broker is named");
    r = admin_masters(client, NULL, broker, brokers, err);
    if (r < 0)
        return r;
    admin_call_init(call, client, code, (*brokers)->at[0].name, (*brokers)->at[0].address);
    return admin_ask(call, 0, err);
}

/* ---- configuration: key=value lines ---------------------------------------------------------- */

/* Takes the next line with a '=' off `text`, cut in place. */
static bool next_pair(char **text, rmq_text_pair *pair)
{
    char *line;

    while ((line = strsep(text, "\r\n")) != NULL) {
        char *equals = strchr(line, '=');

        if (!equals)
            continue;
        *equals = '\0';
        *pair = (rmq_text_pair){line, equals + 1};
        return true;
    }
    return false;
}

int rmq_broker_config_get(rmq_client *client, const char *broker, rmq_text_table **ret,
                          rmq_error *err)
{
    RC_AUTO(admin_brokers) brokers = NULL;
    ADMIN_CALL call;
    rmq_text_table *table;
    admin_pack pack;
    rc_slice body;
    size_t lines = 1;
    char *text;
    void *items;
    int r = ask_master(&call, client, broker, RMQ_GET_BROKER_CONFIG, &brokers, err);

    if (r < 0)
        return r;
    body = call.answer.frame.body;
    for (size_t i = 0; i < body.len; i++)
        lines += body.base[i] == '\n' || body.base[i] == '\r';
    if (lines > PAIRS_MAX)
        return rc_fail(err, OMC_EFORMAT, "configuration of broker %s: %zu lines are too many",
                       broker, lines);
    table = admin_pack_new(&pack, sizeof *table, sizeof *table->pairs, lines, body.len + 1, &items);
    table->pairs = items;
    text = pack.at; /* The lines are cut where they lie: the result is one allocation. */
    if (body.len)
        memcpy(text, body.base, body.len);
    while (table->count < lines && next_pair(&text, &table->pairs[table->count]))
        table->count++;
    sort_table(table);
    *ret = table;
    return 0;
}

/* ---- figures --------------------------------------------------------------------------------- */

int rmq_broker_runtime_get(rmq_client *client, const char *broker, rmq_text_table **ret,
                           rmq_error *err)
{
    RC_AUTO(admin_brokers) brokers = NULL;
    ADMIN_CALL call;
    ADMIN_JSON root = NULL;
    rmq_text_table *table;
    json_t *from;
    json_t *value;
    const char *key;
    admin_pack pack;
    size_t texts = 0;
    void *items;
    int r = ask_master(&call, client, broker, RMQ_GET_BROKER_RUNTIME_INFO, &brokers, err);

    r = r < 0 ? r : admin_json(&call, &root, err);
    if (r < 0)
        return r;
    from = json_object_get(root, "table");
    if (!json_is_object(from) || json_object_size(from) > PAIRS_MAX)
        return rc_fail(err, OMC_EFORMAT, "figures of broker %s: the reply has no table", broker);
    json_object_foreach(from, key, value)
    {
        texts += strlen(key) + (json_is_string(value) ? strlen(json_string_value(value)) : 0) + 2;
    }
    table = admin_pack_new(&pack, sizeof *table, sizeof *table->pairs, json_object_size(from),
                           texts, &items);
    table->pairs = items;
    json_object_foreach(from, key, value)
    {
        rmq_text_pair *pair = &table->pairs[table->count++];

        pair->name = admin_pack_text(&pack, key);
        pair->value = admin_pack_text(&pack, json_is_string(value) ? json_string_value(value) : "");
    }
    sort_table(table);
    *ret = table;
    return 0;
}
