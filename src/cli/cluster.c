/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `cluster export` and `cluster import`: the state that workers share, from the topics to a file
 * and back. They talk to the brokers themselves, so they work while no worker runs; running ones
 * see what is imported as if another worker had written it.
 */
#include "base/diag.h"
#include "base/file.h"
#include "cli/config_file.h"
#include "cli/service.h"
#include "cli/service_log.h"
#include "config/options.h"
#include "store/snapshot.h"
#include "store/topic.h"

#include <stdio.h>

typedef struct cluster {
    rc_args *args;
    rc_arena arena;
    rc_worker_config config;
    rc_registry *registry;
    rmq_client *client;
    rc_topic_store *store;
} cluster;

static void cluster_close(cluster *c)
{
    if (c->store)
        rc_store_close(rc_topic_store_base(c->store));
    rmq_client_close(c->client);
    rc_registry_free(c->registry);
    rc_arena_release(&c->arena);
}

static int load(cluster *c, rc_error *err)
{
    int r = rc_worker_config_load(c->args, &c->arena.pub, &c->config, err);

    if (r == 0 && strcmp(c->config.log, "rocketmq") != 0)
        r = rc_fail(err, OMC_EINVAL,
                    "a cluster's state is on RocketMQ: say where with -c FILE, "
                    "--set namesrvAddr=host:9876 or NAMESRV_ADDR");
    return r;
}

static int open_store(cluster *c, bool import, rc_error *err)
{
    const rmq_client_config client = rc_log_client_config(&c->config);
    rc_topic_store_config store = {.config_topic = c->config.config_topic,
                                   .status_topic = c->config.status_topic,
                                   .create_topics = import && c->config.auto_create_topics,
                                   .anew = import,
                                   .worker = c->config.worker_id,
                                   .clock = rc_clock_real()};
    int r = rmq_client_open(&client, &c->client, err);

    store.client = c->client;
    return r < 0 ? r : rc_topic_store_open(&store, &c->store, err);
}

/* ---- export ---------------------------------------------------------------------------------- */

/* By the plugin's option table, and where the class is not known by the names of the keys. */
static const omc_keyvalue *mask(void *arg, const omc_keyvalue *config, omc_arena *arena)
{
    const cluster *c = arg;
    const char *class_name = rc_kv_text(config, "connector.class", "", arena);
    const omc_plugin *plugin = NULL;
    rc_option_table tables[2];
    size_t count = 0;

    if (rc_registry_connector(c->registry, class_name, &plugin, NULL) == 0)
        count = rc_connector_tables(plugin, tables);
    else if (*class_name)
        rc_warn("cluster",
                "'%s' is not among the plugins here, so its secrets are known by their names only; "
                "give the worker's configuration with -c",
                class_name);
    return rc_options_mask(tables, count, config, arena);
}

static int write_out(const char *path, const rc_buf *out, rc_error *err)
{
    if (out->overflow)
        return rc_fail(err, OMC_ENOMEM, "the state has more than %zu bytes", RC_SNAPSHOT_BYTES_MAX);
    if (path)
        return rc_snapshot_save(path, rc_buf_slice(out), err);
    return rc_print(out) == RC_EXIT_OK ? 0 : rc_fail(err, OMC_EIO, "cannot write the output");
}

static int export(cluster *c, rc_error *err)
{
    const char *path = rc_args_get(c->args, "out");
    const bool secrets = rc_args_has(c->args, "with-secrets");
    rc_buf out = RC_BUF(RC_SNAPSHOT_BYTES_MAX);
    int r = load(c, err);

    if (r == 0 && !secrets)
        r = rc_service_registry(&c->config, c->args->connectors, false, &c->registry, err);
    if (r == 0)
        r = open_store(c, false, err);
    if (r == 0) {
        rc_topic_store_export(c->store, secrets ? NULL : mask, c, &out);
        r = write_out(path, &out, err);
    }
    rc_buf_release(&out);
    return r;
}

/* ---- import ---------------------------------------------------------------------------------- */

typedef struct answer {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool done;
    int result;
    rc_error *err;
} answer;

static void on_answer(void *arg, int result, const rc_stored_connector *now, const rc_error *err)
{
    answer *a = arg;

    (void)now;
    (void)pthread_mutex_lock(&a->mu);
    a->done = true;
    a->result = result;
    if (result < 0)
        *a->err = *err;
    (void)pthread_cond_signal(&a->cond);
    (void)pthread_mutex_unlock(&a->mu);
}

static int wait_for(answer *a)
{
    (void)pthread_mutex_lock(&a->mu);
    while (!a->done)
        (void)pthread_cond_wait(&a->cond, &a->mu);
    a->done = false;
    (void)pthread_mutex_unlock(&a->mu);
    return a->result;
}

typedef struct import_run {
    cluster *c;
    rc_shared *file;  /* what is to be imported */
    rc_shared *there; /* the topics', before */
    rc_error *err;
    int changed, same, kept;
} import_run;

static bool has_mask(const omc_keyvalue *config)
{
    for (size_t i = 0; i < config->count; i++)
        if (omc_slice_is(config->pairs[i].value, RC_SECRET_MASK))
            return true;
    return false;
}

/* Secrets that the file lacks have to be in the cluster already. */
static int check_secrets(void *arg, const rc_shared_connector *c)
{
    import_run *run = arg;
    const rc_shared_connector *there = rc_shared_find(run->there, c->name);

    if (c->deleted || !has_mask(c->config))
        return 0;
    if (!there || there->deleted ||
        has_mask(rc_options_unmask(c->config, there->config, &run->c->arena.pub)))
        return rc_fail(run->err, OMC_EINVAL,
                       "connector '%s': the file lacks its secrets (" RC_SECRET_MASK
                       "), and the cluster does not have them: write them into the file, or export "
                       "with --with-secrets. Nothing was imported",
                       c->name);
    return 0;
}

