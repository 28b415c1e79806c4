/* SPDX-License-Identifier: Apache-2.0 */
/** A worker's /api/v1 as the commands see it: JSON in, JSON or an error out. One thread. */
#ifndef RC_CLI_CLIENT_H
#define RC_CLI_CLIENT_H

#include "cli/command.h"
#include "http/http.h"

#include <jansson.h>

#define RC_DEFAULT_URL "http://127.0.0.1:8082"

typedef struct rc_client {
    const rc_http *http;
    const char *url; /**< Without a slash at its end. */
    bool url_given;  /**< By --url or the environment. */
    bool json;       /**< --json: answers are printed as they are. */
} rc_client;

/** Rows every command that talks to a worker has. */
#define RC_CLIENT_OPTIONS                                                                   \
    {"url", 'u', "URL", "Worker; default $ROCKETMQ_CONNECT_URL, else " RC_DEFAULT_URL "."}, \
    {                                                                                       \
        "json", 0, NULL, "Print JSON."                                                      \
    }

int rc_client_open(const rc_args *args, rc_client *ret, rc_error *err);
/**
 * One call. `path` begins with '/' and is below /api/v1.
 * @param body  May be NULL; the reference is taken.
 * @param[out] ret  The answer, never NULL on success (json_null() without body); json_decref().
 * @return 0; by status 400 -OMC_EINVAL, 404 -OMC_ENOTFOUND, 409 -OMC_ESTATE, 503 -OMC_ECONNECT,
 *         else -OMC_EIO; the message is the worker's.
 */
int rc_client_call(const rc_client *client, const char *method, const char *path, json_t *body,
                   json_t **ret, rc_error *err);
/** "/connectors/<name, percent-encoded><rest>"; free() it. */
char *rc_connector_path(const char *name, const char *rest);
/** Text of `key`, or "". */
const char *rc_json_text(const json_t *object, const char *key);
/** Prints a value with indentation and a line end. @return an rc_exit. */
int rc_json_print(const json_t *value);

/** A table for people: columns are as wide as their widest cell. */
#define RC_TABLE_COLUMNS 8
typedef struct rc_table {
    size_t columns;
    char **cells; /**< Row after row; the first row is the heading. */
    size_t count, cap;
} rc_table;
void rc_table_row(rc_table *table, ...) __attribute__((sentinel)); /**< const char * ..., NULL */
int rc_table_print(rc_table *table);                               /**< Frees it. */

#endif
