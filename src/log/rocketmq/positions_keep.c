/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brokers remove messages after days, positions must not go with them: records older than half a
 * day are written again, and a file holds the table for a worker that was away for longer.
 *
 * The file is the Java runtime's position.json, {base64(key): base64(value)} with the key
 * {"namespace":"<connector>","partition":{}} and the value {"offset":{}}: a standalone Java worker
 * keeps its positions there only, so its folder can be taken over, and given back.
 */
#include "log/rocketmq/internal.h"

#include "base/diag.h"
#include "base/file.h"
#include "record/json.h"

#define FILE_BYTES_MAX ((size_t)256 << 20)
#define KEEP_INTERVAL_MS 60000
/** The shortest retention that brokers have by default is two days. */
#define FRESH_MS (INT64_C(12) * 3600 * 1000)

struct rc_position_keeper {
    rc_rocketmq *log;
    char *path; /* NULL: no file */
    uint64_t saved;
    bool warned;
    pthread_t thread;
    bool started;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool end; /* [mu] */
};

/* ---- reading the file ------------------------------------------------------------------------ */

/* A member of the JSON object whose Base64 is `text`. */
static const omc_map *decode(rc_slice text, omc_arena *arena)
{
    const omc_map *map = NULL;
    rc_slice json;

    if (rc_base64_decode(arena, text, &json) < 0 || rc_json_to_map(json, arena, &map, NULL) < 0)
        return NULL;
    return map;
}

static bool read_entry(const omc_entry *entry, omc_arena *arena, rc_position_record *ret)
{
    const omc_value *name, *partition, *offset;
    const omc_map *key, *value;

    if (entry->key.kind != OMC_STRING || entry->value.kind != OMC_STRING)
        return false;
    key = decode(entry->key.u.bytes, arena);
    value = decode(entry->value.u.bytes, arena);
    name = key ? omc_map_get(key, "namespace") : NULL;
    partition = key ? omc_map_get(key, "partition") : NULL;
    offset = value ? omc_map_get(value, "offset") : NULL;
    if (!name || name->kind != OMC_STRING || !partition || partition->kind != OMC_MAP || !offset ||
        offset->kind != OMC_MAP || offset->u.map->count == 0)
        return false;
    *ret = (rc_position_record){.connector = name->u.bytes,
                                .partition = rc_json_of_map(partition->u.map, arena),
                                .offset = rc_json_of_map(offset->u.map, arena),
                                .generation = -1};
    return true;
}

static int load(rc_position_keeper *keeper, rc_error *err)
{
    rc_position_record record;
    const omc_map *map = NULL;
    RC_AUTO_FREE char *text = NULL;
    size_t len = 0;
    rc_arena arena;
    int r = rc_file_read(keeper->path, FILE_BYTES_MAX, &text, &len, err);

    if (r == -OMC_ENOTFOUND)
        return 0;
    if (r < 0)
        return rc_wrap(err, r, "positions of this worker");
    rc_arena_init(&arena, 65536);
    r = rc_json_to_map(omc_slice_of(text, len), &arena.pub, &map, err);
    if (r < 0)
        r = rc_wrap(err, r,
                    "'%s' is no file of positions; move it away if the position topic has "
                    "them all",
                    keeper->path);
    for (size_t i = 0; r == 0 && i < map->count; i++)
        if (read_entry(&map->entries[i], &arena.pub, &record))
            rc_position_table_seed(keeper->log->table, &record);
    rc_arena_release(&arena);
    return r;
}

/* ---- writing the file ------------------------------------------------------------------------ */

static void put_pair(const rc_position_record *record, rc_buf *out, omc_arena *arena)
{
    rc_buf text = RC_BUF((size_t)1 << 20);

    rc_buf_str(&text, "{\"namespace\":");
    rc_json_write_string(record->connector, &text);
    rc_buf_printf(&text, ",\"partition\":" RC_SLICE_FMT "}", RC_SLICE_ARG(record->partition));
    rc_buf_printf(out, "%s\"" RC_SLICE_FMT "\":", out->len > 1 ? "," : "",
                  RC_SLICE_ARG(rc_base64_encode(arena, rc_buf_slice(&text))));
    rc_buf_clear(&text);
    rc_buf_printf(&text, "{\"offset\":" RC_SLICE_FMT "}", RC_SLICE_ARG(record->offset));
    rc_buf_printf(out, "\"" RC_SLICE_FMT "\"",
                  RC_SLICE_ARG(rc_base64_encode(arena, rc_buf_slice(&text))));
    rc_buf_release(&text);
}

static void save(rc_position_keeper *keeper)
{
    uint64_t version = rc_position_table_version(keeper->log->table);
    rc_buf out = RC_BUF(FILE_BYTES_MAX);
    rc_position_record *list;
    rc_error err = {0};
    rc_arena arena;
    size_t count;
    int r = 0;

    if (!keeper->path || version == keeper->saved)
        return;
    rc_arena_init(&arena, 65536);
    count = rc_position_table_copy(keeper->log->table, INT64_MAX, &arena.pub, &list);
    rc_buf_char(&out, '{');
    for (size_t i = 0; i < count; i++)
        put_pair(&list[i], &out, &arena.pub);
    rc_buf_char(&out, '}');
    if (out.overflow)
        r = rc_fail(&err, OMC_ENOMEM, "more than %zu bytes", FILE_BYTES_MAX);
    else
        r = rc_file_write_atomic(keeper->path, out.data, out.len, &err);
    if (r == 0)
        keeper->saved = version;
    else if (!keeper->warned)
        rc_warn("rocketmq",
                "positions are not written to '%s', they are in the topic only, whose messages "
                "brokers remove after some days: %s",
                keeper->path, err.msg);
    keeper->warned = r < 0;
    rc_buf_release(&out);
    rc_arena_release(&arena);
}

