/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Names of plugins. Exact ones are the plugin's name and its Java classes; aliases are made from
 * each class as the Java runtime does: the simple class name ("FileSourceConnector",
 * "ChangeCase$Value") and the same without the suffix of its kind ("FileSource"). An alias that two
 * plugins could mean stands for neither.
 */
#include "plugin/registry_impl.h"

rc_family rc_family_of(unsigned kind)
{
    switch (kind) {
    case OMC_TRANSFORM:
        return RC_FAMILY_TRANSFORM;
    case OMC_PREDICATE:
        return RC_FAMILY_PREDICATE;
    case OMC_CONVERTER:
        return RC_FAMILY_CONVERTER;
    default:
        return RC_FAMILY_CONNECTOR;
    }
}

static const char *suffix_of(unsigned kind)
{
    switch (kind) {
    case OMC_TRANSFORM:
        return "Transform";
    case OMC_PREDICATE:
        return "Predicate";
    case OMC_CONVERTER:
        return "Converter";
    default:
        return "Connector";
    }
}

static rc_name *new_name(rc_family family, rc_slice name)
{
    rc_name *n = rc_calloc(1, sizeof *n + name.len + 2);

    n->key[0] = (char)family;
    if (name.len)
        memcpy(n->key + 1, name.base, name.len);
    return n;
}

/** Finds `n`'s key among the names, or adds `n`. @return the one that is there now. */
static rc_name *find_or_add(rc_names *names, rc_name *n)
{
    rc_name *there = NULL;

    HASH_FIND_STR(names->hash, n->key, there);
    if (there) {
        free(n);
        return there;
    }
    HASH_ADD_STR(names->hash, key, n);
    return n;
}

typedef struct adding {
    rc_names *names;
    const rc_entry *entry;
    rc_error *err;
} adding;

static int add_exact(void *arg, rc_slice name)
{
    const adding *a = arg;
    rc_name *n = find_or_add(a->names, new_name(rc_family_of(a->entry->plugin->kind), name));

    if (n->entry && n->entry != a->entry)
        return rc_fail(a->err, OMC_EEXIST,
                       "plugin %s: the name '" RC_SLICE_FMT "' is already taken by %s %s (%s): "
                       "remove one of the two",
                       a->entry->plugin->name, RC_SLICE_ARG(name),
                       rc_plugin_kind_name(n->entry->plugin->kind), n->entry->plugin->name,
                       n->entry->location);
    n->entry = a->entry;
    n->exact = true;
    return 0;
}

int rc_names_add(rc_names *names, const rc_entry *entry, rc_error *err)
{
    adding a = {names, entry, err};
    int r = add_exact(&a, omc_slice_str(entry->plugin->name));

    return r < 0 ? r : rc_plugin_each_class(entry->plugin->classes, add_exact, &a);
}

static void add_alias(const adding *a, rc_slice alias)
{
    rc_name *n;

    if (alias.len == 0)
        return;
    n = find_or_add(a->names, new_name(rc_family_of(a->entry->plugin->kind), alias));
    if (n->exact || n->ambiguous || n->entry == a->entry)
        return;
    n->ambiguous = n->entry != NULL;
    n->entry = n->ambiguous ? NULL : a->entry;
}

static int add_class_aliases(void *arg, rc_slice name)
{
    const adding *a = arg;
    const char *suffix = suffix_of(a->entry->plugin->kind);
    size_t cut = strlen(suffix);
    const char *dot = memrchr(name.base, '.', name.len);

    if (dot)
        name = omc_slice_of(dot + 1, (size_t)(name.base + name.len - dot - 1));
    add_alias(a, name);
    if (name.len > cut && memcmp(name.base + name.len - cut, suffix, cut) == 0)
        add_alias(a, omc_slice_of(name.base, name.len - cut));
    return 0;
}

void rc_names_add_aliases(rc_names *names, const rc_entry *entry)
{
    adding a = {names, entry, NULL};

    (void)rc_plugin_each_class(entry->plugin->classes, add_class_aliases, &a);
}

const rc_name *rc_names_find(const rc_names *names, rc_family family, const char *name)
{
    rc_name *wanted = new_name(family, omc_slice_of(name, strnlen(name, 4096)));
    rc_name *n = NULL;

    HASH_FIND_STR(names->hash, wanted->key, n);
    free(wanted);
    return n;
}

void rc_names_release(rc_names *names)
{
    rc_name *n = names->hash, *next;

    HASH_CLEAR(hh, names->hash);
    for (; n; n = next) {
        next = n->hh.next;
        free(n);
    }
}
