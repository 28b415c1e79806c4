/* SPDX-License-Identifier: Apache-2.0 */
/** Frames and their headers, JSON and binary (protocol §1, §2). Shares nothing with the client. */
#include "impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const languages[] = {"JAVA",   "CPP",  "DOTNET", "PYTHON", "DELPHI",
                                        "ERLANG", "RUBY", "OTHER",  "HTTP",   "GO",
                                        "PHP",    "OMS",  "RUST",   "NODE_JS"};

void put_be(rc_buf *out, uint64_t value, int bytes)
{
    while (bytes-- > 0)
        rc_buf_char(out, (char)(value >> (8 * bytes)));
}

uint64_t get_be(const void *bytes, int count)
{
    const unsigned char *at = bytes;
    uint64_t value = 0;

    for (int k = 0; k < count; k++)
        value = value << 8 | at[k];
    return value;
}

int32_t java_hash(const char *text, size_t len)
{
    uint32_t hash = 0;

    for (size_t k = 0; k < len;) {
        unsigned char c = (unsigned char)text[k++];
        int more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        uint32_t point = more ? c & (0x3fu >> more) : c;

        for (; more > 0 && k < len; more--)
            point = point << 6 | ((unsigned char)text[k++] & 0x3f);
        if (point >= 0x10000) {
            hash = 31 * hash + (0xd7c0 + (point >> 10));
            point = 0xdc00 + (point & 0x3ff);
        }
        hash = 31 * hash + point;
    }
    return (int32_t)hash;
}

/* ---- fields ---------------------------------------------------------------------------------- */

static void add_taken(struct fields *fields, char *name, char *value)
{
    fields->at = rc_realloc(fields->at, (fields->count + 1) * sizeof *fields->at);
    fields->at[fields->count++] = (struct field){name, value};
}

void fields_add(struct fields *fields, const char *name, const char *fmt, ...)
{
    rc_buf value = RC_BUF(MAX_FRAME);
    va_list ap;
    char small[256];
    int len;

    va_start(ap, fmt);
    len = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (len < (int)sizeof small) {
        rc_buf_str(&value, small);
    } else {
        char *at = rc_buf_reserve(&value, (size_t)len + 1);

        va_start(ap, fmt);
        vsnprintf(at, (size_t)len + 1, fmt, ap);
        va_end(ap);
        value.len = (size_t)len;
    }
    add_taken(fields, rc_strdup(name), rc_buf_take(&value));
}

const char *fields_get(const struct fields *fields, const char *name)
{
    for (size_t k = 0; k < fields->count; k++) {
        if (!strcmp(fields->at[k].name, name))
            return fields->at[k].value;
    }
    return NULL;
}

void fields_free(struct fields *fields)
{
    for (size_t k = 0; k < fields->count; k++) {
        free(fields->at[k].name);
        free(fields->at[k].value);
    }
    free(fields->at);
    *fields = (struct fields){0};
}

void header_free(struct header *header)
{
    free(header->remark);
    fields_free(&header->fields);
    *header = (struct header){0};
}

/* ---- reading --------------------------------------------------------------------------------- */

static const char *read_json_fields(struct fields *fields, json_t *map)
{
    const char *name;
    json_t *value;

    json_object_foreach(map, name, value)
    {
        if (!json_is_string(value))
            return "a value in extFields is not a string";
        add_taken(fields, rc_strdup(name), rc_strdup(json_string_value(value)));
    }
    return NULL;
}

static const char *read_json(struct header *header, const char *bytes, size_t len)
{
    json_t *root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, NULL);
    json_t *language = json_object_get(root, "language"), *map;
    const char *wrong = NULL;

    if (!json_is_object(root))
        wrong = "the header is not a JSON object";
    else if (!json_is_integer(json_object_get(root, "code")) ||
             !json_is_integer(json_object_get(root, "opaque")) ||
             !json_is_integer(json_object_get(root, "flag")) ||
             !json_is_integer(json_object_get(root, "version")))
        wrong = "code, opaque, flag or version of the header is no number";
    if (wrong) {
        json_decref(root);
        return wrong;
    }
    header->code = (int)json_integer_value(json_object_get(root, "code"));
    header->opaque = (int32_t)json_integer_value(json_object_get(root, "opaque"));
    header->flag = (int32_t)json_integer_value(json_object_get(root, "flag"));
    header->version = (int)json_integer_value(json_object_get(root, "version"));
    header->language = -1;
    for (size_t k = 0; k < RC_COUNT(languages); k++) {
        if (json_is_string(language) && !strcmp(json_string_value(language), languages[k]))
            header->language = (int)k;
    }
    if (header->language < 0)
        wrong = "the header's language is none that there is";
    if (json_is_string(json_object_get(root, "remark")))
        header->remark = rc_strdup(json_string_value(json_object_get(root, "remark")));
    map = json_object_get(root, "extFields");
    if (!wrong && json_is_object(map))
        wrong = read_json_fields(&header->fields, map);
    json_decref(root);
    return wrong;
}

