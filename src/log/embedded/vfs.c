/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A thin layer over SQLite's own VFS that counts syncs: "one fdatasync per group commit" is then
 * a number in rc_log_health instead of a belief. Every file is ours with the real one behind it.
 */
#include "log/embedded/internal.h"

#include <stdatomic.h>

const char rc_vfs_name[] = "rc-count";

typedef struct count_file {
    sqlite3_file pub;
    sqlite3_file *real; /* in the same allocation, behind this struct */
} count_file;

static atomic_llong syncs;
static sqlite3_vfs *real_vfs;

int64_t rc_sync_count(void)
{
    return atomic_load_explicit(&syncs, memory_order_relaxed);
}

void rc_count_sync(void)
{
    atomic_fetch_add_explicit(&syncs, 1, memory_order_relaxed);
}

static inline sqlite3_file *real_of(sqlite3_file *file)
{
    return ((count_file *)(void *)file)->real;
}

static int count_close(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);

    return real->pMethods ? real->pMethods->xClose(real) : SQLITE_OK;
}

static int count_read(sqlite3_file *file, void *at, int n, sqlite3_int64 offset)
{
    return real_of(file)->pMethods->xRead(real_of(file), at, n, offset);
}

static int count_write(sqlite3_file *file, const void *at, int n, sqlite3_int64 offset)
{
    return real_of(file)->pMethods->xWrite(real_of(file), at, n, offset);
}

static int count_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int count_sync(sqlite3_file *file, int flags)
{
    rc_count_sync();
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int count_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), ret);
}

static int count_lock(sqlite3_file *file, int kind)
{
    return real_of(file)->pMethods->xLock(real_of(file), kind);
}

static int count_unlock(sqlite3_file *file, int kind)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), kind);
}

static int count_check_lock(sqlite3_file *file, int *ret)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int count_control(sqlite3_file *file, int op, void *arg)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int count_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int count_device(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int count_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **ret)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), region, size, extend, ret);
}

static int count_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void count_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int count_shm_unmap(sqlite3_file *file, int remove_it)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove_it);
}

static int count_fetch(sqlite3_file *file, sqlite3_int64 offset, int n, void **ret)
{
    return real_of(file)->pMethods->xFetch(real_of(file), offset, n, ret);
}

static int count_unfetch(sqlite3_file *file, sqlite3_int64 offset, void *at)
{
    return real_of(file)->pMethods->xUnfetch(real_of(file), offset, at);
}

static const sqlite3_io_methods methods = {
    .iVersion = 3,
    .xClose = count_close,
    .xRead = count_read,
    .xWrite = count_write,
    .xTruncate = count_truncate,
    .xSync = count_sync,
    .xFileSize = count_size,
    .xLock = count_lock,
    .xUnlock = count_unlock,
    .xCheckReservedLock = count_check_lock,
    .xFileControl = count_control,
    .xSectorSize = count_sector_size,
    .xDeviceCharacteristics = count_device,
    .xShmMap = count_shm_map,
    .xShmLock = count_shm_lock,
    .xShmBarrier = count_shm_barrier,
    .xShmUnmap = count_shm_unmap,
    .xFetch = count_fetch,
    .xUnfetch = count_unfetch,
};

static int count_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                      int *ret_flags)
{
    count_file *mine = (count_file *)(void *)file;
    int rc;

    (void)vfs;
    mine->real = (sqlite3_file *)(void *)(mine + 1);
    mine->real->pMethods = NULL;
    rc = real_vfs->xOpen(real_vfs, name, mine->real, flags, ret_flags);
    mine->pub.pMethods = mine->real->pMethods ? &methods : NULL;
    return rc;
}

static void register_vfs(void)
{
    static sqlite3_vfs vfs;

    /* Process-wide and only before SQLite's first use; when somebody was faster it works too,
     * with a little more locking. */
    (void)sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    real_vfs = sqlite3_vfs_find(NULL);
    RC_ASSERT(real_vfs && real_vfs->iVersion >= 1);
    vfs = *real_vfs; /* all but opening is the real one's, which takes no state from `vfs` */
    vfs.szOsFile = (int)sizeof(count_file) + real_vfs->szOsFile;
    vfs.zName = rc_vfs_name;
    vfs.xOpen = count_open;
    vfs.pNext = NULL;
    (void)sqlite3_vfs_register(&vfs, 0);
}

void rc_db_setup(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, register_vfs);
}
