/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Bodies of brokers and name servers: JSON in which the keys of objects may be bare numbers or
 * whole objects (protocol §4, §15, §25), as Java's fastjson writes maps. Such keys are rewritten as
 * texts and jansson reads the result; bodies without them are read as they are.
 */
#include "rocketmq/wire.h"

#include "base/encode.h"

#define DEPTH_MAX 64
#define REWRITTEN_MAX (4 * (size_t)16777216)

/* Walks the text once. What it does not understand is left for jansson to complain about. */
typedef struct walker {
    const char *at, *end;
    const char *from; /* What lies between it and `at` has yet to be copied. */
    rc_buf *out;
    /* One bit per level: it is an object; and whether a key is expected next in the present one. */
    uint64_t objects;
    int depth;
    bool key_next;
    bool rewritten;
} walker;

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Behind the text that begins at `at` (its quote), or the end. */
static const char *skip_text(const char *at, const char *end)
{
    for (at++; at < end; at++) {
        if (*at == '\\')
            at++;
        else if (*at == '"')
            return at + 1;
    }
    return end;
}

/* Behind the object that begins at `at`, or NULL when it does not end. */
static const char *skip_object(const char *at, const char *end)
{
    int depth = 0;

    while (at < end) {
        if (*at == '"') {
            at = skip_text(at, end);
            continue;
        }
        if (*at == '{' || *at == '[')
            depth++;
        else if (*at == '}' || *at == ']')
            depth--;
        at++;
        if (depth == 0)
            return at;
        if (depth > DEPTH_MAX)
            return NULL;
    }
    return NULL;
}

/* [from, to) as a JSON text. */
static void put_as_text(rc_buf *out, const char *from, const char *to)
{
    static const char hex[] = "0123456789abcdef";

    rc_buf_char(out, '"');
    for (; from < to; from++) {
        unsigned char c = (unsigned char)*from;
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

        if (c < 0x20) {
            rc_buf_add(out, escape, sizeof escape);
            continue;
        }
        if (c == '"' || c == '\\')
            rc_buf_char(out, '\\');
        rc_buf_char(out, *from);
    }
    rc_buf_char(out, '"');
}

/* Copies up to w->at; up to the byte where `out` is full when that comes first. */
static void copy_run(walker *w)
{
    size_t room = w->out->max - w->out->len;
    size_t run = (size_t)(w->at - w->from);

    if (run > room) {
        w->at = w->from + room;
        w->out->overflow = true;
        return;
    }
    rc_buf_add(w->out, w->from, run);
    w->from = w->at;
}

/* A key that is no text, at w->at. */
static void odd_key(walker *w)
{
    const char *to = w->at;

    if (*w->at == '{')
        to = skip_object(w->at, w->end);
    else
        while (to < w->end && ((*to >= '0' && *to <= '9') || *to == '-'))
            to++;
    w->key_next = false;
    if (!to || to == w->at) {
        w->at++;
        return;
    }
    copy_run(w);
    if (w->out->overflow)
        return;
    put_as_text(w->out, w->at, to);
    w->rewritten = true;
    w->at = w->from = to;
}

static void open_level(walker *w, bool object)
{
    w->objects = w->objects << 1 | object;
    w->depth++;
    w->key_next = object;
}

/* One token. */
static void walk(walker *w)
{
    char c = *w->at;

    if (c == '"') {
        w->at = skip_text(w->at, w->end);
        w->key_next = false;
        return;
    }
    if (w->key_next && c != '}' && !blank(c)) {
        odd_key(w);
        return;
    }
    if (c == '{' || c == '[') {
        open_level(w, c == '{');
    } else if ((c == '}' || c == ']') && w->depth > 0) {
        w->objects >>= 1;
        w->depth--;
        w->key_next = false;
    } else if (c == ',') {
        w->key_next = w->depth > 0 && (w->objects & 1);
    }
    w->at++;
}

/*
 * Rewrites into `out`, or leaves it empty when there is nothing to rewrite; stops where it
 * overflows. @return the position in `text` where it stopped, -1 = too deep.
 */
static ptrdiff_t rewrite(rc_slice text, rc_buf *out, bool *rewritten)
{
    walker w = {.at = text.base, .end = text.base + text.len, .from = text.base, .out = out};

    while (w.at < w.end && !out->overflow) {
        walk(&w);
        if (w.depth > DEPTH_MAX)
            return -1;
    }
    if (w.rewritten && !out->overflow)
        copy_run(&w);
    *rewritten = w.rewritten;
    return w.at - text.base;
}

/* Where in the original the byte `at` of the rewritten text comes from: rewritten again, up to it.
 */
static size_t original_place(rc_slice text, size_t at)
{
    rc_buf out = RC_BUF(at);
    bool rewritten;
    ptrdiff_t place = rewrite(text, &out, &rewritten);

    rc_buf_release(&out);
    return place < 0 ? 0 : (size_t)place;
}

int rmq_json_parse(rc_slice body, json_t **ret, rc_error *err)
{
    rc_buf out = RC_BUF(RC_MIN(REWRITTEN_MAX, 6 * body.len + 64));
    bool rewritten = false;
    json_error_t why;
    json_t *json;
    size_t at;

    if (body.len == 0)
        return rc_fail(err, OMC_EFORMAT, "the JSON body is empty");
    if (rewrite(body, &out, &rewritten) < 0) {
        rc_buf_release(&out);
        return rc_fail(err, OMC_EFORMAT, "the JSON body has more than %d levels", DEPTH_MAX);
    }
    if (out.overflow) {
        rc_buf_release(&out);
        return rc_fail(err, OMC_EFORMAT, "the JSON body of %zu bytes is too large", body.len);
    }
    json = rewritten ? json_loadb(out.data, out.len, JSON_ALLOW_NUL, &why)
                     : json_loadb(body.base, body.len, JSON_ALLOW_NUL, &why);
    rc_buf_release(&out);
    if (!json) {
        at = why.position > 0 ? (size_t)why.position : 0;
        return rc_fail(err, OMC_EFORMAT, "JSON body of %zu bytes: near byte %zu: %s", body.len,
                       rewritten ? original_place(body, at) : at, why.text);
    }
    *ret = json;
    return 0;
}
