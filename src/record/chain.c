/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The chain of transforms of one task, and the predicates it asks.
 *
 * Set-up collects every problem before it gives up; rc_chain_new() and rc_chain_check() are the
 * same walk. The check starts the built-in plugins only (that compiles regexes and touches
 * nothing outside); a plugin of somebody else gets its options checked, not started.
 *
 * What the chain made (names, topics, rebuilt schemas) lives as long as the chain: free it after
 * the batches that passed through it.
 */
#include "base/units.h"
#include "record/plugins.h"
#include "record/transform.h"

#define TRANSFORMS "transforms"
#define PREDICATES "predicates"
#define UNITS_MAX 100

/** One configured transform or predicate. */
typedef struct unit {
    const char *name;
    const char *class_name; /**< As the user wrote it. */
    const omc_plugin *plugin;
    const omc_keyvalue *keys; /**< Its keys without the prefix. */
    omc_config config;
    void *state;
    bool started;
    /* Transforms only: */
    const struct unit *predicate;
    bool negate;
} unit;

typedef struct unit_list {
    unit *items;
    size_t count;
} unit_list;

struct rc_chain {
    rc_arena arena;
    unit_list transforms, predicates;
    const char *topic; /**< `connect.topicname`, or NULL. */
};

/** The keys of the chain itself under `transforms.<name>.`. */
typedef struct own_options {
    const char *class_name, *predicate;
    bool negate;
} own_options;

static const omc_option own_table[] = {
    {.name = "class",
     .type = OMC_OPT_CLASS,
     .flags = OMC_OPT_REQUIRED,
     .offset = offsetof(own_options, class_name),
     .aliases = "type",
     .doc = "Name or Java class of the plugin."},
    {.name = "predicate",
     .type = OMC_OPT_STRING,
     .offset = offsetof(own_options, predicate),
     .doc = "Name of a predicate of 'predicates'; the transform applies to records that match."},
    {.name = "negate",
     .type = OMC_OPT_BOOLEAN,
     .default_value = "false",
     .offset = offsetof(own_options, negate),
     .doc = "true: the transform applies to records that do not match the predicate."},
};

/** What the steps of a set-up share. */
typedef struct setup {
    const rc_plugin_finder *finder;
    const omc_keyvalue *config;
    rc_chain *chain;
    rc_problems *problems;
    bool check; /**< Start built-in plugins only. */
} setup;

/** Words that differ between the two kinds. */
typedef struct words {
    omc_plugin_kind kind;
    const char *list; /**< "transforms" */
    const char *one;  /**< "transform" */
    const omc_plugin *const *builtin;
    size_t own_count; /**< Rows of own_table that apply. */
} words;

static const words transform_words = {OMC_TRANSFORM, TRANSFORMS, "transform", rc_transform_plugins,
                                      RC_COUNT(own_table)};
static const words predicate_words = {OMC_PREDICATE, PREDICATES, "predicate", rc_predicate_plugins,
                                      1};

/* ---- names and keys ----------------------------------------------------------------------- */

static unit *find_unit(const unit_list *list, rc_slice name)
{
    for (size_t i = 0; i < list->count; i++)
        if (omc_slice_is(name, list->items[i].name))
            return &list->items[i];
    return NULL;
}

/** Full key of a unit, for problems. */
static const char *full_key(const setup *s, const words *w, const unit *u, const char *key)
{
    return rc_arena_format(&s->chain->arena.pub, "%s.%s.%s", w->list, u->name, key);
}

static void add_name(const setup *s, const words *w, unit_list *list, rc_slice name)
{
    omc_arena *arena = &s->chain->arena.pub;

    if (find_unit(list, name)) {
        rc_problem_add(s->problems, false, w->list, "",
                       "%s '" RC_SLICE_FMT "' is listed twice in '%s'; use two names for two steps",
                       w->one, RC_SLICE_ARG(name), w->list);
        return;
    }
    if (list->count == UNITS_MAX) {
        rc_problem_add(s->problems, false, w->list, "", "'%s' lists more than %d names", w->list,
                       UNITS_MAX);
        return;
    }
    list->items[list->count++].name = omc_copy(arena, name.base, name.len);
}

