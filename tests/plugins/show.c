/* SPDX-License-Identifier: Apache-2.0 */
/**
 * show.so: `show-sink` appends what it is given to `path`, one JSON object per line:
 *
 *   {"topic":"t","key":null,"value":{"a":1.10},"type":"map","extensions":{"k":"v"}}
 *
 * so that tests see records as a connector does: after converter and transforms, with their kinds.
 * Numbers are written by their text when they have one; bytes as {"hex":"00ff"}. "type" is the kind
 * of the value, "schema" (only with one) its type name, "optional" and, of structs, "fields" as
 * {"name":"type"}.
 */
#include <openmessaging/connect.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct options {
    const char *path;
} options;

static const omc_option table[] = {
    {.name = "path",
     .type = OMC_OPT_STRING,
     .flags = OMC_OPT_REQUIRED,
     .offset = offsetof(options, path),
     .doc = "File to append to."},
};

typedef struct sink {
    const omc_sink_context *ctx;
    FILE *out;
} sink;

static const char *kind_name(unsigned kind)
{
    static const char *const names[] = {"null",  "int8",   "int16",    "int32",  "int64",
                                        "float", "double", "boolean",  "string", "bytes",
                                        "array", "map",    "datetime", "struct", "number"};

    return kind < sizeof names / sizeof names[0] ? names[kind] : "?";
}

static void put_string(FILE *out, omc_slice text)
{
    (void)fputc('"', out);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.base[i];

        if (c == '"' || c == '\\')
            (void)fprintf(out, "\\%c", c);
        else if (c < 0x20)
            (void)fprintf(out, "\\u%04x", c);
        else
            (void)fputc(c, out);
    }
    (void)fputc('"', out);
}

static void put_hex(FILE *out, omc_slice bytes)
{
    (void)fputs("{\"hex\":\"", out);
    for (size_t i = 0; i < bytes.len; i++)
        (void)fprintf(out, "%02x", (unsigned char)bytes.base[i]);
    (void)fputs("\"}", out);
}

static void put_value(FILE *out, const omc_value *value);

static void put_map(FILE *out, const omc_map *map)
{
    (void)fputc('{', out);
    for (size_t i = 0; i < map->count; i++) {
        if (i)
            (void)fputc(',', out);
        if (map->entries[i].key.kind == OMC_STRING)
            put_string(out, map->entries[i].key.u.bytes);
        else
            put_string(out, omc_slice_str(kind_name(map->entries[i].key.kind)));
        (void)fputc(':', out);
        put_value(out, &map->entries[i].value);
    }
    (void)fputc('}', out);
}

static void put_struct(FILE *out, const omc_struct *object)
{
    (void)fputc('{', out);
    for (size_t i = 0; i < object->schema->field_count; i++) {
        if (i)
            (void)fputc(',', out);
        put_string(out, omc_slice_str(object->schema->fields[i].name));
        (void)fputc(':', out);
        put_value(out, &object->values[i]);
    }
    (void)fputc('}', out);
}

static void put_value(FILE *out, const omc_value *value)
{
    switch (value->kind) {
    case OMC_NULL:
        (void)fputs("null", out);
        return;
    case OMC_BOOLEAN:
        (void)fputs(value->u.boolean ? "true" : "false", out);
        return;
    case OMC_STRING:
        put_string(out, value->u.bytes);
        return;
    case OMC_BYTES:
        put_hex(out, value->u.bytes);
        return;
    case OMC_ARRAY:
        (void)fputc('[', out);
        for (size_t i = 0; i < value->u.array->count; i++) {
            if (i)
                (void)fputc(',', out);
            put_value(out, &value->u.array->items[i]);
        }
        (void)fputc(']', out);
        return;
    case OMC_MAP:
        put_map(out, value->u.map);
        return;
    case OMC_STRUCT:
        put_struct(out, value->u.object);
        return;
    default:
        break;
    }
    if (value->text.len)
        (void)fprintf(out, "%.*s", (int)value->text.len, value->text.base);
    else if (value->kind == OMC_FLOAT32 || value->kind == OMC_FLOAT64)
        (void)fprintf(out, "%.17g", value->u.f64);
    else
        (void)fprintf(out, "%" PRId64, value->u.i64);
}

