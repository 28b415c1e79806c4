/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Values, maps, schemas and records of the host protocol, to and from the structs of the ABI.
 * One thread at a time per table.
 */
#ifndef RC_HOST_VALUES_H
#define RC_HOST_VALUES_H

#include "base/hash.h"
#include "host/wire.h"

/** Bytes of all schemas that may come in in an instance's life. */
#define RC_WIRE_SCHEMA_BYTES_MAX ((size_t)64 << 20)
#define RC_WIRE_SCHEMA_ID_MAX 65535u

/** Schemas that came in: what an id means now. */
typedef struct rc_wire_schemas {
    struct rc_wire_schema_in {
        const omc_schema *schema;
        unsigned depth;
    } * ids; /**< By id; grows. */
    size_t cap;
    size_t bytes;   /**< Of all definitions so far. */
    rc_arena arena; /**< Holds schemas until release(), also those whose id was defined again. */
} rc_wire_schemas;

void rc_wire_schemas_init(rc_wire_schemas *schemas);
/** After the last record that refers to one of them. */
void rc_wire_schemas_release(rc_wire_schemas *schemas);
/** Reads a SCHEMAS payload. @return NULL, or the name of the fault. */
const char *rc_wire_schemas_define(rc_wire_schemas *schemas, rc_slice payload);

/** A value. In schemas' defaults `place` is the schema of its place, else NULL. */
omc_value rc_in_value(rc_wire_in *in, const omc_schema *place);
const omc_map *rc_in_map(rc_wire_in *in);
/** The schema of an id that follows; NULL for 0. */
const omc_schema *rc_in_schema(rc_wire_in *in);
/** *records* of a payload into the batch; at most `max`. @return count. */
size_t rc_in_records(rc_wire_in *in, omc_batch *batch, size_t max);

/** Schemas that went out, by their encoded form: equal schemas have one id. */
typedef struct rc_wire_ids {
    struct rc_wire_id *by_bytes;
    struct rc_wire_seen *seen; /**< Addresses seen in the present frame. */
    uint32_t count;
    size_t bytes;
    rc_buf defs; /**< The SCHEMAS payload to send before the present frame. */
    uint32_t def_count;
    const char *fault; /**< Text of what cannot be sent; NULL = none. */
    unsigned depth, schema_depth;
} rc_wire_ids;

void rc_wire_ids_init(rc_wire_ids *ids);
void rc_wire_ids_release(rc_wire_ids *ids);
/** A new frame begins: addresses may mean other schemas now, faults are forgotten. */
void rc_wire_ids_begin(rc_wire_ids *ids);
/** The id of a schema, defining it in `defs` when it is new. 0 for NULL. */
uint32_t rc_wire_schema_id(rc_wire_ids *ids, const omc_schema *schema);

void rc_out_value(rc_buf *out, rc_wire_ids *ids, const omc_value *value);
/** Body of a map; NULL = empty. `ids` may be NULL for maps without structs. */
void rc_out_map(rc_buf *out, rc_wire_ids *ids, const omc_map *map);

/** What the records of one frame refer to by number. Zero it for each frame. */
typedef struct rc_wire_refs {
    const omc_map *maps[4]; /**< The latest ones, */
    uint32_t map_numbers[4];
    uint32_t map_count;
    const char *texts[4];
    uint32_t text_numbers[4];
    uint32_t text_count;
} rc_wire_refs;
void rc_out_record(rc_buf *out, rc_wire_ids *ids, rc_wire_refs *refs, const omc_record *record);
void rc_out_text_ref(rc_buf *out, rc_wire_refs *refs, const char *text);
/** One text reference, of the table of this frame. */
typedef struct rc_wire_texts {
    const char **items;
    uint32_t count, cap;
} rc_wire_texts;
const char *rc_in_text_ref(rc_wire_in *in, rc_wire_texts *texts);

/** One record, without a count in front. The tables belong to the frame; zero them first. */
typedef struct rc_wire_maps {
    const omc_map **items;
    uint32_t count, cap;
} rc_wire_maps;
void rc_in_record(rc_wire_in *in, rc_wire_maps *maps, rc_wire_texts *texts, omc_record *record);

#endif
