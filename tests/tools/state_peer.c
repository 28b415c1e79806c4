/* SPDX-License-Identifier: Apache-2.0 */
/**
 * state_peer <namesrv> <config topic> <status topic> <worker> <snapshot or -> [create]
 *
 * One topic store, driven by lines of words on standard input; prints JSON lines.
 *
 *   <id> put NAME EXPECTED KEY=VALUE...     <id> target NAME STARTED|PAUSED|STOPPED
 *   <id> delete NAME                        <id> tasks NAME INCARNATION VERSION GENERATION COUNT
 *   state NAME TASK JAVA STATE|- GENERATION keep AHEAD_MS
 *   export                                  states
 *   health                                  quit
 *
 *   {"ready":true}  {"failed":"text"}  {"changed":true}
 *   {"id":1,"result":0,"version":2,"error":""}  {"export":{...}}  {"states":[...]}
 * {"health":"text"}
 */
#include "config/options.h"
#include "record/json.h"
#include "store/topic.h"

#include <rocketmq/client.h>
#include <stdio.h>

#define WORDS_MAX 64

typedef struct peer {
    rc_topic_store *store;
    rc_arena arena;
    char *words[WORDS_MAX];
    size_t count;
} peer;

typedef struct waiting {
    int id;
} waiting;

static void print_text(const char *name, const char *text)
{
    rc_buf out = RC_BUF(1 << 20);

    rc_json_write_string(omc_slice_str(text), &out);
    (void)printf("{\"%s\":%.*s}\n", name, (int)out.len, out.data);
    (void)fflush(stdout);
    rc_buf_release(&out);
}

static void done(void *arg, int result, const rc_stored_connector *now, const rc_error *err)
{
    waiting *w = arg;
    rc_buf out = RC_BUF(1 << 20);

    rc_json_write_string(omc_slice_str(result < 0 ? err->msg : ""), &out);
    (void)printf("{\"id\":%d,\"result\":%d,\"version\":%lld,\"incarnation\":%lld,\"error\":%.*s}\n",
                 w->id, result, now ? (long long)now->version : 0LL,
                 now ? (long long)now->incarnation : 0LL, (int)out.len, out.data);
    (void)fflush(stdout);
    rc_buf_release(&out);
    free(w);
}

static void changed(void *arg)
{
    (void)arg;
    (void)puts("{\"changed\":true}");
    (void)fflush(stdout);
}

static const omc_keyvalue *config_of(peer *p, size_t from)
{
    rc_kv kv;

    rc_kv_init(&kv, &p->arena.pub);
    for (size_t i = from; i < p->count; i++) {
        char *equals = strchr(p->words[i], '=');

        if (equals)
            rc_kv_put(&kv, omc_slice_of(p->words[i], (size_t)(equals - p->words[i])),
                      omc_slice_str(equals + 1));
    }
    return rc_kv_done(&kv);
}

static rc_target_state target_of(const char *word)
{
    return !strcmp(word, "PAUSED")    ? RC_TARGET_PAUSED
           : !strcmp(word, "STOPPED") ? RC_TARGET_STOPPED
                                      : RC_TARGET_STARTED;
}

static void tasks(peer *p, waiting *w)
{
    size_t count = (size_t)strtol(p->words[6], NULL, 10);
    const omc_keyvalue **list = omc_alloc(&p->arena.pub, (count + 1) * sizeof *list);
    rc_stored_tasks all = {.incarnation = strtoll(p->words[3], NULL, 10),
                           .version = strtoll(p->words[4], NULL, 10),
                           .generation = strtoll(p->words[5], NULL, 10),
                           .tasks = list,
                           .count = count};

    for (size_t i = 0; i < count; i++) {
        rc_kv kv;

        rc_kv_init(&kv, &p->arena.pub);
        rc_kv_put_str(&kv, "task.id", rc_arena_format(&p->arena.pub, "%zu", i));
        list[i] = rc_kv_done(&kv);
    }
    rc_topic_store_tasks(p->store, p->words[2], &all, done, w);
}

