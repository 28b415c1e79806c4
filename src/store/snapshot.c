/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers are written as such; the reader takes the epoch and the rank of each connector as what
 * its records would have had, so a state read from a file ranks against a topic like one that was
 * read from it.
 */
#include "store/snapshot.h"

#include "base/file.h"
#include "config/options.h"
#include "record/json.h"
#include "record/value.h"

#define FORMAT "rocketmq-connect cluster state"
#define VERSION 1

static const char *const targets[] = {"", "STARTED", "PAUSED", "STOPPED"};

/* ---- writing --------------------------------------------------------------------------------- */

typedef struct writer {
    rc_buf *out;
    rc_mask_fn *mask;
    void *arg;
    size_t count;
} writer;

static void put_string(rc_buf *out, const char *text)
{
    rc_json_write_string(omc_slice_str(text), out);
}

static void put_config(const writer *w, const omc_keyvalue *config)
{
    rc_arena arena;

    rc_arena_init(&arena, 4096);
    if (w->mask)
        config = w->mask(w->arg, config, &arena.pub);
    rc_buf_char(w->out, '{');
    for (size_t i = 0; i < config->count; i++) {
        if (i)
            rc_buf_str(w->out, ", ");
        rc_json_write_string(config->pairs[i].key, w->out);
        rc_buf_str(w->out, ": ");
        rc_json_write_string(config->pairs[i].value, w->out);
    }
    rc_buf_char(w->out, '}');
    rc_arena_release(&arena);
}

static void put_tasks(const writer *w, const rc_shared_connector *c)
{
    rc_buf_printf(w->out,
                  ",\n   \"tasks\": {\"generation\": %lld, \"number\": %lld, \"version\": %lld, "
                  "\"configs\": [",
                  (long long)c->generation, (long long)c->number, (long long)c->tasks_version);
    for (size_t i = 0; i < c->task_count; i++) {
        rc_buf_str(w->out, i ? ",\n    " : "\n    ");
        put_config(w, c->tasks[i]);
    }
    rc_buf_str(w->out, "]}");
}

static int put_connector(void *arg, const rc_shared_connector *c)
{
    writer *w = arg;

    rc_buf_str(w->out, w->count++ ? ",\n  {\"name\": " : "\n  {\"name\": ");
    put_string(w->out, c->name);
    rc_buf_printf(w->out,
                  ", %s%s%s\"version\": %lld, \"incarnation\": %lld, \"rank\": %lld, "
                  "\"epoch\": %lld, \"changed\": %lld",
                  c->deleted ? "\"deleted\": true, " : "\"target\": \"",
                  c->deleted ? "" : targets[c->target], c->deleted ? "" : "\", ",
                  (long long)c->version, (long long)c->incarnation, (long long)c->rank,
                  (long long)c->epoch, (long long)c->changed_ms);
    if (!c->deleted) {
        rc_buf_str(w->out, ",\n   \"config\": ");
        put_config(w, c->config);
    }
    if (c->tasks)
        put_tasks(w, c);
    rc_buf_char(w->out, '}');
    return 0;
}

