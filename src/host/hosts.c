/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor. `mu` guards the table and the counts of members; `host->start_mu` is held while a
 * process is started, so that only one is, and only for the members of that host.
 */
#include "host/hosts_impl.h"
#include "host/java.h"

#include "base/diag.h"

#include <utlist.h>

#define BACK_OFF_FIRST_MS 100 /* after the second death; after the first one it goes on at once */
#define BACK_OFF_MAX_MS 60000
#define CALM_MS ((int64_t)5 * 60 * 1000) /* this long without a death begins anew */
#define WAIT_MAX_MS 1000                 /* a longer back-off is not slept through */
#define DEATHS_KEPT 64
#define SHUTDOWN_MS 5000

struct rc_host {
    rc_hosts *hosts;
    const rc_launcher *launcher;
    char *key; /* "<launcher> <key>" */
    char *who;
    int members;     /* [hosts->mu] */
    int64_t idle_ms; /* only asked something: one member is the table itself; 0 = not such */
    pthread_mutex_t start_mu;
    rc_session *session;            /* [start_mu] */
    rc_host_member *watchers;       /* [start_mu] */
    int64_t deaths_ns[DEATHS_KEPT]; /* [start_mu] the latest ones, a ring */
    unsigned death_count;           /* [start_mu] in a row without calm */
    rc_error last_death;            /* [start_mu] */
    UT_hash_handle hh;
};

/* ---- life ----------------------------------------------------------------------------------- */

static const char *keep(rc_hosts *hosts, const char *text)
{
    return text ? omc_copy(&hosts->memory.pub, text, strlen(text)) : NULL;
}

int rc_hosts_java(rc_hosts *hosts, rc_error *err)
{
    omc_arena *arena = &hosts->memory.pub;
    const char *at = hosts->config.java_options ? hosts->config.java_options : "";
    const char **argv, *java, *jar;
    size_t count = 0;
    int r;

    if (hosts->java.process.argv)
        return 0;
    r = rc_java_find(hosts->config.java, arena, &java, err);
    if (r == 0)
        r = rc_java_host_find(hosts->config.java_jar, arena, &jar, err);
    if (r < 0)
        return r;
    argv = omc_alloc0(arena, (strlen(at) + 5) * sizeof *argv);
    argv[count++] = java;
    while (*(at += strspn(at, " \t"))) {
        size_t len = strcspn(at, " \t");

        argv[count++] = omc_copy(arena, at, len);
        at += len;
    }
    argv[count++] = "-jar";
    argv[count] = jar;
    hosts->java = (rc_launcher){.name = "java",
                                .process = {.argv = argv,
                                            .resident_max = hosts->config.memory_max,
                                            .resident_key = "host.memory.max"}};
    return 0;
}

rc_hosts *rc_hosts_new(const rc_hosts_config *config)
{
    rc_hosts *hosts = rc_calloc(1, sizeof *hosts);

    rc_arena_init(&hosts->memory, 1024);
    hosts->config = *config;
    hosts->config.worker_id = keep(hosts, config->worker_id ? config->worker_id : "");
    hosts->config.self = keep(hosts, config->self ? config->self : "/proc/self/exe");
    hosts->config.java = keep(hosts, config->java);
    hosts->config.java_jar = keep(hosts, config->java_jar);
    hosts->config.java_options = keep(hosts, config->java_options);
    hosts->native_argv[0] = hosts->config.self;
    hosts->native_argv[1] = "plugin";
    hosts->native_argv[2] = "host";
    hosts->native.name = "c";
    hosts->native.process.argv = hosts->native_argv;
    hosts->native.process.memory_max = config->memory_max;
    pthread_mutex_init(&hosts->mu, NULL);
    return hosts;
}

static void forget_asked(rc_hosts *hosts)
{
    rc_host *host, *next;

    HASH_ITER(hh, hosts->hosts, host, next)
    if (host->idle_ms)
        rc_host_leave(host);
}

void rc_hosts_free(rc_hosts *hosts)
{
    if (!hosts)
        return;
    forget_asked(hosts);
    RC_ASSERT(!hosts->hosts);
    rc_foreign_free(hosts->places);
    rc_isolated_free(hosts->isolated);
    pthread_mutex_destroy(&hosts->mu);
    rc_arena_release(&hosts->memory);
    free(hosts);
}

const rc_hosts_config *rc_hosts_settings(const rc_hosts *hosts)
{
    return &hosts->config;
}

const rc_launcher *rc_hosts_native(rc_hosts *hosts)
{
    return &hosts->native;
}

rc_hosts *rc_host_hosts(const rc_host *host)
{
    return host->hosts;
}

