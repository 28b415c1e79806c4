/* SPDX-License-Identifier: Apache-2.0 */
/* Command line, client settings and signals of rmq_peer. */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

volatile sig_atomic_t peer_stop;

static const char usage[] =
    "usage: rmq_peer --namesrv HOST:PORT [--acl KEY:SECRET] [--token T] [--tls true] [--tlsCa "
    "FILE]\n"
    "                [--tlsCert FILE --tlsKey FILE] [--tlsVerify true] [--tlsName NAME]\n"
    "                [--nameSpace NS] [--instance I] [--requestTimeout MS] [--routeRefresh MS]\n"
    "                [--heartbeat MS] [--stats true] [--log true] COMMAND [--name value ...]\n"
    "\n"
    "  send     --topic T [--count N] [--first N] [--text S | --size BYTES | --body BASE64]\n"
    "           [--keyed N]           N keys in turn, bodies key:0, key:1 ...; queue by key\n"
    "           [--keys K] [--tags T] [--props JSON] [--flag N] [--delay LEVEL] [--deliverIn MS]\n"
    "           [--shard KEY | --queue N --broker B] [--rate PER-SECOND] [--quiet true]\n"
    "           [--sync true] [--group G] [--linger MS] [--batchCount N] [--batchBytes N]\n"
    "           [--window N] [--pending BYTES] [--timeout MS] [--delivery MS] [--unknownWait MS]\n"
    "           [--unknown resend|report] [--ack stored|flushed|replicated] [--createFrom T]\n"
    "           [--compress none|lz4|zstd|zlib] [--compressOver BYTES] [--closeWait MS]\n"
    "           [--progress MS]       messages stored so far by each broker, at most so often\n"
    "                                 {i} in text, keys, shard, props becomes the number\n"
    "  consume  --topic T[,T] [--group G] [--assigned true] [--queues N | --queues B:Q,B:Q]\n"
    "           [--tags E | --sql E] [--from first|last|OFFSET] [--count N] [--idle MS]\n"
    "           [--check true] [--quiet true] [--bodies false] [--buffer BYTES] [--pullCount N]\n"
    "           [--poll MS] [--commit MS] [--balance MS] [--slow MS] [--slaves true]\n"
    "           [--progress MS]       messages read so far of each broker, at most so often\n"
    "                                 --check: bodies of --keyed, each key's numbers rise by one\n"
    "  admin    --call NAME ...       clusterInfo brokerConfig brokerRuntime createTopic "
    "deleteTopic\n"
    "                                 topicList topicStats route offsetMin offsetMax offsetByTime\n"
    "                                 createGroup deleteGroup members consumerConnection\n"
    "                                 consumeStats committed commit request\n"
    "  bench-append  --topic T [--queues N] [--count N] [--bytes N] [--keys true] + send's "
    "settings\n"
    "  bench-fetch   --topic T [--queues N] [--count N] [--buffer BYTES]\n"
    "  bench-latency --topic T [--count N] [--rate N] [--bytes N]\n";

static const struct command {
    const char *name;
    int (*run)(rmq_client *client);
} commands[] = {
    {"send", peer_send},
    {"consume", peer_consume},
    {"admin", peer_admin},
    {"bench-append", peer_bench_append},
    {"bench-fetch", peer_bench_fetch},
    {"bench-latency", peer_bench_latency},
};

/* ---- options --------------------------------------------------------------------------------- */

static struct {
    const char *name, *value;
    bool used;
} options[64];
static size_t option_count;

const char *peer_text(const char *name, const char *otherwise)
{
    const char *found = otherwise;

    for (size_t i = 0; i < option_count; i++) {
        if (strcmp(options[i].name, name) == 0) {
            options[i].used = true;
            found = options[i].value;
        }
    }
    return found;
}

const char *peer_need(const char *name)
{
    const char *value = peer_text(name, NULL);

    if (!value)
        peer_die("--%s is needed\n%s", name, usage);
    return value;
}

int64_t peer_number(const char *name, int64_t otherwise)
{
    const char *text = peer_text(name, NULL);
    char *end;
    int64_t v;

    if (!text)
        return otherwise;
    v = strtoll(text, &end, 10);
    if (end == text || *end)
        peer_die("--%s %s: a number is wanted", name, text);
    return v;
}

