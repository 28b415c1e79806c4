/* SPDX-License-Identifier: Apache-2.0 */
/* See host.h. */
#include "connector_host/host.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void must(bool truth, const char *what)
{
    if (!truth) {
        perror(what);
        abort();
    }
}

/* ---- batch ------------------------------------------------------------------------------- */

static void *more(omc_arena *arena, size_t n)
{
    test_batch *b = (test_batch *)(void *)((char *)arena - offsetof(test_batch, arena));
    char *block = malloc(n + 16);

    must(block != NULL, "malloc");
    *(void **)(void *)block = b->blocks;
    b->blocks = block;
    return block + 16; /* cur == end always, so the next piece is a block of its own. */
}

static void grow(omc_batch *pub)
{
    pub->capacity = pub->capacity ? pub->capacity * 2 : 4;
    pub->records = realloc(pub->records, pub->capacity * pub->record_size);
    must(pub->records != NULL, "realloc");
}

static void noop(omc_batch *pub)
{
    (void)pub;
}

test_batch *test_batch_new(size_t records_max, size_t bytes_max)
{
    test_batch *b = calloc(1, sizeof *b);

    must(b != NULL, "calloc");
    b->arena.more = more;
    b->pub.size = sizeof(omc_batch);
    b->pub.record_size = sizeof(omc_record) + 8; /* A newer host's record. */
    b->pub.arena = &b->arena;
    b->pub.grow = grow;
    b->pub.ref = b->pub.unref = noop;
    b->pub.records_max = records_max;
    b->pub.bytes_max = bytes_max;
    return b;
}

void test_batch_free(test_batch *b)
{
    while (b->blocks) {
        void *next = *(void **)b->blocks;

        free(b->blocks);
        b->blocks = next;
    }
    free(b->pub.records);
    free(b);
}

/* ---- contexts ---------------------------------------------------------------------------- */

static test_host *current; /* services->log has no argument of ours. */

OMC_PRINTF(2, 0) static void add_log(test_host *h, const char *fmt, va_list ap)
{
    size_t used = strlen(h->log);

    if (used + 2 < sizeof h->log) {
        (void)vsnprintf(h->log + used, sizeof h->log - used - 1, fmt, ap);
        strcat(h->log, "\n");
    }
}

OMC_PRINTF(3, 4) static void log_task(void *host, omc_log_level level, const char *fmt, ...)
{
    va_list ap;

    (void)level;
    va_start(ap, fmt);
    add_log(host, fmt, ap);
    va_end(ap);
}

OMC_PRINTF(3, 4)
static void log_service(omc_log_level level, const char *component, const char *fmt, ...)
{
    va_list ap;

    (void)level;
    (void)component;
    va_start(ap, fmt);
    add_log(current, fmt, ap);
    va_end(ap);
}

static void count_task(void *host, const char *name, int64_t delta)
{
    test_host *h = host;

    for (size_t i = 0; i < TEST_COUNTERS; i++) {
        if (!h->counters[i].name)
            h->counters[i].name = name;
        if (strcmp(h->counters[i].name, name) == 0) {
            h->counters[i].value += delta;
            return;
        }
    }
}

static int read_offset(void *host, const omc_map *partition, omc_arena *arena, const omc_map **ret,
                       omc_error *err)
{
    test_host *h = host;

    (void)arena;
    (void)err;
    must(partition && partition->count > 0, "partition");
    *ret = h->committed ? h->committed(h->committed_arg, partition) : NULL;
    return 0;
}

static int report(void *host, const omc_record *rec, const omc_error *why, omc_error *err)
{
    test_host *h = host;

    (void)rec;
    h->reported++;
    if (h->report_result < 0)
        *err = *why;
    return h->report_result;
}

/* ---- options ----------------------------------------------------------------------------- */

static int64_t number_of(const char *text)
{
    char *end;
    int64_t n = strtoll(text, &end, 10);

    if (strcmp(end, "KiB") == 0)
        return n << 10;
    if (strcmp(end, "MiB") == 0)
        return n << 20;
    if (strcmp(end, "s") == 0)
        return n * 1000;
    must(*end == '\0' || strcmp(end, "ms") == 0, text);
    return n;
}

/* One list per host is all that any connector has. */
static void set_list(test_host *h, omc_list *list, const char *text)
{
    char *save = NULL;

    must(strlen(text) < sizeof h->list_text, "a long list");
    strcpy(h->list_text, text);
    *list = (omc_list){0, h->list};
    for (char *at = strtok_r(h->list_text, ",;", &save); at; at = strtok_r(NULL, ",;", &save)) {
        must(list->count < sizeof h->list / sizeof *h->list, "a list of many items");
        h->list[list->count++] = at;
    }
}

