/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Frames and headers. The JSON reader is our own: headers are the hot path of replies, their shape
 * is known, and their texts can stay where they lie unless an escape has to be undone.
 */
#include "rocketmq/frame.h"

#include "rocketmq/bytes.h"

#include "base/encode.h"
#include "base/units.h"

#define PREFIX ((size_t)8) /* Length and word. */
#define DEPTH_MAX 64

/* By number; the JSON form has the name. */
static const char *const languages[] = {"JAVA",   "CPP",  "DOTNET", "PYTHON", "DELPHI",
                                        "ERLANG", "RUBY", "OTHER",  "HTTP",   "GO",
                                        "PHP",    "OMS",  "RUST",   "NODE_JS"};
#define LANGUAGE_OTHER 7

/* ---- fields ---------------------------------------------------------------------------------- */

rc_slice rmq_header_get(const rmq_header *header, const char *name)
{
    size_t len = strlen(name);

    /* From the end: when a name comes twice, Java's map keeps the last. */
    for (size_t i = header->field_count; i > 0; i--) {
        const rmq_field *field = &header->fields[i - 1];

        if (field->name.len == len && memcmp(field->name.base, name, len) == 0)
            return field->value;
    }
    return omc_slice_of(NULL, 0);
}

int rmq_header_int(const rmq_header *header, const char *name, int64_t *ret, rc_error *err)
{
    rc_slice text = rmq_header_get(header, name);

    if (!text.base)
        return rc_fail(err, OMC_EFORMAT, "field '%s' is missing in the header", name);
    if (rc_parse_int64(text, ret) < 0)
        return rc_fail(err, OMC_EFORMAT, "field '%s' of the header is '%.*s' and no number", name,
                       (int)RC_MIN(text.len, (size_t)40), rc_utf8_valid(text) ? text.base : "?");
    return 0;
}

void rmq_header_add(rmq_header *header, const char *name, rc_slice value)
{
    RC_ASSERT(header->field_count < RMQ_FIELDS_MAX);
    header->fields[header->field_count].name = omc_slice_str(name);
    header->fields[header->field_count].value = value;
    header->field_count++;
}

/* Room for one more of a peer's fields, or NULL. */
static rmq_field *next_field(rmq_header *header)
{
    return header->field_count < RMQ_FIELDS_MAX ? &header->fields[header->field_count++] : NULL;
}

static int too_many_fields(rc_error *err)
{
    return rc_fail(err, OMC_EFORMAT, "header: more than %d ext fields", RMQ_FIELDS_MAX);
}

/* ---- reading JSON ---------------------------------------------------------------------------- */

typedef struct reader {
    const char *begin, *at, *end;
    omc_arena *arena;
    rc_error *err;
} reader;

static int bad_json(const reader *r, const char *what)
{
    return rc_fail(r->err, OMC_EFORMAT, "JSON header: %s at byte %zu of %zu", what,
                   (size_t)(r->at - r->begin), (size_t)(r->end - r->begin));
}

