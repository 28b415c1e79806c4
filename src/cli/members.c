/* SPDX-License-Identifier: Apache-2.0 */
/* `cluster show`, `cluster explain`, `worker drain`: what a running member says, and gives away. */
#include "cli/client.h"

#include <stdio.h>

static int finish(const rc_client *client, json_t *answer, void (*print)(const json_t *answer))
{
    int code = RC_EXIT_OK;

    if (client->json)
        code = rc_json_print(answer);
    else
        print(answer);
    json_decref(answer);
    return code;
}

static void print_cluster(const json_t *answer)
{
    const json_t *home = json_object_get(answer, "home"), *worker;
    rc_table table = {0};
    size_t i;

    printf("cluster %s, asked worker %s: %s\n", rc_json_text(answer, "cluster"),
           rc_json_text(answer, "worker"), rc_json_text(answer, "state"));
    printf("ownership log: epoch %lld on broker %s, read to offset %lld\n\n",
           (long long)json_integer_value(json_object_get(home, "epoch")),
           rc_json_text(home, "broker"),
           (long long)json_integer_value(json_object_get(home, "offset")));
    rc_table_row(&table, "WORKER", "STATE", "UNITS", "WEIGHT", "VERSION", "LABELS", "URL", NULL);
    json_array_foreach(json_object_get(answer, "workers"), i, worker)
    {
        char units[24], weight[24];

        (void)snprintf(units, sizeof units, "%lld",
                       (long long)json_integer_value(json_object_get(worker, "units")));
        (void)snprintf(weight, sizeof weight, "%lld",
                       (long long)json_integer_value(json_object_get(worker, "weight")));
        rc_table_row(&table, rc_json_text(worker, "worker"), rc_json_text(worker, "state"), units,
                     weight, rc_json_text(worker, "version"), rc_json_text(worker, "labels"),
                     rc_json_text(worker, "url"), NULL);
    }
    (void)rc_table_print(&table);
}

static void print_explain(const json_t *answer)
{
    const char *worker = rc_json_text(answer, "worker");

    printf("%s%s%s\n%s\n", rc_json_text(answer, "state"), *worker ? " on " : "", worker,
           rc_json_text(answer, "text"));
}

static int call(const rc_args *args, const char *method, const char *path,
                void (*print)(const json_t *answer))
{
    rc_client client;
    json_t *answer;
    rc_error err = {0};

    if (rc_client_open(args, &client, &err) < 0 ||
        rc_client_call(&client, method, path, NULL, &answer, &err) < 0)
        return rc_exit_print(&err);
    return finish(&client, answer, print);
}

static int run_show(rc_args *args)
{
    return call(args, "GET", "/cluster", print_cluster);
}

static int run_explain(rc_args *args)
{
    RC_AUTO_FREE char *name = rc_connector_path(args->items[0], "");
    RC_AUTO_FREE char *path =
        rc_format("/cluster/explain%s%s%s", name + strlen("/connectors"),
                  args->count > 1 ? "/" : "", args->count > 1 ? args->items[1] : "");

    return call(args, "GET", path, print_explain);
}

static int run_drain(rc_args *args)
{
    return call(args, "PUT",
                rc_args_has(args, "off") ? "/cluster/drain?off=true" : "/cluster/drain",
                print_cluster);
}

static const rc_cli_option options[] = {RC_CLIENT_OPTIONS, {0}};
static const rc_cli_option drain_options[] = {RC_CLIENT_OPTIONS,
                                              {"off", 0, NULL, "Take part again."},
                                              {0}};

const rc_command rc_member_commands[] = {
    {.name = "cluster show",
     .args = "",
     .summary = "Show the workers of a cluster.",
     .help = "\nAsks one worker, which answers for all.",
     .options = options,
     .run = run_show},
    {.name = "cluster explain",
     .args = "CONNECTOR [TASK]",
     .args_min = 1,
     .args_max = 2,
     .summary = "Say why a connector or task is where it is.",
     .help = "\nWithout TASK: the connector's own half, which computes the configurations of "
             "tasks.",
     .options = options,
     .run = run_explain},
    {.name = "worker drain",
     .args = "",
     .summary = "Have a worker hand over all it runs.",
     .help = "\nThe worker that --url names stays a member and takes nothing until --off, or its "
             "restart. When\n'cluster show' says that it has 0 units it can be stopped without "
             "anybody noticing. A worker that\ngets SIGTERM does the same by itself.",
     .options = drain_options,
     .run = run_drain},
    {0},
};
