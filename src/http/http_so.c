/* SPDX-License-Identifier: Apache-2.0 */
/* rc_http.so: the HTTP client on libcurl. */
#include "http/http.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

__attribute__((visibility("default"))) const rc_http *rc_http_entry(void);

static size_t on_bytes(char *bytes, size_t size, size_t count, void *arg)
{
    rc_http_answer *answer = arg;
    const size_t n = size * count;
    char *grown;

    if (n > RC_HTTP_BODY_MAX - answer->len)
        return 0; /* libcurl gives up with CURLE_WRITE_ERROR */
    grown = realloc(answer->body, answer->len + n + 1);
    if (!grown)
        return 0;
    memcpy(grown + answer->len, bytes, n);
    answer->body = grown;
    answer->len += n;
    answer->body[answer->len] = '\0';
    return n;
}

static int fail(CURLcode code, const char *url, const char *detail, omc_error *err)
{
    const char *text = *detail ? detail : curl_easy_strerror(code);

    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return omc_fail(err, OMC_EINVAL, 0, "'%s' is not a usable URL: %s", url, text);
    case CURLE_OPERATION_TIMEDOUT:
        return omc_fail(err, OMC_ETIMEDOUT, OMC_ERR_RETRIABLE, "%s: no answer in time: %s", url,
                        text);
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return omc_fail(err, OMC_ECONNECT, OMC_ERR_RETRIABLE, "%s", text);
    case CURLE_WRITE_ERROR:
        return omc_fail(err, OMC_EIO, 0, "%s: the answer is longer than %zu MiB", url,
                        RC_HTTP_BODY_MAX >> 20);
    default:
        return omc_fail(err, OMC_EIO, 0, "%s: %s", url, text);
    }
}

static CURLcode perform(CURL *curl, const rc_http_request *request, struct curl_slist *headers,
                        char *detail, rc_http_answer *ret)
{
    (void)curl_easy_setopt(curl, CURLOPT_URL, request->url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, request->timeout_ms);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret);
    if (request->body) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t)strlen(request->body));
    }
    return curl_easy_perform(curl);
}

static void release(rc_http_answer *answer)
{
    free(answer->body);
    memset(answer, 0, sizeof *answer);
}

/* NULL when memory has run out. */
static struct curl_slist *headers_of(const rc_http_request *request)
{
    struct curl_slist *list = curl_slist_append(NULL, "Content-Type: application/json");

    for (size_t i = 0; list && request->headers && request->headers[i]; i++) {
        struct curl_slist *longer = curl_slist_append(list, request->headers[i]);

        if (!longer)
            curl_slist_free_all(list);
        list = longer;
    }
    return list;
}

static void take_type(CURL *curl, rc_http_answer *ret)
{
    char *type = NULL;

    if (curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK && type &&
        strlen(type) <= RC_HTTP_TYPE_MAX)
        memcpy(ret->type, type, strlen(type) + 1);
}

static int call(const rc_http_request *request, rc_http_answer *ret, omc_error *err)
{
    char detail[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = headers_of(request);
    CURL *curl = curl_easy_init();
    CURLcode code = CURLE_OUT_OF_MEMORY;

    memset(ret, 0, sizeof *ret);
    ret->body = calloc(1, 1);
    if (curl && headers && ret->body)
        code = perform(curl, request, headers, detail, ret);
    if (code == CURLE_OK) {
        (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
        take_type(curl, ret);
    } else {
        release(ret);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return code == CURLE_OK ? 0 : fail(code, request->url, detail, err);
}

const rc_http *rc_http_entry(void)
{
    static const rc_http http = {RC_HTTP_VERSION, call, release};

    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? &http : NULL;
}
