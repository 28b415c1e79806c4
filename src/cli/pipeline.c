/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks the YAML tree once, section by section, into key-value lists, and remembers where each
 * key stood, so that what the connectors' tables refuse later is also reported with its place.
 * All problems are collected; nothing is guessed.
 */
#include "cli/pipeline.h"

#include "base/buf.h"
#include "base/units.h"

#include <ctype.h>

#define ORIGINS_MAX 4096
#define STEPS_MAX 64 /* transforms, predicates */

typedef struct builder {
    const char *file;
    omc_arena *arena;
    rc_problems *problems;
    rc_pipeline *out;
    rc_kv source, sink, worker;
    rc_pipeline_origin *origins;
    size_t origin_count;
    const char *set; /* the --set pair being applied, or NULL */
} builder;

static const char *const top_keys[] = {"name", "source",     "transforms", "sink",
                                       "log",  "predicates", "errors"};
static const char *const log_keys[] = {"dir", "keep"};

static void problem(builder *b, int line, int column, const char *fmt, ...) OMC_PRINTF(4, 5);

static void problem(builder *b, int line, int column, const char *fmt, ...)
{
    rc_buf text = RC_BUF(4096);
    va_list ap;
    char line_text[1024];

    va_start(ap, fmt);
    (void)vsnprintf(line_text, sizeof line_text, fmt, ap);
    va_end(ap);
    if (b->set)
        rc_buf_printf(&text, "--set %s: %s", b->set, line_text);
    else if (line > 0)
        rc_buf_printf(&text, "%s:%d:%d: %s", b->file, line, column, line_text);
    else
        rc_buf_printf(&text, "%s: %s", b->file, line_text);
    rc_problem_add(b->problems, false, "", "", "%s", text.data ? text.data : line_text);
    rc_buf_release(&text);
}

static void unknown_key(builder *b, const rc_yaml *node, const char *const *keys, size_t count)
{
    const char *nearest = rc_nearest(node->key, keys, count);
    rc_buf list = RC_BUF(512);

    for (size_t i = 0; i < count; i++)
        rc_buf_printf(&list, "%s%s", i ? ", " : "", keys[i]);
    if (nearest)
        problem(b, node->key_line, node->key_column, "'%s' is not a known key; did you mean '%s'?",
                node->key, nearest);
    else
        problem(b, node->key_line, node->key_column, "'%s' is not a known key; known are %s",
                node->key, list.data);
    rc_buf_release(&list);
}

static rc_kv *section_of(builder *b, const char *section)
{
    return !strcmp(section, "source") ? &b->source
           : !strcmp(section, "sink") ? &b->sink
                                      : &b->worker;
}

/* Sets a key of a section and notes where it was written. A nested form and a dotted one of the
 * same key are two answers to one question, so that is refused; --set may override. */
static void put(builder *b, const char *section, const char *key, const char *value, int line,
                int column)
{
    for (size_t i = 0; i < b->origin_count; i++) {
        rc_pipeline_origin *o = &b->origins[i];

        if (strcmp(o->section, section) != 0 || strcmp(o->key, key) != 0)
            continue;
        if (line > 0) {
            problem(b, line, column, "'%s' was set in line %d already", key, o->line);
            return;
        }
        o->line = line;
        rc_kv_put_str(section_of(b, section), key, value);
        return;
    }
    if (b->origin_count == ORIGINS_MAX) {
        problem(b, line, column, "more than %d keys", ORIGINS_MAX);
        return;
    }
    b->origins[b->origin_count++] = (rc_pipeline_origin){section, key, line, column};
    rc_kv_put_str(section_of(b, section), key, value);
}

static bool is_null(const rc_yaml *node)
{
    return node->kind == RC_YAML_SCALAR && !node->quoted &&
           (!*node->text || !strcmp(node->text, "~") || !strcmp(node->text, "null"));
}

