/* SPDX-License-Identifier: Apache-2.0 */
/**
 * All plugins this worker knows: built in, and from `.so` files in `pluginPaths`.
 *
 * A `.so` is probed first by running ourselves (`rocketmq-connect plugin probe FILE`) in a child
 * process, so that a library that crashes or hangs while loading cannot hurt the worker; only
 * then it is loaded here. Nothing loaded is ever unloaded; a reload adds what is new and replaces
 * the names of files that changed, while running tasks keep what they have.
 *
 * The plugins handed out are complete: members the plugin's header did not have are zero, the
 * same for its table of functions. Any thread; lookups take a read lock.
 */
#ifndef RC_REGISTRY_H
#define RC_REGISTRY_H

#include "config/options.h"
#include "record/instance.h"

typedef struct rc_registry rc_registry;

/** A file or folder of plugins that cannot be used. */
typedef struct rc_refusal {
    const char *file;
    rc_error why; /**< Continues "<file> ...". */
    bool part;    /**< Only something in it, which `why` names; the rest is in use. */
} rc_refusal;
typedef void rc_refused_fn(void *arg, const rc_refusal *refusal);

/** Plugins that run in other processes: the room above knows how. */
typedef struct rc_foreign {
    void *arg;
    /** The plugin that runs a native one in a process of its own (`isolation=process`); lives as
     *  long as `arg`. NULL when it cannot be isolated. Any thread. */
    const omc_plugin *(*isolate)(void *arg, const omc_plugin *plugin, const char *location);
    /** Whether a file or folder holds plugins that are not native. */
    bool (*wants)(const char *path);
    /** These plugins, NULL-terminated; live as long as `arg`. One scan at a time. What of the path
     *  cannot be used is told to `refused`. -OMC_ENOTFOUND: it may be a library of others. */
    int (*load)(void *arg, const char *path, rc_refused_fn *refused, void *refused_arg,
                const omc_plugin *const **ret, rc_error *err);
    void (*free)(void *arg); /**< Called by rc_registry_free(). */
} rc_foreign;

typedef struct rc_registry_config {
    const omc_plugin *const *const *builtin; /**< NULL-terminated array of such arrays. */
    const char *const *paths; /**< Folders and files of pluginPaths; NULL-terminated; copied. */
    const char *self;         /**< Path of our own program, for probing; NULL = /proc/self/exe. */
    int64_t probe_timeout_ms; /**< Default 5,000. */
    rc_foreign foreign;       /**< Owned once rc_registry_new() succeeded; zero = none. */
} rc_registry_config;

int rc_registry_new(const rc_registry_config *config, rc_registry **ret, rc_error *err);
/** Only after every instance of a plugin is gone. NULL is allowed. */
void rc_registry_free(rc_registry *registry);

/**
 * Scans the paths (again). A file that cannot be used does not stop the scan. An archive without
 * plugins is no refusal beside one with plugins: it is a library.
 * @return number of refusals; each is reported by `refused` (may be NULL) and kept for
 *         rc_registry_refusals(). A path that does not exist is -OMC_ENOTFOUND.
 */
int rc_registry_scan(rc_registry *registry, rc_refused_fn *refused, void *arg, rc_error *err);

/**
 * Finds by our name, Java class name, or alias: the simple class name, and the simple name
 * without the suffix Connector, Converter, Transform..., when that is not ambiguous.
 */
const omc_plugin *rc_registry_find(rc_registry *registry, omc_plugin_kind kind, const char *name);
/** A source or a sink of that name (`connector.class`). The error lists what there is and the
 *  nearest name; for names of Java classes we know to be Java-only it says so. */
int rc_registry_connector(rc_registry *registry, const char *name, const omc_plugin **ret,
                          rc_error *err);
rc_plugin_finder rc_registry_finder(rc_registry *registry);
/** The plugin that runs `plugin` in a process of its own. -OMC_EUNSUPPORTED says why not. */
int rc_registry_isolated(rc_registry *registry, const omc_plugin *plugin, const omc_plugin **ret,
                         rc_error *err);

typedef struct rc_plugin_info {
    const omc_plugin *plugin;
    const char *location; /**< "built in" or the file. */
} rc_plugin_info;
/** Sorted: sinks, sources, transforms, predicates, converters; by class name within. */
size_t rc_registry_list(rc_registry *registry, omc_arena *arena, const rc_plugin_info **ret);

size_t rc_registry_refusals(rc_registry *registry, omc_arena *arena, const rc_refusal **ret);

/** First Java class of a plugin, or its name when it has none (what compatible routes show). */
const char *rc_plugin_class(const omc_plugin *plugin, omc_arena *arena);
rc_option_table rc_plugin_table(const omc_plugin *plugin);
const char *rc_plugin_kind_name(unsigned kind); /**< "source" ... */

/** The host services every plugin gets, for contexts made elsewhere. Lives as long as the process.
 */
const omc_host *rc_plugin_host(void);
/** Where its log lines go; default: our diagnostics. Before any plugin is loaded. */
typedef void rc_plugin_log_fn(omc_log_level level, const char *component, const char *fmt,
                              va_list ap) OMC_PRINTF(3, 0);
void rc_plugin_host_log(rc_plugin_log_fn *log);

/** The child's half of a probe: loads `file`, checks every plugin in it, and prints one JSON
 *  object with the plugins or the error on `fd`. Returns the exit code. */
int rc_plugin_probe_main(const char *file, int fd);

RC_DEFINE_CLEANUP(rc_registry, rc_registry_free)

#endif