static void set_option(test_host *h, const omc_option *o, const char *text)
{
    char *at = h->options + o->offset;

    if (o->offset == OMC_OPT_NOT_STORED)
        return;
    if (o->type == OMC_OPT_BOOLEAN)
        *(bool *)at = strcmp(text, "true") == 0;
    else if (o->type == OMC_OPT_LIST)
        set_list(h, (omc_list *)(void *)at, text);
    else if (o->type == OMC_OPT_STRING || o->type == OMC_OPT_CHOICE || o->type == OMC_OPT_PASSWORD)
        *(const char **)(void *)at = text;
    else
        *(int64_t *)(void *)at = number_of(text);
}

static void fill_options(test_host *h, const char *const *config)
{
    const omc_plugin *p = h->plugin;

    must(p->options_size <= sizeof h->options, "options_size");
    for (uint32_t i = 0; i < p->option_count; i++)
        if (p->options[i].default_value)
            set_option(h, &p->options[i], p->options[i].default_value);
    for (; *config; config++) {
        const char *eq = strchr(*config, '=');
        bool known = false;

        for (uint32_t i = 0; i < p->option_count; i++)
            if (strncmp(*config, p->options[i].name, (size_t)(eq - *config)) == 0 &&
                p->options[i].name[eq - *config] == '\0') {
                set_option(h, &p->options[i], eq + 1);
                known = true;
            }
        must(known, *config);
    }
}

void test_host_init(test_host *h, const omc_plugin *plugin, const char *const *config)
{
    memset(h, 0, sizeof *h);
    current = h;
    h->plugin = plugin;
    must(pipe2(h->wake, O_CLOEXEC | O_NONBLOCK) == 0, "pipe2");
    fill_options(h, config);
    h->services = (omc_host){.size = sizeof(omc_host),
                             .abi = OMC_ABI_CURRENT,
                             .name = "test",
                             .version = "0",
                             .log = log_service};
    h->config = (omc_config){.size = sizeof(omc_config), .raw = &h->raw, .options = h->options};
    h->source.size = sizeof h->source;
    h->source.connector = "c";
    h->source.task = "c-0";
    h->source.task_count = 1;
    h->source.config = &h->config;
    h->source.services = &h->services;
    h->source.wake_fd = h->wake[0];
    h->source.host = h;
    h->source.count = count_task;
    h->source.log = log_task;
    h->source.read_offset = read_offset;
    memcpy(&h->sink, &h->source, offsetof(omc_source_context, read_offset));
    h->sink.size = sizeof h->sink;
    h->sink.report = report;
}

int test_host_start(test_host *h)
{
    return test_host_task(h, 0, 1);
}

int test_host_task(test_host *h, int id, int count)
{
    memset(&h->err, 0, sizeof h->err);
    h->source.task_id = h->sink.task_id = id;
    h->source.task_count = h->sink.task_count = count;
    if (h->plugin->kind == OMC_SOURCE) {
        const omc_source_ops *ops = h->plugin->ops;

        h->task = calloc(1, ops->task_state_size);
        return ops->init(h->task, &h->source, &h->err) < 0 ? -1 : ops->start(h->task, &h->err);
    } else {
        const omc_sink_ops *ops = h->plugin->ops;

        h->task = calloc(1, ops->task_state_size);
        return ops->init(h->task, &h->sink, &h->err) < 0 ? -1 : ops->start(h->task, &h->err);
    }
}

void test_host_release(test_host *h)
{
    if (h->task && h->plugin->kind == OMC_SOURCE)
        ((const omc_source_ops *)h->plugin->ops)->stop(h->task);
    else if (h->task)
        ((const omc_sink_ops *)h->plugin->ops)->stop(h->task);
    free(h->task);
    h->task = NULL;
    (void)close(h->wake[0]);
    (void)close(h->wake[1]);
}

int64_t test_host_counter(const test_host *h, const char *name)
{
    for (size_t i = 0; i < TEST_COUNTERS && h->counters[i].name; i++)
        if (strcmp(h->counters[i].name, name) == 0)
            return h->counters[i].value;
    return 0;
}

/* ---- files ------------------------------------------------------------------------------- */

const char *test_folder(void)
{
    static char path[256];
    const char *tmp = getenv("TMPDIR");

    (void)snprintf(path, sizeof path, "%s/connector.XXXXXX", tmp ? tmp : "/tmp");
    must(mkdtemp(path) != NULL, "mkdtemp");
    return path;
}

static void write_file(const char *path, int flags, const char *base, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);

    must(fd >= 0 && write(fd, base, len) == (ssize_t)len, path);
    (void)close(fd);
}

void test_write(const char *path, const char *base, size_t len)
{
    write_file(path, O_TRUNC, base, len);
}

void test_append(const char *path, const char *base, size_t len)
{
    write_file(path, O_APPEND, base, len);
}

char *test_read(const char *path, size_t *len)
{
    FILE *file = fopen(path, "re");
    char *text = calloc(1, 1 << 20);

    must(file && text, path);
    *len = fread(text, 1, (1 << 20) - 1, file);
    (void)fclose(file);
    return text;
}
