/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two slow parts, opening (recovery of the log, loading plugins) and stopping (draining
 * tasks), run on a helper thread one after the other; the loop meanwhile serves REST and
 * signals. Both threads meet only through rc_loop_post() and pthread_join().
 */
#include "cli/service.h"

#include "base/diag.h"
#include "base/file.h"
#include "base/thread.h"
#include "cli/service_cluster.h"
#include "host/foreign.h"
#include "host/hosted.h"
#include "record/plugins.h"
#include "rest/rest.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#define COMPONENT "worker"
#define SIGNAL_TWICE_MS 100 /* closer signals are one; nobody presses Ctrl-C faster */

struct rc_service {
    const rc_service_setup *setup;
    rc_loop *loop;
    rc_rest *rest;
    rc_registry *registry;
    rc_store *store;
    rc_log *log;
    rc_log_opening opening;
    rc_service_cluster cluster;
    bool joins; /* it is a member, or about to be */
    rc_worker *worker;
    pthread_t helper;
    bool helper_runs;
    bool booted; /* the boot thread is done, well or badly */
    bool stop_wanted;
    bool stopping;
    int64_t signal_ms; /* of the first one; 0 = none came */
    int result;        /* of the service */
    rc_error err;
    int abandoned;
    atomic_bool change_posted;
};

rc_loop *rc_service_loop(rc_service *service)
{
    return service->loop;
}

rc_worker *rc_service_worker(rc_service *service)
{
    return service->worker;
}

rc_log *rc_service_log(rc_service *service)
{
    return service->log;
}

int rc_service_port(const rc_service *service)
{
    return service->rest ? rc_rest_port(service->rest) : 0;
}

bool rc_service_stopping(const rc_service *service)
{
    return service->stopping || service->stop_wanted;
}

/* ---- opening (helper thread) ---------------------------------------------------------------- */

static void warn_refused(void *arg, const rc_refusal *refusal)
{
    (void)arg;
    rc_warn("plugins", "'%s' is %s: %s", refusal->file,
            refusal->part ? "loaded in part" : "not loaded", refusal->why.msg);
}

static const omc_plugin *isolate(void *arg, const omc_plugin *plugin, const char *location)
{
    return rc_hosted_isolate(arg, plugin, location);
}

static int load_foreign(void *arg, const char *path, rc_refused_fn *refused, void *refused_arg,
                        const omc_plugin *const **ret, rc_error *err)
{
    return rc_foreign_load(arg, path, refused, refused_arg, ret, err);
}

static void free_hosts(void *arg)
{
    rc_hosts_free(arg);
}

/* Hosts for connectors that live in processes of their own. Nothing runs until one is needed. */
static rc_foreign foreign(const rc_worker_config *config)
{
    const rc_hosts_config hosts = {.worker_id = config->worker_id,
                                   .start_timeout_ms = config->host_start_timeout_ms,
                                   .scan_timeout_ms = config->host_scan_timeout_ms,
                                   .instance_timeout_ms = config->start_timeout_ms,
                                   .call_timeout_ms = config->host_call_timeout_ms,
                                   .stop_timeout_ms = config->host_stop_timeout_ms,
                                   .poll_timeout_ms = config->host_poll_timeout_ms,
                                   .heartbeat_ms = config->host_heartbeat_ms,
                                   .idle_ms = config->host_idle_timeout_ms,
                                   .memory_max = config->host_memory_max,
                                   .crashes_max = config->host_crashes_max,
                                   .java = config->host_java,
                                   .java_jar = config->host_java_jar,
                                   .java_options = config->host_java_options};

    return (rc_foreign){.arg = rc_hosts_new(&hosts),
                        .isolate = isolate,
                        .wants = rc_foreign_wants,
                        .load = load_foreign,
                        .free = free_hosts};
}

int rc_service_registry(const rc_worker_config *config, const omc_plugin *const *connectors,
                        bool warn, rc_registry **ret, rc_error *err)
{
    const omc_plugin *const *builtin[] = {rc_converter_plugins, rc_transform_plugins,
                                          rc_predicate_plugins, connectors, NULL};
    const size_t paths = config ? config->plugin_paths.count : 0;
    const char **list = rc_calloc(paths + 1, sizeof *list);
    rc_registry_config setup = {.builtin = builtin, .paths = list};
    RC_AUTO(rc_registry) registry = NULL;
    int r;

    for (size_t i = 0; i < paths; i++)
        list[i] = config->plugin_paths.items[i];
    if (config && config->host_heartbeat_ms) /* a worker's whole configuration */
        setup.foreign = foreign(config);
    r = rc_registry_new(&setup, &registry, err);
    free(list);
    if (r < 0) {
        rc_hosts_free(setup.foreign.arg);
        return r;
    }
    if (paths) {
        r = rc_registry_scan(registry, warn ? warn_refused : NULL, NULL, err);
        if (r < 0)
            return r;
    }
    *ret = RC_TAKE(registry);
    return 0;
}

