/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The signature of ACL (protocol §16): HMAC-SHA1 over the values of all ext fields in the order of
 * their names, then the body. The body is hashed in its parts, never copied.
 */
#include "rocketmq/frame.h"

#include "base/encode.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <pthread.h>

static EVP_MAC *hmac; /* Fetched once: a fetch costs more than a signature. */
static pthread_once_t hmac_once = PTHREAD_ONCE_INIT;

static void fetch_hmac(void)
{
    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    RC_ASSERT(hmac);
}

static int by_name(const void *a, const void *b)
{
    const rmq_field *x = *(const rmq_field *const *)a;
    const rmq_field *y = *(const rmq_field *const *)b;
    size_t both = RC_MIN(x->name.len, y->name.len);
    int order = both ? memcmp(x->name.base, y->name.base, both) : 0;

    return order ? order : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

static void update(EVP_MAC_CTX *ctx, rc_slice bytes)
{
    if (bytes.len)
        RC_ASSERT(EVP_MAC_update(ctx, (const unsigned char *)bytes.base, bytes.len) == 1);
}

static void add_values(EVP_MAC_CTX *ctx, const rmq_header *header)
{
    const rmq_field *sorted[RMQ_FIELDS_MAX];

    for (size_t i = 0; i < header->field_count; i++)
        sorted[i] = &header->fields[i];
    qsort(sorted, header->field_count, sizeof(const rmq_field *), by_name);
    for (size_t i = 0; i < header->field_count; i++)
        update(ctx, sorted[i]->value);
}

void rmq_sign(rmq_header *header, const rc_slice *body, size_t body_parts,
              const rmq_credentials *credentials, omc_arena *arena)
{
    char sha1[] = "SHA1";
    OSSL_PARAM params[] = {OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, sha1, sizeof sha1 - 1),
                           OSSL_PARAM_END};
    unsigned char digest[20];
    size_t digest_len = 0;
    EVP_MAC_CTX *ctx;

    rmq_header_add(header, "AccessKey",
                   rc_arena_slice(arena, omc_slice_str(credentials->access_key)));
    if (credentials->security_token[0])
        rmq_header_add(header, "SecurityToken",
                       rc_arena_slice(arena, omc_slice_str(credentials->security_token)));
    pthread_once(&hmac_once, fetch_hmac);
    ctx = EVP_MAC_CTX_new(hmac);
    RC_ASSERT(ctx);
    RC_ASSERT(EVP_MAC_init(ctx, (const unsigned char *)credentials->secret_key,
                           strlen(credentials->secret_key), params) == 1);
    add_values(ctx, header);
    for (size_t i = 0; i < body_parts; i++)
        update(ctx, body[i]);
    RC_ASSERT(EVP_MAC_final(ctx, digest, &digest_len, sizeof digest) == 1);
    EVP_MAC_CTX_free(ctx);
    rmq_header_add(header, "Signature",
                   rc_base64_encode(arena, omc_slice_of((const char *)digest, sizeof digest)));
}