/** Names of the list `transforms` or `predicates`: separated by ',' or ';', blanks trimmed. */
static void read_names(const setup *s, const words *w, unit_list *list)
{
    const char *text = rc_kv_text(s->config, w->list, "", &s->chain->arena.pub);

    list->items = omc_alloc0(&s->chain->arena.pub, UNITS_MAX * sizeof *list->items);
    while (*text) {
        size_t len = strcspn(text, ",;"), from = strspn(text, " \t"), to = len;

        while (to > from && strchr(" \t", text[to - 1]))
            to--;
        if (to > from)
            add_name(s, w, list, omc_slice_of(text + from, to - from));
        text += len + (text[len] != '\0');
    }
}

/** Whether `key` begins with "<list>.<name>."; the rest is `ret`. */
static bool under(rc_slice key, const char *list, const char *name, rc_slice *ret)
{
    size_t a = strlen(list), b = strlen(name);

    if (key.len <= a + b + 2 || memcmp(key.base, list, a) != 0 || key.base[a] != '.' ||
        memcmp(key.base + a + 1, name, b) != 0 || key.base[a + 1 + b] != '.')
        return false;
    *ret = omc_slice_of(key.base + a + b + 2, key.len - a - b - 2);
    return true;
}

/** Gives each key to the unit with the longest name that fits: "a.b" before "a". */
static void read_keys(const setup *s, const words *w, unit_list *list)
{
    omc_arena *arena = &s->chain->arena.pub;
    rc_kv *keys = omc_alloc0(arena, (list->count + 1) * sizeof *keys);
    size_t prefix = strlen(w->list);

    for (size_t i = 0; i < list->count; i++)
        rc_kv_init(&keys[i], arena);
    for (size_t k = 0; s->config && k < s->config->count; k++) {
        const omc_pair *pair = &s->config->pairs[k];
        size_t best = list->count, best_len = 0;
        rc_slice rest = {0}, best_rest = {0};

        if (pair->key.len <= prefix || memcmp(pair->key.base, w->list, prefix) != 0 ||
            pair->key.base[prefix] != '.')
            continue;
        for (size_t i = 0; i < list->count; i++) {
            if (!under(pair->key, w->list, list->items[i].name, &rest) ||
                strlen(list->items[i].name) < best_len)
                continue;
            best = i;
            best_len = strlen(list->items[i].name);
            best_rest = rest;
        }
        if (best < list->count)
            rc_kv_put(&keys[best], best_rest, pair->value);
        else
            rc_problem_add(s->problems, true, omc_copy(arena, pair->key.base, pair->key.len), "",
                           "has no effect: '%s' does not list a name it belongs to", w->list);
    }
    for (size_t i = 0; i < list->count; i++)
        list->items[i].keys = rc_kv_done(&keys[i]);
}

/* ---- one unit ----------------------------------------------------------------------------- */

/** "change-case-key, change-case-value, ..." */
static const char *known_names(const setup *s, const words *w)
{
    const char *text = "";

    for (size_t i = 0; w->builtin[i]; i++)
        text = rc_arena_format(&s->chain->arena.pub, "%s%s%s", text, *text ? ", " : "",
                               w->builtin[i]->name);
    return text;
}

/** The built-in name or class most like `name`, or NULL. */
static const char *nearest(const setup *s, const words *w, const char *name)
{
    const char *names[100];
    size_t count = 0;

    for (size_t i = 0; w->builtin[i] && count + 4 < RC_COUNT(names); i++) {
        const char *at = w->builtin[i]->classes;

        names[count++] = w->builtin[i]->name;
        while (at && *at && count < RC_COUNT(names)) {
            size_t len = strcspn(at, ",");

            names[count++] = omc_copy(&s->chain->arena.pub, at, len);
            at += len + (at[len] == ',');
        }
    }
    return rc_nearest(name, names, count);
}

/** A registry hands out copies of plugins and of their ops, but not of their names. */
static bool is_builtin(const words *w, const omc_plugin *plugin)
{
    for (size_t i = 0; w->builtin[i]; i++)
        if (w->builtin[i]->name == plugin->name)
            return true;
    return false;
}

