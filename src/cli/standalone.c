/* SPDX-License-Identifier: Apache-2.0 */
/* `standalone` and `distributed`: one worker from a configuration file, until a signal. */
#include "base/diag.h"
#include "cli/config_file.h"
#include "cli/service.h"

#include <stdio.h>

typedef struct standalone {
    const rc_worker_config *config;
    bool distributed;
    int64_t started_ns;
} standalone;

static int ready(rc_service *service, void *arg, rc_error *err)
{
    const standalone *s = arg;
    const bool rocketmq = strcmp(s->config->log, "rocketmq") == 0;
    const char *where = rocketmq ? "log on RocketMQ at " : "log in ";
    const char *log = rocketmq ? s->config->namesrv_addr : s->config->log_dir;
    const double ms = (double)(rc_mono_ns(rc_clock_real()) - s->started_ns) / 1e6;

    (void)err;
    /* As the Java runtime; scripts wait for it. */
    if (s->distributed)
        (void)printf("The worker [%s] boot success.\n", s->config->worker_id);
    else
        (void)puts("The standalone worker boot success.");
    (void)fflush(stdout);
    if (s->config->rest_enabled) {
        const bool v6 = strchr(s->config->rest_host, ':') != NULL;

        rc_info("worker", "%s is ready in %.1f ms: REST on http://%s%s%s:%d, %s'%s'",
                s->config->worker_id, ms, v6 ? "[" : "", s->config->rest_host, v6 ? "]" : "",
                rc_service_port(service), where, log);
    } else {
        rc_info("worker", "%s is ready in %.1f ms: no REST, %s'%s'", s->config->worker_id, ms,
                where, log);
    }
    return 0;
}

static void interrupted(rc_service *service, void *arg)
{
    (void)arg;
    rc_info("worker", "signal received: draining tasks and stopping (again = end now)");
    rc_service_stop(service);
}

/* Workers of a cluster share what only RocketMQ can keep for them. */
static int check_distributed(const rc_worker_config *config, rc_error *err)
{
    if (strcmp(config->log, "rocketmq") == 0)
        return 0;
    return rc_fail(
        err, OMC_EINVAL,
        "a distributed worker needs RocketMQ: set namesrvAddr=host:9876, or NAMESRV_ADDR; "
        "one machine alone runs 'rocketmq-connect standalone'");
}

static int run_worker(rc_args *args, bool distributed)
{
    standalone s = {.started_ns = rc_mono_ns(rc_clock_real()), .distributed = distributed};
    rc_worker_config config;
    rc_service_setup setup = {.config = &config,
                              .connectors = args->connectors,
                              .wait_for_log = true,
                              .cluster = distributed,
                              .ready = ready,
                              .interrupted = interrupted,
                              .arg = &s};
    omc_log_level level = OMC_INFO;
    rc_error err = {0};
    rc_arena arena;
    bool loaded;
    int r = rc_worker_config_usage(args);

    if (r != RC_EXIT_OK)
        return r;
    rc_arena_init(&arena, 16 << 10);
    r = rc_worker_config_load(args, &arena.pub, &config, &err);
    if (r == 0 && distributed)
        r = check_distributed(&config, &err);
    loaded = r == 0;
    if (loaded) {
        s.config = &config;
        setup.rest = config.rest_enabled;
        if (rc_diag_parse_level(config.log_level, &level) == 0)
            rc_diag_set_level(level);
        r = rc_service_run(&setup, &err);
    }
    if (r > 0)
        rc_warn("worker", "stopped; %d task%s did not end in time", r, r == 1 ? "" : "s");
    else if (r == 0)
        rc_info("worker", "stopped");
    rc_arena_release(&arena);
    if (!loaded && r < 0) {
        (void)rc_exit_print(&err);
        return RC_EXIT_CONFIG; /* also when the file is not there */
    }
    return r < 0 ? rc_exit_print(&err) : r > 0 ? RC_EXIT_FAILED : RC_EXIT_OK;
}

static int run_standalone(rc_args *args)
{
    return run_worker(args, false);
}

static int run_distributed(rc_args *args)
{
    return run_worker(args, true);
}

static const rc_cli_option options[] = {
    RC_CONFIG_OPTIONS,
    {0},
};

const rc_command rc_standalone_commands[] = {
    {.name = "standalone",
     .args = "",
     .summary = "Run a worker on this machine until a signal.",
     .help = "\nConnectors are created over REST (see 'connector create') and come back after a "
             "restart.\nMessages are kept on RocketMQ when namesrvAddr or NAMESRV_ADDR is set, "
             "else in files (log.dir).\nSIGTERM or SIGINT drains the tasks and stops; a second "
             "signal ends at "
             "once.\nKeys: rocketmq-connect docs config.",
     .options = options,
     .run = run_standalone},
    {.name = "distributed",
     .args = "",
     .summary = "Run a worker of a cluster until a signal.",
     .help = "\nAll workers with the same connectClusterId and name servers are one cluster: each "
             "answers for\nall, connectors and tasks are shared out among them, and when one dies "
             "the others take over.\nGive each a workerId of its own. SIGTERM or SIGINT hands "
             "over its tasks and leaves; a second\nsignal ends at once.\nKeys: rocketmq-connect "
             "docs config. What is where, and why: GET /api/v1/cluster.",
     .options = options,
     .run = run_distributed},
    {0},
};
