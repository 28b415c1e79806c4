/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schemas below are the ones the Java runtime writes, member for member: it knows a deletion
 * by its schema being equal, and reads fields by name. Writing needs no more than text; reading
 * takes any JSON of that shape, with members in any order.
 */
#include "store/shared_codec.h"

#include "base/encode.h"
#include "base/units.h"
#include "config/options.h"
#include "record/json.h"
#include "record/value.h"

#define KEY_MAX ((size_t)64 << 10)
#define TRACE_MAX ((size_t)64 << 10)
/** Ranks and times beyond this are nobody's; below, adding to them cannot overflow. */
#define NUMBER_MAX (INT64_C(1) << 53)
#define TEXT_FIELD(name) "{\"field\":\"" name "\",\"optional\":true,\"type\":\"string\"}"
#define LONG_FIELD(name) "{\"field\":\"" name "\",\"optional\":true,\"type\":\"int64\"}"
#define TEXTS_FIELD(name)                                                       \
    "{\"field\":\"" name "\",\"keys\":{\"optional\":true,\"type\":\"string\"}," \
    "\"values\":{\"optional\":true,\"type\":\"string\"},\"optional\":true,\"type\":\"map\"}"
#define ENVELOPE(fields)                                                           \
    "{\"schema\":{\"optional\":true,\"type\":\"struct\",\"fields\":[" fields "]}," \
    "\"payload\":{"

#define PROP_RANK "__rc.rank"
#define PROP_VERSION "__rc.version"
#define PROP_STATE "__rc.state"
#define PROP_GEN "__rc.gen"
#define PROP_BY "__rc.by"

#define KEY_CONFIG "connector-"
#define KEY_TARGET "target-state-"
#define KEY_DELETE "delete-"
#define KEY_TASKS "tasks-"
#define KEY_STATE "status-connector-"
#define KEY_TASK_STATE "status-task-"

static const char *const target_words[] = {"", "STARTED", "PAUSED", "STOPPED"};

const char *rc_shared_java_target(rc_target_state target)
{
    return target == RC_TARGET_STARTED ? "STARTED" : "PAUSED";
}

/* ---- writing --------------------------------------------------------------------------------- */

static void put_text(rc_buf *out, const char *name, rc_slice text)
{
    rc_buf_printf(out, "\"%s\":", name);
    if (text.base)
        rc_json_write_string(text, out);
    else
        rc_buf_str(out, "null");
}

static void put_map(rc_buf *out, const omc_keyvalue *kv)
{
    rc_buf_char(out, '{');
    for (size_t i = 0; i < kv->count; i++) {
        if (i)
            rc_buf_char(out, ',');
        rc_json_write_string(kv->pairs[i].key, out);
        rc_buf_char(out, ':');
        rc_json_write_string(kv->pairs[i].value, out);
    }
    rc_buf_char(out, '}');
}

static void put_config(rc_buf *out, const rc_shared_record *record)
{
    rc_buf_str(out,
               ENVELOPE(TEXT_FIELD("state") "," LONG_FIELD("epoch") "," TEXTS_FIELD("properties")));
    rc_buf_printf(out, "\"state\":\"%s\",\"epoch\":%lld,\"properties\":",
                  rc_shared_java_target(record->target), (long long)record->epoch);
    put_map(out, record->config);
}

static void put_target(rc_buf *out, const rc_shared_record *record)
{
    rc_buf_str(out, ENVELOPE(TEXT_FIELD("state") "," LONG_FIELD("epoch")));
    rc_buf_printf(out, "\"state\":\"%s\",\"epoch\":%lld", rc_shared_java_target(record->target),
                  (long long)record->epoch);
}

static void put_deleted(rc_buf *out, const rc_shared_record *record)
{
    rc_buf_str(out,
               ENVELOPE(LONG_FIELD(
                   "epoch") ",{\"field\":\"deleted\",\"optional\":true,\"type\":\"boolean\"}"));
    rc_buf_printf(out, "\"epoch\":%lld,\"deleted\":true", (long long)record->epoch);
}

/* Java's schema of a task record; its map holds one text per task. */
static void put_tasks(rc_buf *out, const rc_shared_record *record)
{
    rc_buf task = RC_BUF(RC_SHARED_BODY_MAX);

    rc_buf_str(out, ENVELOPE(LONG_FIELD("epoch") "," TEXTS_FIELD("properties")));
    rc_buf_printf(out, "\"epoch\":%lld,\"properties\":{\"count\":\"%zu\"", (long long)record->epoch,
                  record->task_count);
    for (size_t i = 0; i < record->task_count; i++) {
        rc_buf_clear(&task);
        put_map(&task, record->tasks[i]);
        rc_buf_printf(out, ",\"%zu\":", i);
        rc_json_write_string(rc_buf_slice(&task), out);
    }
    rc_buf_char(out, '}');
    out->overflow = out->overflow || task.overflow;
    rc_buf_release(&task);
}

