/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The registry's life and its lookups. A lookup takes the read lock, finds a name in the view of
 * the day and returns a plugin that stays valid as long as the registry, whatever is scanned
 * meanwhile.
 */
#include "plugin/registry_impl.h"

/* ---- entries and views --------------------------------------------------------------------- */

rc_entry *rc_registry_keep(rc_registry *registry, rc_checked_plugin *plugins, size_t count,
                           const char *location)
{
    rc_kept *kept = rc_calloc(1, sizeof *kept);

    kept->plugins = plugins;
    kept->entries = rc_calloc(count, sizeof *kept->entries);
    for (size_t i = 0; i < count; i++)
        kept->entries[i] = (rc_entry){&plugins[i].plugin, location};
    kept->next = registry->kept;
    registry->kept = kept;
    return kept->entries;
}

void rc_view_free(rc_view *view)
{
    if (!view)
        return;
    for (size_t i = 0; i < view->refusal_count; i++)
        free((char *)(uintptr_t)view->refusals[i].file);
    free(view->refusals);
    rc_names_release(&view->names);
    free(view->entries);
    free(view);
}

static size_t count_entries(const rc_registry *registry)
{
    size_t count = registry->builtin_count;

    for (const rc_plugin_file *f = registry->files; f; f = f->next)
        count += f->gone ? 0 : f->shown.count;
    return count;
}

rc_view *rc_registry_build(rc_registry *registry, rc_refusal *refusals, size_t refusal_count)
{
    rc_view *view = rc_calloc(1, sizeof *view);

    view->refusals = refusals;
    view->refusal_count = refusal_count;
    view->entries = rc_calloc(count_entries(registry) + 1, sizeof(const rc_entry *));
    for (size_t i = 0; i < registry->builtin_count; i++)
        view->entries[view->count++] = registry->builtin[i];
    for (const rc_plugin_file *f = registry->files; f; f = f->next)
        for (size_t i = 0; !f->gone && i < f->shown.count; i++)
            view->entries[view->count++] = &f->shown.entries[i];
    for (size_t i = 0; i < view->count; i++) {
        int r = rc_names_add(&view->names, view->entries[i], NULL);

        RC_ASSERT(r == 0); /* Conflicts were refused before. */
    }
    for (size_t i = 0; i < view->count; i++)
        rc_names_add_aliases(&view->names, view->entries[i]);
    return view;
}

void rc_registry_publish(rc_registry *registry, rc_view *view)
{
    rc_view *old;

    (void)pthread_rwlock_wrlock(&registry->lock);
    old = registry->view;
    registry->view = view;
    (void)pthread_rwlock_unlock(&registry->lock);
    rc_view_free(old);
}

/* ---- life ----------------------------------------------------------------------------------- */

static char **copy_paths(const char *const *paths)
{
    size_t count = 0;
    char **copy;

    while (paths && paths[count])
        count++;
    copy = rc_calloc(count + 1, sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = rc_strdup(paths[i]);
    return copy;
}

static int add_builtin(rc_registry *registry, rc_names *names, const omc_plugin *plugin,
                       rc_error *err)
{
    rc_checked_plugin *checked = rc_calloc(1, sizeof *checked);
    int r = rc_plugin_check(plugin, checked, err);
    rc_entry *entry;

    if (r < 0) {
        free(checked);
        return rc_wrap(err, r, "built-in plugin");
    }
    entry = rc_registry_keep(registry, checked, 1, "built in");
    registry->builtin =
        rc_realloc(registry->builtin, (registry->builtin_count + 1) * sizeof(const rc_entry *));
    registry->builtin[registry->builtin_count++] = entry;
    return rc_names_add(names, entry, err);
}

static int add_builtins(rc_registry *registry, const omc_plugin *const *const *tables,
                        rc_error *err)
{
    rc_names names = {0};
    int r = 0;

    for (; r == 0 && tables && *tables; tables++)
        for (const omc_plugin *const *p = *tables; r == 0 && *p; p++)
            r = add_builtin(registry, &names, *p, err);
    rc_names_release(&names);
    return r;
}

int rc_registry_new(const rc_registry_config *config, rc_registry **ret, rc_error *err)
{
    RC_AUTO(rc_registry) registry = rc_calloc(1, sizeof *registry);
    int r;

    (void)pthread_mutex_init(&registry->scan_mu, NULL);
    (void)pthread_rwlock_init(&registry->lock, NULL);
    registry->paths = copy_paths(config->paths);
    /* Names the running program even after its file was replaced. */
    registry->self = rc_strdup(config->self ? config->self : "/proc/self/exe");
    registry->probe_timeout_ms = config->probe_timeout_ms > 0 ? config->probe_timeout_ms : 5000;
    r = add_builtins(registry, config->builtin, err);
    if (r < 0)
        return r;
    registry->view = rc_registry_build(registry, NULL, 0);
    registry->foreign = config->foreign;
    *ret = RC_TAKE(registry);
    return 0;
}

static void free_files(rc_plugin_file *file)
{
    while (file) {
        rc_plugin_file *next = file->next;

        free(file->path);
        free(file);
        file = next;
    }
}

static void free_kept(rc_kept *kept)
{
    while (kept) {
        rc_kept *next = kept->next;

        free(kept->plugins);
        free(kept->entries);
        free(kept);
        kept = next;
    }
}

void rc_registry_free(rc_registry *registry)
{
    if (!registry)
        return;
    if (registry->foreign.free)
        registry->foreign.free(registry->foreign.arg);
    rc_view_free(registry->view);
    free_files(registry->files);
    free_kept(registry->kept);
    free(registry->builtin);
    for (char **p = registry->paths; *p; p++)
        free(*p);
    free(registry->paths);
    free(registry->self);
    (void)pthread_rwlock_destroy(&registry->lock);
    (void)pthread_mutex_destroy(&registry->scan_mu);
    free(registry);
}

/* ---- lookups --------------------------------------------------------------------------------- */

const omc_plugin *rc_registry_find(rc_registry *registry, omc_plugin_kind kind, const char *name)
{
    const omc_plugin *plugin = NULL;
    const rc_name *n;

    (void)pthread_rwlock_rdlock(&registry->lock);
    n = rc_names_find(&registry->view->names, rc_family_of(kind), name);
    if (n && n->entry && n->entry->plugin->kind == (uint32_t)kind)
        plugin = n->entry->plugin;
    (void)pthread_rwlock_unlock(&registry->lock);
    return plugin;
}

static const omc_plugin *find_for(void *arg, omc_plugin_kind kind, const char *name)
{
    return rc_registry_find(arg, kind, name);
}

rc_plugin_finder rc_registry_finder(rc_registry *registry)
{
    return (rc_plugin_finder){.find = find_for, .arg = registry};
}

int rc_registry_isolated(rc_registry *registry, const omc_plugin *plugin, const omc_plugin **ret,
                         rc_error *err)
{
    const rc_foreign *foreign = &registry->foreign;
    const char *location = NULL;

    (void)pthread_rwlock_rdlock(&registry->lock);
    for (size_t i = 0; i < registry->view->count && !location; i++)
        if (registry->view->entries[i]->plugin == plugin)
            location = registry->view->entries[i]->location;
    (void)pthread_rwlock_unlock(&registry->lock);
    *ret = foreign->isolate && location ? foreign->isolate(foreign->arg, plugin, location) : NULL;
    if (*ret)
        return 0;
    return rc_fail(err, OMC_EUNSUPPORTED,
                   "plugin '%s' cannot run in a process of its own here: only connectors of a "
                   "worker can",
                   plugin->name);
}
