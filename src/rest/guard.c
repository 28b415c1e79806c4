/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps web pages away from a server that trusts its machine.
 *
 * A page from anywhere can make a browser on this machine send requests here. It cannot read the
 * answers, but a GET that deletes needs no reading; browsers say who asks (Origin,
 * Sec-Fetch-Site), so requests that change something are refused when that is somebody else. By
 * rebinding its own name to 127.0.0.1 a page could even read answers; its requests then carry its
 * own name as Host, so a server on a loopback address answers to loopback names only.
 */
#include "rest/exchange.h"

#include <arpa/inet.h>
#include <strings.h>

bool guard_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* The name in a Host header, without its port and brackets. */
static rc_slice host_name(const char *header)
{
    const char *end;

    if (*header == '[') {
        end = strchr(header, ']');
        return omc_slice_of(header + 1, end ? (size_t)(end - header) - 1 : strlen(header) - 1);
    }
    return omc_slice_of(header, strcspn(header, ":"));
}

static bool is_name(rc_slice have, const char *want)
{
    return have.len == strlen(want) && strncasecmp(have.base, want, have.len) == 0;
}

static bool host_allowed(const rc_rest *rest, const char *header)
{
    rc_slice name = host_name(header);

    return is_name(name, "localhost") || is_name(name, "127.0.0.1") || is_name(name, "::1") ||
           is_name(name, rest->host);
}

/* A page served by us: only believed where the Host header has been checked. */
static bool own_origin(const rc_rest *rest, const guard_headers *h)
{
    static const char scheme[] = "http://";

    return rest->loopback && h->host && strncasecmp(h->origin, scheme, sizeof scheme - 1) == 0 &&
           strcasecmp(h->origin + sizeof scheme - 1, h->host) == 0;
}

int guard_check(const rc_rest *rest, const guard_headers *h, bool changes, const char *right,
                rc_error *err)
{
    if (rest->loopback && h->host && !host_allowed(rest, h->host))
        return rc_fail(err, OMC_EACCES,
                       "Host '%.100s' is not a name of this server, which listens on %s only; "
                       "call http://localhost:%d, or set rest.host to the name you use",
                       h->host, rest->host, rest->port);
    if (!changes)
        return 0;
    if (h->fetch_site && strcasecmp(h->fetch_site, "none") != 0 &&
        strcasecmp(h->fetch_site, "same-origin") != 0)
        return rc_fail(err, OMC_EACCES,
                       "a web page of another site asked for this change (Sec-Fetch-Site: %.40s), "
                       "so it was not made; call it from a program: %s",
                       h->fetch_site, right);
    if (h->origin && !own_origin(rest, h))
        return rc_fail(err, OMC_EACCES,
                       "a web page asked for this change (Origin: %.100s), so it was not made; "
                       "call it from a program: %s",
                       h->origin, right);
    return 0;
}