static void skip_blanks(reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

/* Takes `c` when it is next, blanks before it aside. */
static bool take(reader *r, char c)
{
    skip_blanks(r);
    if (r->at >= r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

/* The first '"' or '\\' in [at, end), or end. Eight bytes at a time: most of a header is text. */
static const char *text_stop(const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101u;

    while (end - at >= 8) {
        uint64_t word, quote, slash, found;

        memcpy(&word, at, sizeof word);
        quote = word ^ ones * '"';
        slash = word ^ ones * '\\';
        /* The lowest marked byte is a zero of its word, so a hit; higher marks may be false. */
        found = (((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & ones << 7;
        if (found)
            return at + __builtin_ctzll(found) / 8;
        at += sizeof word;
    }
    while (at < end && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* The end of a text whose first byte is at r->at, or NULL; tells whether there are escapes. */
static const char *text_end(const reader *r, bool *escaped)
{
    const char *at = text_stop(r->at, r->end);

    *escaped = false;
    while (at < r->end && *at == '\\') {
        *escaped = true;
        if (r->end - at < 2)
            return NULL;
        at = text_stop(at + 2, r->end);
    }
    return at < r->end ? at : NULL;
}

static int hex4(const char *at, const char *end, uint32_t *ret)
{
    uint32_t v = 0;

    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;

        if (digit < 0)
            return -1;
        v = v << 4 | (uint32_t)digit;
    }
    *ret = v;
    return 0;
}

static char *put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xC0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *out++ = (char)(0xE0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    } else {
        *out++ = (char)(0xF0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3F));
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    }
    return out;
}

/* The four digits of \u, and those of a second half when it is one; halves that stand alone become
 * U+FFFD. Returns the bytes used behind the 'u', 0 = no digits. */
static size_t unicode_escape(const char *at, const char *end, uint32_t *ret)
{
    uint32_t high, low;

    if (hex4(at, end, &high) < 0)
        return 0;
    *ret = high;
    if (high < 0xD800 || high > 0xDFFF)
        return 4;
    *ret = 0xFFFD;
    if (high > 0xDBFF || end - at < 10 || at[4] != '\\' || at[5] != 'u' ||
        hex4(at + 6, end, &low) < 0 || low < 0xDC00 || low > 0xDFFF)
        return 4;
    *ret = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    return 10;
}

/* What stands for the escaped letter, or 0. */
static char plain_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/':
        return c;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return 0;
    }
}

/* Undoes the escapes of [r->at, end) into the arena; never longer than before. */
static int unescape(reader *r, const char *end, rc_slice *ret)
{
    char *begin = omc_alloc(r->arena, (size_t)(end - r->at));
    char *out = begin;
    uint32_t c = 0;
    size_t n;

    while (r->at < end) {
        if (*r->at != '\\') {
            *out++ = *r->at++;
            continue;
        }
        r->at++; /* text_end() has seen that one more byte follows. */
        if (*r->at == 'u') {
            n = unicode_escape(r->at + 1, end, &c);
            if (n == 0)
                return bad_json(r, "\\u without four digits");
            out = put_utf8(out, c);
            r->at += 1 + n;
        } else {
            *out = plain_escape(*r->at);
            if (!*out++)
                return bad_json(r, "unknown escape");
            r->at++;
        }
    }
    *ret = omc_slice_of(begin, (size_t)(out - begin));
    return 0;
}

static int read_text(reader *r, rc_slice *ret)
{
    const char *end;
    bool escaped;
    int result = 0;

    if (!take(r, '"'))
        return bad_json(r, "no text where one must be");
    end = text_end(r, &escaped);
    if (!end)
        return bad_json(r, "text without end");
    if (escaped)
        result = unescape(r, end, ret);
    else
        *ret = omc_slice_of(r->at, (size_t)(end - r->at));
    if (result == 0)
        r->at = end + 1;
    return result;
}

static bool word_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '+' || c == '.';
}

/* A number, true, false or null as it stands there. Only its bytes are checked. */
static int read_word(reader *r, rc_slice *ret)
{
    const char *from;

    skip_blanks(r);
    from = r->at;
    while (r->at < r->end && word_byte(*r->at))
        r->at++;
    *ret = omc_slice_of(from, (size_t)(r->at - from));
    return ret->len ? 0 : bad_json(r, "no value where one must be");
}

/* Passes over an object or array whose bracket is next. One bit of `kinds` per level: {. */
static int skip_nested(reader *r)
{
    uint64_t kinds = 0;
    int depth = 0;

    do {
        char c;

        skip_blanks(r);
        if (r->at >= r->end)
            return bad_json(r, "value without end");
        c = *r->at;
        if (c == '{' || c == '[') {
            if (++depth > DEPTH_MAX)
                return bad_json(r, "more than 64 levels");
            kinds = kinds << 1 | (c == '{');
            r->at++;
        } else if (c == '}' || c == ']') {
            if ((kinds & 1) != (c == '}'))
                return bad_json(r, "the wrong bracket");
            kinds >>= 1;
            depth--;
            r->at++;
        } else if (c == '"') {
            bool escaped;
            const char *end;

            r->at++;
            end = text_end(r, &escaped);
            if (!end)
                return bad_json(r, "text without end");
            r->at = end + 1;
        } else if (c == ',' || c == ':' || word_byte(c)) {
            r->at++;
        } else {
            return bad_json(r, "a byte that is no JSON");
        }
    } while (depth > 0);
    return 0;
}

/* A value as text: of a number or word what stands there; null and nested ones have base NULL. */
static int read_value(reader *r, rc_slice *ret)
{
    int result;

    skip_blanks(r);
    if (r->at >= r->end)
        return bad_json(r, "no value where one must be");
    if (*r->at == '"')
        return read_text(r, ret);
    if (*r->at == '{' || *r->at == '[') {
        *ret = omc_slice_of(NULL, 0);
        return skip_nested(r);
    }
    result = read_word(r, ret);
    if (result == 0 && omc_slice_is(*ret, "null"))
        *ret = omc_slice_of(NULL, 0);
    return result;
}

static int read_int(reader *r, int32_t *ret)
{
    int64_t value = 0;
    rc_slice word = {NULL, 0};
    int result = read_word(r, &word);

    if (result < 0)
        return result;
    if (rc_parse_int64(word, &value) < 0 || value < INT32_MIN || value > INT32_MAX) {
        r->at = word.base;
        return bad_json(r, "no 32-bit number");
    }
    *ret = (int32_t)value;
    return 0;
}

static int read_language(reader *r, int32_t *ret)
{
    rc_slice text = {NULL, 0};
    int result;

    skip_blanks(r);
    if (r->at < r->end && word_byte(*r->at))
        return read_int(r, ret);
    result = read_text(r, &text);
    if (result < 0)
        return result;
    *ret = LANGUAGE_OTHER;
    for (size_t i = 0; i < RC_COUNT(languages); i++)
        if (omc_slice_is(text, languages[i]))
            *ret = (int32_t)i;
    return 0;
}

/* After a member of an object: 1 = another follows, 0 = its end, < 0. */
static int next_member(reader *r)
{
    if (take(r, ','))
        return 1;
    return take(r, '}') ? 0 : bad_json(r, "neither ',' nor '}'");
}

static int read_fields(reader *r, rmq_header *header)
{
    int result;

    skip_blanks(r);
    if (r->at < r->end && *r->at == 'n') {
        rc_slice null;

        return read_value(r, &null);
    }
    if (!take(r, '{'))
        return bad_json(r, "extFields is no object");
    if (take(r, '}'))
        return 0;
    do {
        rmq_field field = {{NULL, 0}, {NULL, 0}};
        rmq_field *to;

        result = read_text(r, &field.name);
        if (result == 0 && !take(r, ':'))
            result = bad_json(r, "no ':'");
        if (result == 0)
            result = read_value(r, &field.value);
        if (result < 0)
            return result;
        if (field.value.base) {
            to = next_field(header);
            if (!to)
                return too_many_fields(r->err);
            *to = field;
        }
    } while ((result = next_member(r)) > 0);
    return result;
}

enum { SAW_CODE = 1, SAW_OPAQUE = 2 };

static int read_member(reader *r, rc_slice name, rmq_header *header, int *saw)
{
    rc_slice other;

    if (omc_slice_is(name, "code")) {
        *saw |= SAW_CODE;
        return read_int(r, &header->code);
    }
    if (omc_slice_is(name, "opaque")) {
        *saw |= SAW_OPAQUE;
        return read_int(r, &header->opaque);
    }
    if (omc_slice_is(name, "extFields"))
        return read_fields(r, header);
    if (omc_slice_is(name, "flag"))
        return read_int(r, &header->flag);
    if (omc_slice_is(name, "version"))
        return read_int(r, &header->version);
    if (omc_slice_is(name, "language"))
        return read_language(r, &header->language);
    if (omc_slice_is(name, "remark"))
        return read_value(r, &header->remark);
    return read_value(r, &other);
}

static int parse_json(rc_slice text, omc_arena *arena, rmq_header *header, rc_error *err)
{
    reader r = {text.base, text.base, text.base + text.len, arena, err};
    rc_slice name = {NULL, 0};
    int result = 1;
    int saw = 0;

    if (!take(&r, '{'))
        return bad_json(&r, "no '{'");
    if (take(&r, '}'))
        result = 0;
    while (result > 0) {
        result = read_text(&r, &name);
        if (result == 0 && !take(&r, ':'))
            result = bad_json(&r, "no ':'");
        if (result == 0)
            result = read_member(&r, name, header, &saw);
        if (result == 0)
            result = next_member(&r);
    }
    if (result < 0)
        return result;
    skip_blanks(&r);
    if (r.at != r.end)
        return bad_json(&r, "more behind the header's end");
    /* Without them it would look like a success, of another request. */
    if (saw != (SAW_CODE | SAW_OPAQUE))
        return bad_json(&r, saw & SAW_CODE ? "no 'opaque'" : "no 'code'");
    return 0;
}

/* ---- reading the binary form ----------------------------------------------------------------- */

#define BINARY_MIN ((size_t)21)

static int bad_binary(rc_error *err, const char *what, size_t value, size_t left)
{
    return rc_fail(err, OMC_EFORMAT, "binary header: %s of %zu bytes where %zu are left", what,
                   value, left);
}

/* Takes a text whose length (2 or 4 bytes, as Java counts: signed) stands before it. */
static int take_text(rc_slice *from, size_t head, const char *what, rc_slice *ret, rc_error *err)
{
    size_t len;

    if (from->len < head)
        return bad_binary(err, what, head, from->len);
    len = head == 2 ? rmq_be16(from->base) : rmq_be32(from->base);
    if (len > (head == 2 ? (size_t)INT16_MAX : (size_t)INT32_MAX) || len > from->len - head)
        return bad_binary(err, what, len, from->len - head);
    *ret = omc_slice_of(from->base + head, len);
    *from = omc_slice_of(from->base + head + len, from->len - head - len);
    return 0;
}

static int parse_binary_fields(rc_slice map, rmq_header *header, rc_error *err)
{
    while (map.len > 0) {
        rmq_field *field = next_field(header);
        int r;

        if (!field)
            return too_many_fields(err);
        r = take_text(&map, 2, "a field's name", &field->name, err);
        if (r == 0)
            r = take_text(&map, 4, "a field's value", &field->value, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_binary(rc_slice text, rmq_header *header, rc_error *err)
{
    rc_slice map = {NULL, 0};
    int r;

    if (text.len < BINARY_MIN)
        return bad_binary(err, "the fixed part", BINARY_MIN, text.len);
    header->code = (int16_t)rmq_be16(text.base);
    header->language = (uint8_t)text.base[2];
    header->version = (int16_t)rmq_be16(text.base + 3);
    header->opaque = (int32_t)rmq_be32(text.base + 5);
    header->flag = (int32_t)rmq_be32(text.base + 9);
    text = omc_slice_of(text.base + 13, text.len - 13);
    r = take_text(&text, 4, "the remark", &header->remark, err);
    if (r == 0)
        r = take_text(&text, 4, "the map of fields", &map, err);
    if (r < 0)
        return r;
    if (header->remark.len == 0)
        header->remark = omc_slice_of(NULL, 0);
    return parse_binary_fields(map, header, err);
}

/* ---- frames ---------------------------------------------------------------------------------- */

/* What speaks on the other side, when it is a known mistake in an address or port. */
static const char *stranger(const uint8_t *at)
{
    if (memcmp(at, "HTTP", 4) == 0)
        return "; the peer speaks HTTP: this is the port of something else, check the address";
    if ((at[0] == 0x15 || at[0] == 0x16) && at[1] == 3)
        return "; the peer speaks TLS: switch TLS on in the client";
    if (memcmp(at, "SSH-", 4) == 0 || memcmp(at, "-ERR", 4) == 0)
        return "; the peer is no RocketMQ: check the address";
    return "; this is no RocketMQ name server or broker, or the connection is out of step: check "
           "the address";
}

int rmq_frame_length(const uint8_t *at, size_t len, size_t *ret, rc_error *err)
{
    size_t total;

    if (len < 4) {
        *ret = 0;
        return 0;
    }
    total = rmq_be32(at);
    if (total < 4 || total > RMQ_FRAME_MAX)
        return rc_fail(err, OMC_EFORMAT,
                       "frame: a length of %zu bytes (%02x %02x %02x %02x), it must be 4 to %zu%s",
                       total, at[0], at[1], at[2], at[3], RMQ_FRAME_MAX, stranger(at));
    *ret = total + 4;
    return 0;
}

int rmq_frame_parse(const uint8_t *frame, size_t len, omc_arena *arena, rmq_frame *ret,
                    rc_error *err)
{
    const char *base = (const char *)frame;
    size_t whole = 0, header_len;
    rc_slice header;
    uint32_t word;
    int r = rmq_frame_length(frame, len, &whole, err);

    if (r < 0)
        return r;
    if (whole != len || len < PREFIX)
        return rc_fail(err, OMC_EFORMAT, "frame: %zu bytes, but its length says %zu", len, whole);
    word = rmq_be32(frame + 4);
    header_len = word & 0xFFFFFF;
    if (header_len > len - PREFIX)
        return rc_fail(err, OMC_EFORMAT, "frame: a header of %zu bytes in a frame of %zu",
                       header_len, len);
    header = omc_slice_of(base + PREFIX, header_len);
    ret->body = omc_slice_of(base + PREFIX + header_len, len - PREFIX - header_len);
    ret->header.code = ret->header.version = ret->header.opaque = ret->header.flag = 0;
    ret->header.language = 0;
    ret->header.remark = omc_slice_of(NULL, 0);
    ret->header.field_count = 0;
    if (word >> 24 == RMQ_JSON)
        return parse_json(header, arena, &ret->header, err);
    if (word >> 24 == RMQ_BINARY)
        return parse_binary(header, &ret->header, err);
    return rc_fail(err, OMC_EFORMAT,
                   "frame: header serialization %u; JSON (0) and ROCKETMQ (1) are known",
                   word >> 24);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Length of a byte inside a JSON text. */
static inline size_t escaped_len(unsigned char c)
{
    return c < 0x20 ? 6 : c == '"' || c == '\\' ? 2 : 1;
}

static size_t json_text_size(rc_slice text)
{
    size_t n = 2;

    for (size_t i = 0; i < text.len; i++)
        n += escaped_len((unsigned char)text.base[i]);
    return n;
}

static uint8_t *put_json_text(uint8_t *at, rc_slice text)
{
    static const char hex[] = "0123456789abcdef";

    *at++ = '"';
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.base[i];

        if (c < 0x20) {
            at = rmq_put_bytes(at, "\\u00", 4);
            *at++ = (uint8_t)hex[c >> 4];
            *at++ = (uint8_t)hex[c & 15];
        } else {
            if (c == '"' || c == '\\')
                *at++ = '\\';
            *at++ = c;
        }
    }
    *at++ = '"';
    return at;
}

static uint8_t *put_literal(uint8_t *at, const char *text)
{
    return rmq_put_bytes(at, text, strlen(text));
}

static uint8_t *put_decimal(uint8_t *at, int32_t value)
{
    char digits[12];
    char *begin = digits + sizeof digits;
    uint32_t left = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;

    do {
        *--begin = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0)
        *--begin = '-';
    return rmq_put_bytes(at, begin, (size_t)(digits + sizeof digits - begin));
}

static const char *language_name(int32_t language)
{
    return language >= 0 && language < (int32_t)RC_COUNT(languages) ? languages[language]
                                                                    : languages[LANGUAGE_OTHER];
}

/* At most; the numbers are counted with all their digits. */
static size_t json_size(const rmq_header *header)
{
    size_t n =
        sizeof "{'code':,'language':'','version':,'opaque':,'flag':,'remark':,'extFields':{}}" +
        (size_t)44 + strlen(language_name(header->language));

    if (header->remark.base)
        n += json_text_size(header->remark);
    for (size_t i = 0; i < header->field_count; i++)
        n += json_text_size(header->fields[i].name) + json_text_size(header->fields[i].value) + 2;
    return n;
}

static uint8_t *put_json(uint8_t *at, const rmq_header *header)
{
    at = put_decimal(put_literal(at, "{\"code\":"), header->code);
    at = put_literal(put_literal(at, ",\"language\":\""), language_name(header->language));
    at = put_decimal(put_literal(at, "\",\"version\":"), header->version);
    at = put_decimal(put_literal(at, ",\"opaque\":"), header->opaque);
    at = put_decimal(put_literal(at, ",\"flag\":"), header->flag);
    if (header->remark.base)
        at = put_json_text(put_literal(at, ",\"remark\":"), header->remark);
    at = put_literal(at, ",\"extFields\":{");
    for (size_t i = 0; i < header->field_count; i++) {
        if (i > 0)
            *at++ = ',';
        at = put_json_text(at, header->fields[i].name);
        *at++ = ':';
        at = put_json_text(at, header->fields[i].value);
    }
    return put_literal(at, "}}");
}

static size_t map_size(const rmq_header *header)
{
    size_t n = 0;

    for (size_t i = 0; i < header->field_count; i++)
        n += 6 + header->fields[i].name.len + header->fields[i].value.len;
    return n;
}

static uint8_t *put_binary(uint8_t *at, const rmq_header *header)
{
    at = rmq_put16(at, (uint16_t)header->code);
    *at++ = (uint8_t)header->language;
    at = rmq_put16(at, (uint16_t)header->version);
    at = rmq_put32(at, (uint32_t)header->opaque);
    at = rmq_put32(at, (uint32_t)header->flag);
    at = rmq_put32(at, (uint32_t)header->remark.len);
    at = rmq_put_bytes(at, header->remark.base, header->remark.len);
    at = rmq_put32(at, (uint32_t)map_size(header));
    for (size_t i = 0; i < header->field_count; i++) {
        const rmq_field *field = &header->fields[i];

        at = rmq_put16(at, (uint16_t)field->name.len);
        at = rmq_put_bytes(at, field->name.base, field->name.len);
        at = rmq_put32(at, (uint32_t)field->value.len);
        at = rmq_put_bytes(at, field->value.base, field->value.len);
    }
    return at;
}

/* Sums cannot wrap when each part is below the limit; 64 of them are. */
static int check_sizes(const rmq_header *header, size_t body_len, rc_error *err)
{
    bool fits = body_len <= RMQ_FRAME_MAX && header->remark.len <= RMQ_FRAME_MAX;

    for (size_t i = 0; i < header->field_count; i++) {
        const rmq_field *field = &header->fields[i];

        if (field->name.len > INT16_MAX)
            return rc_fail(err, OMC_EINVAL,
                           "frame: a field's name has %zu bytes; 32767 are allowed",
                           field->name.len);
        fits = fits && field->value.len <= RMQ_FRAME_MAX;
    }
    return fits ? 0
                : rc_fail(err, OMC_EINVAL,
                          "frame: body, remark or a field of request %d is larger than a frame may "
                          "be (%zu bytes)",
                          header->code, RMQ_FRAME_MAX);
}

int rmq_frame_put(rc_buf *buf, enum rmq_serialization how, const rmq_header *header,
                  size_t body_len, rc_error *err)
{
    bool json = how == RMQ_JSON || header->code < 0 || header->code > INT16_MAX ||
                header->version > INT16_MAX;
    int r = check_sizes(header, body_len, err);
    uint8_t *begin, *end;
    size_t room;

    if (r < 0)
        return r;
    room = PREFIX + (json ? json_size(header) : BINARY_MIN + header->remark.len + map_size(header));
    /* Netty counts the length field too when it compares with its maximum. */
    if (room + body_len > RMQ_FRAME_MAX)
        return rc_fail(
            err, OMC_EINVAL,
            "frame: request %d has %zu bytes of header and %zu of body; together %zu are "
            "allowed",
            header->code, room, body_len, RMQ_FRAME_MAX);
    begin = (uint8_t *)rc_buf_reserve(buf, room);
    if (!begin)
        return rc_fail(err, OMC_ENOMEM, "frame: %zu bytes of header have no room in the buffer",
                       room);
    end = json ? put_json(begin + PREFIX, header) : put_binary(begin + PREFIX, header);
    RC_ASSERT((size_t)(end - begin) <= room);
    room = (size_t)(end - begin);
    (void)rmq_put32(begin, (uint32_t)(room - 4 + body_len));
    (void)rmq_put32(begin + 4,
                    (uint32_t)(json ? RMQ_JSON : RMQ_BINARY) << 24 | (uint32_t)(room - PREFIX));
    buf->len += room;
    buf->data[buf->len] = '\0';
    return 0;
}