static int find_plugin(const setup *s, const words *w, unit *u)
{
    omc_arena *arena = &s->chain->arena.pub;
    const char *near;

    u->class_name = rc_kv_text(u->keys, "class", NULL, arena);
    if (!u->class_name || !*u->class_name)
        u->class_name = rc_kv_text(u->keys, "type", "", arena);
    if (!*u->class_name) {
        rc_problem_add(s->problems, false, full_key(s, w, u, "class"), "",
                       "%s '%s' has no class; set '%s.%s.class'. Known %ss are: %s", w->one,
                       u->name, w->list, u->name, w->one, known_names(s, w));
        return -OMC_EINVAL;
    }
    u->plugin = s->finder->find(s->finder->arg, w->kind, u->class_name);
    if (u->plugin)
        return 0;
    near = nearest(s, w, u->class_name);
    rc_problem_add(s->problems, false, full_key(s, w, u, "class"), u->class_name,
                   "%s '%s': class '%s' is unknown%s%s%s; known %ss are: %s%s", w->one, u->name,
                   u->class_name, near ? ", did you mean '" : "", near ? near : "",
                   near ? "'?" : "", w->one, known_names(s, w),
                   near ? "" : rc_java_advice(u->class_name));
    return -OMC_EINVAL;
}

/** The text behind "key 'x' = 'v': " or "key 'x': ", which full_key() says better. */
static const char *without_key(const rc_problem *problem)
{
    const char *text = problem->text;
    size_t key = strlen(problem->key), value = strlen(problem->value);

    if (strncmp(text, "key '", 5) != 0 || strncmp(text + 5, problem->key, key) != 0)
        return text;
    text += 5 + key;
    if (strncmp(text, "' = '", 5) == 0 && strncmp(text + 5, problem->value, value) == 0)
        text += 5 + value;
    return strncmp(text, "': ", 3) == 0 ? text + 3 : problem->text;
}

/** Takes over what the option engine said about keys without their prefix. */
static void pass_problems(const setup *s, const words *w, const unit *u, const rc_problems *from)
{
    for (size_t i = 0; i < from->count; i++)
        rc_problem_add(s->problems, from->items[i].warning, full_key(s, w, u, from->items[i].key),
                       from->items[i].value, "%s '%s' (class '%s'): %s", w->one, u->name,
                       u->class_name, without_key(&from->items[i]));
}

/** Only the keys of own_table: a plugin without an option table takes all others. */
static const omc_keyvalue *own_keys(const setup *s, const words *w, const unit *u)
{
    rc_kv kv;

    rc_kv_init(&kv, &s->chain->arena.pub);
    for (size_t i = 0; i < u->keys->count; i++)
        for (size_t k = 0; k < w->own_count; k++)
            if (omc_slice_is(u->keys->pairs[i].key, own_table[k].name) ||
                (k == 0 && omc_slice_is(u->keys->pairs[i].key, own_table[k].aliases)))
                rc_kv_put(&kv, u->keys->pairs[i].key, u->keys->pairs[i].value);
    return rc_kv_done(&kv);
}

static int read_options(const setup *s, const words *w, unit *u, own_options *own)
{
    omc_arena *arena = &s->chain->arena.pub;
    const omc_plugin *plugin = u->plugin;
    const rc_option_table tables[] = {
        {.rows = own_table, .count = w->own_count, .options_size = sizeof *own},
        {.rows = plugin->options,
         .count = plugin->option_count,
         .row_size = plugin->option_size,
         .options_size = plugin->options_size},
    };
    void *options[] = {own, plugin->options_size ? omc_alloc0(arena, plugin->options_size) : NULL};
    rc_problems found;
    int r;

    rc_problems_init(&found, arena);
    r = rc_options_parse(tables, plugin->options ? 2 : 1,
                         plugin->options ? u->keys : own_keys(s, w, u),
                         plugin->flags & OMC_PLUGIN_ANY_KEY ? 0 : RC_OPTIONS_STRICT, options, arena,
                         &found);
    pass_problems(s, w, u, &found);
    u->config.size = sizeof u->config;
    u->config.raw = u->keys;
    u->config.options = options[1];
    u->config.plugin = plugin;
    return r;
}