/* Text of a scalar; a value left empty is more often a mistake than meant. */
static const char *scalar(builder *b, const rc_yaml *node, const char *key)
{
    if (node->kind != RC_YAML_SCALAR) {
        problem(b, node->line, node->column, "'%s' must be a single value", key);
        return NULL;
    }
    if (is_null(node)) {
        problem(b, node->line, node->column,
                "'%s' has no value; write '' for an empty one, or remove the key", key);
        return NULL;
    }
    if (strlen(node->text) != node->text_len) {
        problem(b, node->line, node->column, "'%s' holds a NUL character", key);
        return NULL;
    }
    return node->text;
}

static const char *join_list(builder *b, const rc_yaml *list, const char *key)
{
    rc_buf text = RC_BUF(1 << 20);
    const char *ret = NULL;
    bool good = true;

    for (const rc_yaml *item = list->children; item; item = item->next) {
        const char *value = scalar(b, item, key);

        if (value && strpbrk(value, ",;")) {
            problem(b, item->line, item->column,
                    "items of '%s' are joined by ',', so '%s' cannot be one of them", key, value);
            value = NULL;
        }
        good = good && value;
        rc_buf_printf(&text, "%s%s", item == list->children ? "" : ",", value ? value : "");
    }
    if (good)
        ret = omc_copy(b->arena, text.data, text.len);
    rc_buf_release(&text);
    return ret;
}

typedef void sink_fn(builder *b, void *arg, const char *key, const char *value,
                     const rc_yaml *node);

/* Calls `each` for every leaf below `node`, its keys joined by dots behind `prefix`. The tree's
 * depth is bounded by the YAML reader. */
static void flatten(builder *b, const rc_yaml *node, const char *prefix, sink_fn *each, void *arg)
{
    for (const rc_yaml *child = node->children; child; child = child->next) {
        const char *key = rc_arena_format(b->arena, "%s%s", prefix, child->key);
        const char *value;

        if (child->kind == RC_YAML_MAP) {
            flatten(b, child, rc_arena_format(b->arena, "%s.", key), each, arg);
            continue;
        }
        value = child->kind == RC_YAML_LIST ? join_list(b, child, key) : scalar(b, child, key);
        if (value)
            each(b, arg, key, value, child);
    }
}

static void put_leaf(builder *b, void *arg, const char *key, const char *value, const rc_yaml *node)
{
    put(b, arg, !strcmp(key, "class") ? "connector.class" : key, value, node->key_line,
        node->key_column);
}

static bool want(builder *b, const rc_yaml *node, rc_yaml_kind kind, const char *example)
{
    if (node->kind == kind)
        return true;
    problem(b, node->line, node->column, "'%s' must be %s, for example %s", node->key,
            kind == RC_YAML_MAP ? "a map" : "a list", example);
    return false;
}

/* ---- sections ------------------------------------------------------------------------------- */

static void read_connector(builder *b, const rc_yaml *node)
{
    static char source[] = "source", sink[] = "sink";

    if (!want(b, node, RC_YAML_MAP, "{class: file-source, filename: in.txt}"))
        return;
    flatten(b, node, "", put_leaf, !strcmp(node->key, "source") ? source : sink);
}

static void put_error_leaf(builder *b, void *arg, const char *key, const char *value,
                           const rc_yaml *node)
{
    (void)arg;
    put(b, "source", key, value, node->key_line, node->key_column);
    put(b, "sink", key, value, node->key_line, node->key_column);
}

static void put_keep(builder *b, const char *text, int line, int column)
{
    const rc_slice slice = omc_slice_str(text);
    int64_t bytes = 0, ms = 0;
    const bool size = rc_parse_size(slice, &bytes) == 0;
    const bool time = rc_parse_duration(slice, &ms) == 0;

    if ((size && time && (bytes || ms)) || (!size && !time)) {
        problem(b, line, column,
                "keep = '%s' must be a size such as 10GiB, a time such as 48h, or 0 for all", text);
        return;
    }
    put(b, "worker", "log.keep.bytes", size ? text : "0", line, column);
    put(b, "worker", "log.keep.time", time ? text : "0", line, column);
}

