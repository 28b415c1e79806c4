/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Names and keys: unique keys as Java's MessageClientIDSetter makes them, its String.hashCode, the
 * rule of legal names, and looking up a property.
 */
#include "rocketmq/wire.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <arpa/inet.h>
#include <endian.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* ---- unique keys ----------------------------------------------------------------------------- */

#define HOUR_MS INT64_C(3600000)

static char process_part[20]; /* Digits of address, process and a random number. */
static pthread_once_t process_once = PTHREAD_ONCE_INIT;

/* Eight digits at once, one in each byte of a word: a key is made for each message. */
static char *put_hex8(char *at, uint32_t value)
{
    const uint64_t each = 0x0101010101010101u;
    uint64_t v = value;

    v = (v << 16 | v) & 0x0000FFFF0000FFFFu;
    v = (v << 8 | v) & 0x00FF00FF00FF00FFu;
    v = (v << 4 | v) & 0x0F0F0F0F0F0F0F0Fu;
    v += '0' * each + ((v + 6 * each) >> 4 & each) * ('A' - '9' - 1);
    v = htobe64(v); /* the lowest byte has the last digit */
    memcpy(at, &v, sizeof v);
    return at + 8;
}

/* The lower four of them. */
static char *put_hex4(char *at, uint32_t value)
{
    char all[8];

    (void)put_hex8(all, value);
    memcpy(at, all + 4, 4);
    return at + 4;
}

/* The first address that others may know us by; tools show it as the sender. */
static uint32_t own_address(void)
{
    struct ifaddrs *list = NULL;
    uint32_t found = INADDR_LOOPBACK;

    if (getifaddrs(&list) != 0)
        return found;
    for (struct ifaddrs *i = list; i; i = i->ifa_next) {
        struct sockaddr_in in;

        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || (i->ifa_flags & IFF_LOOPBACK) ||
            !(i->ifa_flags & IFF_UP))
            continue;
        memcpy(&in, i->ifa_addr, sizeof in);
        found = ntohl(in.sin_addr.s_addr);
        break;
    }
    freeifaddrs(list);
    return found;
}

static void make_process_part(void)
{
    uint32_t chance = 0;
    char *at = process_part;

    RC_ASSERT(getrandom(&chance, sizeof chance, 0) == (ssize_t)sizeof chance);
    at = put_hex8(at, own_address());
    at = put_hex4(at, (uint32_t)getpid() & 0xFFFF);
    at = put_hex8(at, chance);
    RC_ASSERT(at == process_part + sizeof process_part);
}

/* When the present month began, in local time like Java's. localtime is slow, so its answer is
 * kept for the hour: hour in the upper half, minutes since 1970 in the lower. */
static int64_t month_start_ms(int64_t now_ms)
{
    static _Atomic uint64_t kept;
    uint64_t seen = atomic_load_explicit(&kept, memory_order_relaxed);
    uint64_t hour = (uint64_t)(now_ms / HOUR_MS) & UINT32_MAX;
    time_t second = (time_t)(now_ms / 1000);
    struct tm tm;

    if (seen >> 32 == hour)
        return (int64_t)(seen & UINT32_MAX) * 60000;
    localtime_r(&second, &tm);
    tm.tm_mday = 1;
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    tm.tm_isdst = -1;
    seen = (uint64_t)(mktime(&tm) / 60) & UINT32_MAX;
    atomic_store_explicit(&kept, hour << 32 | seen, memory_order_relaxed);
    return (int64_t)seen * 60000;
}

void rmq_unique_key(char out[33])
{
    /* Time and counter in one number that only grows: keys stay unique when the clock is put back
     * and when more than 65,536 are made in one millisecond. */
    static _Atomic uint64_t last;
    uint64_t now_ms = (uint64_t)rc_coarse_now_ms();
    uint64_t old = atomic_load_explicit(&last, memory_order_relaxed);
    uint64_t mine;
    char *at;

    pthread_once(&process_once, make_process_part);
    do {
        mine = RC_MAX(old + 1, now_ms << 16);
    } while (!atomic_compare_exchange_weak_explicit(&last, &old, mine, memory_order_relaxed,
                                                    memory_order_relaxed));
    memcpy(out, process_part, sizeof process_part);
    at = put_hex8(out + sizeof process_part,
                  (uint32_t)((int64_t)(mine >> 16) - month_start_ms((int64_t)now_ms)));
    at = put_hex4(at, mine & 0xFFFF);
    *at = '\0';
}

/* ---- Java's hash ----------------------------------------------------------------------------- */

int32_t rmq_java_hash(rmq_slice text)
{
    return rc_java_hash(text);
}

/* ---- names and properties -------------------------------------------------------------------- */

static bool legal(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '%' || c == '|';
}

int rmq_name_check(const char *kind, const char *name, size_t max, rc_error *err)
{
    size_t len = name ? strlen(name) : 0;

    if (len == 0)
        return rc_fail(err, OMC_EINVAL, "the %s is empty; name it", kind);
    if (len > max)
        return rc_fail(err, OMC_EINVAL,
                       "%s '%.64s...' is %zu bytes long; RocketMQ allows %zu, shorten it", kind,
                       name, len, max);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];

        if (legal(c))
            continue;
        if (c > 0x20 && c < 0x7F)
            return rc_fail(err, OMC_EINVAL,
                           "%s '%s': '%c' at position %zu is not allowed; use letters, digits, "
                           "'_', '-', '%%' and '|'",
                           kind, name, c, i + 1);
        return rc_fail(err, OMC_EINVAL,
                       "%s: byte 0x%02x at position %zu is not allowed; use letters, digits, '_', "
                       "'-', '%%' and '|'",
                       kind, c, i + 1);
    }
    return 0;
}

rmq_slice rmq_message_property(const rmq_message *message, const char *name)
{
    static const rmq_slice none = {NULL, 0};
    rmq_slice wanted = omc_slice_str(name);

    if (omc_slice_is(wanted, "KEYS"))
        return message->keys;
    if (omc_slice_is(wanted, "TAGS"))
        return message->tags;
    if (omc_slice_is(wanted, "UNIQ_KEY"))
        return message->unique_key;
    /* From the end: when a name comes twice, Java's map keeps the last. */
    for (size_t i = message->property_count; i > 0; i--)
        if (omc_slice_eq(message->properties[i - 1].name, wanted))
            return message->properties[i - 1].value;
    return none;
}
