/* SPDX-License-Identifier: Apache-2.0 */
/** Inner door of the JSON reader for the envelope {"schema": ..., "payload": ...}. */
#ifndef RC_RECORD_JSON_ENVELOPE_H
#define RC_RECORD_JSON_ENVELOPE_H

#include "record/json.h"

typedef struct rc_json_envelope {
    bool has_schema, has_payload;
    rc_slice schema; /**< The schema's bytes as they stand in the text; not checked yet. */
    omc_value payload;
} rc_json_envelope;

/**
 * Reads a top-level object; members other than the two are checked and left out. The schema is
 * not read, since nearly always it is one that was seen before: read it with rc_json_read().
 * @return 0 or -OMC_EFORMAT; *ret_object tells whether the text is an object at all.
 */
int rc_json_read_envelope(rc_slice text, omc_arena *arena, rc_json_envelope *ret, bool *ret_object,
                          rc_error *err);

#endif
