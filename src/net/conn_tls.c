/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS between the user's bytes and the socket. OpenSSL sees a BIO of ours whose two ends are
 * memory: what was read from the socket, and what is to be sent. So a turn costs one read and one
 * send however many records it makes, and nothing in OpenSSL ever waits for the socket.
 *
 * A write is done when the kernel has taken its last record. Bytes out of OpenSSL are counted;
 * a write whose plain bytes are all encrypted gets the count as its mark.
 */
#include "net/conn_impl.h"

#include "base/buf.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <sys/uio.h>

#define RECORD ((size_t)16384)          /* Most plain bytes of one record. */
#define SEAL_BYTES ((size_t)256 * 1024) /* Encrypted ahead of the kernel. */
#define OUT_MAX ((size_t)1024 * 1024)   /* The same with all that a peer can make us answer. */
#define IN_BYTES ((size_t)64 * 1024)    /* Read from the socket at once. */
#define READS_PER_TURN 16

struct conn_tls {
    SSL *ssl;
    rc_tls *settings;
    char *name;        /* The name to check. */
    char *certificate; /* What is wrong with which certificate of the peer; NULL = nothing. */
    rc_buf out;        /* Encrypted, from out_at on to be sent. */
    size_t out_at;
    uint64_t made, sent; /* Bytes of the encrypted stream. */
    struct conn_queue sealed;
    size_t in_at, in_len;
    uint8_t in[IN_BYTES];
    uint8_t stage[RECORD]; /* Small writes become one record. */
};

/* ---- the BIO --------------------------------------------------------------------------------- */

static int bio_write(BIO *bio, const char *data, size_t len, size_t *written)
{
    struct conn_tls *tls = BIO_get_data(bio);

    rc_buf_add(&tls->out, data, len);
    if (tls->out.overflow)
        return 0;
    tls->made += len;
    *written = len;
    return 1;
}

static int bio_read(BIO *bio, char *data, size_t len, size_t *got)
{
    struct conn_tls *tls = BIO_get_data(bio);
    size_t n = RC_MIN(len, tls->in_len - tls->in_at);

    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(data, tls->in + tls->in_at, n);
    tls->in_at += n;
    *got = n;
    return 1;
}

static long bio_ctrl(BIO *bio, int what, long number, void *arg)
{
    (void)bio;
    (void)number;
    (void)arg;
    return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method;

static void make_bio_method(void)
{
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
    RC_ASSERT(bio_method);
    (void)BIO_meth_set_write_ex(bio_method, bio_write);
    (void)BIO_meth_set_read_ex(bio_method, bio_read);
    (void)BIO_meth_set_ctrl(bio_method, bio_ctrl);
}

/* ---- what is wrong with a certificate -------------------------------------------------------- */

static void put_time(rc_buf *buf, const char *before, const ASN1_TIME *time)
{
    struct tm tm;

    if (time && ASN1_TIME_to_tm(time, &tm) == 1)
        rc_buf_printf(buf, "%s%04d-%02d-%02d %02d:%02d UTC", before, tm.tm_year + 1900,
                      tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min);
}

static void put_alt_name(rc_buf *buf, const GENERAL_NAME *name)
{
    char text[INET6_ADDRSTRLEN];

    if (name->type == GEN_DNS) {
        rc_buf_printf(buf, "%.*s", ASN1_STRING_length(name->d.dNSName),
                      (const char *)ASN1_STRING_get0_data(name->d.dNSName));
    } else if (name->type == GEN_IPADD) {
        const ASN1_OCTET_STRING *ip = name->d.iPAddress;
        int family = ASN1_STRING_length(ip) == 16 ? AF_INET6 : AF_INET;

        if ((family == AF_INET6 || ASN1_STRING_length(ip) == 4) &&
            inet_ntop(family, ASN1_STRING_get0_data(ip), text, sizeof text))
            rc_buf_str(buf, text);
    }
}

/* The names a certificate is for; the subject's common name counts only when there is no other. */
static void put_names(rc_buf *buf, const X509 *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int count = sk_GENERAL_NAME_num(names);
    char name[256] = "";

    for (int i = 0; i < count && i < 8; i++) {
        if (i > 0)
            rc_buf_str(buf, ", ");
        put_alt_name(buf, sk_GENERAL_NAME_value(names, i));
    }
    if (count <= 0) {
        (void)X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name,
                                        sizeof name);
        rc_buf_str(buf, *name ? name : "nobody");
    }
    sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
}

