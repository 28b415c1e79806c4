/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The table of routes: what a path and a method mean, which handler answers, and one sentence
 * for docs/rest.md, which is written from it.
 */
#ifndef RC_REST_ROUTES_H
#define RC_REST_ROUTES_H

#include "rest/exchange.h"

typedef enum route_family {
    ROUTE_COMPAT = 1, /**< The Java runtime's routes. */
    ROUTE_API = 2,    /**< /api/v1, in Kafka Connect's shapes. */
    ROUTE_OPEN = 3    /**< Health, metrics. */
} route_family;

enum route_flags {
    ROUTE_CHANGES = 1, /**< Changes something: refused from pages in browsers. */
    ROUTE_WORKER = 2,  /**< Needs a worker: 503 until there is one. */
    ROUTE_BODY = 4,    /**< Reads the body. */
    ROUTE_OWNER = 8    /**< Only the worker that runs {name}, or its {task}, can answer. */
};

typedef void handler_fn(exchange *ex);

typedef struct route {
    unsigned methods; /**< rest_method bits. */
    const char *path; /**< "/connectors/{name}/tasks/{task}/status" */
    handler_fn *handler;
    route_family family;
    unsigned flags;
    const char *query;   /**< Query parameters for the docs; NULL = none. */
    const char *instead; /**< The proper call for a GET that changes; NULL = itself. */
    const char *doc;
} route;

/**
 * Finds the route of ex->method and the path, and fills name and item. Static segments win over
 * {parameters}: the table lists them first.
 * @param[out] ret_allowed  Methods the path has, when the method is wrong; else 0.
 */
const route *routes_find(exchange *ex, unsigned *ret_allowed);
/** The proper call of a route, as "DELETE /api/v1/connectors/{name}", in the arena. */
const char *routes_right_call(exchange *ex);
/** Family of a path without a route. */
route_family routes_family(const exchange *ex);
/** "GET, PUT" in the arena. */
const char *routes_methods(unsigned methods, omc_arena *arena);

/* compat.c */
handler_fn compat_cluster, compat_list, compat_allocated, compat_allocated_tasks, compat_put,
    compat_config, compat_status, compat_tasks, compat_task_status, compat_stop, compat_pause,
    compat_resume;
/* compat_all.c */
handler_fn compat_stop_all, compat_pause_all, compat_resume_all;
/* compat_plugins.c */
handler_fn compat_plugins, compat_plugin_connectors, compat_reload, compat_plugin_config,
    compat_plugin_validate;
/* api_v1.c */
handler_fn api_root, api_list, api_create, api_get, api_delete, api_config, api_put, api_patch,
    api_status, api_pause, api_resume, api_stop, api_restart, api_tasks, api_task_status,
    api_task_restart, api_offsets, api_offsets_reset;
/* api_plugins.c */
handler_fn api_plugins, api_plugin_config, api_plugin_validate, api_loggers, api_logger,
    api_logger_put;
/* api_cluster.c */
handler_fn api_cluster, api_explain, api_drain;
/* health.c, metrics.c */
handler_fn open_health, open_metrics;

#endif
