/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the settings of a worker and the parts of its cluster together. */
#include "cli/service_cluster.h"

#include "base/diag.h"
#include "base/file.h"

static char *own_url(const rc_worker_config *config, int port)
{
    const bool v6 = strchr(config->rest_host, ':') != NULL;

    if (config->rest_advertised_url && *config->rest_advertised_url)
        return rc_strdup(config->rest_advertised_url);
    if (!port)
        return rc_strdup("");
    return rc_format("http://%s%s%s:%d", v6 ? "[" : "", config->rest_host, v6 ? "]" : "", port);
}

/* Others cannot reach what listens on the loopback, but for those of this machine. */
static void look_at_url(const rc_worker_config *config, const char *url)
{
    if (strcmp(config->rest_host, "0.0.0.0") == 0 && !config->rest_advertised_url)
        rc_warn("cluster", "rest.host=0.0.0.0 is no address that other workers can call: set "
                           "rest.advertised.url to the one they reach this worker by, e.g. "
                           "http://10.0.0.7:8082");
    else if (strncmp(url, "http://127.", 11) == 0 || strncmp(url, "http://localhost", 16) == 0)
        rc_info("cluster",
                "other workers are told to call %s, which reaches this machine only; set rest.host "
                "and rest.advertised.url when they run elsewhere",
                url);
}

static int owner(void *arg, const char *connector, int task, rc_rest_peer *ret, rc_error *err)
{
    rc_cluster_peer peer = {0};
    int r = rc_cluster_owner(arg, connector, task, &peer, err);

    if (r == 1) {
        (void)snprintf(ret->name, sizeof ret->name, "%.*s", RC_PEER_NAME_MAX, peer.name);
        (void)snprintf(ret->url, sizeof ret->url, "%s", peer.url);
        ret->incarnation = peer.incarnation;
    }
    return r;
}

static void describe(void *arg, rc_buf *out)
{
    rc_cluster_describe(arg, out);
}

static int explain(void *arg, const char *connector, int task, rc_buf *out, rc_error *err)
{
    return rc_cluster_explain(arg, connector, task, out, err);
}

static void figures(void *arg,
                    void (*each)(void *each_arg, const char *name, const char *type,
                                 const char *help, int64_t value),
                    void *each_arg)
{
    rc_cluster_figures(arg, each, each_arg);
}

static void drain(void *arg, bool on)
{
    rc_cluster_drain(arg, on);
}

static void for_rest(rc_service_cluster *sc, const rc_worker_config *config)
{
    const char *secret = config->cluster_secret && *config->cluster_secret ? config->cluster_secret
                                                                           : config->secret_key;

    sc->rest = (rc_rest_cluster){.name = config->worker_id,
                                 .incarnation = rc_cluster_incarnation(sc->cluster),
                                 .owner = owner,
                                 .describe = describe,
                                 .explain = explain,
                                 .figures = figures,
                                 .drain = drain,
                                 .arg = sc->cluster};
    if (secret && *secret) {
        rc_peer_key_of(secret, &sc->key);
        sc->rest.key = &sc->key;
    } else {
        rc_warn("cluster",
                "there is neither cluster.secret nor secretKey: requests that another worker must "
                "answer (restart of its tasks) are refused here; set cluster.secret to the same on "
                "all workers");
    }
}

/* On the store's thread. */
static bool renews(void *arg)
{
    const rc_service_cluster *sc = arg;
    rc_cluster *cluster = atomic_load(&sc->joined);

    return cluster && rc_cluster_is_first(cluster);
}

static int open_once(rc_service_cluster *sc, const rc_worker_config *config,
                     rc_log_opening *opening, void (*ended)(void *arg, const rc_error *why),
                     void *arg, rc_error *err)
{
    const rmq_client_config client = rc_log_client_config(config);
    const rc_topic_store_config store = {.config_topic = config->config_topic,
                                         .status_topic = config->status_topic,
                                         .create_topics = config->auto_create_topics,
                                         .snapshot = sc->snapshot,
                                         .worker = config->worker_id,
                                         .renews = renews,
                                         .renews_arg = sc,
                                         .clock = rc_clock_real(),
                                         .cancel = &opening->cancel};
    rc_topic_store_config with_client = store;
    rc_cluster_config cluster = {.cluster = config->cluster,
                                 .worker_id = config->worker_id,
                                 .url = sc->url,
                                 .labels = config->labels,
                                 .version = RC_VERSION,
                                 .weight = (uint32_t)config->weight,
                                 .timers = rc_timers_default(),
                                 .create_topics = config->auto_create_topics,
                                 .ended = ended,
                                 .arg = arg};
    int r = 0;

    cluster.timers.session_ms = config->session_timeout_ms;
    cluster.timers.suspend_ms = config->suspend_ms;
    if (!sc->client)
        r = rmq_client_open(&client, &sc->client, err);
    with_client.client = cluster.client = sc->client;
    if (r == 0 && !sc->store)
        r = rc_topic_store_open(&with_client, &sc->store, err);
    cluster.store = sc->store;
    return r < 0 ? r : rc_cluster_new(&cluster, &sc->cluster, err);
}

int rc_service_cluster_open(rc_service_cluster *sc, const rc_worker_config *config, int port,
                            rc_log_opening *opening, void (*ended)(void *arg, const rc_error *why),
                            void *arg, rc_error *err)
{
    RC_AUTO_FREE char *folder = rc_path_join(config->store_dir, "config");
    int r = rc_mkdirs(folder, err);

    if (r < 0)
        return rc_wrap(err, r, "storePathRootDir");
    sc->snapshot = rc_path_join(folder, "cluster-state.json");
    sc->url = own_url(config, port);
    look_at_url(config, sc->url);
    while ((r = open_once(sc, config, opening, ended, arg, err)) < 0) {
        if (!(err->flags & OMC_ERR_RETRIABLE) || !rc_log_opening_again(opening, err))
            return r;
    }
    atomic_store(&sc->joined, sc->cluster);
    for_rest(sc, config);
    return 0;
}

void rc_service_cluster_close(rc_service_cluster *sc)
{
    rc_cluster_free(sc->cluster);
    rmq_client_close(sc->client);
    free(sc->url);
    free(sc->snapshot);
    memset(sc, 0, sizeof *sc);
}
