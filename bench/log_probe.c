/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The mark beside which a copy through the log is measured: the same bytes through SQLite with
 * the log's settings, and out again into a file that is synced, without anything of ours.
 *
 *   log_probe INPUT DB_DIR OUTPUT
 *
 * One thread reads INPUT and inserts rows of 1 MiB, four to a transaction (WAL, synchronous=FULL,
 * 64 KiB pages, a checkpoint per 64 MiB); another follows, reads the rows and appends them to
 * OUTPUT with an fdatasync every second and at the end. Prints seconds, MB/s and CPU seconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    ROW_BYTES = 1 << 20,
    ROWS_PER_TRANSACTION = 4,
    PAGE_BYTES = 65536,
    CHECKPOINT_PAGES = 64 * 1024 * 1024 / PAGE_BYTES
};

static const char settings[] = "PRAGMA page_size=65536; PRAGMA cache_size=-2048;"
                               "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                               "PRAGMA wal_autocheckpoint=0; PRAGMA mmap_size=0;";

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static int64_t rows;  /* committed; under mu */
static bool complete; /* under mu */
static int wal_pages; /* writer thread */
static char db_path[4096];
static const char *input_path, *output_path;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "log_probe: %s: %s\n", what, why);
    exit(1);
}

static sqlite3 *open_db(void)
{
    sqlite3 *db;

    if (sqlite3_open_v2(db_path, &db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        die(db_path, "cannot be opened");
    (void)sqlite3_busy_timeout(db, 10000);
    if (sqlite3_exec(db, settings, NULL, NULL, NULL) != SQLITE_OK)
        die(db_path, sqlite3_errmsg(db));
    return db;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt;

    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        die(sql, sqlite3_errmsg(db));
    return stmt;
}

static void exec(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        die(sql, sqlite3_errmsg(db));
}

static int note_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
    (void)arg, (void)db, (void)name;
    wal_pages = pages;
    return SQLITE_OK;
}

static void publish(int64_t n, bool last)
{
    (void)pthread_mutex_lock(&mu);
    rows = n;
    complete = last;
    (void)pthread_cond_signal(&more);
    (void)pthread_mutex_unlock(&mu);
}

static size_t read_full(int fd, char *at, size_t n)
{
    size_t got = 0;

    while (got < n) {
        ssize_t r = read(fd, at + got, n - got);

        if (r < 0)
            die(input_path, strerror(errno));
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return got;
}

static void *write_rows(void *arg)
{
    sqlite3 *db = arg;
    sqlite3_stmt *put = prepare(db, "INSERT INTO batch(data) VALUES(?)");
    int fd = open(input_path, O_RDONLY);
    char *buffers = malloc((size_t)ROW_BYTES * ROWS_PER_TRANSACTION);
    int64_t n = 0;

    if (fd < 0)
        die(input_path, strerror(errno));
    (void)sqlite3_wal_hook(db, note_wal, NULL);
    for (bool last = false; !last;) {
        exec(db, "BEGIN IMMEDIATE");
        for (int i = 0; i < ROWS_PER_TRANSACTION && !last; i++) {
            char *at = buffers + (size_t)i * ROW_BYTES;
            size_t len = read_full(fd, at, ROW_BYTES);

            last = len < ROW_BYTES;
            if (len == 0)
                break;
            (void)sqlite3_bind_blob64(put, 1, at, len, SQLITE_STATIC);
            if (sqlite3_step(put) != SQLITE_DONE)
                die("insert", sqlite3_errmsg(db));
            (void)sqlite3_reset(put);
            n++;
        }
        exec(db, "COMMIT");
        publish(n, last);
        if (wal_pages >= CHECKPOINT_PAGES)
            (void)sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    }
    (void)sqlite3_finalize(put);
    (void)close(fd);
    free(buffers);
    return NULL;
}

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void write_full(int fd, const char *at, size_t n)
{
    while (n) {
        ssize_t w = write(fd, at, n);

        if (w < 0)
            die(output_path, strerror(errno));
        at += w;
        n -= (size_t)w;
    }
}

static bool wait_for(int64_t row)
{
    bool there;

    (void)pthread_mutex_lock(&mu);
    while (rows < row && !complete)
        (void)pthread_cond_wait(&more, &mu);
    there = rows >= row;
    (void)pthread_mutex_unlock(&mu);
    return there;
}

static void *read_rows(void *arg)
{
    sqlite3 *db = open_db();
    sqlite3_stmt *get = prepare(db, "SELECT data FROM batch WHERE seq = ?");
    int fd = open(output_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    double synced = now();

    (void)arg;
    if (fd < 0)
        die(output_path, strerror(errno));
    for (int64_t row = 1; wait_for(row); row++) {
        (void)sqlite3_bind_int64(get, 1, row);
        if (sqlite3_step(get) != SQLITE_ROW)
            die("read", sqlite3_errmsg(db));
        write_full(fd, sqlite3_column_blob(get, 0), (size_t)sqlite3_column_bytes(get, 0));
        (void)sqlite3_reset(get);
        if (now() - synced >= 1) {
            (void)fdatasync(fd);
            synced = now();
        }
    }
    (void)fdatasync(fd);
    (void)close(fd);
    (void)sqlite3_finalize(get);
    (void)sqlite3_close(db);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t writer, reader;
    struct rusage usage;
    double from, seconds, mb;
    sqlite3 *db;

    if (argc != 4) {
        fprintf(stderr, "usage: log_probe INPUT DB_DIR OUTPUT\n");
        return 2;
    }
    input_path = argv[1];
    output_path = argv[3];
    (void)snprintf(db_path, sizeof db_path, "%s/probe.db", argv[2]);
    if (unlink(db_path) < 0 && errno != ENOENT)
        die(db_path, strerror(errno));
    db = open_db();
    exec(db, "CREATE TABLE batch(seq INTEGER PRIMARY KEY, data BLOB NOT NULL)");
    from = now();
    if (pthread_create(&writer, NULL, write_rows, db) ||
        pthread_create(&reader, NULL, read_rows, NULL))
        die("start threads", strerror(errno));
    (void)pthread_join(writer, NULL);
    (void)pthread_join(reader, NULL);
    seconds = now() - from;
    (void)sqlite3_close(db);
    (void)getrusage(RUSAGE_SELF, &usage);
    {
        int fd = open(output_path, O_RDONLY);

        mb = (double)lseek(fd, 0, SEEK_END) / 1e6;
        (void)close(fd);
    }
    printf("probe seconds=%.3f mb_per_s=%.1f cpu_s=%.3f bytes=%.0f\n", seconds, mb / seconds,
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6,
           mb * 1e6);
    return 0;
}
