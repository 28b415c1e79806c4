/* SPDX-License-Identifier: Apache-2.0 */
/* Items are sorted by key while they are read; so a match is one walk over both lists. */
#include "config/labels.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define SEPARATORS ",;"
#define CURE "write labels as key=value, separated by ',', e.g. zone=a,disk=ssd"

typedef struct label {
    rc_slice key;
    rc_slice value;
} label;

static rc_slice trimmed(const char *from, const char *to)
{
    while (from < to && isspace((unsigned char)*from))
        from++;
    while (to > from && isspace((unsigned char)to[-1]))
        to--;
    return omc_slice_of(from, (size_t)(to - from));
}

static int check_part(rc_slice part, const char *what, rc_slice item, rc_error *err)
{
    if (part.len == 0)
        return rc_fail(err, OMC_EINVAL, "the label '" RC_SLICE_FMT "' has no %s; " CURE,
                       RC_SLICE_ARG(item), what);
    if (part.len > RC_LABEL_TEXT_MAX)
        return rc_fail(err, OMC_EINVAL,
                       "the %s of label '" RC_SLICE_FMT "' has %zu bytes, at most %d are allowed; "
                       "shorten it",
                       what, RC_SLICE_ARG(item), part.len, RC_LABEL_TEXT_MAX);
    for (size_t i = 0; i < part.len; i++) {
        unsigned char c = (unsigned char)part.base[i];

        if (c >= 0x80 || (!isalnum(c) && !strchr("._-/", c)))
            return rc_fail(err, OMC_EINVAL,
                           "the %s of label '" RC_SLICE_FMT "' has a character that is not "
                           "allowed at place %zu; use letters, digits, '.', '_', '-' and '/'",
                           what, RC_SLICE_ARG(item), i + 1);
    }
    return 0;
}

static int read_item(rc_slice item, label *ret, rc_error *err)
{
    const char *end = item.base + item.len;
    const char *equals = memchr(item.base, '=', item.len);
    int r;

    if (!equals)
        return rc_fail(err, OMC_EINVAL, "the label '" RC_SLICE_FMT "' has no '='; " CURE,
                       RC_SLICE_ARG(item));
    ret->key = trimmed(item.base, equals);
    ret->value = trimmed(equals + 1, end);
    r = check_part(ret->key, "key", item, err);
    return r < 0 ? r : check_part(ret->value, "value", item, err);
}

static int compare_slices(rc_slice a, rc_slice b)
{
    int order = memcmp(a.base, b.base, RC_MIN(a.len, b.len));

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Keeps the list sorted; it is short. */
static int insert(label *labels, size_t *count, label new, rc_error *err)
{
    size_t at = *count;
    int order = -1;

    if (*count == RC_LABELS_MAX)
        return rc_fail(err, OMC_EINVAL, "there are more than %d labels; leave some out",
                       RC_LABELS_MAX);
    while (at > 0 && (order = compare_slices(labels[at - 1].key, new.key)) > 0)
        at--;
    if (at > 0 && order == 0)
        return rc_fail(err, OMC_EINVAL,
                       "the label key '" RC_SLICE_FMT "' comes twice; keep one of them",
                       RC_SLICE_ARG(new.key));
    memmove(labels + at + 1, labels + at, (*count - at) * sizeof *labels);
    labels[at] = new;
    (*count)++;
    return 0;
}

int rc_labels_parse(const char *text, char ret[RC_LABELS_TEXT_MAX], rc_error *err)
{
    label labels[RC_LABELS_MAX];
    size_t count = 0;
    char *out = ret;
    int r;

    _Static_assert((size_t)RC_LABELS_MAX * (2 * RC_LABEL_TEXT_MAX + 2) <= RC_LABELS_TEXT_MAX,
                   "the longest list fits");
    for (const char *at = text; *at;) {
        const char *end = at + strcspn(at, SEPARATORS);
        rc_slice item = trimmed(at, end);
        label new;

        at = *end ? end + 1 : end;
        if (item.len == 0)
            continue;
        r = read_item(item, &new, err);
        if (r == 0)
            r = insert(labels, &count, new, err);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < count; i++)
        out += snprintf(out, (size_t)(ret + RC_LABELS_TEXT_MAX - out),
                        "%s" RC_SLICE_FMT "=" RC_SLICE_FMT, i ? "," : "",
                        RC_SLICE_ARG(labels[i].key), RC_SLICE_ARG(labels[i].value));
    *out = '\0';
    return 0;
}

bool rc_labels_match(const char *labels, const char *required)
{
    const char *have = labels ? labels : "";
    const char *want = required ? required : "";

    /* Both are sorted by key: what is wanted is found in order, or not at all. */
    while (*want) {
        size_t want_len = strcspn(want, ",");
        size_t have_len = strcspn(have, ",");

        if (have_len == 0)
            return false;
        if (have_len == want_len && memcmp(have, want, want_len) == 0)
            want += want_len + (want[want_len] == ',');
        have += have_len + (have[have_len] == ',');
    }
    return true;
}