static void read_log(builder *b, const rc_yaml *node)
{
    if (!want(b, node, RC_YAML_MAP, "{dir: /var/lib/copy, keep: 10GiB}"))
        return;
    for (const rc_yaml *child = node->children; child; child = child->next) {
        const bool dir = !strcmp(child->key, "dir");
        const char *value;

        if (!dir && strcmp(child->key, "keep") != 0) {
            unknown_key(b, child, log_keys, RC_COUNT(log_keys));
            continue;
        }
        value = scalar(b, child, child->key);
        if (value && dir)
            put(b, "worker", "log.dir", value, child->key_line, child->key_column);
        else if (value)
            put_keep(b, value, child->line, child->column);
    }
}

static bool step_name_ok(const char *name)
{
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-')
            return false;
    return *name && strlen(name) <= 64;
}

typedef struct step {
    const char *prefix; /* "transforms.mask." */
    bool has_class;
} step;

static void put_step_leaf(builder *b, void *arg, const char *key, const char *value,
                          const rc_yaml *node)
{
    step *s = arg;

    if (!strcmp(key, "name"))
        return;
    if (!strcmp(key, "class") || !strcmp(key, "type"))
        s->has_class = true;
    put(b, "source", rc_arena_format(b->arena, "%s%s", s->prefix, key), value, node->key_line,
        node->key_column);
}

/* One item of `transforms` or `predicates`; returns its name. */
static const char *read_step(builder *b, const char *list, const rc_yaml *item, size_t number)
{
    const rc_yaml *name_node;
    const char *name;
    step s = {0};

    if (item->kind != RC_YAML_MAP) {
        problem(b, item->line, item->column,
                "items of '%s' must be maps, for example {name: mask, class: ...}", list);
        return NULL;
    }
    name_node = rc_yaml_get(item, "name");
    name = name_node ? scalar(b, name_node, "name")
                     : rc_arena_format(b->arena, "%c%zu", *list, number);
    if (!name)
        return NULL;
    if (!step_name_ok(name)) {
        problem(b, item->line, item->column,
                "name '%s' in '%s' may hold up to 64 letters, digits, '-' and '_'", name, list);
        return NULL;
    }
    s.prefix = rc_arena_format(b->arena, "%s.%s.", list, name);
    flatten(b, item, "", put_step_leaf, &s);
    if (!s.has_class)
        problem(b, item->line, item->column, "'%s' in '%s' needs a class", name, list);
    return name;
}

static void read_steps(builder *b, const rc_yaml *node)
{
    rc_buf names = RC_BUF(1 << 16);
    size_t number = 0;

    if (!want(b, node, RC_YAML_LIST, "[{name: mask, class: ...}]"))
        return;
    for (const rc_yaml *item = node->children; item; item = item->next) {
        const char *name;

        if (++number > STEPS_MAX) {
            problem(b, item->line, item->column, "more than %d items in '%s'", STEPS_MAX,
                    node->key);
            break;
        }
        name = read_step(b, node->key, item, number);
        if (name)
            rc_buf_printf(&names, "%s%s", names.len ? "," : "", name);
    }
    if (names.len)
        put(b, "source", node->key, rc_arena_format(b->arena, "%s", names.data), node->key_line,
            node->key_column);
    rc_buf_release(&names);
}

static void read_top(builder *b, const rc_yaml *node)
{
    const char *key = node->key;

    if (!strcmp(key, "name"))
        b->out->name = scalar(b, node, key);
    else if (!strcmp(key, "source") || !strcmp(key, "sink"))
        read_connector(b, node);
    else if (!strcmp(key, "transforms") || !strcmp(key, "predicates"))
        read_steps(b, node);
    else if (!strcmp(key, "log"))
        read_log(b, node);
    else if (strcmp(key, "errors") != 0)
        unknown_key(b, node, top_keys, RC_COUNT(top_keys));
    else if (want(b, node, RC_YAML_MAP, "{tolerance: all}"))
        flatten(b, node, "errors.", put_error_leaf, NULL);
}

/* ---- --set ---------------------------------------------------------------------------------- */

