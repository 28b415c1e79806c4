/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The store of a standalone worker: one SQLite file in WAL mode with synchronous=FULL, so a write
 * that returned survives kill -9 and power loss. locking_mode=EXCLUSIVE holds SQLite's file lock
 * as long as the store is open: a second process is refused, and the lock dies with its process.
 *
 * Every change is one IMMEDIATE transaction. Statements are prepared per call: changes are rare
 * (people make them), and an idle worker should not pay for cached ones.
 */
#include "base/file.h"
#include "config/options.h"
#include "store/sqlite_sql.h"
#include "store/store_impl.h"

#include <sqlite3.h>

typedef struct sqlite_store {
    rc_store base;
    sqlite3 *db;
    char *path;
} sqlite_store;

static inline void stmt_free(sqlite3_stmt *stmt)
{
    (void)sqlite3_finalize(stmt);
}
RC_DEFINE_CLEANUP(sqlite3_stmt, stmt_free)

/* ---- errors ------------------------------------------------------------------------------- */

static int fail_busy(const sqlite_store *store, rc_error *err)
{
    return rc_fail(err, OMC_EEXIST,
                   "store %s is held by another process: stop the other worker, or give this one "
                   "a storePathRootDir of its own",
                   store->path);
}

/** Turns SQLite's result code into ours, with the path and, where there is one, the cure. */
static int fail_sql(const sqlite_store *store, int rc, const char *what, rc_error *err)
{
    const char *text = store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(rc);
    int sys = store->db ? sqlite3_system_errno(store->db) : 0;

    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fail_busy(store, err);
    case SQLITE_FULL:
        return rc_fail_retriable(err, OMC_ENOSPC, "%s store %s: the disk is full: make room", what,
                                 store->path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return rc_fail(err, OMC_EFORMAT,
                       "%s store %s: the file is damaged or no store (%s): move it away to start "
                       "without connectors, or bring back a copy",
                       what, store->path, text);
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
        if (sys)
            return rc_fail_errno(err, sys, "%s store %s", what, store->path);
        return rc_fail(err, OMC_EACCES, "%s store %s: %s: check its owner and mode", what,
                       store->path, text);
    case SQLITE_IOERR:
        if (sys)
            return rc_fail_errno(err, sys, "%s store %s", what, store->path);
        return rc_fail_retriable(err, OMC_EIO, "%s store %s: %s", what, store->path, text);
    default:
        return rc_fail(err, OMC_EINTERNAL, "%s store %s: %s", what, store->path, text);
    }
}

/* ---- statements --------------------------------------------------------------------------- */

static int exec(sqlite_store *store, const char *sql, const char *what, rc_error *err)
{
    int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : fail_sql(store, rc, what, err);
}

static int bind_text(sqlite3_stmt *stmt, int at, rc_slice text)
{
    return sqlite3_bind_text64(stmt, at, text.base ? text.base : "", text.len, SQLITE_STATIC,
                               SQLITE_UTF8);
}

/**
 * Prepares `sql` and binds what `types` says: 't' a const char *, 's' an rc_slice by pointer,
 * 'i' an int64_t. Bound text must live until the statement is done.
 */
static int prepare(sqlite_store *store, sqlite3_stmt **ret, rc_error *err, const char *sql,
                   const char *types, ...)
{
    int rc = sqlite3_prepare_v2(store->db, sql, -1, ret, NULL);
    va_list ap;

    va_start(ap, types);
    for (int i = 0; rc == SQLITE_OK && types[i]; i++) {
        if (types[i] == 't')
            rc = bind_text(*ret, i + 1, omc_slice_str(va_arg(ap, const char *)));
        else if (types[i] == 's')
            rc = bind_text(*ret, i + 1, *va_arg(ap, const rc_slice *));
        else
            rc = sqlite3_bind_int64(*ret, i + 1, va_arg(ap, int64_t));
    }
    va_end(ap);
    return rc == SQLITE_OK ? 0 : fail_sql(store, rc, "use", err);
}

/** @return 1 = a row, 0 = done, or an error. */
static int step(sqlite_store *store, sqlite3_stmt *stmt, const char *what, rc_error *err)
{
    int rc = sqlite3_step(stmt);

    if (rc == SQLITE_ROW)
        return 1;
    return rc == SQLITE_DONE ? 0 : fail_sql(store, rc, what, err);
}

