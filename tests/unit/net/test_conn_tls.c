/* SPDX-License-Identifier: Apache-2.0 */
/* TLS connections: bytes in both directions, small writes together, and every refusal with a text
 * that says which certificate or file it is about. Certificates are made here, by OpenSSL's API. */
#include "net_unit.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/syscall.h>

static _Atomic int sends; /* Calls of sendmsg(): the peer uses none. */

__attribute__((visibility("default"))) ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
    sends++;
    return syscall(SYS_sendmsg, fd, msg, flags);
}

/* ---- certificates ---------------------------------------------------------------------------- */

static char folder[] = "/tmp/rc-conn-tls-XXXXXX";
static const char *path(const char *name)
{
    static char paths[8][96];
    static int next;
    char *out = paths[next++ % 8];

    (void)snprintf(out, sizeof paths[0], "%s/%s", folder, name);
    return out;
}

typedef struct identity {
    EVP_PKEY *key;
    X509 *cert;
} identity;

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(ext);
    assert_int_equal(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

/* Valid from `from` to `to` (seconds from now); signed by `ca`, NULL = by itself. */
static identity make(const char *name, const char *alt, long from, long to, const identity *ca)
{
    static long serial;
    identity id = {EVP_EC_gen("P-256"), X509_new()};
    X509_NAME *subject = X509_get_subject_name(id.cert);

    assert_non_null(id.key);
    X509_set_version(id.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(id.cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(id.cert), from);
    X509_gmtime_adj(X509_getm_notAfter(id.cert), to);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(id.cert, ca ? X509_get_subject_name(ca->cert) : subject);
    X509_set_pubkey(id.cert, id.key);
    if (!ca)
        add_extension(id.cert, NID_basic_constraints, "critical,CA:TRUE");
    if (alt)
        add_extension(id.cert, NID_subject_alt_name, alt);
    assert_true(X509_sign(id.cert, ca ? ca->key : id.key, EVP_sha256()) > 0);
    return id;
}

static void drop(identity *id)
{
    EVP_PKEY_free(id->key);
    X509_free(id->cert);
}

static void store_key(const identity *id, const char *name, const char *password)
{
    FILE *file = fopen(path(name), "w");

    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, id->key, password ? EVP_aes_128_cbc() : NULL, NULL,
                                          0, NULL, (void *)(uintptr_t)password),
                     1);
    (void)fclose(file);
}

static void store_cert(const identity *id, const char *name)
{
    FILE *file = fopen(path(name), "w");

    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, id->cert), 1);
    (void)fclose(file);
}

static identity ca, other_ca, good, expired, early, user;

static int setup(void **state)
{
    FILE *file;

    (void)state;
    (void)signal(SIGPIPE, SIG_IGN); /* The peer's SSL_write. */
    assert_non_null(mkdtemp(folder));
    ca = make("Test CA", NULL, -60, 3600, NULL);
    other_ca = make("Other CA", NULL, -60, 3600, NULL);
    good = make("broker", "DNS:broker.test,DNS:localhost,IP:127.0.0.1", -60, 3600, &ca);
    expired = make("old broker", "IP:127.0.0.1", -7200, -3600, &ca);
    early = make("new broker", "IP:127.0.0.1", 3600, 7200, &ca);
    user = make("client", NULL, -60, 3600, &ca);
    store_cert(&ca, "ca.pem");
    store_cert(&other_ca, "other.pem");
    store_cert(&user, "user.pem");
    store_key(&user, "user.key", NULL);
    store_key(&user, "locked.key", "sesame");
    store_key(&good, "wrong.key", NULL);
    file = fopen(path("garbage.pem"), "w");
    assert_non_null(file);
    (void)fputs("not a certificate\n", file);
    (void)fclose(file);
    return 0;
}

static int teardown(void **state)
{
    static const char *const files[] = {"ca.pem",     "other.pem", "user.pem",   "user.key",
                                        "locked.key", "wrong.key", "garbage.pem"};
    identity *const all[] = {&ca, &other_ca, &good, &expired, &early, &user};

    (void)state;
    for (size_t i = 0; i < RC_COUNT(files); i++)
        (void)unlink(path(files[i]));
    for (size_t i = 0; i < RC_COUNT(all); i++)
        drop(all[i]);
    return rmdir(folder);
}

/* A peer's context; with `want_client` it insists on a certificate of our CA. */
static SSL_CTX *server(const identity *id, bool want_client, int max_version)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    assert_int_equal(SSL_CTX_use_certificate(ctx, id->cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, id->key), 1);
    SSL_CTX_set_max_proto_version(ctx, max_version);
    if (want_client) {
        assert_int_equal(SSL_CTX_load_verify_file(ctx, path("ca.pem")), 1);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    return ctx;
}

