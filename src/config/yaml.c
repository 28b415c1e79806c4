/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The tree is built from libyaml's events while they come, so that depth and count are bounded
 * before memory is taken. Scalars keep their text: what "true" or "1.10" means is decided by the
 * option they are given to, and "no" stays a word.
 */
#include "config/yaml.h"

#include "base/file.h"

#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#define TEXT_MAX ((size_t)1 << 20)
#define DEPTH_MAX 32
#define NODES_MAX 100000

/* An open list or map. */
struct level {
    rc_yaml *node;
    rc_yaml **tail;  /* Where the next child goes. */
    const char *key; /* Maps: the key that waits for its value. */
    int key_line, key_column;
};

struct builder {
    const char *name;
    yaml_parser_t parser;
    omc_arena *arena;
    rc_error *err;
    struct level levels[DEPTH_MAX];
    size_t depth;
    size_t nodes;
    size_t documents;
    rc_yaml *root;
};

static int refuse(struct builder *b, const yaml_mark_t *mark, const char *fmt, ...)
    OMC_PRINTF(3, 4);

static int refuse(struct builder *b, const yaml_mark_t *mark, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return rc_fail(b->err, OMC_EINVAL, "%s:%zu:%zu: %s", b->name, mark->line + 1, mark->column + 1,
                   text);
}

/* What to do about libyaml's complaint, which only says what it did not like. */
static const char *cure(const char *what)
{
    return strstr(what, "cannot start any token")
               ? "indent with spaces, not tabs, and put quotes around values with special "
                 "characters"
               : "check brackets, quotes and indentation there and in the line above";
}

/* libyaml's own complaint; readers' errors have no mark but an offset. */
static int parser_failed(struct builder *b)
{
    const yaml_parser_t *p = &b->parser;
    const char *what = p->problem ? p->problem : "not YAML";

    if (p->error == YAML_READER_ERROR)
        return rc_fail(b->err, OMC_EINVAL, "%s:%zu:%zu: %s at byte %zu; the file must be UTF-8",
                       b->name, p->mark.line + 1, p->mark.column + 1, what, p->problem_offset + 1);
    if (p->context)
        return refuse(b, &p->problem_mark, "%s %s; %s", p->context, what, cure(what));
    return refuse(b, &p->problem_mark, "%s; %s", what, cure(what));
}

/* Puts a new node where the innermost open one wants it. */
static int place(struct builder *b, const yaml_mark_t *mark, rc_yaml_kind kind, rc_yaml **ret)
{
    rc_yaml *node;
    struct level *level = b->depth > 0 ? &b->levels[b->depth - 1] : NULL;

    if (++b->nodes > NODES_MAX)
        return refuse(b, mark, "more than %d values", NODES_MAX);
    node = omc_alloc0(b->arena, sizeof *node);
    node->kind = kind;
    node->line = (int)mark->line + 1;
    node->column = (int)mark->column + 1;
    node->text = "";
    if (!level) {
        b->root = node;
    } else {
        node->key = level->key;
        node->key_line = level->key_line;
        node->key_column = level->key_column;
        level->key = NULL;
        *level->tail = node;
        level->tail = &node->next;
        level->node->count++;
    }
    *ret = node;
    return 0;
}

/* Whether the next node is a key of the innermost map. */
static bool wants_key(const struct builder *b)
{
    const struct level *level = b->depth > 0 ? &b->levels[b->depth - 1] : NULL;

    return level && level->node->kind == RC_YAML_MAP && !level->key;
}

static int take_key(struct builder *b, const yaml_event_t *event)
{
    struct level *level = &b->levels[b->depth - 1];
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;

    if (len == 0)
        return refuse(b, &event->start_mark, "a key without a name");
    if (memchr(text, '\0', len))
        return refuse(b, &event->start_mark, "a key with a NUL byte");
    level->key = omc_copy(b->arena, text, len);
    level->key_line = (int)event->start_mark.line + 1;
    level->key_column = (int)event->start_mark.column + 1;
    return 0;
}

static int take_scalar(struct builder *b, const yaml_event_t *event)
{
    rc_yaml *node;
    int r;

    if (event->data.scalar.tag)
        return refuse(b, &event->start_mark, "tag '%.100s' is not supported; remove it",
                      (const char *)event->data.scalar.tag);
    if (event->data.scalar.anchor)
        return refuse(b, &event->start_mark, "anchor '&%.100s' is not supported; remove it",
                      (const char *)event->data.scalar.anchor);
    if (wants_key(b))
        return take_key(b, event);
    r = place(b, &event->start_mark, RC_YAML_SCALAR, &node);
    if (r < 0)
        return r;
    node->text_len = event->data.scalar.length;
    node->text = omc_copy(b->arena, (const char *)event->data.scalar.value, node->text_len);
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return 0;
}

