/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The few SQLite calls the log makes, with our settings and our errors. One connection belongs
 * to one thread at a time (NOMUTEX).
 */
#include "log/embedded/internal.h"

#include <errno.h>

/* Pages of 64 KiB: batches are large, and 4 KiB pages cost a third of the throughput. The cache
 * is small, since pages of batches are written once and read once. Checkpoints are ours. */
static const char settings[] = "PRAGMA page_size=65536;"
                               "PRAGMA cache_size=-2048;"
                               "PRAGMA temp_store=MEMORY;"
                               "PRAGMA synchronous=FULL;"
                               "PRAGMA wal_autocheckpoint=0;"
                               "PRAGMA mmap_size=0;"
                               "PRAGMA trusted_schema=OFF;"
                               "PRAGMA cell_size_check=ON;";

int rc_db_open(const char *path, int mode, sqlite3 **ret, rc_error *err)
{
    RC_AUTO_DB db = NULL;
    int rc, r;

    rc_db_setup();
    rc = sqlite3_open_v2(path, &db, mode | SQLITE_OPEN_NOMUTEX, rc_vfs_name);
    if (rc != SQLITE_OK)
        return rc_db_fail(db, rc, err, "open %s", path);
    (void)sqlite3_extended_result_codes(db, 1);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_busy_timeout(db, 5000); /* a checkpoint that empties the WAL may be under way */
    r = rc_db_exec(db, settings, err);
    if (r < 0)
        return rc_wrap(err, r, "open %s", path);
    *ret = RC_TAKE(db);
    return 0;
}

static int code_of(sqlite3 *db, int rc, uint32_t *flags)
{
    int errnum = db ? sqlite3_system_errno(db) : 0;

    *flags = 0;
    switch (rc & 0xff) {
    case SQLITE_FULL:
        *flags = OMC_ERR_RETRIABLE;
        return OMC_ENOSPC;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        *flags = OMC_ERR_RETRIABLE;
        return OMC_EAGAIN;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return OMC_EFORMAT;
    case SQLITE_NOMEM:
        return OMC_ENOMEM;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return OMC_EACCES;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        if (errnum == ENOSPC || errnum == EDQUOT) {
            *flags = OMC_ERR_RETRIABLE;
            return OMC_ENOSPC;
        }
        if (errnum == EACCES || errnum == EPERM)
            return OMC_EACCES;
        if (errnum == ENOENT)
            return OMC_ENOTFOUND;
        /* After a failed sync nobody knows what is on the disk: trying again would lie. */
        if (rc != SQLITE_IOERR_FSYNC && rc != SQLITE_IOERR_DIR_FSYNC)
            *flags = OMC_ERR_RETRIABLE;
        return OMC_EIO;
    default:
        return OMC_EINTERNAL;
    }
}

int rc_db_fail(sqlite3 *db, int rc, rc_error *err, const char *fmt, ...)
{
    const char *text = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    uint32_t flags;
    int code = code_of(db, rc, &flags);
    int errnum = db ? sqlite3_system_errno(db) : 0;
    bool os = (rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN;
    char what[512];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    if (code == OMC_ENOSPC)
        return omc_fail(err, code, flags,
                        "%s: no space left on the disk (SQLite %d). Nothing is lost; free space "
                        "there, or keep less (log.keep.bytes, log.keep.time)",
                        what, rc);
    if (os && errnum)
        return omc_fail(err, code, flags, "%s: %s (SQLite %d: %s)", what, strerror(errnum), rc,
                        text);
    return omc_fail(err, code, flags, "%s: %s (SQLite %d)", what, text, rc);
}

int rc_db_exec(sqlite3 *db, const char *sql, rc_error *err)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : rc_db_fail(db, rc, err, "'%.60s'", sql);
}

int rc_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, rc_error *err)
{
    int rc = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);

    return rc == SQLITE_OK ? 0 : rc_db_fail(db, rc, err, "'%.60s'", sql);
}

int rc_db_run(sqlite3 *db, sqlite3_stmt *stmt, rc_error *err)
{
    int rc = sqlite3_step(stmt);
    int r = 0;

    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        r = rc_db_fail(db, rc, err, "write %s", sqlite3_db_filename(db, "main"));
    (void)sqlite3_reset(stmt);
    return r;
}

int rc_db_int(sqlite3 *db, const char *sql, int64_t missing, int64_t *ret, rc_error *err)
{
    RC_AUTO_STMT stmt = NULL;
    int r = rc_db_prepare(db, sql, &stmt, err);
    int rc;

    if (r < 0)
        return r;
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int64(stmt, 0);
    else if (rc == SQLITE_DONE)
        *ret = missing;
    else
        return rc_db_fail(db, rc, err, "'%.60s'", sql);
    return 0;
}