/* ---- deaths --------------------------------------------------------------------------------- */

static int64_t now_ns(void)
{
    return rc_mono_ns(rc_clock_real());
}

static void note_death(rc_host *host, int64_t at_ns)
{
    int64_t last = host->death_count ? host->deaths_ns[(host->death_count - 1) % DEATHS_KEPT] : 0;

    if (host->death_count && at_ns - last > CALM_MS * 1000000)
        host->death_count = 0;
    host->deaths_ns[host->death_count++ % DEATHS_KEPT] = at_ns;
}

/* Forgets a session that has died. */
static void bury(rc_host *host)
{
    int64_t at_ns = 0;
    bool retired;

    if (!host->session || !rc_session_dead(host->session, &host->last_death, &at_ns))
        return;
    retired = rc_session_retired(host->session);
    /* Its process is collected before another is started: two would fight over one source. */
    rc_session_unref(RC_TAKE(host->session));
    if (!retired)
        note_death(host, at_ns ? at_ns : now_ns());
}

static int quarantined(const rc_host *host, rc_error *err)
{
    const rc_hosts_config *config = &host->hosts->config;
    unsigned recent = 0;

    for (unsigned i = 0; i < RC_MIN(host->death_count, (unsigned)DEATHS_KEPT); i++)
        recent += now_ns() - host->deaths_ns[i] < CALM_MS * 1000000;
    if (config->crashes_max < 0 || recent <= (uint64_t)config->crashes_max)
        return 0;
    (void)rc_fail(err, OMC_EIO, "%s", host->last_death.msg);
    (void)rc_wrap(err, 0,
                  "%s has died %u times within 5 minutes (host.crashes.max = %lld) and is not "
                  "started again until the connector is restarted; the last time",
                  host->who, recent, (long long)config->crashes_max);
    if (err)
        err->flags = OMC_ERR_FATAL;
    return -OMC_EIO;
}

static int back_off(const rc_host *host, rc_error *err)
{
    int64_t ms = BACK_OFF_FIRST_MS, left;
    struct timespec nap;

    if (host->death_count < 2)
        return 0;
    for (unsigned i = 2; i < host->death_count && ms < BACK_OFF_MAX_MS; i++)
        ms *= 2;
    ms = RC_MIN(ms, (int64_t)BACK_OFF_MAX_MS);
    left = ms - (now_ns() - host->deaths_ns[(host->death_count - 1) % DEATHS_KEPT]) / 1000000;
    if (left > WAIT_MAX_MS) {
        /* Prompt: the wait is ours, the one for tasks that fail does not come on top. */
        (void)rc_fail_retriable(err, OMC_EIO, "%s", host->last_death.msg);
        if (err)
            err->flags |= OMC_ERR_PROMPT;
        return rc_wrap(err, -OMC_EIO, "%s is started again in %lld ms, after %u deaths; the last",
                       host->who, (long long)left, host->death_count);
    }
    if (left > 0) {
        nap = (struct timespec){left / 1000, left % 1000 * 1000000};
        (void)nanosleep(&nap, NULL);
    }
    return 0;
}

/* ---- starting ------------------------------------------------------------------------------- */

/* Under start_mu. */
static int start(rc_host *host, rc_error *err)
{
    const rc_hosts_config *config = &host->hosts->config;
    const rc_session_config setup = {.who = host->who,
                                     .process = &host->launcher->process,
                                     .worker_id = config->worker_id,
                                     .start_timeout_ms = config->start_timeout_ms,
                                     .heartbeat_ms = config->heartbeat_ms,
                                     .shutdown_ms = SHUTDOWN_MS,
                                     .idle_ms = host->idle_ms};
    rc_host_member *member;
    int r = 0;

    if (!host->idle_ms) /* who asks is told at once, and asks again when he likes */
        r = quarantined(host, err);
    if (r == 0 && !host->idle_ms)
        r = back_off(host, err);
    if (r < 0)
        return r;
    r = rc_session_open(&setup, &host->session, err);
    if (r < 0) {
        if (host->session == NULL && err && (err->flags & OMC_ERR_PROMPT)) {
            host->last_death = *err;
            note_death(host, now_ns());
        }
        return r;
    }
    rc_info(host->who, "started: %s %s, %s, pid %d", rc_session_hello(host->session)->name,
            rc_session_hello(host->session)->version, rc_session_hello(host->session)->language,
            (int)rc_session_pid(host->session));
    DL_FOREACH(host->watchers, member)
    member->again(member, host->session);
    return 0;
}

