/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The parts of JsonConverter: schemas as JSON and back, values with a schema as JSON and back.
 * The format is that of the Java runtime's JsonConverter, which is also its storage format.
 */
#ifndef RC_RECORD_CONVERTER_JSON_H
#define RC_RECORD_CONVERTER_JSON_H

#include "record/json.h"

enum rc_json_decimal { RC_JSON_DECIMAL_BASE64, RC_JSON_DECIMAL_NUMERIC };

/** Appends a schema; -OMC_EFORMAT when it cannot be said (an array without items...). */
int rc_json_put_schema(const omc_schema *schema, enum rc_json_decimal decimal, rc_buf *out,
                       rc_error *err);
/** Appends a value; `schema` NULL = schemaless. -OMC_EFORMAT names the place that does not fit. */
int rc_json_put_value(const omc_schema *schema, const omc_value *value,
                      enum rc_json_decimal decimal, rc_buf *out, rc_error *err);

/** Schema of a JSON node; nothing borrows from the node. *ret is NULL for null. */
int rc_json_get_schema(const omc_value *node, omc_arena *arena, const omc_schema **ret,
                       rc_error *err);
/** Most values a payload may become: fields that are missing and defaults that stand for null
 *  count as well, so that a short message cannot become gigabytes. */
#define RC_JSON_VALUES_MAX ((size_t)4 << 20)
/** Value of a JSON node as its schema says; borrows from the node's text. `room` is how many
 *  values may still be made; what is made is taken from it. */
int rc_json_get_value(const omc_schema *schema, const omc_value *node, omc_arena *arena,
                      size_t *room, omc_value *ret, rc_error *err);
/** Takes what a value costs from `room`: 1 for each value in it, and 1 for each 64 bytes of text.
 *  @return false when that is not there; it looks no further than that. */
bool rc_json_take_room(const omc_value *value, size_t *room);

/** Whatever a node is as a STRING, as Java's String.valueOf; of a container that is its JSON. */
int rc_json_get_string(const omc_value *node, omc_arena *arena, omc_value *ret, rc_error *err);
/** "a string", "an object": what a node is, for errors. */
const char *rc_json_shown(const omc_value *node);

/** True for schemas with the Decimal's name. */
bool rc_schema_is_decimal(const omc_schema *schema);
/** The parameter `scale` of a Decimal schema; -OMC_EFORMAT when it is missing or no number. */
int rc_schema_scale(const omc_schema *schema, int *ret, rc_error *err);

#endif