static void put_cure(rc_buf *buf, const struct conn_tls *tls, int error, const X509 *cert)
{
    const char *ca = tls_ca_file(tls->settings);

    switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        rc_buf_str(buf, "; it is for ");
        put_names(buf, cert);
        rc_buf_printf(buf, ", not for %s: set the server name to one of its names", tls->name);
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        put_time(buf, "; it was valid until ", X509_get0_notAfter(cert));
        rc_buf_str(buf, ": renew it, or check the clock here");
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        put_time(buf, "; it is valid from ", X509_get0_notBefore(cert));
        rc_buf_str(buf, ": check the clock here");
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        rc_buf_printf(buf, "; %s%s%s does not hold the CA that signed it",
                      ca ? "CA file '" : "the system's CA list", ca ? ca : "", ca ? "'" : "");
        break;
    default:
        break;
    }
}

/* Called for each certificate of the chain. */
static int on_verify(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct conn_tls *tls = SSL_get_app_data(ssl);
    X509 *cert = X509_STORE_CTX_get_current_cert(store);
    int error = X509_STORE_CTX_get_error(store);
    RC_AUTO(rc_buf) buf = &(rc_buf)RC_BUF(800);
    char subject[256] = "";

    if (ok || tls->certificate)
        return ok;
    if (cert)
        (void)X509_NAME_oneline(X509_get_subject_name(cert), subject, sizeof subject);
    rc_buf_printf(buf, "its certificate '%s' is refused: %s", subject,
                  X509_verify_cert_error_string(error));
    if (cert)
        put_cure(buf, tls, error, cert);
    tls->certificate = rc_buf_take(buf);
    return 0;
}

/* ---- making and freeing ---------------------------------------------------------------------- */

static bool is_address(const char *name)
{
    struct in6_addr at;

    return inet_pton(AF_INET, name, &at) == 1 || inet_pton(AF_INET6, name, &at) == 1;
}

static bool set_name(struct conn_tls *tls)
{
    if (is_address(tls->name))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), tls->name) == 1;
    return SSL_set_tlsext_host_name(tls->ssl, tls->name) == 1 &&
           SSL_set1_host(tls->ssl, tls->name) == 1;
}

int conn_tls_new(rc_conn *conn, rc_tls *settings, const char *server_name, rc_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct conn_tls *tls = rc_malloc(sizeof *tls);
    BIO *bio;

    (void)pthread_once(&once, make_bio_method);
    memset(tls, 0, offsetof(struct conn_tls, in)); /* The buffers are touched when used. */
    tls->settings = settings;
    tls->name = rc_strdup(server_name);
    rc_buf_init(&tls->out, OUT_MAX);
    conn_queue_init(&tls->sealed);
    conn->tls = tls;
    ERR_clear_error();
    tls->ssl = SSL_new(tls_context(settings));
    bio = BIO_new(bio_method);
    RC_ASSERT(tls->ssl && bio);
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_connect_state(tls->ssl);
    (void)SSL_set_app_data(tls->ssl, tls);
    SSL_set_verify(tls->ssl, tls_verifies(settings) ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                   tls_verifies(settings) ? on_verify : NULL);
    if (!set_name(tls)) {
        ERR_clear_error();
        return rc_fail(err, OMC_EINVAL, "TLS: '%s' cannot be a server name", server_name);
    }
    return 0;
}

void conn_tls_free(struct conn_tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    rc_buf_release(&tls->out);
    free(tls->certificate);
    free(tls->name);
    free(tls);
}

/* ---- failing --------------------------------------------------------------------------------- */

/* The peer's alerts that mean: it did not like our certificate, or the lack of one. */
static bool about_our_certificate(unsigned long code)
{
    switch (ERR_GET_REASON(code)) {
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return true;
    default:
        return false;
    }
}

/* What comes is no TLS. */
static bool about_no_tls(unsigned long code)
{
    switch (ERR_GET_REASON(code)) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNEXPECTED_MESSAGE:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_BAD_RECORD_TYPE:
        return true;
    default:
        return false;
    }
}