/* The beginning of a list or map. */
static int take_open(struct builder *b, const yaml_event_t *event, rc_yaml_kind kind)
{
    bool list = kind == RC_YAML_LIST;
    const yaml_char_t *tag = list ? event->data.sequence_start.tag : event->data.mapping_start.tag;
    const yaml_char_t *anchor =
        list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor;
    rc_yaml *node;
    int r;

    if (tag)
        return refuse(b, &event->start_mark, "tag '%.100s' is not supported; remove it",
                      (const char *)tag);
    if (anchor)
        return refuse(b, &event->start_mark, "anchor '&%.100s' is not supported; remove it",
                      (const char *)anchor);
    if (wants_key(b))
        return refuse(b, &event->start_mark, "a key must be a word, not a list or map");
    if (b->depth == DEPTH_MAX)
        return refuse(b, &event->start_mark, "nested deeper than %d levels", DEPTH_MAX);
    r = place(b, &event->start_mark, kind, &node);
    if (r < 0)
        return r;
    b->levels[b->depth++] = (struct level){.node = node, .tail = &node->children};
    return 0;
}

static int compare_children(const void *left, const void *right)
{
    const rc_yaml *a = *(const rc_yaml *const *)left;
    const rc_yaml *b = *(const rc_yaml *const *)right;
    int order = strcmp(a->key, b->key);

    if (order != 0)
        return order;
    if (a->key_line != b->key_line)
        return a->key_line < b->key_line ? -1 : 1;
    return (a->key_column > b->key_column) - (a->key_column < b->key_column);
}

/* Refuses a map with a repeated key; names the first that is repeated in the file's order. */
static int check_keys(struct builder *b, const rc_yaml *map)
{
    RC_AUTO_FREE const rc_yaml **sorted = rc_calloc(map->count, sizeof(rc_yaml *));
    const rc_yaml *twice = NULL;
    const rc_yaml *first = NULL;
    size_t count = 0;

    for (const rc_yaml *child = map->children; child; child = child->next)
        sorted[count++] = child;
    if (count > 1)
        qsort(sorted, count, sizeof(rc_yaml *), compare_children);
    for (size_t i = 1; i < count; i++)
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0 &&
            (!twice || sorted[i]->key_line < twice->key_line)) {
            first = sorted[i - 1];
            twice = sorted[i];
        }
    if (!twice)
        return 0;
    return rc_fail(b->err, OMC_EINVAL,
                   "%s:%d:%d: key '%.200s' is given twice, first on line %d; keep one of them",
                   b->name, twice->key_line, twice->key_column, twice->key, first->key_line);
}

static int take_close(struct builder *b)
{
    const rc_yaml *node = b->levels[--b->depth].node;

    return node->kind == RC_YAML_MAP ? check_keys(b, node) : 0;
}

static int take_event(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->documents++ > 0)
            return refuse(b, &event->start_mark, "a second document; give one per file");
        return 0;
    case YAML_ALIAS_EVENT:
        return refuse(b, &event->start_mark, "alias '*%.100s' is not supported; write it out",
                      (const char *)event->data.alias.anchor);
    case YAML_SCALAR_EVENT:
        return take_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return take_open(b, event, RC_YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        return take_open(b, event, RC_YAML_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return take_close(b);
    default:
        return 0;
    }
}

static int build(struct builder *b)
{
    for (;;) {
        yaml_event_t event;
        bool done;
        int r;

        if (!yaml_parser_parse(&b->parser, &event))
            return parser_failed(b);
        done = event.type == YAML_STREAM_END_EVENT;
        r = take_event(b, &event);
        yaml_event_delete(&event);
        if (r < 0 || done)
            return r;
    }
}

int rc_yaml_parse(const char *name, rc_slice text, omc_arena *arena, rc_yaml **ret, rc_error *err)
{
    struct builder b = {.name = name, .arena = arena, .err = err};
    int r;

    if (text.len > TEXT_MAX)
        return rc_fail(err, OMC_EINVAL, "%s:1:1: longer than %zu bytes", name, TEXT_MAX);
    if (!yaml_parser_initialize(&b.parser))
        return rc_fail(err, OMC_ENOMEM, "%s: no memory for the YAML parser", name);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)(text.base ? text.base : ""),
                                 text.len);
    r = build(&b);
    yaml_parser_delete(&b.parser);
    if (r < 0)
        return r;
    if (!b.root || (b.root->kind == RC_YAML_SCALAR && !b.root->quoted && !b.root->text_len)) {
        b.root = omc_alloc0(arena, sizeof *b.root);
        *b.root = (rc_yaml){.kind = RC_YAML_MAP, .line = 1, .column = 1, .text = ""};
    }
    *ret = b.root;
    return 0;
}

int rc_yaml_load(const char *path, omc_arena *arena, rc_yaml **ret, rc_error *err)
{
    RC_AUTO_FREE char *text = NULL;
    size_t len;
    int r = rc_file_read(path, TEXT_MAX, &text, &len, err);

    if (r < 0)
        return r;
    return rc_yaml_parse(path, omc_slice_of(text, len), arena, ret, err);
}

const rc_yaml *rc_yaml_get(const rc_yaml *map, const char *key)
{
    if (!map || map->kind != RC_YAML_MAP)
        return NULL;
    for (const rc_yaml *child = map->children; child; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}