static void put_state(rc_buf *out, const rc_shared_record *record)
{
    rc_slice trace = omc_slice_of(record->trace.base, RC_MIN(record->trace.len, TRACE_MAX));

    while (trace.len < record->trace.len && trace.len && (trace.base[trace.len] & 0xc0) == 0x80)
        trace.len--; /* not in the middle of a character */
    rc_buf_str(out, ENVELOPE(TEXT_FIELD("state") "," TEXT_FIELD("trace") "," TEXT_FIELD(
                        "worker_id") "," LONG_FIELD("generation")));
    put_text(out, "state", record->java);
    rc_buf_char(out, ',');
    put_text(out, "trace", trace);
    rc_buf_char(out, ',');
    put_text(out, "worker_id", record->worker);
    rc_buf_printf(out, ",\"generation\":%lld", (long long)record->epoch);
}

static void put_body(rc_buf *out, const rc_shared_record *record)
{
    switch (record->kind) {
    case RC_SHARED_CONFIG:
        put_config(out, record);
        break;
    case RC_SHARED_TARGET:
        put_target(out, record);
        break;
    case RC_SHARED_DELETED:
        put_deleted(out, record);
        break;
    case RC_SHARED_TASKS:
        put_tasks(out, record);
        break;
    case RC_SHARED_STATE:
        put_state(out, record);
        break;
    case RC_SHARED_NONE:
        RC_ASSERT(record->kind != RC_SHARED_NONE);
    }
    rc_buf_str(out, "}}");
}

static rc_slice key_of(const rc_shared_record *record, omc_arena *arena)
{
    static const char *const prefixes[] = {
        [RC_SHARED_CONFIG] = KEY_CONFIG,  [RC_SHARED_TARGET] = KEY_TARGET,
        [RC_SHARED_DELETED] = KEY_TARGET, [RC_SHARED_TASKS] = KEY_TASKS,
        [RC_SHARED_STATE] = KEY_STATE,
    };
    const rc_slice name = record->connector;
    char *key;

    if (record->kind == RC_SHARED_STATE && record->task >= 0)
        key = rc_arena_format(arena, KEY_TASK_STATE RC_SLICE_FMT "-%d", RC_SLICE_ARG(name),
                              record->task);
    else
        key = rc_arena_format(arena, "%s" RC_SLICE_FMT, prefixes[record->kind], RC_SLICE_ARG(name));
    return rc_base64_encode(arena, omc_slice_str(key));
}

static void put_property(rc_shared_message *message, const char *name, const char *value)
{
    RC_ASSERT(message->property_count < RC_SHARED_PROPERTIES_MAX);
    message->properties[message->property_count++] =
        (rmq_property){omc_slice_str(name), omc_slice_str(value)};
}

static void put_properties(const rc_shared_record *record, omc_arena *arena, rc_shared_message *ret)
{
    const char *again = record->again ? "+" : "";

    if (record->kind == RC_SHARED_STATE) {
        if (record->state.base)
            put_property(ret, PROP_STATE, omc_copy(arena, record->state.base, record->state.len));
    } else if (record->kind != RC_SHARED_TASKS) {
        put_property(ret, PROP_RANK,
                     rc_arena_format(arena, "%lld%s", (long long)record->rank, again));
        if (record->kind != RC_SHARED_DELETED)
            put_property(ret, PROP_STATE, target_words[record->target]);
    } else if (record->again) {
        put_property(ret, PROP_RANK, again);
    }
    if (record->kind != RC_SHARED_STATE)
        put_property(ret, PROP_VERSION,
                     rc_arena_format(arena, "%lld.%lld", (long long)record->version,
                                     (long long)record->incarnation));
    if (record->generation >= 0 &&
        (record->kind == RC_SHARED_TASKS || record->kind == RC_SHARED_STATE))
        put_property(ret, PROP_GEN,
                     rc_arena_format(arena, "%lld.%lld", (long long)record->generation,
                                     (long long)record->number));
    if (record->written.base)
        put_property(ret, PROP_BY, omc_copy(arena, record->written.base, record->written.len));
}