static const char *cure_of(const rc_conn *conn, unsigned long code)
{
    const struct conn_tls *tls = conn->tls;

    if (ERR_GET_LIB(code) != ERR_LIB_SSL)
        return "";
    if (conn->state == CONN_HANDSHAKE && about_no_tls(code))
        return "; is TLS enabled there?";
    if (!about_our_certificate(code))
        return "";
    return tls_has_certificate(tls->settings) ? "; it may not accept our client certificate"
                                              : "; it may want a client certificate";
}

/* `code` is OpenSSL's oldest error. Trying again can only help where nobody has to change a
 * certificate or a setting first, so those errors are not retriable. */
static void end_tls(rc_conn *conn, const char *what, unsigned long code)
{
    struct conn_tls *tls = conn->tls;
    int kind = conn->state == CONN_HANDSHAKE ? OMC_ECONNECT : OMC_EIO;
    char reason[160];

    ERR_clear_error();
    if (tls->certificate)
        conn_end(conn, OMC_ECONNECT, 0, "connect to %s: %s", conn->peer, tls->certificate);
    else
        conn_end(conn, kind, about_our_certificate(code) ? 0 : OMC_ERR_RETRIABLE,
                 "%s %s: TLS: %s%s", what, conn->peer, tls_reason(code, reason, sizeof reason),
                 cure_of(conn, code));
}

/* ---- out ------------------------------------------------------------------------------------- */

static size_t out_left(const struct conn_tls *tls)
{
    return tls->out.len - tls->out_at;
}

/* Writes whose last byte is out are done. */
static void tell_sealed(rc_conn *conn)
{
    struct conn_tls *tls = conn->tls;

    while (conn->state != CONN_ENDED && tls->sealed.first && tls->sealed.first->mark <= tls->sent)
        conn_write_done(conn, conn_queue_take(&tls->sealed), 0);
}

/* Sends what is encrypted; what is left waits until the socket is writable. */
static void push_out(rc_conn *conn)
{
    struct conn_tls *tls = conn->tls;
    struct iovec part = {.iov_base = tls->out.data + tls->out_at, .iov_len = out_left(tls)};
    size_t n;

    if (part.iov_len == 0 || conn->blocked)
        return;
    n = conn_send(conn, &part, 1, part.iov_len);
    tls->out_at += n;
    tls->sent += n;
    if (out_left(tls) == 0) {
        rc_buf_clear(&tls->out);
        tls->out_at = 0;
    }
}

/* Takes the next at most 16 KiB of plain text: small writes together, a large part in place. */
static rc_slice next_plain(rc_conn *conn)
{
    struct conn_tls *tls = conn->tls;
    size_t n = 0;

    while (conn->waiting.first && n < RECORD) {
        struct conn_write *w = conn->waiting.first;

        while (w->left > 0 && n < RECORD) {
            rc_iovec *part = &w->parts[w->at];
            const uint8_t *from = part->base;
            size_t take = RC_MIN(part->len, RECORD - n);
            bool direct = n == 0 && take == RECORD;

            if (take > 0 && !direct)
                memcpy(tls->stage + n, from, take);
            part->base = from + take;
            part->len -= take;
            if (part->len == 0)
                w->at++;
            w->left -= take;
            n += take;
            if (direct) {
                if (w->left == 0)
                    conn_queue_put(&tls->sealed, conn_queue_take(&conn->waiting));
                return (rc_slice){(const char *)from, n};
            }
        }
        if (w->left == 0)
            conn_queue_put(&tls->sealed, conn_queue_take(&conn->waiting));
    }
    return (rc_slice){(const char *)tls->stage, n};
}

/* Encrypts one record, and marks the writes that end in it. */
static void seal_record(rc_conn *conn)
{
    struct conn_tls *tls = conn->tls;
    struct conn_write **end = tls->sealed.last;
    rc_slice plain = next_plain(conn);
    size_t n;

    if (plain.len > 0) {
        ERR_clear_error();
        if (SSL_write_ex(tls->ssl, plain.base, plain.len, &n) != 1 || n != plain.len) {
            end_tls(conn, "write to", ERR_peek_error());
            return;
        }
    }
    for (struct conn_write *w = *end; w; w = w->next)
        w->mark = tls->made;
}