/* "<id> <verb> <name> ..." */
static void asked(peer *p)
{
    rc_store *base = rc_topic_store_base(p->store);
    waiting *w = rc_calloc(1, sizeof *w);
    const char *verb = p->words[1];

    w->id = (int)strtol(p->words[0], NULL, 10);
    if (!strcmp(verb, "put"))
        rc_store_put(base, p->words[2], config_of(p, 4), strtoll(p->words[3], NULL, 10),
                     RC_TARGET_STARTED, done, w);
    else if (!strcmp(verb, "target"))
        rc_store_target(base, p->words[2], target_of(p->words[3]), done, w);
    else if (!strcmp(verb, "delete"))
        rc_store_delete(base, p->words[2], done, w);
    else
        tasks(p, w);
}

typedef struct state_list {
    rc_buf out;
} state_list;

static void one_state(void *arg, const rc_shared_state *s)
{
    state_list *list = arg;

    rc_buf_printf(&list->out, "%s{\"name\":", list->out.len ? "," : "");
    rc_json_write_string(omc_slice_str(s->connector), &list->out);
    rc_buf_printf(&list->out,
                  ",\"task\":%d,\"java\":\"%s\",\"state\":\"%s\",\"worker\":\"%s\",\"epoch\":%lld}",
                  s->task, s->java, s->state, s->worker, (long long)s->epoch);
}

static void print_states(peer *p)
{
    state_list list = {.out = RC_BUF(16 << 20)};

    rc_topic_store_states(p->store, one_state, &list);
    (void)printf("{\"states\":[%.*s]}\n", (int)list.out.len, list.out.data ? list.out.data : "");
    (void)fflush(stdout);
    rc_buf_release(&list.out);
}

static void print_export(peer *p)
{
    rc_buf out = RC_BUF(64 << 20);

    rc_topic_store_export(p->store, NULL, NULL, &out);
    for (size_t i = 0; i < out.len; i++)
        if (out.data[i] == '\n')
            out.data[i] = ' ';
    (void)printf("{\"export\":%.*s}\n", (int)out.len, out.data);
    (void)fflush(stdout);
    rc_buf_release(&out);
}

static bool obey(peer *p)
{
    const char *verb = p->words[0];
    rc_error err = {0};

    if (!strcmp(verb, "quit"))
        return false;
    if (!strcmp(verb, "export"))
        print_export(p);
    else if (!strcmp(verb, "states"))
        print_states(p);
    else if (!strcmp(verb, "health"))
        print_text("health", rc_topic_store_health(p->store, &err) < 0 ? err.msg : "");
    else if (!strcmp(verb, "keep"))
        rc_topic_store_keep(p->store, rc_now_ms(rc_clock_real()) + strtoll(p->words[1], NULL, 10));
    else if (!strcmp(verb, "state"))
        rc_topic_store_state(p->store, p->words[1], (int)strtol(p->words[2], NULL, 10), p->words[3],
                             strcmp(p->words[4], "-") ? p->words[4] : NULL, NULL,
                             strtoll(p->words[5], NULL, 10));
    else
        asked(p);
    return true;
}

static void serve(peer *p)
{
    char *line = NULL;
    size_t cap = 0;
    bool more = true;

    while (more && getline(&line, &cap, stdin) > 0) {
        char *save = NULL;

        rc_arena_reset(&p->arena, 65536);
        p->count = 0;
        for (char *w = strtok_r(line, " \n", &save); w && p->count < WORDS_MAX;
             w = strtok_r(NULL, " \n", &save))
            p->words[p->count++] = w;
        if (p->count)
            more = obey(p);
    }
    free(line);
}

int main(int argc, char **argv)
{
    rmq_client_config client = {0};
    rc_topic_store_config config = {.clock = rc_clock_real()};
    peer p = {0};
    rc_error err = {0};
    int r;

    if (argc < 6)
        return 2;
    client.namesrv = argv[1];
    config.config_topic = argv[2];
    config.status_topic = argv[3];
    config.worker = argv[4];
    config.snapshot = strcmp(argv[5], "-") ? argv[5] : NULL;
    config.create_topics = argc > 6;
    config.write_timeout_ms = 10000;
    rc_arena_init(&p.arena, 4096);
    r = rmq_client_open(&client, &config.client, &err);
    if (r == 0)
        r = rc_topic_store_open(&config, &p.store, &err);
    if (r < 0) {
        print_text("failed", err.msg);
    } else {
        rc_store_watch(rc_topic_store_base(p.store), changed, NULL);
        (void)puts("{\"ready\":true}");
        (void)fflush(stdout);
        serve(&p);
        rc_store_close(rc_topic_store_base(p.store));
    }
    rmq_client_close(config.client);
    rc_arena_release(&p.arena);
    return r < 0;
}