static int check_texts(const rc_shared_record *record, const omc_keyvalue *kv, rc_error *err)
{
    for (size_t i = 0; kv && i < kv->count; i++)
        if (!rc_utf8_valid(kv->pairs[i].key) || !rc_utf8_valid(kv->pairs[i].value))
            return rc_fail(err, OMC_EINVAL,
                           "connector '" RC_SLICE_FMT "': key '" RC_SLICE_FMT
                           "' or its value is no UTF-8, which records of a cluster must be",
                           RC_SLICE_ARG(record->connector), RC_SLICE_ARG(kv->pairs[i].key));
    return 0;
}

static int check_record(const rc_shared_record *record, rc_error *err)
{
    int r = check_texts(record, record->config, err);

    for (size_t i = 0; r == 0 && i < record->task_count; i++)
        r = check_texts(record, record->tasks[i], err);
    if (r == 0 && (!rc_utf8_valid(record->connector) || !rc_utf8_valid(record->trace)))
        r = rc_fail(err, OMC_EINVAL,
                    "connector '" RC_SLICE_FMT "': its name or its trace is no UTF-8",
                    RC_SLICE_ARG(record->connector));
    return r;
}

int rc_shared_encode(const rc_shared_record *record, omc_arena *arena, rc_shared_message *ret,
                     rc_error *err)
{
    rc_buf body = RC_BUF(RC_SHARED_BODY_MAX);
    int r = check_record(record, err);

    if (r < 0)
        return r;
    memset(ret, 0, sizeof *ret);
    put_body(&body, record);
    if (body.overflow)
        r = rc_fail(err, OMC_EINVAL,
                    "connector '" RC_SLICE_FMT "': %s take more than %zu bytes as one message: "
                    "use fewer tasks, or move long values to a file",
                    RC_SLICE_ARG(record->connector),
                    record->kind == RC_SHARED_TASKS ? "its task configurations"
                                                    : "its configuration or state",
                    RC_SHARED_BODY_MAX);
    if (r == 0) {
        ret->keys = key_of(record, arena);
        ret->body = rc_arena_slice(arena, rc_buf_slice(&body));
        put_properties(record, arena, ret);
    }
    rc_buf_release(&body);
    return r;
}

/* ---- reading: properties --------------------------------------------------------------------- */

static rc_slice property(const rmq_property *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (omc_slice_is(list[i].name, name))
            return list[i].value;
    return omc_slice_of(NULL, 0);
}

/* "<a>.<b>", both not negative. */
static bool parse_pair(rc_slice text, int64_t *a, int64_t *b)
{
    const char *dot = text.base ? memchr(text.base, '.', text.len) : NULL;
    int64_t x, y;

    if (!dot || rc_parse_int64(omc_slice_of(text.base, (size_t)(dot - text.base)), &x) < 0 ||
        rc_parse_int64(omc_slice_of(dot + 1, text.len - (size_t)(dot - text.base) - 1), &y) < 0 ||
        x < 0 || x > NUMBER_MAX || y < 0 || y > NUMBER_MAX)
        return false;
    *a = x;
    *b = y;
    return true;
}

static bool parse_rank(rc_slice text, rc_shared_record *ret)
{
    if (text.len && text.base[text.len - 1] == '+') {
        ret->again = true;
        text.len--;
        if (text.len == 0)
            return true;
    }
    return rc_parse_int64(text, &ret->rank) == 0 && ret->rank > 0 && ret->rank <= NUMBER_MAX;
}

static bool parse_target(rc_slice word, rc_target_state *ret)
{
    for (int i = RC_TARGET_STARTED; i <= RC_TARGET_STOPPED; i++)
        if (omc_slice_is(word, target_words[i])) {
            *ret = (rc_target_state)i;
            return true;
        }
    return false;
}

/* What Java has no place for. A record of ours lacks none of it; one that does is damaged. */
static const char *read_properties(const rmq_property *list, size_t count, rc_shared_record *ret)
{
    rc_slice rank = property(list, count, PROP_RANK);
    rc_slice gen = property(list, count, PROP_GEN);
    rc_slice state = property(list, count, PROP_STATE);

    ret->written = property(list, count, PROP_BY);
    if (rank.base && !parse_rank(rank, ret))
        return "its property " PROP_RANK " is no rank";
    if (gen.base && !parse_pair(gen, &ret->generation, &ret->number))
        return "its property " PROP_GEN " is no generation";
    if ((ret->rank || ret->kind == RC_SHARED_TASKS) &&
        !parse_pair(property(list, count, PROP_VERSION), &ret->version, &ret->incarnation))
        return "its property " PROP_VERSION " is missing or no version";
    if (ret->kind == RC_SHARED_STATE)
        ret->state = state;
    else if (ret->rank && ret->kind != RC_SHARED_DELETED && !parse_target(state, &ret->target))
        return "its property " PROP_STATE " is missing or no target state";
    if (ret->kind == RC_SHARED_TASKS && ret->generation < 0)
        return "its property " PROP_GEN " is missing";
    return NULL;
}

