/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A scan of the plugin paths. Everything slow (probing, loading) happens beside the lookups; then
 * one new view is shown. A file that cannot be used is refused alone; if an older state of it is
 * loaded, that one stays in use.
 */
#include "base/diag.h"
#include "plugin/probe.h"
#include "plugin/registry_impl.h"

#include <errno.h>

#define REFUSALS_MAX 10000

typedef struct scan {
    rc_registry *registry;
    rc_refusal *refusals;
    size_t refusal_count;
} scan;

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n > m && strcmp(text + n - m, end) == 0;
}

static void refuse(void *arg, const rc_refusal *refusal)
{
    scan *s = arg;

    if (s->refusal_count >= REFUSALS_MAX)
        return;
    s->refusals = rc_realloc(s->refusals, (s->refusal_count + 1) * sizeof *s->refusals);
    s->refusals[s->refusal_count] = *refusal;
    s->refusals[s->refusal_count++].file = rc_strdup(refusal->file);
}

static rc_plugin_file *find_file(const rc_registry *registry, const char *path)
{
    for (rc_plugin_file *f = registry->files; f; f = f->next)
        if (strcmp(f->path, path) == 0)
            return f;
    return NULL;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/** What can be said without touching the loader. */
static int check_file(const char *path, bool foreign, struct stat *st, rc_error *err)
{
    if (stat(path, st) < 0)
        return rc_fail_errno(err, errno, "cannot be read");
    if (foreign)
        return 0;
    if (!S_ISREG(st->st_mode))
        return rc_fail(err, OMC_EINVAL, "is no file: name a plugin or a folder of plugins");
    if (ends_with(path, ".jar") || ends_with(path, ".zip") || ends_with(path, ".class"))
        return rc_fail(err, OMC_EUNSUPPORTED,
                       "Java plugins need a worker: this command only knows native plugins");
    if (ends_with(path, ".tar.gz") || ends_with(path, ".tgz") || ends_with(path, ".tar"))
        return rc_fail(err, OMC_EUNSUPPORTED, "is packed: unpack it into a folder of its own");
    return 0;
}

/** Do these plugins' names go together with all that is loaded, `file`'s old ones left out? */
static int check_names(const rc_registry *registry, const rc_plugin_file *file,
                       const rc_entry *entries, size_t count, rc_error *err)
{
    rc_names names = {0};
    int r = 0;

    for (size_t i = 0; r == 0 && i < registry->builtin_count; i++)
        r = rc_names_add(&names, registry->builtin[i], err);
    for (const rc_plugin_file *f = registry->files; f; f = f->next)
        for (size_t i = 0; r == 0 && f != file && !f->gone && i < f->shown.count; i++)
            r = rc_names_add(&names, &f->shown.entries[i], err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = rc_names_add(&names, &entries[i], err);
    rc_names_release(&names);
    return r;
}

static bool is_foreign(const rc_registry *registry, const char *path)
{
    return registry->foreign.wants && registry->foreign.wants(path);
}

/** An archive may hold classes that stand for native connectors here, or that came before: those
 *  stay what they are, the others of the archive are usable. */
static void drop_taken(scan *s, rc_plugin_file *file)
{
    rc_loaded *latest = &file->latest;
    size_t kept = 0;

    for (size_t i = 0; i < latest->count; i++) {
        rc_refusal taken = {.file = file->path, .part = true};

        latest->entries[kept] = latest->entries[i];
        if (check_names(s->registry, file, latest->entries, kept + 1, &taken.why) == 0)
            kept++;
        else
            refuse(s, &taken);
    }
    latest->count = kept;
}

static rc_plugin_file *add_known(rc_registry *registry, const char *path)
{
    rc_plugin_file *f = rc_calloc(1, sizeof *f);

    f->path = rc_strdup(path);
    f->gone = true; /* Until its names are accepted. */
    f->next = registry->files;
    registry->files = f;
    return f;
}

/** Plugins of another room, checked like those of a library. */
static int load_foreign(scan *s, const char *path, const struct stat *now, rc_plugin_file *known,
                        rc_error *err)
{
    rc_registry *registry = s->registry;
    RC_AUTO_FREE rc_checked_plugin *checked = NULL;
    const omc_plugin *const *given;
    size_t count = 0;
    int r = registry->foreign.load(registry->foreign.arg, path, refuse, s, &given, err);

    while (r == 0 && given[count])
        count++;
    checked = rc_calloc(count + 1, sizeof *checked);
    for (size_t i = 0; i < count && r == 0; i++)
        r = rc_plugin_check(given[i], &checked[i], err);
    if (r < 0)
        return r;
    known->latest.id = *now;
    known->latest.count = count;
    known->latest.entries = rc_registry_keep(registry, RC_TAKE(checked), count, known->path);
    return 0;
}

/** Probes and loads the file as it is now into `known->latest`. */
static int load(scan *s, const char *path, const struct stat *now, rc_plugin_file **known,
                rc_error *err)
{
    rc_registry *registry = s->registry;
    rc_library library = {0};
    struct stat after;
    int r;

    if (is_foreign(registry, path)) {
        if (!*known)
            *known = add_known(registry, path);
        return load_foreign(s, path, now, *known, err);
    }
    r = rc_plugin_probe(registry->self, path, registry->probe_timeout_ms, err);

    if (r < 0)
        return r;
    if (stat(path, &after) < 0 || !same_file(now, &after))
        return rc_fail_retriable(err, OMC_EAGAIN,
                                 "changed while it was loaded: copy it under another name, then "
                                 "rename it");
    r = rc_library_open(path, *known != NULL, &library, err);
    if (!*known)
        *known = add_known(registry, path);
    if (r < 0)
        return r;
    (*known)->latest.id = after;
    (*known)->latest.count = library.count;
    (*known)->latest.entries =
        rc_registry_keep(registry, library.plugins, library.count, (*known)->path);
    return 0;
}

/** Loads a file unless that was done, and shows its names unless others have them. */
static int update(scan *s, const char *path, rc_plugin_file *known, rc_error *err)
{
    rc_registry *registry = s->registry;
    struct stat now;
    bool foreign = is_foreign(registry, path);
    int r = check_file(path, foreign, &now, err);

    if (r < 0)
        return r;
    /* What a host says may change without its file: a folder of archives keeps its time. */
    if (foreign || !known || !same_file(&known->latest.id, &now))
        r = load(s, path, &now, &known, err);
    if (r < 0 || (!known->gone && known->shown.entries == known->latest.entries))
        return r;
    if (foreign)
        drop_taken(s, known);
    r = check_names(registry, known, known->latest.entries, known->latest.count, err);
    if (r < 0)
        return r;
    known->shown = known->latest;
    known->gone = false;
    return 0;
}

/** Files that are not among the candidates any more give their names back first. */
static void mark_gone(rc_registry *registry, const rc_candidates *candidates)
{
    for (rc_plugin_file *f = registry->files; f; f = f->next) {
        bool there = false;

        for (size_t i = 0; !there && i < candidates->count; i++)
            there = strcmp(candidates->files[i], f->path) == 0;
        f->gone = f->gone || !there;
    }
}

static void load_one(scan *s, const char *path)
{
    rc_plugin_file *known = find_file(s->registry, path);
    bool in_use = known && !known->gone;
    rc_refusal refusal = {.file = path};
    rc_error *why = &refusal.why;

    if (update(s, path, known, why) == 0)
        return;
    if (in_use)
        (void)rc_wrap(why, -why->code, "the state loaded before stays in use; the new one");
    refuse(s, &refusal);
}

static bool same_folder(const char *a, const char *b)
{
    const char *name_a = strrchr(a, '/'), *name_b = strrchr(b, '/');

    return name_a && name_b && name_a - a == name_b - b && !memcmp(a, b, (size_t)(name_a - a));
}

/** A library that lies beside plugins is no plugin, and nothing to be told. */
static bool is_library(const rc_registry *registry, const rc_refusal *refusal)
{
    if (refusal->why.code != OMC_ENOTFOUND || refusal->part)
        return false;
    for (const rc_plugin_file *f = registry->files; f; f = f->next)
        if (!f->gone && f->shown.count && same_folder(f->path, refusal->file))
            return true;
    return false;
}

static void drop_libraries(scan *s)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->refusal_count; i++) {
        rc_refusal *refusal = &s->refusals[i];

        if (is_library(s->registry, refusal)) {
            rc_debug("plugins", "'%s' is a library", refusal->file);
            free((char *)(uintptr_t)refusal->file);
        } else {
            s->refusals[kept++] = *refusal;
        }
    }
    s->refusal_count = kept;
}