/** A start that fails names its key first ("key 'pattern': ..."); make that the problem's key. */
static void start_problem(const setup *s, const words *w, const unit *u, const rc_error *err)
{
    omc_arena *arena = &s->chain->arena.pub;
    const char *text = err->msg, *key = "class";
    size_t len = strncmp(text, "key '", 5) == 0 ? strcspn(text + 5, "'") : 0;

    if (len && strncmp(text + 5 + len, "': ", 3) == 0) {
        key = omc_copy(arena, text + 5, len);
        text += 5 + len + 3;
    }
    rc_problem_add(s->problems, false, full_key(s, w, u, key), rc_kv_text(u->keys, key, "", arena),
                   "%s '%s' (class '%s'): %s", w->one, u->name, u->class_name, text);
}

/** The three functions of a plugin of either kind that matter here. */
static int start_unit(const setup *s, const words *w, unit *u)
{
    const omc_transform_ops *t = u->plugin->ops;
    const omc_predicate_ops *p = u->plugin->ops;
    bool transform = w->kind == OMC_TRANSFORM;
    rc_error err = {0};

    if (!t || (transform ? !t->apply : !p->test)) {
        rc_problem_add(s->problems, false, full_key(s, w, u, "class"), u->class_name,
                       "%s '%s': the plugin lacks its function '%s'; build it again with the "
                       "header of this runtime",
                       w->one, u->name, transform ? "apply" : "test");
        return -OMC_EABI;
    }
    if (s->check && !is_builtin(w, u->plugin))
        return 0;
    u->state = rc_calloc(1, RC_MAX(transform ? t->state_size : p->state_size, (size_t)1));
    u->started = true; /* stop() follows a failed start, too. */
    if (transform ? !t->start : !p->start)
        return 0;
    if ((transform ? t->start(u->state, &u->config, &err) : p->start(u->state, &u->config, &err)) <
        0) {
        start_problem(s, w, u, &err);
        return -OMC_EINVAL;
    }
    return 0;
}

static void link_predicate(const setup *s, unit *u, const own_options *own)
{
    const unit_list *predicates = &s->chain->predicates;
    const char *names = "";

    u->negate = own->negate;
    if (!own->predicate || !*own->predicate) {
        if (own->negate)
            rc_problem_add(s->problems, false, full_key(s, &transform_words, u, "negate"), "true",
                           "transform '%s' has no predicate to negate; set "
                           "'transforms.%s.predicate' or remove the key",
                           u->name, u->name);
        return;
    }
    u->predicate = find_unit(predicates, omc_slice_str(own->predicate));
    if (u->predicate)
        return;
    for (size_t i = 0; i < predicates->count; i++)
        names = rc_arena_format(&s->chain->arena.pub, "%s%s%s", names, i ? ", " : "",
                                predicates->items[i].name);
    rc_problem_add(s->problems, false, full_key(s, &transform_words, u, "predicate"),
                   own->predicate,
                   "transform '%s': predicate '%s' is not defined; add it to 'predicates' (now: "
                   "%s) and set 'predicates.%s.class'",
                   u->name, own->predicate, *names ? names : "empty", own->predicate);
}

static void setup_list(const setup *s, const words *w, unit_list *list)
{
    read_names(s, w, list);
    read_keys(s, w, list);
    for (size_t i = 0; i < list->count; i++) {
        unit *u = &list->items[i];
        own_options own = {0};

        if (find_plugin(s, w, u) < 0)
            continue;
        if (read_options(s, w, u, &own) < 0)
            continue;
        if (w->kind == OMC_TRANSFORM)
            link_predicate(s, u, &own);
        (void)start_unit(s, w, u); /* Its problem is noted. */
    }
}