static void apply_set(builder *b, const char *pair)
{
    const char *equals = strchr(pair, '=');
    const char *key, *dot, *rest, *value;

    b->set = pair;
    if (!equals || equals == pair) {
        problem(b, 0, 0, "expected KEY=VALUE, for example source.filename=in.txt");
        return;
    }
    key = omc_copy(b->arena, pair, (size_t)(equals - pair));
    value = equals + 1;
    dot = strchr(key, '.');
    rest = dot ? dot + 1 : "";
    if (dot && !dot[1]) {
        problem(b, 0, 0, "'%s' names no key", key);
    } else if (!strcmp(key, "name")) {
        b->out->name = omc_copy(b->arena, value, strlen(value));
    } else if (!strncmp(key, "source.", 7) || !strncmp(key, "sink.", 5)) {
        put(b, key[1] == 'o' ? "source" : "sink", !strcmp(rest, "class") ? "connector.class" : rest,
            value, 0, 0);
    } else if (!strncmp(key, "worker.", 7)) {
        put(b, "worker", rest, value, 0, 0);
    } else if (!strncmp(key, "errors.", 7)) {
        put(b, "source", key, value, 0, 0);
        put(b, "sink", key, value, 0, 0);
    } else if (!strncmp(key, "transforms.", 11) || !strncmp(key, "predicates.", 11)) {
        put(b, "source", key, value, 0, 0);
    } else if (!strcmp(key, "log.dir")) {
        put(b, "worker", key, value, 0, 0);
    } else if (!strcmp(key, "log.keep")) {
        put_keep(b, value, 0, 0);
    } else {
        problem(b, 0, 0,
                "'%s' must begin with source., sink., transforms., predicates., errors., log. or "
                "worker.",
                key);
    }
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* Name of a pipeline without one: the file's, without folder and ending. */
static const char *name_of_file(const char *file, omc_arena *arena)
{
    const char *slash = strrchr(file, '/');
    const char *base = slash ? slash + 1 : file;
    const char *dot = strrchr(base, '.');
    const size_t len = dot && dot != base ? (size_t)(dot - base) : strlen(base);

    return omc_copy(arena, base, len);
}

static void check_name(builder *b)
{
    const char *name = b->out->name;

    if (!step_name_ok(name))
        problem(b, 0, 0,
                "name '%s' may hold 1 to %d letters, digits, '-' and '_'; set 'name' in the file",
                name, RC_PIPELINE_NAME_MAX);
}

static const char *value_of(builder *b, rc_kv *kv, const char *key)
{
    return rc_kv_text(rc_kv_done(kv), key, NULL, b->arena);
}

/* What both connectors need and users need not say. */
static void complete(builder *b)
{
    rc_pipeline *p = b->out;
    const char *topic;

    p->source_name = rc_arena_format(b->arena, "%s-source", p->name);
    p->sink_name = rc_arena_format(b->arena, "%s-sink", p->name);
    p->state_dir = rc_arena_format(b->arena, "%s.rc", p->name);
    topic = value_of(b, &b->source, "connect.topicname");
    if (!topic) {
        topic = p->name;
        rc_kv_put_str(&b->source, "connect.topicname", topic);
    }
    if (!value_of(b, &b->sink, "connect.topicnames"))
        rc_kv_put_str(&b->sink, "connect.topicnames", topic);
    p->topic = topic;
    p->log_dir = value_of(b, &b->worker, "log.dir");
    if (!p->log_dir) {
        p->log_dir = rc_arena_format(b->arena, "%s/log", p->state_dir);
        rc_kv_put_str(&b->worker, "log.dir", p->log_dir);
    }
    /* Also when NAMESRV_ADDR stands in the environment. */
    if (!value_of(b, &b->worker, "log"))
        rc_kv_put_str(&b->worker, "log", "embedded");
    else if (strcmp(value_of(b, &b->worker, "log"), "embedded") != 0)
        problem(b, 0, 0,
                "`run` keeps messages in the embedded log; for RocketMQ use `rocketmq-connect "
                "standalone` with namesrvAddr");
    if (!value_of(b, &b->source, "connector.class"))
        problem(b, 0, 0,
                "'source' needs a class, such as source: {class: file-source, filename: in.txt}; "
                "'rocketmq-connect plugin list' shows what there is");
    if (!value_of(b, &b->sink, "connector.class"))
        problem(b, 0, 0,
                "'sink' needs a class, such as sink: {class: file-sink, filename: out.txt}; "
                "'rocketmq-connect plugin list' shows what there is");
}

static int fail_all(const rc_problems *problems, rc_error *err)
{
    rc_buf text = RC_BUF((size_t)4 * OMC_ERROR_TEXT_MAX);
    int r;

    for (size_t i = 0; i < problems->count; i++)
        if (!problems->items[i].warning)
            rc_buf_printf(&text, "%s%s", text.len ? "\n" : "", problems->items[i].text);
    r = rc_fail(err, OMC_EINVAL, "%s", text.data ? text.data : "the pipeline is not valid");
    rc_buf_release(&text);
    return r;
}

int rc_pipeline_build(const char *file, const rc_yaml *root, const char *const *sets,
                      omc_arena *arena, rc_pipeline *ret, rc_problems *problems, rc_error *err)
{
    builder b = {.file = file, .arena = arena, .problems = problems, .out = ret};

    memset(ret, 0, sizeof *ret);
    ret->file = file;
    b.origins = omc_alloc(arena, ORIGINS_MAX * sizeof *b.origins);
    rc_kv_init(&b.source, arena);
    rc_kv_init(&b.sink, arena);
    rc_kv_init(&b.worker, arena);
    if (root->kind == RC_YAML_MAP)
        for (const rc_yaml *node = root->children; node; node = node->next)
            read_top(&b, node);
    else
        problem(&b, root->line, root->column, "a pipeline is a map with source and sink");
    for (size_t i = 0; sets && sets[i]; i++)
        apply_set(&b, sets[i]);
    b.set = NULL;
    if (!ret->name)
        ret->name = name_of_file(file, arena);
    check_name(&b);
    complete(&b);
    ret->source = rc_kv_done(&b.source);
    ret->sink = rc_kv_done(&b.sink);
    ret->worker = rc_kv_done(&b.worker);
    ret->origins = b.origins;
    ret->origin_count = b.origin_count;
    return problems->errors ? fail_all(problems, err) : 0;
}

static void append(rc_error *err, const char *text)
{
    const size_t len = strlen(err->msg);

    (void)snprintf(err->msg + len, sizeof err->msg - len, "%s", text);
}

/* The parser speaks of tokens; a newcomer needs to hear of tabs, columns, and what goes in. */
static void explain_yaml(const char *file, rc_error *err)
{
    if (err->code == OMC_ENOTFOUND)
        (void)rc_fail(err, OMC_ENOTFOUND,
                      "file '%s' does not exist; 'rocketmq-connect run --help' shows what to put "
                      "into one",
                      file);
    else if (strstr(err->msg, "cannot start any token"))
        append(err, " (indent by spaces, not tabs; put texts with signs such as @ or % in quotes)");
    else if (strstr(err->msg, "did not find expected key") ||
             strstr(err->msg, "mapping values are not allowed"))
        append(err, " (keys of one map begin in the same column; this line or the one above does "
                    "not fit)");
}

int rc_pipeline_load(const char *file, const char *const *sets, omc_arena *arena, rc_pipeline *ret,
                     rc_problems *problems, rc_error *err)
{
    rc_yaml *root = NULL;
    int r = rc_yaml_load(file, arena, &root, err);

    if (r < 0)
        explain_yaml(file, err);
    return r < 0 ? r : rc_pipeline_build(file, root, sets, arena, ret, problems, err);
}

const char *rc_pipeline_where(const rc_pipeline *pipeline, const char *section, const char *key,
                              omc_arena *arena)
{
    for (size_t i = 0; i < pipeline->origin_count; i++) {
        const rc_pipeline_origin *o = &pipeline->origins[i];

        if (strcmp(o->section, section) != 0 || strcmp(o->key, key) != 0)
            continue;
        if (o->line == 0)
            return "--set";
        return rc_arena_format(arena, "%s:%d:%d", pipeline->file, o->line, o->column);
    }
    return pipeline->file;
}