/** Takes a length of `bytes` bytes and that much text; NULL when there is less. */
static char *take_text(const char **at, const char *end, int bytes)
{
    uint64_t len;
    char *text;

    if (end - *at < bytes)
        return NULL;
    len = get_be(*at, bytes);
    *at += bytes;
    if ((uint64_t)(end - *at) < len)
        return NULL;
    text = rc_strndup(*at, len);
    *at += len;
    return text;
}

static const char *read_binary(struct header *header, const char *at, size_t len)
{
    const char *end = at + len;

    if (len < 13)
        return "the binary header is too short";
    header->code = (int16_t)get_be(at, 2);
    header->language = (int)get_be(at + 2, 1);
    header->version = (int16_t)get_be(at + 3, 2);
    header->opaque = (int32_t)get_be(at + 5, 4);
    header->flag = (int32_t)get_be(at + 9, 4);
    at += 13;
    header->remark = take_text(&at, end, 4);
    if (!header->remark || end - at < 4 || get_be(at, 4) != (uint64_t)(end - at - 4))
        return "the lengths in the binary header do not fit";
    for (at += 4; at < end;) {
        char *name = take_text(&at, end, 2), *value = name ? take_text(&at, end, 4) : NULL;

        if (!value) {
            free(name);
            return "a field of the binary header is cut";
        }
        add_taken(&header->fields, name, value);
    }
    return NULL;
}

const char *header_read(struct header *header, bool binary, const char *bytes, size_t len)
{
    *header = (struct header){0};
    return binary ? read_binary(header, bytes, len) : read_json(header, bytes, len);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_json(rc_buf *out, const struct header *header)
{
    json_t *root = json_object(), *map = json_object();
    char *text;

    for (size_t k = 0; k < header->fields.count; k++)
        json_object_set_new(map, header->fields.at[k].name,
                            json_string(header->fields.at[k].value));
    json_object_set_new(root, "code", json_integer(header->code));
    if (header->fields.count)
        json_object_set(root, "extFields", map);
    json_decref(map);
    json_object_set_new(root, "flag", json_integer(header->flag));
    json_object_set_new(root, "language", json_string("JAVA"));
    json_object_set_new(root, "opaque", json_integer(header->opaque));
    if (header->remark)
        json_object_set_new(root, "remark", json_string(header->remark));
    json_object_set_new(root, "serializeTypeCurrentRPC", json_string("JSON"));
    json_object_set_new(root, "version", json_integer(header->version));
    text = json_dumps(root, JSON_COMPACT);
    rc_buf_str(out, text);
    free(text);
    json_decref(root);
}

static void write_binary(rc_buf *out, const struct header *header)
{
    rc_buf map = RC_BUF(MAX_FRAME);
    size_t remark_len = header->remark ? strlen(header->remark) : 0;

    for (size_t k = 0; k < header->fields.count; k++) {
        const struct field *one = &header->fields.at[k];

        put_be(&map, strlen(one->name), 2);
        rc_buf_str(&map, one->name);
        put_be(&map, strlen(one->value), 4);
        rc_buf_str(&map, one->value);
    }
    put_be(out, (uint64_t)header->code, 2);
    put_be(out, (uint64_t)header->language, 1);
    put_be(out, (uint64_t)header->version, 2);
    put_be(out, (uint64_t)header->opaque, 4);
    put_be(out, (uint64_t)header->flag, 4);
    put_be(out, remark_len, 4);
    rc_buf_add(out, header->remark ? header->remark : "", remark_len);
    put_be(out, map.len, 4);
    rc_buf_add(out, map.data ? map.data : "", map.len);
    rc_buf_release(&map);
}

void frame_write(rc_buf *out, bool binary, const struct header *header, const void *body,
                 size_t body_len)
{
    rc_buf head = RC_BUF(MAX_FRAME);

    if (binary)
        write_binary(&head, header);
    else
        write_json(&head, header);
    put_be(out, 4 + head.len + body_len, 4);
    put_be(out, head.len | (binary ? 1u << 24 : 0), 4);
    rc_buf_add(out, head.data, head.len);
    if (body_len)
        rc_buf_add(out, body, body_len);
    rc_buf_release(&head);
}
