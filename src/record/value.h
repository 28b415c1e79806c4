/* SPDX-License-Identifier: Apache-2.0 */
/** Values and schemas: copy, compare, convert, print. Any thread; results live in the arena. */
#ifndef RC_RECORD_VALUE_H
#define RC_RECORD_VALUE_H

#include "base/arena.h"
#include "base/buf.h"

/** Deep copies. */
omc_value rc_value_copy(const omc_value *value, omc_arena *arena);
const omc_map *rc_map_copy(const omc_map *map, omc_arena *arena);
const omc_schema *rc_schema_copy(const omc_schema *schema, omc_arena *arena);
/**
 * Copy of a default of `schema`, whose structs then have `schema` and its parts as their schemas.
 * A default has no schemas of its own: if each level of nested defaults brought a copy of what is
 * below, the copies would double with each level. So a schema may be reached from its own default;
 * follow defaults as data, with the schema they belong to.
 */
omc_value rc_default_copy(const omc_value *value, const omc_schema *schema, omc_arena *arena);

/** Equality as Java's: kinds matter, map order does not; NUMBER_TEXT compares by text. */
bool rc_value_equal(const omc_value *a, const omc_value *b);
bool rc_map_equal(const omc_map *a, const omc_map *b);
/** The same for defaults of equal schemas: the schemas of structs are not compared again. */
bool rc_default_equal(const omc_value *a, const omc_value *b);
/** Full structural equality (type, optional, name, version, doc, default, fields in order...). */
bool rc_schema_equal(const omc_schema *a, const omc_schema *b);

/** The schema type's name on the wire: "int8" ... "struct"; NULL for kinds that have none. */
const char *rc_kind_name(unsigned kind);

/** Number of any numeric kind, NUMBER_TEXT included, as int64. -OMC_EFORMAT when it is none, has
 *  a fraction or does not fit. */
int rc_value_int64(const omc_value *value, int64_t *ret);
/** The same as double. */
int rc_value_double(const omc_value *value, double *ret);

/**
 * Text of a value as the Java runtime's String.valueOf() gives it: "null", "true", "1.5",
 * "[a, b]", "{k=v}", "Struct{a=1,b=x}"; STRING as is; BYTES as is (Java prints an address, which
 * helps nobody). Borrowed where possible.
 */
rc_slice rc_value_text(const omc_value *value, omc_arena *arena);

/** A schema of just a type; static. `optional` as given. */
const omc_schema *rc_schema_plain(unsigned kind, bool optional);
/** The schema Java's runtime would infer for a schemaless value (maps, arrays by first item). */
const omc_schema *rc_schema_infer(const omc_value *value, omc_arena *arena);
/** Index of a struct field by name, or -1. */
int rc_schema_field(const omc_schema *schema, rc_slice name);
/** Same field names in the same order: structs of the two can stand for each other, field by
 *  field. */
bool rc_schema_same_fields(const omc_schema *a, const omc_schema *b);
/** Checks a value against its schema; -OMC_EFORMAT names the field. */
int rc_value_check(const omc_schema *schema, const omc_value *value, rc_error *err);

/** Decimal: unscaled big-endian two's complement bytes and a scale to text "-12.30", and back.
 *  At most 4,096 digits. */
int rc_decimal_text(rc_slice unscaled, int scale, omc_arena *arena, rc_slice *ret);
int rc_decimal_parse(rc_slice text, int scale, omc_arena *arena, rc_slice *ret_unscaled);

#endif