static rc_tls *settings(const rc_tls_config *config)
{
    rc_tls *tls = NULL;
    rc_error err = {0};

    if (rc_tls_new(config, &tls, &err) < 0)
        fail_msg("%s", err.msg);
    return tls;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void both_directions_at_once(void **state)
{
    static const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};
    rc_tls *tls = settings(&(rc_tls_config){.verify = true, .ca_file = path("ca.pem")});

    (void)state;
    for (size_t i = 0; i < RC_COUNT(versions); i++) {
        peer p = {.does = PEER_ECHO, .ctx = server(&good, false, versions[i])};

        peer_start(&p);
        pump_run(&(rc_conn_config){.port = p.port, .tls = tls}, (size_t)(i ? 4 : 64) << 20);
        peer_stop(&p);
        SSL_CTX_free(p.ctx);
    }
    rc_tls_free(tls);
}

static uint8_t *small_bytes;

static void write_small(client *c)
{
    sends = 0;
    for (size_t i = 0; i < 2000; i++)
        client_write(c, small_bytes + i * 10, 10);
    client_write(c, NULL, 0);
}

static void small_writes_are_one_call(void **state)
{
    rc_tls *tls = settings(&(rc_tls_config){0});
    peer p = {.does = PEER_ECHO, .ctx = server(&good, false, 0)};
    client c = {.on_open = write_small, .stop_at = 20000};

    (void)state;
    small_bytes = stream_bytes(20000);
    peer_start(&p);
    client_open(&c, &(rc_conn_config){.port = p.port, .tls = tls});
    rc_loop_run(c.loop);
    assert_in_range(sends, 1, 2); /* The end of the handshake may leave by itself. */
    assert_int_equal(c.disorder + c.failed, 0);
    assert_int_equal(c.done, 2001);
    client_end(&c, true);
    peer_stop(&p);
    SSL_CTX_free(p.ctx);
    rc_tls_free(tls);
    free(small_bytes);
}

static void pause_it(client *c)
{
    rc_conn_pause(c->conn, true);
    rc_loop_stop(c->loop);
}

/* One record of the peer is many rooms: what lies decrypted comes without another event. */
static void a_pause_keeps_what_is_decrypted(void **state)
{
    rc_tls *tls = settings(&(rc_tls_config){0});
    peer p = {.does = PEER_SAY, .bytes = 10000, .ctx = server(&good, false, 0)};
    client c = {.room_size = 100, .on_data = pause_it};

    (void)state;
    peer_start(&p);
    client_open(&c, &(rc_conn_config){.port = p.port, .tls = tls});
    for (uint64_t want = 100; want <= 10000; want += 100) {
        rc_loop_run(c.loop);
        assert_int_equal(c.got, want);
        rc_conn_pause(c.conn, false);
    }
    assert_int_equal(c.disorder, 0);
    client_end(&c, true);
    peer_stop(&p);
    SSL_CTX_free(p.ctx);
    rc_tls_free(tls);
}

/* ---- who may talk to whom -------------------------------------------------------------------- */

static void write_once(client *c)
{
    client_write(c, "", 1); /* stream_byte(0) */
}

