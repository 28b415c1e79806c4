/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The registry's parts. Files and their plugins belong to the scan (`scan_mu`); what lookups see
 * is a *view* (entries, names, refusals), built aside and swapped in under `lock`. Entries are
 * never freed before the registry: running tasks may use the plugins of files that changed since.
 */
#ifndef RC_REGISTRY_IMPL_H
#define RC_REGISTRY_IMPL_H

#include "base/hash.h"
#include "plugin/library.h"
#include "plugin/registry.h"

#include <pthread.h>
#include <sys/stat.h>

/** Files looked at in one scan; more are reported, not loaded. */
#define RC_SCAN_FILES_MAX 1000

/** One plugin that can be found. */
typedef struct rc_entry {
    const omc_plugin *plugin;
    const char *location; /**< "built in", or the path of its file. */
} rc_entry;

/** Names differ by family: a source and a sink may not share one, a sink and a transform may. */
typedef enum rc_family {
    RC_FAMILY_CONNECTOR = 'c',
    RC_FAMILY_TRANSFORM = 't',
    RC_FAMILY_PREDICATE = 'p',
    RC_FAMILY_CONVERTER = 'v'
} rc_family;
rc_family rc_family_of(unsigned kind);

/** A name and what it stands for. The key is the family's letter and the name. */
typedef struct rc_name {
    const rc_entry *entry; /**< NULL when ambiguous. */
    bool exact;            /**< The plugin's name or class; otherwise an alias. */
    bool ambiguous;        /**< An alias that fits two plugins, so none. */
    UT_hash_handle hh;
    char key[];
} rc_name;

/** All names of some entries. One writer; any number of readers once built. */
typedef struct rc_names {
    rc_name *hash;
} rc_names;

/** Adds name and classes of an entry. -OMC_EEXIST names both plugins when one is taken. */
int rc_names_add(rc_names *names, const rc_entry *entry, rc_error *err);
/** Adds the aliases of an entry; after all exact names, which win. */
void rc_names_add_aliases(rc_names *names, const rc_entry *entry);
const rc_name *rc_names_find(const rc_names *names, rc_family family, const char *name);
void rc_names_release(rc_names *names);

/** One state of a file, as it was loaded. */
typedef struct rc_loaded {
    struct stat id; /**< Device, inode, size and mtime count. */
    rc_entry *entries;
    size_t count;
} rc_loaded;

/** A file that was loaded at least once; never forgotten, so that the loader is not fooled. */
typedef struct rc_plugin_file {
    char *path;
    rc_loaded latest; /**< Loaded last; not shown when its names collide with others. */
    rc_loaded shown;  /**< Whose names are in use. */
    bool gone;        /**< Nothing is shown: not there any more, or not accepted yet. */
    struct rc_plugin_file *next;
} rc_plugin_file;

/** Memory that lives until the registry ends: one block per loaded library. */
typedef struct rc_kept {
    rc_checked_plugin *plugins;
    rc_entry *entries;
    struct rc_kept *next;
} rc_kept;

/** What lookups see. */
typedef struct rc_view {
    const rc_entry **entries;
    size_t count;
    rc_names names;
    rc_refusal *refusals; /**< `file` is owned. */
    size_t refusal_count;
} rc_view;
void rc_view_free(rc_view *view); /**< NULL is allowed. */

struct rc_registry {
    char **paths; /**< NULL-terminated. */
    char *self;
    int64_t probe_timeout_ms;
    rc_foreign foreign;

    pthread_mutex_t scan_mu; /**< Guards files, builtin, kept; held for a whole scan. */
    rc_plugin_file *files;
    const rc_entry **builtin;
    size_t builtin_count;
    rc_kept *kept;

    pthread_rwlock_t lock; /**< Guards the pointer and what it points to. */
    rc_view *view;
};

/** Keeps checked plugins and makes entries of them. @locks scan_mu, or nobody else knows it yet */
rc_entry *rc_registry_keep(rc_registry *registry, rc_checked_plugin *plugins, size_t count,
                           const char *location);
/** Builds a view of built-in plugins and the current files; takes `refusals`. @locks scan_mu */
rc_view *rc_registry_build(rc_registry *registry, rc_refusal *refusals, size_t refusal_count);
/** Shows a view instead of the one before. */
void rc_registry_publish(rc_registry *registry, rc_view *view);

/** Paths a scan has to look at. */
typedef struct rc_candidates {
    char **files; /**< Sorted, each once. */
    size_t count, cap;
    bool (*wants)(const char *path);
    char *missing; /**< First path that does not exist, or NULL. */
    int missing_errno;
} rc_candidates;
/** `wants` (may be NULL) says which folders in a folder are plugins as a whole. */
void rc_candidates_collect(char *const *paths, bool (*wants)(const char *path), rc_candidates *ret);
void rc_candidates_release(rc_candidates *candidates);

#endif