void conn_tls_flush(rc_conn *conn)
{
    struct conn_tls *tls = conn->tls;
    uint64_t stop = tls->sent + CONN_TURN_BYTES;

    push_out(conn);
    while (conn->state == CONN_OPEN && !conn->blocked && conn->waiting.first && tls->sent < stop) {
        while (conn->state == CONN_OPEN && conn->waiting.first && out_left(tls) < SEAL_BYTES)
            seal_record(conn);
        push_out(conn);
        tell_sealed(conn);
    }
    tell_sealed(conn);
}

struct conn_write *conn_tls_take(rc_conn *conn)
{
    return conn_queue_take(&conn->tls->sealed);
}

/* ---- in -------------------------------------------------------------------------------------- */

static void shake_hands(rc_conn *conn)
{
    struct conn_tls *tls = conn->tls;
    int r;

    ERR_clear_error();
    r = SSL_do_handshake(tls->ssl);
    if (r != 1 && SSL_get_error(tls->ssl, r) != SSL_ERROR_WANT_READ)
        end_tls(conn, "connect to", ERR_peek_error());
    /* An alert that says why we refuse goes out as well. */
    if (conn->socket && !conn->blocked)
        push_out(conn);
    if (r == 1 && conn->state == CONN_HANDSHAKE)
        conn_opened(conn);
}

/* What SSL_read() returned instead of bytes. @return true: nothing is wrong. */
static bool end_of_read(rc_conn *conn, int why, unsigned long code)
{
    switch (why) {
    case SSL_ERROR_NONE:
    case SSL_ERROR_WANT_READ:
        return true;
    case SSL_ERROR_ZERO_RETURN:
        conn_end(conn, OMC_EIO, OMC_ERR_RETRIABLE, "%s closed the connection", conn->peer);
        return false;
    default:
        end_tls(conn, "read from", code);
        return false;
    }
}

/* Decrypts as much as fits the room. @return true: there may be more. */
static bool decrypt(rc_conn *conn)
{
    struct conn_tls *tls = conn->tls;
    rc_span room = conn_room(conn);
    unsigned long code = 0;
    size_t sum = 0;
    size_t n;
    int why = SSL_ERROR_NONE;

    if (conn->state != CONN_OPEN || conn->paused)
        return false;
    ERR_clear_error();
    while (sum < room.len && why == SSL_ERROR_NONE) {
        int r = SSL_read_ex(tls->ssl, room.base + sum, room.len - sum, &n);

        if (r == 1)
            sum += n;
        else
            why = SSL_get_error(tls->ssl, r);
    }
    code = ERR_peek_error(); /* What the user does next may empty OpenSSL's queue. */
    if (sum > 0)
        conn_received(conn, sum);
    return end_of_read(conn, why, code) && why == SSL_ERROR_NONE;
}

/* Everything that lies in memory, until it is used up or nobody wants it. */
void conn_tls_resume(rc_conn *conn)
{
    if (conn->state == CONN_HANDSHAKE)
        shake_hands(conn);
    while (conn->state == CONN_OPEN && !conn->paused && decrypt(conn)) {
    }
    if (conn->state == CONN_OPEN)
        push_out(conn); /* Answers of OpenSSL's own. */
}

void conn_tls_read(rc_conn *conn)
{
    struct conn_tls *tls = conn->tls;
    size_t space;
    size_t n;

    for (int i = 0; i < READS_PER_TURN; i++) {
        if (conn->state != CONN_HANDSHAKE && (conn->state != CONN_OPEN || conn->paused))
            return;
        memmove(tls->in, tls->in + tls->in_at, tls->in_len - tls->in_at);
        tls->in_len -= tls->in_at;
        tls->in_at = 0;
        space = IN_BYTES - tls->in_len;
        n = conn_recv(conn, tls->in + tls->in_len, space);
        tls->in_len += n;
        if (n > 0)
            conn_tls_resume(conn);
        if (n < space)
            return;
    }
}

void conn_tls_begin(rc_conn *conn)
{
    shake_hands(conn);
}

void conn_tls_shut(rc_conn *conn)
{
    if (conn->blocked || out_left(conn->tls) > 0)
        return;
    ERR_clear_error();
    (void)SSL_shutdown(conn->tls->ssl);
    ERR_clear_error();
    push_out(conn);
}