static const struct trust {
    const char *name;
    const identity *server; /* NULL = no TLS there */
    bool want_client;
    int version;
    rc_tls_config config; /* File names are of the folder. */
    const char *host, *server_name;
    bool opens;
    int code;
    bool retriable;
    const char *text; /* NULL = it works */
} trusts[] = {
    {"address",
     &good,
     false,
     0,
     {.verify = true, .ca_file = "ca.pem"},
     NULL,
     NULL,
     true,
     0,
     0,
     NULL},
    {"name",
     &good,
     false,
     0,
     {.verify = true, .ca_file = "ca.pem"},
     "localhost",
     NULL,
     true,
     0,
     0,
     NULL},
    {"other name",
     &good,
     false,
     0,
     {.verify = true, .ca_file = "ca.pem"},
     NULL,
     "broker.test",
     true,
     0,
     0,
     NULL},
    {"not verified", &expired, false, 0, {0}, NULL, "anything", true, 0, 0, NULL},
    {"wrong name",
     &good,
     false,
     0,
     {.verify = true, .ca_file = "ca.pem"},
     NULL,
     "evil.test",
     false,
     OMC_ECONNECT,
     false,
     "its certificate '/CN=broker' is refused: hostname mismatch; it is for broker.test, "
     "localhost, "
     "127.0.0.1, not for evil.test: set the server name to one of its names"},
    {"wrong address",
     &good,
     false,
     0,
     {.verify = true, .ca_file = "ca.pem"},
     NULL,
     "127.0.0.9",
     false,
     OMC_ECONNECT,
     false,
     "IP address mismatch; it is for broker.test"},
    {"unknown CA",
     &good,
     false,
     0,
     {.verify = true, .ca_file = "other.pem"},
     NULL,
     NULL,
     false,
     OMC_ECONNECT,
     false,
     "other.pem' does not hold the CA that signed it"},
    {"system's CAs",
     &good,
     false,
     0,
     {.verify = true},
     NULL,
     NULL,
     false,
     OMC_ECONNECT,
     false,
     "the system's CA list does not hold the CA that signed it"},
    {"self-signed",
     &other_ca,
     false,
     0,
     {.verify = true, .ca_file = "ca.pem"},
     NULL,
     NULL,
     false,
     OMC_ECONNECT,
     false,
     "'/CN=Other CA' is refused: self-signed certificate"},
    {"expired",
     &expired,
     false,
     0,
     {.verify = true, .ca_file = "ca.pem"},
     NULL,
     NULL,
     false,
     OMC_ECONNECT,
     false,
     "'/CN=old broker' is refused: certificate has expired; it was valid until "},
    {"not yet valid",
     &early,
     false,
     0,
     {.verify = true, .ca_file = "ca.pem"},
     NULL,
     NULL,
     false,
     OMC_ECONNECT,
     false,
     "certificate is not yet valid; it is valid from "},
    {"no TLS there",
     NULL,
     false,
     0,
     {0},
     NULL,
     NULL,
     false,
     OMC_ECONNECT,
     true,
     "; is TLS enabled there?"},
    {"client certificate",
     &good,
     true,
     0,
     {.cert_file = "user.pem", .key_file = "user.key"},
     NULL,
     NULL,
     true,
     0,
     0,
     NULL},
    {"locked key",
     &good,
     true,
     0,
     {.cert_file = "user.pem", .key_file = "locked.key", .key_password = "sesame"},
     NULL,
     NULL,
     true,
     0,
     0,
     NULL},
    {"no client certificate",
     &good,
     true,
     TLS1_2_VERSION,
     {0},
     NULL,
     NULL,
     false,
     OMC_ECONNECT,
     false,
     "; it may want a client certificate"},
    /* In TLS 1.3 the server says so after our side of the handshake is done. */
    {"no client certificate",
     &good,
     true,
     0,
     {0},
     NULL,
     NULL,
     true,
     OMC_EIO,
     false,
     "certificate required; it may want a client certificate"},
};

static const char *in_folder(const char *name)
{
    return name ? path(name) : NULL;
}

static void check_trust(const struct trust *t)
{
    peer p = {.does = PEER_ECHO};
    client c = {.on_open = write_once, .stop_at = 1};
    rc_tls_config config = t->config;
    rc_tls *tls;

    config.ca_file = in_folder(config.ca_file);
    config.cert_file = in_folder(config.cert_file);
    config.key_file = in_folder(config.key_file);
    tls = settings(&config);
    if (t->server)
        p.ctx = server(t->server, t->want_client, t->version);
    peer_start(&p);
    client_open(&c, &(rc_conn_config){.host = t->host,
                                      .port = p.port,
                                      .tls = tls,
                                      .server_name = t->server_name});
    rc_loop_run(c.loop);
    if (c.opened != t->opens || c.closed != !!t->text)
        fail_msg("%s: opened %d, closed %d: %s", t->name, c.opened, c.closed, c.why.msg);
    if (t->text)
        expect_error(t->name, &c.why, t->code, t->retriable, t->text);
    client_end(&c, true);
    peer_stop(&p);
    SSL_CTX_free(p.ctx);
    rc_tls_free(tls);
}

static void trust_is_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < RC_COUNT(trusts); i++)
        check_trust(&trusts[i]);
}

