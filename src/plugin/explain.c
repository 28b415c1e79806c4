/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Finding the plugin of `connector.class`, and explaining at length when there is none: clients of
 * the Java runtime look for its first words, people need the nearest name and the list.
 */
#include "base/units.h"
#include "plugin/registry_impl.h"

/** Packages whose connectors exist in Java only, so that nobody looks for a typo. */
static const char *const java_only[] = {
    "org.apache.rocketmq.connect.",
    "org.apache.rocketmq.replicator.",
    "org.apache.kafka.connect.",
    "org.apache.camel.",
    "io.debezium.",
    "io.confluent.",
    "io.aiven.",
    "com.mongodb.kafka.",
};

/** Bytes of the list of plugins in the message, so that the advice behind it fits too. */
#define LIST_MAX 520

/**
 * The nearest name without a package: packages are long and alike, so that with them every class
 * would seem near to every other.
 */
static const char *nearest(const rc_view *view, const char *name)
{
    const char *dot = strrchr(name, '.');
    const char **all = rc_calloc(HASH_COUNT(view->names.hash) + 1, sizeof *all);
    const char *found;
    size_t count = 0;
    rc_name *n, *next;

    HASH_ITER(hh, view->names.hash, n, next)
    if (n->key[0] == RC_FAMILY_CONNECTOR && n->entry && !strchr(n->key, '.'))
        all[count++] = n->key + 1;
    found = rc_nearest(dot ? dot + 1 : name, all, count);
    free(all);
    return found;
}

static void list_connectors(const rc_view *view, rc_buf *out)
{
    size_t left_out = 0, listed = 0;

    for (size_t i = 0; i < view->count; i++) {
        const omc_plugin *p = view->entries[i]->plugin;
        const char *classes = p->classes && *p->classes ? p->classes : p->name;

        if (rc_family_of(p->kind) != RC_FAMILY_CONNECTOR)
            continue;
        if (out->len > LIST_MAX) {
            left_out++;
            continue;
        }
        rc_buf_printf(out, "%s%.*s (%s, %s)", listed++ ? ", " : "", (int)strcspn(classes, ","),
                      classes, p->name, view->entries[i]->location);
    }
    if (left_out)
        rc_buf_printf(out, " and %zu more", left_out);
    if (listed == 0)
        rc_buf_str(out, "none");
}

static bool starts_with_any(const char *name, const char *const *prefixes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

/** What to do: the best single piece of advice. */
static void advise(const rc_view *view, const char *name, rc_buf *out)
{
    static const rc_family others[] = {RC_FAMILY_TRANSFORM, RC_FAMILY_PREDICATE,
                                       RC_FAMILY_CONVERTER};
    const rc_name *same = rc_names_find(&view->names, RC_FAMILY_CONNECTOR, name);
    const char *near = nearest(view, name);

    if (same) {
        rc_buf_str(out, ". The short name fits more than one plugin: write the whole class");
        return;
    }
    for (size_t i = 0; i < RC_COUNT(others); i++) {
        const rc_name *n = rc_names_find(&view->names, others[i], name);

        if (n && n->entry) {
            rc_buf_printf(out, ". '%.100s' is a %s, not a connector", name,
                          rc_plugin_kind_name(n->entry->plugin->kind));
            return;
        }
    }
    if (near)
        rc_buf_printf(out, ". Did you mean '%s'?", near);
    else if (starts_with_any(name, java_only, RC_COUNT(java_only)))
        rc_buf_str(out, ". It is a Java connector: put its jars into a folder of pluginPaths "
                        "(docs/java-connectors.md)");
    if (view->refusal_count)
        rc_buf_printf(out, ". %zu file(s) in pluginPaths were refused, see the list of plugins",
                      view->refusal_count);
}

static int explain(const rc_view *view, const char *name, rc_error *err)
{
    rc_buf text = RC_BUF(4096);
    int r;

    list_connectors(view, &text);
    advise(view, name, &text);
    r = rc_fail(err, OMC_ENOTFOUND,
                "Failed to find any class that implements Connector and which name matches "
                "%.200s, available connectors are: %s",
                name, text.data ? text.data : "");
    rc_buf_release(&text);
    return r;
}

int rc_registry_connector(rc_registry *registry, const char *name, const omc_plugin **ret,
                          rc_error *err)
{
    const rc_name *n;
    int r = 0;

    (void)pthread_rwlock_rdlock(&registry->lock);
    n = rc_names_find(&registry->view->names, RC_FAMILY_CONNECTOR, name);
    if (n && n->entry)
        *ret = n->entry->plugin;
    else
        r = explain(registry->view, name, err);
    (void)pthread_rwlock_unlock(&registry->lock);
    return r;
}