/* ---- reading: bodies ------------------------------------------------------------------------- */

static const omc_map *map_of(const omc_value *value)
{
    return value && value->kind == OMC_MAP ? value->u.map : NULL;
}

static bool number_of(const omc_map *map, const char *name, int64_t *ret)
{
    const omc_value *value = omc_map_get(map, name);

    return value && rc_value_int64(value, ret) == 0 && *ret >= 0 && *ret <= NUMBER_MAX;
}

static rc_slice text_of(const omc_map *map, const char *name)
{
    const omc_value *value = omc_map_get(map, name);

    return value && value->kind == OMC_STRING ? value->u.bytes : omc_slice_of(NULL, 0);
}

/* Texts only, as Java's map<string,string>; a null value is left out, which Java drops too. */
static const omc_keyvalue *texts_of(const omc_map *map, omc_arena *arena)
{
    rc_kv kv;

    rc_kv_init(&kv, arena);
    for (size_t i = 0; i < map->count; i++) {
        const omc_value *value = &map->entries[i].value;

        if (map->entries[i].key.kind != OMC_STRING ||
            (value->kind != OMC_STRING && value->kind != OMC_NULL))
            return NULL;
        if (value->kind == OMC_STRING)
            rc_kv_put(&kv, map->entries[i].key.u.bytes, value->u.bytes);
    }
    return rc_kv_done(&kv);
}

/* Java knows a deletion by its schema: exactly these two fields, in this order. */
static bool is_deletion(const omc_map *schema)
{
    static const char *const names[] = {"epoch", "deleted"}, *const types[] = {"int64", "boolean"};
    const omc_value *fields = omc_map_get(schema, "fields");
    const omc_array *list = fields && fields->kind == OMC_ARRAY ? fields->u.array : NULL;

    if (!list || list->count != 2 || !omc_slice_is(text_of(schema, "type"), "struct"))
        return false;
    for (size_t i = 0; i < 2; i++) {
        const omc_map *field = map_of(&list->items[i]);

        if (!field || !omc_slice_is(text_of(field, "field"), names[i]) ||
            !omc_slice_is(text_of(field, "type"), types[i]))
            return false;
    }
    return true;
}

static const char *read_config(const omc_map *payload, omc_arena *arena, rc_shared_record *ret)
{
    const omc_map *properties = map_of(omc_map_get(payload, "properties"));

    if (!parse_target(text_of(payload, "state"), &ret->target) || ret->target == RC_TARGET_STOPPED)
        return "its state is neither STARTED nor PAUSED";
    if (!properties || !(ret->config = texts_of(properties, arena)))
        return "its properties are no texts";
    return NULL;
}

static const char *read_tasks(const omc_map *payload, omc_arena *arena, rc_shared_record *ret)
{
    const omc_map *list = map_of(omc_map_get(payload, "properties"));
    const omc_keyvalue **tasks;
    int64_t count;

    if (!list || rc_parse_int64(text_of(list, "count"), &count) < 0 || count < 0 ||
        count > RC_SHARED_TASKS_MAX || (size_t)count + 1 != list->count)
        return "its count of tasks is wrong";
    tasks = omc_alloc(arena, ((size_t)count + 1) * sizeof *tasks);
    for (size_t i = 0; i < (size_t)count; i++) {
        /* Ours are written in order, right behind the count. */
        const omc_entry *entry = &list->entries[i + 1];
        const omc_map *task = NULL;
        char id[24];

        (void)snprintf(id, sizeof id, "%zu", i);
        if (entry->key.kind != OMC_STRING || !omc_slice_is(entry->key.u.bytes, id) ||
            entry->value.kind != OMC_STRING ||
            rc_json_to_map(entry->value.u.bytes, arena, &task, NULL) < 0 ||
            !(tasks[i] = texts_of(task, arena)))
            return "one of its tasks is no JSON object of texts";
    }
    ret->tasks = tasks;
    ret->task_count = (size_t)count;
    return NULL;
}

static const char *read_state(const omc_map *payload, rc_shared_record *ret)
{
    ret->java = text_of(payload, "state");
    ret->trace = text_of(payload, "trace");
    ret->worker = text_of(payload, "worker_id");
    if (!ret->java.base || !ret->java.len)
        return "it has no state";
    if (!ret->worker.base)
        ret->worker = omc_slice_str("");
    return number_of(payload, "generation", &ret->epoch) ? NULL : "it has no generation";
}