void rc_snapshot_write(rc_shared *shared, const rc_snapshot *head, rc_mask_fn *mask, void *arg,
                       rc_buf *out)
{
    writer w = {.out = out, .mask = mask, .arg = arg};

    rc_buf_printf(out,
                  "{\"format\": \"" FORMAT "\", \"version\": %d, \"secrets\": \"%s\",\n"
                  " \"topic\": ",
                  VERSION, mask ? "masked" : "plain");
    put_string(out, head->topic);
    rc_buf_str(out, ",\n \"queues\": [");
    for (size_t i = 0; i < head->queue_count; i++) {
        rc_buf_str(out, i ? ", {\"broker\": " : "{\"broker\": ");
        put_string(out, head->queues[i].broker);
        rc_buf_printf(out, ", \"queue\": %d, \"next\": %lld}", (int)head->queues[i].id,
                      (long long)head->queues[i].next);
    }
    rc_buf_str(out, "],\n \"connectors\": [");
    (void)rc_shared_each(shared, put_connector, &w);
    rc_buf_str(out, "\n ]}\n");
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool number(const omc_map *map, const char *name, int64_t *ret)
{
    const omc_value *value = omc_map_get(map, name);

    return value && rc_value_int64(value, ret) == 0 && *ret >= 0 && *ret <= INT64_C(1) << 53;
}

static const omc_map *map_at(const omc_map *map, const char *name)
{
    const omc_value *value = omc_map_get(map, name);

    return value && value->kind == OMC_MAP ? value->u.map : NULL;
}

static const omc_array *array_at(const omc_map *map, const char *name)
{
    const omc_value *value = omc_map_get(map, name);

    return value && value->kind == OMC_ARRAY ? value->u.array : NULL;
}

static rc_slice text_at(const omc_map *map, const char *name)
{
    const omc_value *value = omc_map_get(map, name);

    return value && value->kind == OMC_STRING ? value->u.bytes : omc_slice_of(NULL, 0);
}

static const omc_keyvalue *config_of(const omc_map *map, omc_arena *arena)
{
    rc_kv kv;

    rc_kv_init(&kv, arena);
    for (size_t i = 0; i < map->count; i++) {
        if (map->entries[i].value.kind != OMC_STRING)
            return NULL;
        rc_kv_put(&kv, map->entries[i].key.u.bytes, map->entries[i].value.u.bytes);
    }
    return rc_kv_done(&kv);
}

static const char *read_target(const omc_map *map, rc_shared_record *record)
{
    rc_slice text = text_at(map, "target");

    for (int i = RC_TARGET_STARTED; i <= RC_TARGET_STOPPED; i++)
        if (omc_slice_is(text, targets[i]))
            record->target = (rc_target_state)i;
    return record->target ? NULL : "'target' is not STARTED, PAUSED or STOPPED";
}

static const char *read_tasks(const omc_map *map, rc_shared_record *record, omc_arena *arena)
{
    const omc_array *configs = array_at(map, "configs");
    const omc_keyvalue **tasks;

    if (!number(map, "generation", &record->generation) ||
        !number(map, "number", &record->number) || !number(map, "version", &record->version) ||
        !configs || configs->count > RC_SHARED_TASKS_MAX)
        return "'tasks' lacks generation, number, version or configs";
    tasks = omc_alloc(arena, (configs->count + 1) * sizeof *tasks);
    for (size_t i = 0; i < configs->count; i++)
        if (configs->items[i].kind != OMC_MAP ||
            !(tasks[i] = config_of(configs->items[i].u.map, arena)))
            return "'tasks' has a configuration that is no object of texts";
    record->tasks = tasks;
    record->task_count = configs->count;
    return NULL;
}

static const char *read_connector(const omc_map *map, rc_shared *shared, omc_arena *arena)
{
    const omc_value *deleted = omc_map_get(map, "deleted");
    const omc_map *config = map_at(map, "config"), *tasks = map_at(map, "tasks");
    rc_shared_record record = {.kind = RC_SHARED_CONFIG, .again = true, .generation = -1};
    int64_t changed_ms = 0;
    const char *why;

    record.connector = text_at(map, "name");
    if (!record.connector.len || memchr(record.connector.base, '\0', record.connector.len))
        return "'name' is missing";
    if (!number(map, "rank", &record.rank) || record.rank == 0 ||
        !number(map, "version", &record.version) || !number(map, "epoch", &record.epoch) ||
        !number(map, "incarnation", &record.incarnation))
        return "'rank', 'version', 'epoch' or 'incarnation' is missing or no number";
    (void)number(map, "changed", &changed_ms);
    if (deleted && deleted->kind == OMC_BOOLEAN && deleted->u.boolean) {
        record.kind = RC_SHARED_DELETED;
        (void)rc_shared_fold(shared, &record, changed_ms);
        return NULL;
    }
    if (!config || !(record.config = config_of(config, arena)))
        return "'config' is no object of texts";
    if ((why = read_target(map, &record)))
        return why;
    (void)rc_shared_fold(shared, &record, changed_ms);
    if (!tasks)
        return NULL;
    record.kind = RC_SHARED_TASKS;
    record.rank = 0;
    if ((why = read_tasks(tasks, &record, arena)))
        return why;
    (void)rc_shared_fold(shared, &record, changed_ms);
    return NULL;
}

static const char *read_queues(const omc_map *map, omc_arena *arena, rc_snapshot *ret)
{
    const omc_array *list = array_at(map, "queues");
    rc_snapshot_queue *queues;

    if (!list)
        return NULL;
    queues = omc_alloc0(arena, (list->count + 1) * sizeof *queues);
    for (size_t i = 0; i < list->count; i++) {
        const omc_map *item = list->items[i].kind == OMC_MAP ? list->items[i].u.map : NULL;
        rc_slice broker = item ? text_at(item, "broker") : omc_slice_of(NULL, 0);
        int64_t id;

        if (!broker.base || !number(item, "queue", &id) || id > INT32_MAX ||
            !number(item, "next", &queues[i].next))
            return "'queues' has an entry without broker, queue or next";
        queues[i].broker = omc_copy(arena, broker.base, broker.len);
        queues[i].id = (int32_t)id;
    }
    ret->queues = queues;
    ret->queue_count = list->count;
    return NULL;
}

static int read_head(const omc_map *map, omc_arena *arena, rc_snapshot *ret, rc_error *err)
{
    rc_slice topic = text_at(map, "topic");
    int64_t version;

    if (!omc_slice_is(text_at(map, "format"), FORMAT) || !number(map, "version", &version))
        return rc_fail(err, OMC_EFORMAT,
                       "no file of a cluster's state: 'format' is not '" FORMAT "'");
    if (version != VERSION)
        return rc_fail(err, OMC_EUNSUPPORTED,
                       "the file has version %lld, this program knows %d: use the newer program "
                       "that wrote it",
                       (long long)version, VERSION);
    *ret = (rc_snapshot){.topic = topic.base ? omc_copy(arena, topic.base, topic.len) : "",
                         .masked = omc_slice_is(text_at(map, "secrets"), "masked")};
    return 0;
}

int rc_snapshot_read(rc_slice text, rc_shared *shared, omc_arena *arena, rc_snapshot *ret,
                     rc_error *err)
{
    const omc_map *map = NULL;
    const omc_array *list;
    const char *why;
    int r = rc_json_to_map(text, arena, &map, err);

    if (r == 0)
        r = read_head(map, arena, ret, err);
    if (r < 0)
        return r;
    if ((why = read_queues(map, arena, ret)))
        return rc_fail(err, OMC_EFORMAT, "%s", why);
    if (!(list = array_at(map, "connectors")))
        return rc_fail(err, OMC_EFORMAT, "'connectors' is missing");
    for (size_t i = 0; i < list->count; i++) {
        const omc_map *item = list->items[i].kind == OMC_MAP ? list->items[i].u.map : NULL;

        why = item ? read_connector(item, shared, arena) : "it is no object";
        if (why)
            return rc_fail(err, OMC_EFORMAT, "connector %zu of the list: %s", i + 1, why);
    }
    return 0;
}

int rc_snapshot_load(const char *path, rc_shared *shared, omc_arena *arena, rc_snapshot *ret,
                     rc_error *err)
{
    RC_AUTO_FREE char *text = NULL;
    size_t len = 0;
    int r = rc_file_read(path, RC_SNAPSHOT_BYTES_MAX, &text, &len, err);

    if (r < 0)
        return r;
    /* What is read may point into the text: it goes where the rest is. */
    r = rc_snapshot_read(rc_arena_slice(arena, omc_slice_of(text, len)), shared, arena, ret, err);
    return r < 0 ? rc_wrap(err, r, "'%s'", path) : 0;
}

int rc_snapshot_save(const char *path, rc_slice text, rc_error *err)
{
    return rc_file_write_private(path, text.base, text.len, err);
}