static int missing_error(const rc_candidates *candidates, rc_error *err)
{
    int r;

    if (!candidates->missing)
        return 0;
    r = rc_fail_errno(err, candidates->missing_errno,
                      "pluginPaths: '%s' (make it, or remove it from pluginPaths)",
                      candidates->missing);
    if (r == -OMC_EACCES)
        return r;
    if (err)
        err->code = OMC_ENOTFOUND;
    return -OMC_ENOTFOUND;
}

int rc_registry_scan(rc_registry *registry, rc_refused_fn *refused, void *arg, rc_error *err)
{
    scan s = {.registry = registry};
    rc_candidates candidates;
    rc_refusal *report;
    int r;

    (void)pthread_mutex_lock(&registry->scan_mu);
    rc_candidates_collect(registry->paths, registry->foreign.wants, &candidates);
    mark_gone(registry, &candidates);
    for (size_t i = 0; i < candidates.count && i < RC_SCAN_FILES_MAX; i++)
        load_one(&s, candidates.files[i]);
    if (candidates.count > RC_SCAN_FILES_MAX) {
        rc_refusal rest = {.file = candidates.files[RC_SCAN_FILES_MAX]};

        (void)rc_fail(&rest.why, OMC_EINVAL,
                      "more than %d files in pluginPaths: the rest is not loaded",
                      RC_SCAN_FILES_MAX);
        refuse(&s, &rest);
    }
    drop_libraries(&s);
    r = missing_error(&candidates, err);
    if (r == 0)
        r = (int)s.refusal_count;

    /* Reported from a copy, since another scan may replace the view while the caller prints. */
    report = rc_calloc(s.refusal_count + 1, sizeof *report);
    for (size_t i = 0; i < s.refusal_count; i++) {
        report[i] = s.refusals[i];
        report[i].file = rc_strdup(s.refusals[i].file);
    }
    rc_registry_publish(registry, rc_registry_build(registry, s.refusals, s.refusal_count));
    (void)pthread_mutex_unlock(&registry->scan_mu);
    for (size_t i = 0; i < s.refusal_count; i++) {
        if (refused)
            refused(arg, &report[i]);
        free((char *)(uintptr_t)report[i].file);
    }
    free(report);
    rc_candidates_release(&candidates);
    return r;
}