/* ---- keeping the topic fresh ----------------------------------------------------------------- */

typedef struct again {
    rc_rocketmq *log;
    rc_arena arena;
    rc_position_record record;
} again;

static void on_again(void *arg, int result, const rc_error *err)
{
    again *a = arg;

    (void)err; /* the next minute tries again */
    if (result == 0)
        rc_position_table_put(a->log->table, &a->record);
    rc_arena_release(&a->arena);
    free(a);
}

static rc_slice copy(rc_slice text, omc_arena *arena)
{
    return text.base ? rc_arena_slice(arena, text) : text;
}

static void submit_again(rc_rocketmq *log, const rc_position_record *record)
{
    again *a = rc_calloc(1, sizeof *a);
    omc_arena *arena = &a->arena.pub;

    a->log = log;
    rc_arena_init(&a->arena, 1024);
    a->record = (rc_position_record){.connector = copy(record->connector, arena),
                                     .partition = copy(record->partition, arena),
                                     .offset = copy(record->offset, arena),
                                     .generation = record->generation,
                                     .number = record->number,
                                     .notes = copy(record->notes, arena)};
    rc_position_submit(log, log->position_lanes, &a->record, 1, a->record.connector.base, on_again,
                       a);
}

/* A writer that has the partition writes its newest; nobody else may overtake it. With the log
 * locked no writer can come in between, so what is submitted here comes before all of its own. */
static void renew(rc_rocketmq *log, const rc_position_record *record)
{
    rc_writer *writer;
    bool taken = false;

    (void)pthread_mutex_lock(&log->mu);
    DL_FOREACH(log->writers, writer)
    {
        if (taken || !omc_slice_is(record->connector, writer->connector))
            continue;
        (void)pthread_mutex_lock(&writer->mu);
        taken = rc_commit_renew(writer, record->partition.base);
        (void)pthread_mutex_unlock(&writer->mu);
    }
    if (!taken)
        submit_again(log, record);
    (void)pthread_mutex_unlock(&log->mu);
}

void rc_position_keep(rc_position_keeper *keeper, int64_t now_ms)
{
    rc_position_record *list;
    rc_arena arena;
    size_t count;

    rc_arena_init(&arena, 4096);
    count = rc_position_table_copy(keeper->log->table, now_ms - FRESH_MS, &arena.pub, &list);
    for (size_t i = 0; i < count; i++)
        renew(keeper->log, &list[i]);
    rc_arena_release(&arena);
    save(keeper);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void *run(void *arg)
{
    rc_position_keeper *keeper = arg;
    rc_clock *clock = keeper->log->clock;

    (void)pthread_mutex_lock(&keeper->mu);
    while (!keeper->end) {
        int64_t until = rc_mono_ns(clock) + KEEP_INTERVAL_MS * INT64_C(1000000);

        while (!keeper->end && rc_mono_ns(clock) < until)
            (void)clock->wait(clock, &keeper->cond, &keeper->mu, until);
        if (keeper->end)
            break;
        (void)pthread_mutex_unlock(&keeper->mu);
        rc_position_keep(keeper, rc_now_ms(clock));
        (void)pthread_mutex_lock(&keeper->mu);
    }
    (void)pthread_mutex_unlock(&keeper->mu);
    return NULL;
}

int rc_position_keeper_new(rc_rocketmq *log, const char *path, rc_position_keeper **ret,
                           rc_error *err)
{
    rc_position_keeper *keeper = rc_calloc(1, sizeof *keeper);
    int r = 0;

    keeper->log = log;
    keeper->path = path ? rc_strdup(path) : NULL;
    (void)pthread_mutex_init(&keeper->mu, NULL);
    rc_cond_init(&keeper->cond);
    if (path)
        r = load(keeper, err);
    if (r == 0)
        r = rc_thread_start(&keeper->thread, "rc-positions", 0, run, keeper, err);
    keeper->started = r == 0;
    if (r < 0) {
        rc_position_keeper_free(keeper);
        return r;
    }
    *ret = keeper;
    return 0;
}

void rc_position_keeper_free(rc_position_keeper *keeper)
{
    if (!keeper)
        return;
    if (keeper->started) {
        (void)pthread_mutex_lock(&keeper->mu);
        keeper->end = true;
        (void)pthread_cond_broadcast(&keeper->cond);
        (void)pthread_mutex_unlock(&keeper->mu);
        (void)pthread_join(keeper->thread, NULL);
        save(keeper);
    }
    (void)pthread_cond_destroy(&keeper->cond);
    (void)pthread_mutex_destroy(&keeper->mu);
    free(keeper->path);
    free(keeper);
}