static const char *read_body(const omc_map *map, omc_arena *arena, rc_shared_record *ret)
{
    const omc_map *payload = map_of(omc_map_get(map, "payload"));

    if (!payload)
        return "its body has no payload";
    if (ret->kind == RC_SHARED_STATE)
        return read_state(payload, ret);
    if (!number_of(payload, "epoch", &ret->epoch))
        return "it has no epoch";
    switch (ret->kind) {
    case RC_SHARED_CONFIG:
        return read_config(payload, arena, ret);
    case RC_SHARED_TASKS:
        return read_tasks(payload, arena, ret);
    case RC_SHARED_TARGET:
        if (is_deletion(map_of(omc_map_get(map, "schema"))))
            ret->kind = RC_SHARED_DELETED;
        else if (!parse_target(text_of(payload, "state"), &ret->target) ||
                 ret->target == RC_TARGET_STOPPED)
            return "its state is neither STARTED nor PAUSED";
        return NULL;
    default:
        return NULL;
    }
}

/* ---- reading: keys --------------------------------------------------------------------------- */

static bool starts(rc_slice key, const char *prefix, rc_slice *rest)
{
    size_t len = strlen(prefix);

    if (key.len <= len || memcmp(key.base, prefix, len) != 0)
        return false;
    *rest = omc_slice_of(key.base + len, key.len - len);
    return true;
}

/* "<name>-<id>"; names may have dashes too. */
static bool split_task(rc_slice key, rc_shared_record *ret)
{
    size_t dash = key.len;
    int64_t id;

    while (dash > 0 && key.base[dash - 1] != '-')
        dash--;
    if (dash < 2 || rc_parse_int64(omc_slice_of(key.base + dash, key.len - dash), &id) < 0 ||
        id < 0 || id >= RC_SHARED_TASKS_MAX)
        return false;
    ret->connector = omc_slice_of(key.base, dash - 1);
    ret->task = (int)id;
    return true;
}

static bool read_key(rc_slice key, rc_shared_record *ret)
{
    static const struct {
        const char *prefix;
        rc_shared_kind kind;
    } kinds[] = {{KEY_TARGET, RC_SHARED_TARGET},
                 {KEY_CONFIG, RC_SHARED_CONFIG},
                 {KEY_TASKS, RC_SHARED_TASKS},
                 {KEY_DELETE, RC_SHARED_DELETED},
                 {KEY_STATE, RC_SHARED_STATE}};
    rc_slice rest;

    ret->task = -1;
    for (size_t i = 0; i < RC_COUNT(kinds); i++)
        if (starts(key, kinds[i].prefix, &ret->connector)) {
            ret->kind = kinds[i].kind;
            return true;
        }
    if (!starts(key, KEY_TASK_STATE, &rest) || !split_task(rest, ret))
        return false;
    ret->kind = RC_SHARED_STATE;
    return true;
}

static const char *decode(rc_slice keys, rc_slice body, const rmq_property *properties,
                          size_t property_count, omc_arena *arena, rc_shared_record *ret)
{
    const omc_map *map = NULL;
    const char *why;
    rc_slice key;

    if (!keys.len || keys.len > KEY_MAX || rc_base64_decode(arena, keys, &key) < 0)
        return "its key is no Base64";
    if (!read_key(key, ret))
        return ""; /* start-signal, task-<name>-<id> */
    if (memchr(ret->connector.base, '\0', ret->connector.len) || !rc_utf8_valid(ret->connector))
        return "its connector's name is no text";
    ret->connector = rc_arena_slice(arena, ret->connector);
    if (body.len > RC_SHARED_BODY_MAX || rc_json_to_map(body, arena, &map, NULL) < 0)
        return "its body is no JSON object";
    why = read_body(map, arena, ret);
    return why ? why : read_properties(properties, property_count, ret);
}

void rc_shared_decode(rc_slice keys, rc_slice body, const rmq_property *properties,
                      size_t property_count, omc_arena *arena, rc_shared_record *ret, char *why)
{
    const char *wrong;

    *ret = (rc_shared_record){.generation = -1};
    wrong = decode(keys, body, properties, property_count, arena, ret);
    if (wrong)
        *ret = (rc_shared_record){.generation = -1};
    if (why)
        (void)snprintf(why, RC_SHARED_WHY_MAX, "%s", wrong ? wrong : "");
}
