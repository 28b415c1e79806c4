/* SPDX-License-Identifier: Apache-2.0 */
/* The connectors that `plugin try --run` names: what is to be run, and whether it does. */
#include "cli/try.h"

#include "base/file.h"
#include "base/units.h"
#include "config/properties.h"

#include <stdio.h>

#define LOOK_MS 100
#define FILE_MAX ((size_t)1 << 20)

/* ---- what to run ---------------------------------------------------------------------------- */

typedef struct reading {
    const char *file;
    omc_arena *arena;
    rc_trial *trials;
    size_t *count;
    rc_error *err;
} reading;

/* A configuration may say its connector's name, which has to be the one it gets. */
static const omc_keyvalue *renamed(const reading *r, const omc_keyvalue *config, const char *id)
{
    rc_kv kv;

    rc_kv_init(&kv, r->arena);
    rc_kv_put_all(&kv, config);
    if (omc_keyvalue_get(config, "name"))
        rc_kv_put_str(&kv, "name", id);
    return rc_kv_done(&kv);
}

static int add(const reading *r, const char *name, const omc_keyvalue *config, int64_t records)
{
    rc_trial *trial = &r->trials[*r->count];

    if (*r->count == RC_TRIALS_MAX)
        return rc_fail(r->err, OMC_EINVAL, "%s: more than %d connectors", r->file, RC_TRIALS_MAX);
    if (!omc_keyvalue_get(config, "connector.class"))
        return rc_fail(r->err, OMC_EINVAL,
                       "%s: connector '%s' has no 'connector.class'; give it as {\"%s\": "
                       "{\"config\": {\"connector.class\": \"...\", ...}, \"records\": 100}}",
                       r->file, name, name);
    *trial = (rc_trial){.name = omc_copy(r->arena, name, strlen(name)),
                        .id = rc_arena_format(r->arena, "try-%s", name),
                        .records = records};
    trial->config = renamed(r, config, trial->id);
    ++*r->count;
    return rc_connector_name_check(trial->id, r->err);
}

/* A value as configurations have it: any scalar as its text. */
static char *text_of(const json_t *value)
{
    if (json_is_string(value))
        return rc_strdup(json_string_value(value));
    return json_is_object(value) || json_is_array(value) || json_is_null(value)
               ? NULL
               : json_dumps(value, JSON_ENCODE_ANY);
}

static int read_config(const reading *r, const char *name, json_t *object, const omc_keyvalue **ret)
{
    const char *key;
    json_t *value;
    rc_kv kv;

    rc_kv_init(&kv, r->arena);
    json_object_foreach(object, key, value)
    {
        RC_AUTO_FREE char *text = text_of(value);

        if (!text)
            return rc_fail(r->err, OMC_EINVAL,
                           "%s: connector '%s': key '%s' must be a text, a number, true or false",
                           r->file, name, key);
        rc_kv_put_str(&kv, key, text);
    }
    *ret = rc_kv_done(&kv);
    return 0;
}

/* {"config": {...}, "records": N}, or the configuration itself. */
static int read_one(const reading *r, const char *name, json_t *one)
{
    json_t *config = json_object_get(one, "config"), *records = json_object_get(one, "records");
    const bool plain = !json_is_object(config);
    const omc_keyvalue *kv = NULL;
    int result;

    if (!json_is_object(one))
        return rc_fail(r->err, OMC_EINVAL, "%s: '%s' must be an object with the connector's config",
                       r->file, name);
    if (!plain && records && (!json_is_integer(records) || json_integer_value(records) < 0))
        return rc_fail(r->err, OMC_EINVAL,
                       "%s: connector '%s': 'records' must be a number: how many to move", r->file,
                       name);
    result = read_config(r, name, plain ? one : config, &kv);
    return result < 0 ? result : add(r, name, kv, plain ? 0 : json_integer_value(records));
}

static int read_json(const reading *r)
{
    RC_AUTO_FREE char *text = NULL;
    json_error_t where;
    const char *name;
    json_t *root, *one;
    size_t len;
    int result = rc_file_read(r->file, FILE_MAX, &text, &len, r->err);

    if (result < 0)
        return result;
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(root))
        result = rc_fail(r->err, OMC_EFORMAT, "%s:%d:%d: %s", r->file, where.line, where.column,
                         root ? "must be an object: connectors by name" : where.text);
    json_object_foreach(root, name, one)
    {
        if (result == 0)
            result = read_one(r, name, one);
    }
    json_decref(root);
    return result;
}