static void bad_files_are_named(void **state)
{
    static const struct {
        rc_tls_config config;
        const char *file, *text;
    } cases[] = {
        {{.ca_file = "none.pem"}, "none.pem", "none.pem': No such file or directory"},
        {{.ca_file = "garbage.pem"}, "garbage.pem", "it has to hold certificates in PEM form"},
        {{.cert_file = "user.pem"}, "user.pem", "user.pem' needs a client key too"},
        {{.key_file = "user.key"}, "user.key", "user.key' needs a client certificate too"},
        {{.cert_file = "none.pem", .key_file = "user.key"}, "none.pem", "No such file"},
        {{.cert_file = "garbage.pem", .key_file = "user.key"}, "garbage.pem", "in PEM form"},
        {{.cert_file = "user.pem", .key_file = "none.key"}, "none.key", "No such file"},
        {{.cert_file = "user.pem", .key_file = "garbage.pem"},
         "garbage.pem",
         "has to be a PEM key"},
        {{.cert_file = "user.pem", .key_file = "wrong.key"},
         "wrong.key",
         "does not belong to client certificate"},
        {{.cert_file = "user.pem", .key_file = "locked.key"},
         "locked.key",
         "needs the key password"},
        {{.cert_file = "user.pem", .key_file = "locked.key", .key_password = "tahini"},
         "locked.key",
         "that the key password opens"},
    };

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_tls_config config = cases[i].config;
        rc_tls *tls = NULL;
        rc_error err = {0};

        config.ca_file = in_folder(config.ca_file);
        config.cert_file = in_folder(config.cert_file);
        config.key_file = in_folder(config.key_file);
        assert_int_equal(rc_tls_new(&config, &tls, &err), -OMC_EINVAL);
        assert_null(tls);
        expect_error(cases[i].file, &err, OMC_EINVAL, false, cases[i].text);
        assert_non_null(strstr(err.msg, cases[i].file));
        assert_null(strstr(err.msg, "tahini"));
    }
}

/* ---- ends during the handshake --------------------------------------------------------------- */

static void no_handshake_is_told(void **state)
{
    static const struct {
        enum peer_does does;
        int code;
        const char *text;
    } cases[] = {
        {PEER_MUTE, OMC_ECONNECT,
         "connected, but no TLS handshake within 200 ms; is TLS enabled there?"},
        {PEER_CLOSE, OMC_EIO,
         "closed the connection during the TLS handshake; is TLS enabled there?"},
    };
    rc_tls *tls = settings(&(rc_tls_config){0});

    (void)state;
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        peer p = {.does = cases[i].does, .bytes = 1};
        client c = {0};

        peer_start(&p);
        client_open(&c, &(rc_conn_config){.port = p.port, .tls = tls, .timeout_ms = i ? 0 : 200});
        client_write(&c, "x", 1);
        rc_loop_run(c.loop);
        expect_error("handshake", &c.why, cases[i].code, true, cases[i].text);
        assert_int_equal(c.failed, 1);
        assert_int_equal(c.opened, 0);
        client_end(&c, false);
        peer_stop(&p);
    }
    rc_tls_free(tls);
}

static void close_now(void *arg)
{
    client_close(arg);
}

static void close_soon(void *arg)
{
    client *c = arg;

    assert_int_equal(rc_loop_post(c->loop, close_now, c), 0);
}

static void close_during_handshake(void **state)
{
    rc_tls *tls = settings(&(rc_tls_config){0});
    client c = {0};
    peer p = {.does = PEER_MUTE, .accepted = close_soon, .arg = &c};

    (void)state;
    peer_start(&p);
    client_open(&c, &(rc_conn_config){.port = p.port, .tls = tls});
    client_write(&c, "x", 1);
    rc_loop_run(c.loop);
    assert_int_equal(c.opened, 0);
    assert_int_equal(c.failed, 1);
    assert_int_equal(c.why.code, OMC_ECANCELED);
    client_end(&c, false);
    peer_stop(&p);
    rc_tls_free(tls);
}

static uint8_t megabyte[1 << 20];

static void write_too_much(client *c)
{
    for (int i = 0; i < 100; i++)
        client_write(c, megabyte, sizeof megabyte);
}

static void a_reset_fails_what_is_queued(void **state)
{
    rc_tls *tls = settings(&(rc_tls_config){0});
    peer p = {.does = PEER_RESET, .bytes = 3 << 20, .ctx = server(&good, false, 0)};
    client c = {.on_open = write_too_much};

    (void)state;
    peer_start(&p);
    client_open(&c, &(rc_conn_config){.port = p.port, .tls = tls});
    client_end(&c, false);
    assert_int_equal(c.why.code, OMC_EIO);
    assert_int_equal(c.done, 100);
    assert_in_range(c.failed, 1, 99);
    assert_false(c.success_after_failure);
    peer_stop(&p);
    SSL_CTX_free(p.ctx);
    rc_tls_free(tls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_directions_at_once),
        cmocka_unit_test(small_writes_are_one_call),
        cmocka_unit_test(a_pause_keeps_what_is_decrypted),
        cmocka_unit_test(trust_is_checked),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(no_handshake_is_told),
        cmocka_unit_test(close_during_handshake),
        cmocka_unit_test(a_reset_fails_what_is_queued),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