int rc_host_session(rc_host *host, rc_session **ret, rc_error *err)
{
    int r;

    pthread_mutex_lock(&host->start_mu);
    do {
        bury(host);
        r = host->session ? 0 : start(host, err);
        if (r < 0)
            break;
        rc_session_ref(host->session);
        if (!rc_session_retired(host->session)) {
            *ret = host->session;
            break;
        }
        rc_session_unref(host->session); /* it was about to end; the next one will not be */
    } while (true);
    pthread_mutex_unlock(&host->start_mu);
    return r;
}

/* ---- members -------------------------------------------------------------------------------- */

/* Under mu. */
static rc_host *host_new(rc_hosts *hosts, const rc_launcher *launcher, const char *key)
{
    rc_host *host = rc_calloc(1, sizeof *host);

    host->hosts = hosts;
    host->launcher = launcher;
    host->key = rc_format("%s %s", launcher->name, key);
    host->who = rc_format("host of '%s'", key);
    pthread_mutex_init(&host->start_mu, NULL);
    HASH_ADD_KEYPTR(hh, hosts->hosts, host->key, strlen(host->key), host);
    return host;
}

int rc_hosts_ask(rc_hosts *hosts, const rc_launcher *launcher, const char *key, rc_session **ret,
                 rc_error *err)
{
    RC_AUTO_FREE char *full = rc_format("%s %s", launcher->name, key);
    rc_host *host;

    pthread_mutex_lock(&hosts->mu);
    HASH_FIND_STR(hosts->hosts, full, host);
    if (!host) {
        host = host_new(hosts, launcher, key);
        host->members = 1; /* until rc_hosts_free() */
        host->idle_ms = RC_MAX(hosts->config.idle_ms, (int64_t)1);
    }
    pthread_mutex_unlock(&hosts->mu);
    return rc_host_session(host, ret, err);
}

int rc_host_join(rc_hosts *hosts, const rc_launcher *launcher, const char *key, rc_host **ret,
                 rc_session **ret_session, rc_error *err)
{
    RC_AUTO_FREE char *full = rc_format("%s %s", launcher->name, key);
    rc_host *host;
    int r;

    pthread_mutex_lock(&hosts->mu);
    HASH_FIND_STR(hosts->hosts, full, host);
    if (!host)
        host = host_new(hosts, launcher, key);
    host->members++;
    pthread_mutex_unlock(&hosts->mu);
    r = rc_host_session(host, ret_session, err);
    if (r < 0) {
        rc_host_leave(host);
        return r;
    }
    *ret = host;
    return 0;
}

void rc_host_add(rc_host *host, rc_host_member *member)
{
    pthread_mutex_lock(&host->start_mu);
    DL_APPEND(host->watchers, member);
    pthread_mutex_unlock(&host->start_mu);
}

void rc_host_remove(rc_host *host, rc_host_member *member)
{
    pthread_mutex_lock(&host->start_mu);
    DL_DELETE(host->watchers, member);
    pthread_mutex_unlock(&host->start_mu);
}

uint16_t rc_host_instance(rc_host *host, const char *connector)
{
    const rc_host_member *member;
    uint16_t instance = 0;

    pthread_mutex_lock(&host->start_mu);
    DL_FOREACH(host->watchers, member)
    if (strcmp(member->connector, connector) == 0)
        instance = member->instance;
    pthread_mutex_unlock(&host->start_mu);
    return instance;
}

/* Under start_mu. Whether only connector halves are members, beside the task that asks. */
static bool without_tasks(rc_host *host)
{
    const rc_host_member *member;
    int halves;
    bool is;

    DL_COUNT(host->watchers, member, halves);
    pthread_mutex_lock(&host->hosts->mu);
    is = host->members == halves + 1;
    pthread_mutex_unlock(&host->hosts->mu);
    return is;
}

void rc_host_rest(rc_host *host)
{
    rc_host_member *member;

    pthread_mutex_lock(&host->start_mu);
    if (host->session && without_tasks(host)) {
        DL_FOREACH(host->watchers, member)
        member->rest(member);
        rc_session_unref(RC_TAKE(host->session));
    }
    pthread_mutex_unlock(&host->start_mu);
}

void rc_host_leave(rc_host *host)
{
    rc_hosts *hosts;
    bool last;

    if (!host)
        return;
    hosts = host->hosts;
    pthread_mutex_lock(&hosts->mu);
    last = --host->members == 0;
    if (last)
        HASH_DEL(hosts->hosts, host);
    pthread_mutex_unlock(&hosts->mu);
    if (!last)
        return;
    RC_ASSERT(!host->watchers);
    rc_session_unref(host->session);
    pthread_mutex_destroy(&host->start_mu);
    free(host->who);
    free(host->key);
    free(host);
}