static int open_store(rc_service *service, rc_error *err)
{
    const rc_worker_config *config = service->setup->config;
    RC_AUTO_FREE char *path = NULL;
    int r;

    if (service->setup->memory_store) {
        service->store = rc_store_new_memory(rc_clock_real());
        return 0;
    }
    r = rc_mkdirs(config->store_dir, err);
    if (r < 0)
        return rc_wrap(err, r, "storePathRootDir, which must be a folder that can be written to");
    path = rc_path_join(config->store_dir, "state.db");
    return rc_store_open_local(path, rc_clock_real(), &service->store, err);
}

typedef struct reason {
    rc_service *service;
    char *text;
} reason;

static void show_reason(void *arg)
{
    reason *r = arg;

    if (r->service->rest)
        rc_rest_waits(r->service->rest, r->text);
    free(r->text);
    free(r);
}

/* On the boot thread. */
static void log_waits(void *arg, const char *why)
{
    reason *r = rc_malloc(sizeof *r);

    *r = (reason){arg, rc_format("waiting for RocketMQ: %s", why)};
    RC_ASSERT(rc_loop_post(r->service->loop, show_reason, r) == 0);
}

static void deliver_change(void *arg)
{
    rc_service *service = arg;

    atomic_store(&service->change_posted, false);
    if (service->setup->changed && service->worker)
        service->setup->changed(service, service->setup->arg);
}

/* On the worker's control thread: many changes, one post. */
static void note_change(void *arg)
{
    rc_service *service = arg;

    if (service->joins)
        rc_cluster_changed(service->cluster.cluster);
    if (service->setup->changed && !atomic_exchange(&service->change_posted, true) &&
        rc_loop_post(service->loop, deliver_change, service) < 0)
        atomic_store(&service->change_posted, false);
}

typedef struct expelling {
    rc_service *service;
    rc_error why;
} expelling;

static void expelled(void *arg)
{
    expelling *e = arg;

    e->service->result = -e->why.code;
    e->service->err = e->why;
    rc_service_stop(e->service);
    free(e);
}

/* On the cluster's thread. */
static void cluster_ended(void *arg, const rc_error *why)
{
    rc_service *service = arg;
    expelling *e = rc_malloc(sizeof *e);

    *e = (expelling){service, *why};
    rc_diag(OMC_ERROR, "cluster", "this worker stops: %s", why->msg);
    RC_ASSERT(rc_loop_post(service->loop, expelled, e) == 0);
}

static int open_cluster(rc_service *service, rc_worker_setup *worker, rc_error *err)
{
    const int port = service->rest ? rc_rest_port(service->rest) : 0;
    int r = rc_service_cluster_open(&service->cluster, service->setup->config, port,
                                    &service->opening, cluster_ended, service, err);

    if (service->cluster.store)
        service->store = rc_topic_store_base(service->cluster.store);
    if (r < 0)
        return r;
    service->joins = true;
    worker->ruler = rc_cluster_ruler(service->cluster.cluster);
    worker->store = service->store;
    return 0;
}

static int open_all(rc_service *service, rc_worker **ret, rc_error *err)
{
    const rc_service_setup *setup = service->setup;
    rc_worker_setup worker = {.config = setup->config, .clock = rc_clock_real()};
    int r;

    if ((!setup->cluster && (r = open_store(service, err)) < 0) ||
        (r = rc_log_opening_run(&service->opening, &service->log, err)) < 0 ||
        (setup->cluster && (r = open_cluster(service, &worker, err)) < 0))
        return r;
    if (!service->registry)
        r = rc_service_registry(setup->config, setup->connectors, true, &service->registry, err);
    if (r < 0)
        return r;
    worker.registry = service->registry;
    worker.store = service->store;
    worker.log = service->log;
    if (setup->changed || setup->cluster) {
        worker.changed = note_change;
        worker.changed_arg = service;
    }
    r = rc_worker_start(&worker, ret, err);
    return r < 0 || !setup->cluster ? r : rc_cluster_join(service->cluster.cluster, *ret, err);
}

/* ---- stopping ------------------------------------------------------------------------------- */

static void finish(void *arg)
{
    rc_service *service = arg;

    if (service->helper_runs)
        pthread_join(service->helper, NULL);
    service->helper_runs = false;
    service->worker = NULL;
    if (service->setup->stopped)
        service->setup->stopped(service, service->setup->arg);
    rc_loop_stop(service->loop);
}