static int overwrite(import_run *run, const rc_shared_connector *c, const omc_keyvalue *config)
{
    rc_store *store = rc_topic_store_base(run->c->store);
    answer a = {.mu = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER, .err = run->err};
    int r;

    rc_store_put(store, c->name, config, -1, c->target, on_answer, &a);
    r = wait_for(&a);
    if (r < 0)
        return r;
    rc_store_target(store, c->name, c->target, on_answer, &a);
    return wait_for(&a);
}

/* One that the topics know too. */
static int import_known(void *arg, const rc_shared_connector *c)
{
    import_run *run = arg;
    const rc_shared_connector *there = rc_shared_find(run->there, c->name);
    const omc_keyvalue *config;

    if (c->deleted || !there)
        return 0;
    config = rc_options_unmask(c->config, there->config, &run->c->arena.pub);
    if (!there->deleted && there->target == c->target && rc_kv_equal(there->config, config)) {
        run->same++;
        return 0;
    }
    if (!rc_args_has(run->c->args, "overwrite")) {
        rc_warn("cluster", "connector '%s' is %s in the cluster and is left so (--overwrite)",
                c->name, there->deleted ? "deleted" : "another one");
        run->kept++;
        return 0;
    }
    run->changed++;
    return overwrite(run, c, config);
}

/* What is in the topics now: the same file format, read back. */
static int picture(import_run *run, rc_error *err)
{
    rc_buf out = RC_BUF(RC_SNAPSHOT_BYTES_MAX);
    rc_snapshot head;
    int r;

    rc_topic_store_export(run->c->store, NULL, NULL, &out);
    r = rc_snapshot_read(rc_arena_slice(&run->c->arena.pub, rc_buf_slice(&out)), run->there,
                         &run->c->arena.pub, &head, err);
    rc_buf_release(&out);
    return r;
}

static int import(cluster *c, import_run *run, rc_error *err)
{
    rc_snapshot head;
    int seeded, r = load(c, err);

    if (r == 0)
        r = rc_snapshot_load(c->args->items[0], run->file, &c->arena.pub, &head, err);
    if (r == 0)
        r = open_store(c, true, err);
    if (r == 0)
        r = picture(run, err);
    if (r == 0)
        r = rc_shared_each(run->file, check_secrets, run);
    if (r < 0)
        return r;
    seeded = rc_topic_store_seed(c->store, run->file, err);
    r = seeded < 0 ? seeded : rc_shared_each(run->file, import_known, run);
    if (r == 0)
        rc_info("cluster",
                "%d connectors imported, deleted ones included, %d changed, %d left as "
                "they are, %d were there already",
                seeded, run->changed, run->kept, run->same);
    return r;
}

/* ---- commands -------------------------------------------------------------------------------- */

static int finish(cluster *c, int r, const rc_error *err)
{
    cluster_close(c);
    return r < 0 ? rc_exit_print(err) : RC_EXIT_OK;
}

static int run_export(rc_args *args)
{
    cluster c = {.args = args};
    rc_error err = {0};
    int r = rc_worker_config_usage(args);

    if (r != RC_EXIT_OK)
        return r;
    rc_arena_init(&c.arena, 65536);
    return finish(&c, export(&c, &err), &err);
}

static int run_import(rc_args *args)
{
    cluster c = {.args = args};
    import_run run = {.c = &c};
    rc_error err = {0};
    int r = rc_worker_config_usage(args);

    if (r != RC_EXIT_OK)
        return r;
    rc_arena_init(&c.arena, 65536);
    run.file = rc_shared_new();
    run.there = rc_shared_new();
    run.err = &err;
    r = finish(&c, import(&c, &run, &err), &err);
    rc_shared_free(run.file);
    rc_shared_free(run.there);
    return r == RC_EXIT_OK && run.kept ? RC_EXIT_CONFLICT : r;
}

static const rc_cli_option export_options[] = {
    RC_CONFIG_OPTIONS,
    {"out", 'o', "FILE", "Write there, readable for its owner only; else to standard output."},
    {"with-secrets", 0, NULL, "Write secrets too, not " RC_SECRET_MASK "."},
    {0},
};

static const rc_cli_option import_options[] = {
    RC_CONFIG_OPTIONS,
    {"overwrite", 0, NULL, "Change connectors that are different in the cluster."},
    {0},
};

const rc_command rc_cluster_commands[] = {
    {.name = "cluster export",
     .args = "",
     .summary = "Write the state that a cluster's workers share to a file.",
     .help =
         "\nReads configurations, target states and task configurations from the topics "
         "configStoreTopic\nand connectStatusTopic, also those of a Java runtime; no worker has "
         "to run. Secrets are " RC_SECRET_MASK "\nunless --with-secrets is given.\n",
     .options = export_options,
     .run = run_export},
    {.name = "cluster import",
     .args = "FILE",
     .args_min = 1,
     .args_max = 1,
     .summary = "Write a file of `cluster export` to the topics.",
     .help =
         "\nConnectors that the cluster does not know are written as they are in the file, with "
         "their versions;\ndeleted ones stay deleted. Those that are different there are left so, "
         "and the "
         "exit code is 6,\nunless --overwrite is given. " RC_SECRET_MASK
         " means: as in the cluster.\n",
     .options = import_options,
     .run = run_import},
    {0},
};