static void put_schema(FILE *out, const omc_schema *schema)
{
    (void)fprintf(out, ",\"schema\":\"%s\",\"optional\":%s", kind_name(schema->type),
                  schema->optional ? "true" : "false");
    if (schema->type != OMC_STRUCT)
        return;
    (void)fputs(",\"fields\":{", out);
    for (size_t i = 0; i < schema->field_count; i++) {
        if (i)
            (void)fputc(',', out);
        put_string(out, omc_slice_str(schema->fields[i].name));
        (void)fprintf(out, ":\"%s\"", kind_name(schema->fields[i].schema->type));
    }
    (void)fputc('}', out);
}

static void put_record(FILE *out, const omc_record *rec)
{
    (void)fputs("{\"topic\":", out);
    put_string(out, omc_slice_str(rec->topic));
    (void)fputs(",\"key\":", out);
    put_value(out, &rec->key);
    (void)fputs(",\"value\":", out);
    put_value(out, &rec->value);
    (void)fprintf(out, ",\"type\":\"%s\"", kind_name(rec->value.kind));
    if (rec->schema)
        put_schema(out, rec->schema);
    (void)fputs(",\"extensions\":{", out);
    for (size_t i = 0; rec->extensions && i < rec->extensions->count; i++) {
        if (i)
            (void)fputc(',', out);
        put_string(out, rec->extensions->pairs[i].key);
        (void)fputc(':', out);
        put_string(out, rec->extensions->pairs[i].value);
    }
    (void)fputs("}}\n", out);
}

static int sink_init(void *task, const omc_sink_context *ctx, omc_error *err)
{
    (void)err;
    ((sink *)task)->ctx = ctx;
    return 0;
}

static int sink_start(void *task, omc_error *err)
{
    const options *o = ((sink *)task)->ctx->config->options;

    ((sink *)task)->out = fopen(o->path, "ae");
    return ((sink *)task)->out ? 0 : omc_fail(err, OMC_EIO, 0, "cannot open path '%s'", o->path);
}

static int sink_put(void *task, const omc_batch *batch, omc_error *err)
{
    FILE *out = ((sink *)task)->out;

    for (size_t i = 0; i < batch->count; i++)
        put_record(out, omc_batch_at(batch, i));
    return fflush(out) == 0 ? 0 : omc_fail(err, OMC_EIO, 0, "cannot write");
}

static void sink_stop(void *task)
{
    if (((sink *)task)->out)
        (void)fclose(((sink *)task)->out);
}

static const omc_sink_ops ops = {
    .size = sizeof ops,
    .task_state_size = sizeof(sink),
    .init = sink_init,
    .start = sink_start,
    .put = sink_put,
    .stop = sink_stop,
};

static const omc_plugin show_plugin = {
    .abi = OMC_ABI_CURRENT,
    .size = sizeof(omc_plugin),
    .version = "1.0.0",
    .doc = "Writes records as JSON lines.",
    .options = table,
    .option_count = sizeof table / sizeof table[0],
    .option_size = sizeof table[0],
    .options_size = sizeof(options),
    .kind = OMC_SINK,
    .name = "show-sink",
    .ops = &ops,
};

OMC_EXPORT const omc_plugin *const *omc_plugin_entry(uint32_t host_abi, const omc_host *host);
OMC_EXPORT const omc_plugin *const *omc_plugin_entry(uint32_t host_abi, const omc_host *host)
{
    static const omc_plugin *const list[] = {&show_plugin, NULL};

    (void)host_abi, (void)host;
    return list;
}