static rc_chain *setup_chain(const rc_plugin_finder *finder, const omc_keyvalue *config, bool check,
                             rc_problems *problems)
{
    rc_chain *chain = rc_calloc(1, sizeof *chain);
    setup s = {finder, config, chain, problems, check};

    rc_arena_init(&chain->arena, 8192);
    setup_list(&s, &predicate_words, &chain->predicates);
    setup_list(&s, &transform_words, &chain->transforms);
    chain->topic = rc_kv_text(config, "connect.topicname", NULL, &chain->arena.pub);
    return chain;
}

int rc_chain_new(const rc_plugin_finder *finder, const omc_keyvalue *config, rc_chain **ret,
                 rc_error *err)
{
    rc_arena arena __attribute__((cleanup(rc_arena_release)));
    RC_AUTO(rc_chain) chain = NULL;
    rc_problems problems;
    int r;

    rc_arena_init(&arena, 4096);
    rc_problems_init(&problems, &arena.pub);
    chain = setup_chain(finder, config, false, &problems);
    r = rc_problems_fail(&problems, err);
    if (r < 0)
        return r;
    *ret = RC_TAKE(chain);
    return 0;
}

void rc_chain_check(const rc_plugin_finder *finder, const omc_keyvalue *config,
                    rc_problems *problems)
{
    rc_chain_free(setup_chain(finder, config, true, problems));
}

void rc_chain_free(rc_chain *chain)
{
    if (!chain)
        return;
    for (size_t i = chain->transforms.count; i-- > 0;) {
        unit *u = &chain->transforms.items[i];

        if (u->started && ((const omc_transform_ops *)u->plugin->ops)->stop)
            ((const omc_transform_ops *)u->plugin->ops)->stop(u->state);
        free(u->state);
    }
    for (size_t i = chain->predicates.count; i-- > 0;) {
        unit *u = &chain->predicates.items[i];

        if (u->started && ((const omc_predicate_ops *)u->plugin->ops)->stop)
            ((const omc_predicate_ops *)u->plugin->ops)->stop(u->state);
        free(u->state);
    }
    rc_arena_release(&chain->arena);
    free(chain);
}

/* ---- running ------------------------------------------------------------------------------ */

size_t rc_chain_length(const rc_chain *chain)
{
    return chain->transforms.count;
}

const char *rc_chain_name(const rc_chain *chain, size_t i)
{
    RC_ASSERT(i < chain->transforms.count);
    return chain->transforms.items[i].name;
}

const char *rc_chain_class(const rc_chain *chain, size_t i)
{
    RC_ASSERT(i < chain->transforms.count);
    return chain->transforms.items[i].class_name;
}

/** @return 1 = apply the transform, 0 = do not, or an error. */
static int wanted(const unit *u, const omc_record *record, rc_error *err)
{
    const unit *p = u->predicate;
    int r;

    if (!p)
        return 1;
    r = ((const omc_predicate_ops *)p->plugin->ops)->test(p->state, record, err);
    if (r < 0)
        return rc_wrap(err, r, "transform '%s': predicate '%s' (class '%s')", u->name, p->name,
                       p->class_name);
    return (r != 0) != u->negate;
}

int rc_chain_apply(rc_chain *chain, size_t i, omc_record *record, omc_arena *arena, rc_error *err)
{
    omc_record saved = *record;
    const unit *u;
    int r;

    RC_ASSERT(i < chain->transforms.count);
    u = &chain->transforms.items[i];
    /* The default topic is the record's topic for routers and predicates, too. */
    if (chain->topic && *chain->topic && !rc_record_topic_slice(record).len)
        record->topic = chain->topic;
    r = wanted(u, record, err);
    if (r > 0) {
        r = ((const omc_transform_ops *)u->plugin->ops)->apply(u->state, record, arena, err);
        if (r < 0)
            r = rc_wrap(err, r, "transform '%s' (class '%s')", u->name, u->class_name);
        else if (r > 0 && r != OMC_DROP)
            r = rc_fail(err, OMC_EINTERNAL,
                        "transform '%s' (class '%s') returned %d, which means nothing; this is a "
                        "bug of the plugin",
                        u->name, u->class_name, r);
    }
    if (r < 0)
        *record = saved; /* So that the caller can retry, or report the record as it was. */
    return r;
}
