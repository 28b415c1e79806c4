/* SPDX-License-Identifier: Apache-2.0 */
/** Lists for REST and commands, and small facts about one plugin. */
#include "plugin/registry_impl.h"

const char *rc_plugin_kind_name(unsigned kind)
{
    static const char *const names[] = {
        [OMC_SOURCE] = "source",       [OMC_SINK] = "sink",           [OMC_TRANSFORM] = "transform",
        [OMC_PREDICATE] = "predicate", [OMC_CONVERTER] = "converter",
    };

    return kind < RC_COUNT(names) && names[kind] ? names[kind] : "unknown";
}

static int first_class(void *arg, rc_slice class_name)
{
    *(rc_slice *)arg = class_name;
    return 1;
}

const char *rc_plugin_class(const omc_plugin *plugin, omc_arena *arena)
{
    rc_slice name = omc_slice_str(plugin->name);

    (void)rc_plugin_each_class(plugin->classes, first_class, &name);
    return rc_arena_slice(arena, name).base;
}

rc_option_table rc_plugin_table(const omc_plugin *plugin)
{
    return (rc_option_table){
        .rows = plugin->options,
        .count = plugin->options ? plugin->option_count : 0,
        .row_size = plugin->option_size,
        .options_size = plugin->options_size,
    };
}

static int rank(unsigned kind)
{
    static const int ranks[] = {
        [OMC_SINK] = 0,      [OMC_SOURCE] = 1,    [OMC_TRANSFORM] = 2,
        [OMC_PREDICATE] = 3, [OMC_CONVERTER] = 4,
    };

    return ranks[kind];
}

/* Compares classes without an arena: sorting must not allocate for every comparison. */
static int compare(const void *left, const void *right)
{
    const rc_plugin_info *a = left, *b = right;
    rc_slice x = omc_slice_str(a->plugin->name), y = omc_slice_str(b->plugin->name);
    int order = rank(a->plugin->kind) - rank(b->plugin->kind);

    if (order)
        return order;
    (void)rc_plugin_each_class(a->plugin->classes, first_class, &x);
    (void)rc_plugin_each_class(b->plugin->classes, first_class, &y);
    order = memcmp(x.base, y.base, RC_MIN(x.len, y.len));
    return order ? order : (x.len > y.len) - (x.len < y.len);
}

size_t rc_registry_list(rc_registry *registry, omc_arena *arena, const rc_plugin_info **ret)
{
    rc_plugin_info *list;
    size_t count;

    (void)pthread_rwlock_rdlock(&registry->lock);
    count = registry->view->count;
    list = omc_alloc(arena, (count + 1) * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        const rc_entry *e = registry->view->entries[i];

        list[i] = (rc_plugin_info){e->plugin, e->location};
    }
    (void)pthread_rwlock_unlock(&registry->lock);
    qsort(list, count, sizeof *list, compare);
    *ret = list;
    return count;
}

size_t rc_registry_refusals(rc_registry *registry, omc_arena *arena, const rc_refusal **ret)
{
    rc_refusal *list;
    size_t count;

    (void)pthread_rwlock_rdlock(&registry->lock);
    count = registry->view->refusal_count;
    list = omc_alloc(arena, (count + 1) * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        const rc_refusal *from = &registry->view->refusals[i];

        list[i] = *from;
        list[i].file = omc_copy(arena, from->file, strlen(from->file));
    }
    (void)pthread_rwlock_unlock(&registry->lock);
    *ret = list;
    return count;
}
