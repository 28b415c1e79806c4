/* SPDX-License-Identifier: Apache-2.0 */
/*
 * StringConverter and ByteArrayConverter: bytes as they are. Lines of text at more than a
 * million records a second pass here, so a string is handed on as the slice it is: no copy, no
 * check, and bytes that are not UTF-8 come out as they went in.
 */
#include "record/converters.h"
#include "record/value.h"

#include <strings.h>

#define PACKAGE "org.apache.rocketmq.connect.runtime.converter.record."

/* ---- strings ------------------------------------------------------------------------------- */

struct string_options {
    const char *serializer_encoding;
    const char *deserializer_encoding;
};

static int check_encoding(const char *key, const char *encoding, rc_error *err)
{
    if (!encoding || !*encoding || strcasecmp(encoding, "UTF-8") == 0 ||
        strcasecmp(encoding, "UTF8") == 0)
        return 0;
    return rc_fail(err, OMC_EINVAL,
                   "key '%s' = '%s': only UTF-8 is supported; remove the key (bytes are passed on "
                   "unchanged), or use ByteArrayConverter",
                   key, encoding);
}

static int string_start(void *state, const omc_config *config, bool is_key, omc_error *err)
{
    const struct string_options *options = config->options;
    int r = check_encoding("serializer.encoding", options->serializer_encoding, err);

    (void)state;
    (void)is_key;
    return r < 0 ? r : check_encoding("deserializer.encoding", options->deserializer_encoding, err);
}

static const char nothing[1] = "";

/** Empty is not null: a slice of no bytes needs a base. */
static omc_slice not_null(omc_slice bytes)
{
    return bytes.base ? bytes : omc_slice_of(nothing, 0);
}

static int string_write(void *state, const char *topic, const omc_keyvalue *extensions,
                        const omc_schema *schema, const omc_value *value, omc_arena *arena,
                        omc_slice *ret, omc_error *err)
{
    (void)state, (void)topic, (void)extensions, (void)schema, (void)err;
    if (value->kind == OMC_STRING || value->kind == OMC_BYTES)
        *ret = not_null(value->u.bytes);
    else if (value->kind == OMC_NULL)
        *ret = omc_slice_of(NULL, 0);
    else
        *ret = not_null(rc_value_text(value, arena));
    return 0;
}

static int string_read(void *state, const char *topic, const omc_keyvalue *extensions,
                       omc_slice bytes, omc_arena *arena, const omc_schema **ret_schema,
                       omc_value *ret_value, omc_error *err)
{
    (void)state, (void)topic, (void)extensions, (void)arena, (void)err;
    *ret_schema = rc_schema_plain(OMC_STRING, true);
    *ret_value = bytes.base ? omc_string(bytes) : omc_null();
    return 0;
}

static const omc_option string_option_table[] = {
    {"serializer.encoding", OMC_OPT_STRING, 0, "UTF-8",
     offsetof(struct string_options, serializer_encoding),
     "Encoding of written text; only UTF-8 (the bytes as they are).", 0, 0, NULL, NULL},
    {"deserializer.encoding", OMC_OPT_STRING, 0, "UTF-8",
     offsetof(struct string_options, deserializer_encoding),
     "Encoding of read text; only UTF-8 (the bytes as they are).", 0, 0, NULL, NULL},
};

static const omc_converter_ops string_ops = {
    .size = sizeof(omc_converter_ops),
    .start = string_start,
    .from_connect = string_write,
    .to_connect = string_read,
};

const omc_plugin rc_string_converter = {
    .abi = OMC_ABI_CURRENT,
    .size = sizeof(omc_plugin),
    .kind = OMC_CONVERTER,
    .name = "string",
    .classes = PACKAGE "StringConverter",
    .version = RC_VERSION,
    .doc = "Values as their text; strings pass through byte by byte.",
    .options = string_option_table,
    .option_count = RC_COUNT(string_option_table),
    .option_size = sizeof(omc_option),
    .options_size = sizeof(struct string_options),
    .ops = &string_ops,
};

/* ---- bytes --------------------------------------------------------------------------------- */

static int bytes_write(void *state, const char *topic, const omc_keyvalue *extensions,
                       const omc_schema *schema, const omc_value *value, omc_arena *arena,
                       omc_slice *ret, omc_error *err)
{
    (void)state, (void)topic, (void)extensions, (void)schema, (void)arena;
    if (value->kind == OMC_BYTES || value->kind == OMC_STRING)
        *ret = not_null(value->u.bytes);
    else if (value->kind == OMC_NULL)
        *ret = omc_slice_of(NULL, 0);
    else
        return rc_fail(err, OMC_EFORMAT,
                       "ByteArrayConverter writes bytes and strings, this value is of type %s; "
                       "use JsonConverter or StringConverter",
                       rc_kind_name(value->kind) ? rc_kind_name(value->kind) : "number");
    return 0;
}

static int bytes_read(void *state, const char *topic, const omc_keyvalue *extensions,
                      omc_slice bytes, omc_arena *arena, const omc_schema **ret_schema,
                      omc_value *ret_value, omc_error *err)
{
    (void)state, (void)topic, (void)extensions, (void)arena, (void)err;
    *ret_schema = rc_schema_plain(OMC_BYTES, true);
    *ret_value = bytes.base ? omc_bytes(bytes) : omc_null();
    return 0;
}

static const omc_option no_options[1];

static const omc_converter_ops bytes_ops = {
    .size = sizeof(omc_converter_ops),
    .from_connect = bytes_write,
    .to_connect = bytes_read,
};

const omc_plugin rc_bytes_converter = {
    .abi = OMC_ABI_CURRENT,
    .size = sizeof(omc_plugin),
    .kind = OMC_CONVERTER,
    .name = "bytes",
    .classes = PACKAGE "ByteArrayConverter",
    .version = RC_VERSION,
    .doc = "Bytes as they are.",
    .options = no_options,
    .option_size = sizeof(omc_option),
    .ops = &bytes_ops,
};