static void *stop_worker(void *arg)
{
    rc_service *service = arg;

    if (service->joins) {
        rc_cluster_leave(service->cluster.cluster, service->setup->config->stop_timeout_ms);
        rc_cluster_halt(service->cluster.cluster);
    }
    service->abandoned = rc_worker_stop(service->worker, service->setup->config->stop_timeout_ms);
    RC_ASSERT(rc_loop_post(service->loop, finish, service) == 0);
    return NULL;
}

void rc_service_stop(rc_service *service)
{
    service->stop_wanted = true;
    rc_log_opening_cancel(&service->opening);
    if (service->stopping || !service->booted)
        return; /* boot_done() comes back here */
    service->stopping = true;
    if (service->rest)
        rc_rest_attach(service->rest, NULL);
    if (!service->worker) {
        rc_loop_stop(service->loop);
        return;
    }
    if (rc_thread_start(&service->helper, "rc-stop", 0, stop_worker, service, NULL) == 0) {
        service->helper_runs = true;
        return;
    }
    (void)stop_worker(service); /* no thread to be had: this one waits */
}

static void on_signal(void *arg)
{
    rc_service *service = arg;
    const int64_t now = rc_mono_ms(rc_clock_real());

    /* timeout(1) and some shells send one signal to the process and once more to its group. */
    if (service->signal_ms && now - service->signal_ms < SIGNAL_TWICE_MS)
        return;
    if (service->signal_ms) {
        static const char text[] = "second signal: ending now, without draining\n";

        (void)!write(STDERR_FILENO, text, sizeof text - 1);
        _exit(130);
    }
    service->signal_ms = RC_MAX(now, (int64_t)1);
    if (service->setup->interrupted && service->booted)
        service->setup->interrupted(service, service->setup->arg);
    else
        rc_service_stop(service);
}

/* ---- the boot thread ------------------------------------------------------------------------ */

typedef struct boot {
    rc_service *service;
    rc_worker *worker;
} boot;

static void boot_done(void *arg)
{
    boot *b = arg;
    rc_service *service = b->service;

    pthread_join(service->helper, NULL);
    service->helper_runs = false;
    service->booted = true;
    service->worker = b->worker;
    if (service->stop_wanted && service->result == -OMC_ECANCELED)
        service->result = 0; /* that is what was asked for */
    if (service->result == 0 && !service->stop_wanted) {
        if (service->rest && service->joins)
            rc_rest_join(service->rest, &service->cluster.rest);
        if (service->rest)
            rc_rest_attach(service->rest, service->worker);
        service->result = service->setup->ready(service, service->setup->arg, &service->err);
    }
    if (service->result < 0 || service->stop_wanted)
        rc_service_stop(service);
}

static void *boot_main(void *arg)
{
    boot *b = arg;

    b->service->result = open_all(b->service, &b->worker, &b->service->err);
    RC_ASSERT(rc_loop_post(b->service->loop, boot_done, b) == 0);
    return NULL;
}

static int start_loop(rc_service *service, boot *b, rc_error *err)
{
    const rc_worker_config *config = service->setup->config;
    int r = rc_loop_new(&service->loop, err);

    if (r < 0)
        return r;
    if ((r = rc_loop_signal(service->loop, SIGINT, on_signal, service, err)) < 0 ||
        (r = rc_loop_signal(service->loop, SIGTERM, on_signal, service, err)) < 0)
        return r;
    if (service->setup->rest) {
        const rc_rest_config rest = {
            .host = config->rest_host,
            .port = (int)config->http_port,
            .java_status = !strcmp(config->rest_compat_status, "java"),
        };

        r = rc_rest_start(service->loop, &rest, &service->rest, err);
        if (r < 0)
            return r;
    }
    r = rc_thread_start(&service->helper, "rc-boot", 1 << 20, boot_main, b, err);
    service->helper_runs = r == 0;
    return r;
}

int rc_service_run(const rc_service_setup *setup, rc_error *err)
{
    rc_service service = {.setup = setup, .registry = setup->registry};
    boot b = {.service = &service};
    int r;

    service.opening = (rc_log_opening){.config = setup->config,
                                       .patient = setup->wait_for_log,
                                       .waits = log_waits,
                                       .arg = &service};
    rc_log_opening_init(&service.opening);
    r = start_loop(&service, &b, err);
    if (r == 0) {
        rc_loop_run(service.loop);
        r = service.result;
        if (r < 0 && err)
            *err = service.err;
        else if (r == 0)
            r = service.abandoned;
    }
    rc_rest_stop(service.rest);
    if (service.abandoned == 0) { /* an abandoned task may still use these */
        rc_log_close(service.log);
        rc_store_close(service.store);
        rc_service_cluster_close(&service.cluster);
        rc_registry_free(service.registry);
    }
    if (service.loop)
        rc_loop_free(service.loop);
    rc_log_opening_release(&service.opening);
    return r;
}