static int begin(sqlite_store *store, rc_error *err)
{
    return exec(store, "BEGIN IMMEDIATE", "write", err);
}

/** Ends a transaction: commits when `r` is 0, else rolls back and gives `r` back. */
static int finish(sqlite_store *store, int r, rc_error *err)
{
    if (r == 0)
        r = exec(store, "COMMIT", "write", err);
    if (r < 0)
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

/** Adds one to a counter of `meta` inside the running transaction. */
static int count_up(sqlite_store *store, const char *key, int64_t *ret, rc_error *err)
{
    RC_AUTO(sqlite3_stmt) stmt = NULL;
    int r = prepare(store, &stmt, err,
                    "UPDATE meta SET value = value + 1 WHERE key = ?1 RETURNING value", "t", key);

    if (r == 0)
        r = step(store, stmt, "write", err);
    if (r < 0)
        return r;
    if (r == 0)
        return rc_fail(err, OMC_EFORMAT, "store %s: counter '%s' is missing: the file is damaged",
                       store->path, key);
    *ret = sqlite3_column_int64(stmt, 0);
    /* RETURNING gives its row before the statement is done; only then the change is complete. */
    return step(store, stmt, "write", err) < 0 ? -OMC_EIO : 0;
}

/* ---- reading ------------------------------------------------------------------------------ */

static rc_slice column(sqlite3_stmt *stmt, int at, omc_arena *arena)
{
    const char *text = (const char *)sqlite3_column_text(stmt, at);

    return rc_arena_slice(arena, omc_slice_of(text, (size_t)sqlite3_column_bytes(stmt, at)));
}

static int read_config(sqlite_store *store, const char *name, omc_arena *arena,
                       const omc_keyvalue **ret, rc_error *err)
{
    RC_AUTO(sqlite3_stmt) stmt = NULL;
    rc_kv kv;
    int r =
        prepare(store, &stmt, err,
                "SELECT key, value FROM connector_config WHERE name = ?1 ORDER BY seq", "t", name);

    if (r < 0)
        return r;
    rc_kv_init(&kv, arena);
    while ((r = step(store, stmt, "read", err)) > 0)
        rc_kv_put(&kv, column(stmt, 0, arena), column(stmt, 1, arena));
    if (r == 0)
        *ret = rc_kv_done(&kv);
    return r;
}

/** Reads the row the statement stands on: name, target, version, incarnation, changed_ms. */
static int read_row(sqlite_store *store, sqlite3_stmt *stmt, omc_arena *arena,
                    rc_stored_connector *ret, rc_error *err)
{
    *ret = (rc_stored_connector){
        .name = column(stmt, 0, arena).base,
        .target = (rc_target_state)sqlite3_column_int(stmt, 1),
        .version = sqlite3_column_int64(stmt, 2),
        .incarnation = sqlite3_column_int64(stmt, 3),
        .changed_ms = sqlite3_column_int64(stmt, 4),
    };
    if (ret->target < RC_TARGET_STARTED || ret->target > RC_TARGET_STOPPED)
        return rc_fail(err, OMC_EFORMAT, "store %s: connector '%s' has target state %d",
                       store->path, ret->name, (int)ret->target);
    return read_config(store, ret->name, arena, &ret->config, err);
}

/* All rows are read first: the callback may then change the store. */
static int sqlite_each(rc_store *base, rc_stored_fn *each, void *arg, rc_error *err)
{
    sqlite_store *store = RC_CONTAINER(base, sqlite_store, base);
    RC_AUTO(sqlite3_stmt) stmt = NULL;
    RC_AUTO_FREE rc_stored_connector *all = NULL;
    size_t count = 0, cap = 0;
    rc_arena arena;
    int r = prepare(store, &stmt, err,
                    "SELECT name, target, version, incarnation, changed_ms FROM connector"
                    " WHERE target <> 0 ORDER BY name",
                    "");

    rc_arena_init(&arena, 16 << 10);
    while (r == 0 && (r = step(store, stmt, "read", err)) > 0) {
        if (count == cap) {
            cap = cap ? cap * 2 : 16;
            all = rc_realloc(all, cap * sizeof *all);
        }
        r = read_row(store, stmt, &arena.pub, &all[count++], err);
    }
    for (size_t i = 0; i < count && r == 0; i++)
        r = each(arg, &all[i]);
    rc_arena_release(&arena);
    return r;
}

/* ---- writing ------------------------------------------------------------------------------ */

typedef struct row {
    bool known; /**< There is a row, alive or deleted. */
    int64_t target, version, incarnation;
} row;

static int read_state(sqlite_store *store, const char *name, row *ret, rc_error *err)
{
    RC_AUTO(sqlite3_stmt) stmt = NULL;
    int r =
        prepare(store, &stmt, err,
                "SELECT target, version, incarnation FROM connector WHERE name = ?1", "t", name);

    *ret = (row){0};
    if (r == 0 && (r = step(store, stmt, "read", err)) > 0)
        *ret = (row){
            .known = true,
            .target = sqlite3_column_int64(stmt, 0),
            .version = sqlite3_column_int64(stmt, 1),
            .incarnation = sqlite3_column_int64(stmt, 2),
        };
    return r < 0 ? r : 0;
}

static int write_state(sqlite_store *store, const char *name, const row *state, int64_t now_ms,
                       rc_error *err)
{
    RC_AUTO(sqlite3_stmt) stmt = NULL;
    int r = prepare(store, &stmt, err, "INSERT OR REPLACE INTO connector VALUES(?1,?2,?3,?4,?5)",
                    "tiiii", name, state->target, state->version, state->incarnation, now_ms);

    return r < 0 ? r : step(store, stmt, "write", err);
}

static int clear_config(sqlite_store *store, const char *name, rc_error *err)
{
    RC_AUTO(sqlite3_stmt) stmt = NULL;
    int r = prepare(store, &stmt, err, "DELETE FROM connector_config WHERE name = ?1", "t", name);

    return r < 0 ? r : step(store, stmt, "write", err);
}

static int write_config(sqlite_store *store, const char *name, const omc_keyvalue *config,
                        rc_error *err)
{
    int r = clear_config(store, name, err);

    for (size_t i = 0; r == 0 && i < config->count; i++) {
        RC_AUTO(sqlite3_stmt) stmt = NULL;

        r = prepare(store, &stmt, err, "INSERT INTO connector_config VALUES(?1,?2,?3,?4)", "tiss",
                    name, (int64_t)i, &config->pairs[i].key, &config->pairs[i].value);
        if (r == 0)
            r = step(store, stmt, "write", err);
    }
    return r;
}

/** The put inside its transaction; sets `state` to what was written. */
static int put_rows(sqlite_store *store, const rc_store_write *write, int64_t now_ms, row *state,
                    rc_error *err)
{
    bool exists;
    int r = read_state(store, write->name, state, err);

    if (r < 0)
        return r;
    exists = state->known && state->target != 0;
    r = rc_store_check_version(write->name, write->expected, exists ? state->version : 0, err);
    if (r == 0 && !exists) {
        state->target = (int64_t)write->target;
        r = count_up(store, "incarnations", &state->incarnation, err);
    }
    if (r < 0)
        return r;
    state->version++;
    r = write_state(store, write->name, state, now_ms, err);
    return r < 0 ? r : write_config(store, write->name, write->config, err);
}

/** Sets the target of a live connector; 0 = deleted, which counts as a change of configuration. */
static int set_target(sqlite_store *store, const char *name, int64_t target, int64_t now_ms,
                      row *state, rc_error *err)
{
    int r = read_state(store, name, state, err);

    if (r == 0 && (!state->known || state->target == 0))
        r = rc_store_unknown(name, err);
    if (r == 0 && target == 0) {
        state->version++;
        r = clear_config(store, name, err);
    }
    state->target = target;
    return r < 0 ? r : write_state(store, name, state, now_ms, err);
}

static int write_rows(sqlite_store *store, const rc_store_write *write, int64_t now_ms, row *state,
                      omc_arena *arena, rc_stored_connector *ret, rc_error *err)
{
    int64_t target = write->kind == RC_WRITE_DELETE ? 0 : (int64_t)write->target;
    int r = write->kind == RC_WRITE_PUT
                ? put_rows(store, write, now_ms, state, err)
                : set_target(store, write->name, target, now_ms, state, err);

    if (r < 0)
        return r;
    *ret = (rc_stored_connector){
        .name = omc_copy(arena, write->name, strlen(write->name)),
        .target = (rc_target_state)state->target,
        .version = state->version,
        .incarnation = state->incarnation,
        .changed_ms = now_ms,
    };
    return read_config(store, write->name, arena, &ret->config, err);
}

static int sqlite_write(rc_store *base, const rc_store_write *write, omc_arena *arena,
                        rc_stored_connector *ret, rc_error *err)
{
    sqlite_store *store = RC_CONTAINER(base, sqlite_store, base);
    row state;
    int r = begin(store, err);

    return r < 0 ? r
                 : finish(store,
                          write_rows(store, write, rc_now_ms(base->clock), &state, arena, ret, err),
                          err);
}

/* ---- opening ------------------------------------------------------------------------------ */

static void sqlite_close_store(rc_store *base)
{
    sqlite_store *store = RC_CONTAINER(base, sqlite_store, base);

    if (store->db)
        (void)sqlite3_close(store->db);
    free(store->path);
    free(store);
}

static const rc_store_ops sqlite_ops = {
    .close = sqlite_close_store,
    .each = sqlite_each,
    .write = sqlite_write,
};

static int pragma(sqlite_store *store, const char *sql, int64_t *ret, rc_error *err)
{
    RC_AUTO(sqlite3_stmt) stmt = NULL;
    int r = prepare(store, &stmt, err, sql, "");

    if (r == 0)
        r = step(store, stmt, "open", err);
    if (r > 0)
        *ret = sqlite3_column_int64(stmt, 0);
    return r < 0 ? r : 0;
}

/** Makes the tables of a new file; refuses foreign and newer ones. Runs in a transaction. */
static int migrate(sqlite_store *store, rc_error *err)
{
    int64_t version = 0, id = 0, tables = 0;
    char sql[96];
    int r;

    if ((r = pragma(store, "PRAGMA user_version", &version, err)) < 0 ||
        (r = pragma(store, "PRAGMA application_id", &id, err)) < 0 ||
        (r = pragma(store, "SELECT count(*) FROM sqlite_schema", &tables, err)) < 0)
        return r;
    if (tables == 0 && version == 0) {
        (void)snprintf(sql, sizeof sql, "PRAGMA user_version=%d; PRAGMA application_id=%d",
                       RC_STORE_SCHEMA_VERSION, RC_STORE_APPLICATION_ID);
        r = exec(store, RC_STORE_SCHEMA, "make", err);
        return r < 0 ? r : exec(store, sql, "make", err);
    }
    if (id != RC_STORE_APPLICATION_ID)
        return rc_fail(err, OMC_EFORMAT,
                       "store %s is a database of another program: give storePathRootDir a folder "
                       "of its own",
                       store->path);
    if (version != RC_STORE_SCHEMA_VERSION)
        return rc_fail(err, OMC_EUNSUPPORTED,
                       "store %s has schema version %lld, this program knows %d: use the newer "
                       "program that wrote it",
                       store->path, (long long)version, RC_STORE_SCHEMA_VERSION);
    return 0;
}

static int make_folder(const char *path, rc_error *err)
{
    const char *slash = strrchr(path, '/');
    RC_AUTO_FREE char *dir = NULL;

    if (!slash || slash == path)
        return 0;
    dir = rc_strndup(path, (size_t)(slash - path));
    return rc_mkdirs(dir, err);
}

static int open_db(sqlite_store *store, rc_error *err)
{
    int rc, r = make_folder(store->path, err);

    if (r < 0)
        return r;
    /* NOMUTEX: the store is used on one thread at a time. */
    rc = sqlite3_open_v2(store->path, &store->db,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        return fail_sql(store, rc, "open", err);
    (void)sqlite3_extended_result_codes(store->db, 1);
    /* The exclusive lock must be wished for before WAL is entered: then there is no -shm file. */
    r = exec(store,
             "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
             "PRAGMA cache_size=-128; PRAGMA trusted_schema=OFF; BEGIN EXCLUSIVE",
             "open", err);
    return r < 0 ? r : finish(store, migrate(store, err), err);
}

int rc_store_open_local(const char *path, rc_clock *clock, rc_store **ret, rc_error *err)
{
    sqlite_store *store = rc_calloc(1, sizeof *store);
    int r;

    RC_ASSERT(path && clock && ret);
    store->base.ops = &sqlite_ops;
    store->base.clock = clock;
    store->path = rc_strdup(path);
    r = open_db(store, err);
    if (r < 0) {
        sqlite_close_store(&store->base);
        return r;
    }
    *ret = &store->base;
    return 0;
}
