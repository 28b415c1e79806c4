/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Positions to maps and back. See position.h for the form and why it is that form.
 */
#include "position.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

static omc_value text_value(const char *text)
{
    return omc_string(omc_slice_str(text));
}

const omc_map *file_partition(omc_arena *arena, const char *name)
{
    omc_map *map = omc_alloc(arena, sizeof *map);
    omc_entry *entry = omc_alloc(arena, sizeof *entry);
    size_t len = strlen(name);

    entry->key = text_value("filename");
    entry->value = omc_string(omc_slice_of(omc_copy(arena, name, len), len));
    map->count = 1;
    map->entries = entry;
    return map;
}

const omc_map *file_offset(omc_arena *arena, const file_reader *reader, int64_t position, bool skip)
{
    omc_map *map = omc_alloc(arena, sizeof *map);
    omc_entry *entries = omc_alloc(arena, 3 * sizeof *entries);
    size_t len = position < (int64_t)reader->head_len ? (size_t)position : reader->head_len;
    char print[48];
    int n = snprintf(print, sizeof print, "%zu:%016" PRIx64, len, file_hash(reader->head, len));

    entries[0].key = text_value("inode");
    entries[0].value = omc_integer(OMC_INT64, (int64_t)reader->ino);
    entries[1].key = text_value("fingerprint");
    entries[1].value = omc_string(omc_slice_of(omc_copy(arena, print, (size_t)n), (size_t)n));
    entries[2].key = text_value("skip");
    entries[2].value = omc_boolean(true);
    map->count = skip ? 3 : 2;
    map->entries = entries;
    return map;
}

static bool parse_print(const omc_value *value, file_committed *ret)
{
    char copy[48];
    char *end;
    unsigned long len;

    if (!value || value->kind != OMC_STRING || value->u.bytes.len >= sizeof copy)
        return false;
    memcpy(copy, value->u.bytes.base, value->u.bytes.len);
    copy[value->u.bytes.len] = '\0';
    len = strtoul(copy, &end, 10);
    if (*end != ':' || len > FILE_HEAD_MAX)
        return false;
    ret->print_len = len;
    ret->print_hash = strtoull(end + 1, &end, 16);
    return *end == '\0';
}

int file_committed_parse(const omc_map *offset, const char *name, file_committed *ret,
                         omc_error *err)
{
    const omc_value *position, *skip;
    int64_t inode;

    memset(ret, 0, sizeof *ret);
    if (!offset)
        return 0;
    position = omc_map_get(offset, FILE_COUNTER);
    if (!position)
        position = omc_map_get(offset, "nextPosition");
    if (!omc_value_int64(position, &ret->position) || ret->position < 0)
        return omc_fail(err, OMC_EFORMAT, OMC_ERR_FATAL,
                        "file '%s': the committed offset has neither \"position\" nor "
                        "\"nextPosition\" with a byte count in it. Set one of them or delete the "
                        "connector's offset",
                        name);
    ret->found = true;
    ret->ours = omc_map_get(offset, FILE_COUNTER) &&
                omc_value_int64(omc_map_get(offset, "inode"), &inode) &&
                parse_print(omc_map_get(offset, "fingerprint"), ret);
    if (ret->ours)
        ret->inode = (ino_t)inode;
    skip = omc_map_get(offset, "skip");
    ret->skip = skip && skip->kind == OMC_BOOLEAN && skip->u.boolean;
    return 0;
}

int file_committed_read(const omc_source_context *ctx, const char *name, file_committed *ret,
                        omc_error *err)
{
    file_scratch scratch;
    const omc_map *offset = NULL;
    int r;

    file_scratch_init(&scratch);
    r = ctx->read_offset(ctx->host, file_partition(&scratch.arena, name), &scratch.arena, &offset,
                         err);
    if (r >= 0)
        r = file_committed_parse(offset, name, ret, err);
    file_scratch_release(&scratch);
    return r;
}

bool file_committed_fits(const file_committed *committed, int fd)
{
    char head[FILE_HEAD_MAX];
    struct stat st;
    ssize_t n = file_pread(fd, head, committed->print_len, 0);

    return n == (ssize_t)committed->print_len &&
           file_hash(head, (size_t)n) == committed->print_hash && fstat(fd, &st) == 0 &&
           st.st_size >= committed->position;
}
