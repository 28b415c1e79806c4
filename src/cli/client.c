/* SPDX-License-Identifier: Apache-2.0 */
/* Calls, errors by status, and tables. */
#include "cli/client.h"

#include <stdarg.h>
#include <stdio.h>

#define TIMEOUT_MS 100000 /* a little more than the worker's own limit of a request */

int rc_client_open(const rc_args *args, rc_client *ret, rc_error *err)
{
    const char *url = rc_args_get(args, "url");

    memset(ret, 0, sizeof *ret);
    if (!url)
        url = getenv("ROCKETMQ_CONNECT_URL");
    ret->url_given = url && *url;
    ret->url = ret->url_given ? url : RC_DEFAULT_URL;
    ret->json = rc_args_has(args, "json");
    return rc_http_load(&ret->http, err);
}

static int code_of(long status)
{
    switch (status) {
    case 400:
    case 422:
        return OMC_EINVAL;
    case 404:
        return OMC_ENOTFOUND;
    case 409:
        return OMC_ESTATE;
    case 503:
        return OMC_ECONNECT;
    default:
        return OMC_EIO;
    }
}

static int fail_status(const rc_client *client, const rc_http_answer *answer, rc_error *err)
{
    json_t *body = json_loadb(answer->body, answer->len, 0, NULL);
    const char *message = rc_json_text(body, "message");

    if (*message)
        (void)rc_fail(err, code_of(answer->status), "%s", message);
    else if (answer->status == 404)
        (void)rc_fail(err, OMC_EIO, "%s answers 404 without a message: is this a worker's address?",
                      client->url);
    else
        (void)rc_fail(err, code_of(answer->status), "%s answers with status %ld", client->url,
                      answer->status);
    json_decref(body);
    return -err->code;
}

int rc_client_call(const rc_client *client, const char *method, const char *path, json_t *body,
                   json_t **ret, rc_error *err)
{
    const size_t len = strlen(client->url);
    const bool slash = len && client->url[len - 1] == '/';
    RC_AUTO_FREE char *url =
        rc_format("%.*s/api/v1%s", (int)(slash ? len - 1 : len), client->url, path);
    RC_AUTO_FREE char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    const rc_http_request request = {method, url, text, TIMEOUT_MS, NULL};
    rc_http_answer answer;
    int r;

    json_decref(body);
    r = client->http->call(&request, &answer, err);
    if (r == -OMC_ECONNECT)
        return rc_wrap(err, r,
                       "no worker answers at %s (start one with 'rocketmq-connect standalone', or "
                       "give another --url)",
                       client->url);
    if (r < 0)
        return r;
    if (answer.status < 200 || answer.status > 299) {
        r = fail_status(client, &answer, err);
    } else {
        *ret =
            answer.len ? json_loadb(answer.body, answer.len, JSON_DECODE_ANY, NULL) : json_null();
        if (!*ret)
            r = rc_fail(err, OMC_EFORMAT, "%s answers with something that is no JSON", url);
    }
    client->http->release(&answer);
    return r;
}

char *rc_connector_path(const char *name, const char *rest)
{
    rc_buf path = RC_BUF(4096);

    rc_buf_str(&path, "/connectors/");
    for (const char *c = name; *c; c++)
        if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
            strchr("-_.~", *c))
            rc_buf_char(&path, *c);
        else
            rc_buf_printf(&path, "%%%02X", (unsigned char)*c);
    rc_buf_str(&path, rest);
    return rc_buf_take(&path);
}

const char *rc_json_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

int rc_json_print(const json_t *value)
{
    if (json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY) < 0 || putchar('\n') == EOF)
        return RC_EXIT_FAILED;
    return fflush(stdout) ? RC_EXIT_FAILED : RC_EXIT_OK;
}

/* ---- tables --------------------------------------------------------------------------------- */

void rc_table_row(rc_table *table, ...)
{
    const char *cell;
    size_t n = 0;
    va_list ap;

    va_start(ap, table);
    while ((cell = va_arg(ap, const char *))) {
        if (table->count == table->cap) {
            table->cap = table->cap ? table->cap * 2 : 32;
            table->cells = rc_realloc(table->cells, table->cap * sizeof *table->cells);
        }
        table->cells[table->count++] = rc_strdup(cell);
        n++;
    }
    va_end(ap);
    if (!table->columns)
        table->columns = n;
    RC_ASSERT(n == table->columns && n <= RC_TABLE_COLUMNS);
}

int rc_table_print(rc_table *table)
{
    size_t widths[RC_TABLE_COLUMNS] = {0};

    for (size_t i = 0; i < table->count; i++)
        widths[i % table->columns] = RC_MAX(widths[i % table->columns], strlen(table->cells[i]));
    for (size_t i = 0; i < table->count; i++) {
        const size_t column = i % table->columns;

        if (column + 1 == table->columns)
            printf("%s\n", table->cells[i]);
        else
            printf("%-*s  ", (int)widths[column], table->cells[i]);
        free(table->cells[i]);
    }
    free(table->cells);
    memset(table, 0, sizeof *table);
    return fflush(stdout) ? RC_EXIT_FAILED : RC_EXIT_OK;
}