bool peer_flag(const char *name)
{
    return strcmp(peer_text(name, "false"), "true") == 0;
}

int peer_choice(const char *name, const char *const *words)
{
    const char *text = peer_text(name, words[0]);

    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], text) == 0)
            return i;
    }
    peer_die("--%s %s: not one of its words\n%s", name, text, usage);
}

void peer_options_done(void)
{
    for (size_t i = 0; i < option_count; i++) {
        if (!options[i].used)
            peer_die("--%s is not known here\n%s", options[i].name, usage);
    }
}

/* The command; fills options. */
static const struct command *parse(int argc, char **argv)
{
    const struct command *found = NULL;

    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0) {
            if (i + 1 == argc || option_count == sizeof(options) / sizeof(options[0]))
                peer_die("%s: no value, or too many options\n%s", argv[i], usage);
            options[option_count].name = argv[i] + 2;
            options[option_count++].value = argv[++i];
            continue;
        }
        for (size_t k = 0; k < sizeof(commands) / sizeof(commands[0]); k++) {
            if (strcmp(commands[k].name, argv[i]) == 0)
                found = &commands[k];
        }
        if (!found)
            peer_die("%s: no such command\n%s", argv[i], usage);
    }
    if (!found)
        peer_die("no command\n%s", usage);
    return found;
}

/* ---- client ---------------------------------------------------------------------------------- */

static void log_line(void *arg, enum rmq_log_level level, const char *text)
{
    static const char *const names[] = {"DEBUG", "INFO", "WARN", "ERROR"};

    (void)arg;
    fprintf(stderr, "%s %s\n", names[level], text);
}

static rmq_client *open_client(void)
{
    char *acl = strdup(peer_text("acl", "")), *colon = acl ? strchr(acl, ':') : NULL;
    rmq_client_config config = {
        .namesrv = peer_need("namesrv"),
        .instance = peer_text("instance", NULL),
        .security_token = peer_text("token", NULL),
        .name_space = peer_text("nameSpace", NULL),
        .tls = {.enable = peer_flag("tls"),
                .verify = peer_flag("tlsVerify"),
                .ca_file = peer_text("tlsCa", NULL),
                .cert_file = peer_text("tlsCert", NULL),
                .key_file = peer_text("tlsKey", NULL),
                .server_name = peer_text("tlsName", NULL)},
        .request_timeout_ms = peer_number("requestTimeout", 0),
        .route_refresh_ms = peer_number("routeRefresh", 0),
        .heartbeat_ms = peer_number("heartbeat", 0),
    };
    rmq_error err = {0};
    rmq_client *client;

    if (colon) {
        *colon = 0;
        config.access_key = acl;
        config.secret_key = colon + 1;
    }
    if (peer_flag("log"))
        config.log = log_line;
    if (rmq_client_open(&config, &client, &err) < 0)
        peer_fail(&err);
    free(acl);
    return client;
}

static void print_stats(rmq_client *client)
{
    json_t *e = peer_event("stats");
    rmq_client_stats s;

    rmq_client_stats_get(client, &s);
#define ADD(field) json_object_set_new(e, #field, json_integer(s.field))
    ADD(requests);
    ADD(replies);
    ADD(timeouts);
    ADD(unknown_outcomes);
    ADD(retries);
    ADD(busy_replies);
    ADD(connects);
    ADD(disconnects);
    ADD(bytes_sent);
    ADD(bytes_received);
    ADD(sent_messages);
    ADD(sent_batches);
    ADD(pulled_messages);
    ADD(bodies_copied);
    ADD(connections);
    ADD(pending_requests);
    ADD(receive_bytes);
    ADD(open_objects);
#undef ADD
    peer_print(e);
}

static void on_signal(int signum)
{
    (void)signum;
    peer_stop = 1;
}

int main(int argc, char **argv)
{
    const struct command *command = parse(argc, argv);
    struct sigaction act = {.sa_handler = on_signal};
    rmq_client *client;
    bool stats;
    int status;

    (void)sigaction(SIGTERM, &act, NULL);
    (void)sigaction(SIGINT, &act, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    stats = peer_flag("stats");
    client = open_client();
    status = command->run(client);
    if (stats)
        print_stats(client);
    rmq_client_close(client);
    return status;
}