static int read_properties(const reading *r, const char *end)
{
    const char *slash = strrchr(r->file, '/');
    const char *base = slash ? slash + 1 : r->file;
    const char *stem = rc_arena_format(r->arena, "%.*s", (int)(end - base), base);
    const omc_keyvalue *kv;
    int result = rc_properties_load(r->file, r->arena, &kv, r->err);

    return result < 0 ? result : add(r, rc_kv_text(kv, "name", stem, r->arena), kv, 0);
}

int rc_trials_read(const char *file, omc_arena *arena, rc_trial *trials, size_t *count,
                   rc_error *err)
{
    const reading r = {file, arena, trials, count, err};
    const char *end = strrchr(file, '.');

    return end && !strcmp(end, ".properties") ? read_properties(&r, end) : read_json(&r);
}

/* ---- running -------------------------------------------------------------------------------- */

static int64_t records_of(const rc_trial *trial)
{
    return trial->seen.values[RC_TM_WRITTEN] + trial->seen.values[RC_TM_PUT];
}

static bool runs(const rc_trial *trial)
{
    return trial->seen.state == RC_STATE_RUNNING || trial->seen.state == RC_STATE_FINISHED;
}

/* Nothing will get better by waiting. */
static bool failed(const rc_trial *trial)
{
    return trial->seen.state == RC_STATE_FAILED || trial->seen.state == RC_STATE_STUCK;
}

static void create(rc_try *t, rc_trial *trial)
{
    const rc_request request = {.kind = RC_REQUEST_CREATE,
                                .connector = trial->id,
                                .config = trial->config,
                                .expected = -1};

    trial->created = rc_try_ask(t, &request) == 0;
    if (!trial->created)
        rc_try_tell(t, RC_VERDICT_FAIL, "run", trial->name, "%s", t->why.msg);
}

/* Looks at all. @return whether some of them are still on their way. */
static bool look(rc_try *t)
{
    const rc_request list = {.kind = RC_REQUEST_LIST, .expected = -1};
    bool waits = false;

    if (rc_try_ask(t, &list) < 0)
        return false;
    for (size_t i = 0; i < t->trial_count; i++) {
        rc_trial *trial = &t->trials[i];

        trial->moved = trial->moved || (runs(trial) && records_of(trial) >= trial->records);
        waits |= trial->created && !trial->moved && !failed(trial);
    }
    return waits;
}

/* Why it is not as it should be. */
static const char *reason(const rc_trial *trial)
{
    if (*trial->seen.trace)
        return trial->seen.trace;
    if (trial->seen.state == RC_STATE_STARTING)
        return "its start has not come back: does what it connects to answer?";
    return "it tells no error; --log-level info shows more";
}

static void tell(rc_try *t, const rc_trial *trial)
{
    const bool good = trial->moved && runs(trial);
    const int64_t restarts = trial->seen.values[RC_TM_RESTARTS];
    const char *why = good ? "" : reason(trial);
    char count[32], wanted[32], of[48] = "";

    if (trial->records)
        (void)snprintf(of, sizeof of, " of %s", rc_format_count(trial->records, wanted));
    if (good && restarts)
        why = "it had to be restarted, see the lines of the log above";
    rc_try_tell(t,
                !good      ? RC_VERDICT_FAIL
                : restarts ? RC_VERDICT_WARN
                           : RC_VERDICT_OK,
                "run", trial->name, "%s, %s%s records%s%.*s",
                trial->seen.known ? rc_state_name(trial->seen.state) : "not started",
                rc_format_count(records_of(trial), count), good ? "" : of, *why ? ": " : "",
                (int)strcspn(why, "\n"), why);
    t->ran += good;
}

void rc_trials_run(rc_try *t)
{
    const int64_t until = rc_mono_ms(rc_clock_real()) + t->patience_ms;
    bool goes_on = true;

    for (size_t i = 0; i < t->trial_count; i++)
        create(t, &t->trials[i]);
    while (goes_on && look(t) && rc_mono_ms(rc_clock_real()) < until)
        goes_on = rc_try_sleep(t, LOOK_MS);
    if (goes_on && t->trial_count) { /* running once is not staying so */
        (void)rc_try_sleep(t, t->stay_ms);
        (void)look(t);
    }
    for (size_t i = 0; i < t->trial_count; i++)
        if (t->trials[i].created)
            tell(t, &t->trials[i]);
}
