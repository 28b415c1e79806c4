/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS settings: one SSL_CTX that all connections of a client share. Each file is read here, so that
 * a wrong path, a wrong password or a key that does not fit is told when the program starts and not
 * with the first connection.
 */
#include "net/conn_impl.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509err.h>
#include <unistd.h>

struct rc_tls {
    SSL_CTX *ctx;
    bool verify;
    bool certificate;
    char *ca_file;
};

const char *tls_reason(unsigned long code, char *out, size_t size)
{
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    char text[128];

    if (reason)
        (void)snprintf(out, size, "%s", reason);
    else if (code && ERR_SYSTEM_ERROR(code))
        (void)snprintf(out, size, "%s", strerror_r(ERR_GET_REASON(code), text, sizeof text));
    else
        (void)snprintf(out, size, "unknown reason");
    return out;
}

/* The same of OpenSSL's oldest error; the others are forgotten. */
static const char *oldest_reason(char *out, size_t size)
{
    unsigned long code = ERR_get_error();

    ERR_clear_error();
    return tls_reason(code, out, size);
}

static int fail_file(rc_error *err, const char *what, const char *path, const char *cure)
{
    char reason[160];

    return rc_fail(err, OMC_EINVAL, "TLS: %s '%s': %s; %s", what, path,
                   oldest_reason(reason, sizeof reason), cure);
}

/* OpenSSL's own words for a missing file are no help. */
static int check_file(const char *what, const char *path, rc_error *err)
{
    char text[128];

    if (access(path, R_OK) == 0)
        return 0;
    return rc_fail(err, OMC_EINVAL, "TLS: %s '%s': %s", what, path,
                   strerror_r(errno, text, sizeof text));
}

static int load_ca(rc_tls *tls, const rc_tls_config *config, rc_error *err)
{
    char reason[160];
    int r;

    if (!config->ca_file) {
        if (!config->verify || SSL_CTX_set_default_verify_paths(tls->ctx) == 1)
            return 0;
        return rc_fail(err, OMC_EINVAL, "TLS: the system's CA certificates: %s; name a CA file",
                       oldest_reason(reason, sizeof reason));
    }
    r = check_file("CA file", config->ca_file, err);
    if (r < 0)
        return r;
    if (SSL_CTX_load_verify_file(tls->ctx, config->ca_file) != 1)
        return fail_file(err, "CA file", config->ca_file,
                         "it has to hold certificates in PEM form");
    tls->ca_file = rc_strdup(config->ca_file);
    return 0;
}

/* Without a callback OpenSSL would ask on the terminal. */
static int give_password(char *out, int size, int writing, void *arg)
{
    const char *password = arg;
    size_t len = password ? strlen(password) : 0;

    (void)writing;
    if (len == 0 || len > (size_t)size)
        return 0;
    memcpy(out, password, len);
    return (int)len;
}

static int load_key(rc_tls *tls, const rc_tls_config *config, rc_error *err)
{
    char reason[160];
    unsigned long code;
    int r = check_file("client key", config->key_file, err);

    if (r < 0)
        return r;
    SSL_CTX_set_default_passwd_cb_userdata(tls->ctx, (void *)(uintptr_t)config->key_password);
    r = SSL_CTX_use_PrivateKey_file(tls->ctx, config->key_file, SSL_FILETYPE_PEM);
    SSL_CTX_set_default_passwd_cb_userdata(tls->ctx, NULL);
    if (r == 1)
        return 0;
    code = ERR_peek_error();
    if (ERR_GET_LIB(code) == ERR_LIB_X509 && (ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH ||
                                              ERR_GET_REASON(code) == X509_R_KEY_TYPE_MISMATCH))
        return rc_fail(err, OMC_EINVAL,
                       "TLS: client key '%s' does not belong to client certificate '%s': %s",
                       config->key_file, config->cert_file, oldest_reason(reason, sizeof reason));
    return fail_file(err, "client key", config->key_file,
                     config->key_password
                         ? "it has to be a PEM key that the key password opens"
                         : "it has to be a PEM key; one with a password needs the key password");
}

static int load_certificate(rc_tls *tls, const rc_tls_config *config, rc_error *err)
{
    int r;

    if (!config->cert_file && !config->key_file)
        return 0;
    if (!config->cert_file || !config->key_file)
        return rc_fail(err, OMC_EINVAL, "TLS: %s '%s' needs a client %s too",
                       config->cert_file ? "client certificate" : "client key",
                       config->cert_file ? config->cert_file : config->key_file,
                       config->cert_file ? "key" : "certificate");
    SSL_CTX_set_default_passwd_cb(tls->ctx, give_password);
    r = check_file("client certificate", config->cert_file, err);
    if (r < 0)
        return r;
    if (SSL_CTX_use_certificate_chain_file(tls->ctx, config->cert_file) != 1)
        return fail_file(err, "client certificate", config->cert_file,
                         "it has to hold certificates in PEM form, the client's first");
    tls->certificate = true;
    return load_key(tls, config, err);
}

int rc_tls_new(const rc_tls_config *config, rc_tls **ret, rc_error *err)
{
    rc_tls *tls = rc_calloc(1, sizeof *tls);
    char reason[160];
    int r;

    ERR_clear_error();
    tls->verify = config->verify;
    tls->ctx = SSL_CTX_new(TLS_client_method());
    if (!tls->ctx || SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION) != 1) {
        r = rc_fail(err, OMC_EINVAL, "TLS: OpenSSL refuses to start: %s",
                    oldest_reason(reason, sizeof reason));
    } else {
        (void)SSL_CTX_set_options(tls->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
        (void)SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
        r = load_ca(tls, config, err);
        if (r == 0)
            r = load_certificate(tls, config, err);
    }
    if (r < 0) {
        rc_tls_free(tls);
        return r;
    }
    *ret = tls;
    return 0;
}

void rc_tls_free(rc_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->ctx);
    free(tls->ca_file);
    free(tls);
}

SSL_CTX *tls_context(rc_tls *tls)
{
    return tls->ctx;
}

bool tls_verifies(const rc_tls *tls)
{
    return tls->verify;
}

const char *tls_ca_file(const rc_tls *tls)
{
    return tls->ca_file;
}

bool tls_has_certificate(const rc_tls *tls)
{
    return tls->certificate;
}
