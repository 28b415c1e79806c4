/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Opening and closing the embedded log: the lock that keeps a second process out, recovery, the
 * writer thread; and what the log says about itself.
 */
#include "log/embedded/internal.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT_BYTES_DEFAULT ((int64_t)1 << 30)
#define TRANSACTION_BYTES_DEFAULT ((int64_t)4 << 20)

/* ---- one process per folder ----------------------------------------------------------------- */

static int refuse_second(int fd, const char *dir, rc_error *err)
{
    char pid[32] = "";
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);

    pid[n > 0 ? n : 0] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    return rc_fail(err, OMC_EEXIST,
                   "the log in %s is in use by process %s: stop that process, or use another "
                   "folder",
                   dir, *pid ? pid : "(unknown)");
}

/* flock ends with the process, however it ends; the file stays. */
static int lock_folder(rc_embedded *log, rc_error *err)
{
    RC_AUTO_FREE char *path = rc_path_join(log->dir, "LOCK");
    char pid[32];
    int n;

    log->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (log->lock_fd < 0)
        return rc_fail_errno(err, errno, "open %s", path);
    if (flock(log->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return refuse_second(log->lock_fd, log->dir, err);
        return rc_fail_errno(err, errno, "lock %s", path);
    }
    /* For people only, so a full disk does not matter. */
    n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(log->lock_fd, 0) == 0)
        (void)!pwrite(log->lock_fd, pid, (size_t)n, 0);
    return 0;
}

/* ---- health --------------------------------------------------------------------------------- */

static int64_t file_bytes(const char *path, const char *suffix)
{
    RC_AUTO_FREE char *name = rc_format("%s%s", path, suffix);
    struct stat st;

    return stat(name, &st) == 0 ? (int64_t)st.st_blocks * 512 : 0;
}

static void health(rc_log *pub, rc_log_health *ret)
{
    rc_embedded *log = rc_embedded_of(pub);

    (void)pthread_mutex_lock(&log->mu);
    ret->writable = !log->full;
    (void)snprintf(ret->text, sizeof ret->text, "%s", log->text);
    ret->appended = log->appended;
    ret->transactions = log->transactions;
    for (const rc_segment *s = log->segments; s; s = s->next)
        ret->bytes += file_bytes(s->path, "") + file_bytes(s->path, "-wal");
    (void)pthread_mutex_unlock(&log->mu);
    ret->syncs = rc_sync_count() - log->syncs_before;
}

static int bounds(rc_log *pub, rc_topic *topic, int32_t queue, int64_t *ret_min, int64_t *ret_max,
                  rc_error *err)
{
    rc_embedded *log = rc_embedded_of(pub);
    int r = rc_queue_check(topic, queue, err);

    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&log->mu);
    *ret_min = rc_queue_min(&topic->queue[queue]);
    *ret_max = topic->queue[queue].end;
    (void)pthread_mutex_unlock(&log->mu);
    return 0;
}

static const char *topic_name(const rc_topic *topic)
{
    return topic->name;
}

static int32_t topic_queues(const rc_topic *topic)
{
    return topic->queues;
}

static const char *topic_broker(const rc_topic *topic, int32_t queue)
{
    (void)topic, (void)queue;
    return "";
}

/* ---- open and close ------------------------------------------------------------------------- */

static void free_log(rc_embedded *log)
{
    rc_topic *topic, *next_topic;
    rc_segment *segment, *next_segment;

    rc_tip_close(&log->store);
    (void)sqlite3_close(log->live_db);
    HASH_ITER(hh, log->topics, topic, next_topic)
    {
        HASH_DEL(log->topics, topic);
        rc_topic_free(topic);
    }
    DL_FOREACH_SAFE(log->segments, segment, next_segment)
    {
        DL_DELETE(log->segments, segment);
        rc_segment_unref(segment);
    }
    if (log->lock_fd >= 0)
        (void)close(log->lock_fd);
    (void)pthread_mutex_destroy(&log->mu);
    (void)pthread_mutex_destroy(&log->live_mu);
    (void)pthread_cond_destroy(&log->work_cond);
    (void)pthread_cond_destroy(&log->done_cond);
    free(log->dir);
    free(log);
}

static void close_log(rc_log *pub)
{
    rc_embedded *log = rc_embedded_of(pub);

    if (log->thread_runs) {
        (void)pthread_mutex_lock(&log->mu);
        RC_ASSERT(log->users == 0); /* close writers and readers before their log */
        log->closing = true;
        (void)pthread_cond_signal(&log->work_cond);
        (void)pthread_mutex_unlock(&log->mu);
        (void)pthread_join(log->thread, NULL);
    }
    free_log(log);
}

static const rc_log_ops embedded_ops = {
    .caps = RC_LOG_ATOMIC,
    .topic = rc_live_topic,
    .topics = rc_live_topics,
    .topic_name = topic_name,
    .topic_queues = topic_queues,
    .topic_broker = topic_broker,
    .bounds = bounds,
    .search = rc_emb_search,
    .writer_open = rc_emb_writer_open,
    .writer_close = rc_emb_writer_close,
    .writer_trim = rc_emb_writer_trim,
    .append_new = rc_emb_append_new,
    .append_free = rc_emb_append_free,
    .append_add = rc_emb_append_add,
    .append_position = rc_emb_append_position,
    .append_bytes = rc_emb_append_bytes,
    .append_count = rc_emb_append_count,
    .append_positions = rc_emb_append_positions,
    .append_offset = rc_emb_append_offset,
    .append_topic = rc_emb_append_topic,
    .append_queue = rc_emb_append_queue,
    .submit = rc_emb_submit,
    .receipt = rc_emb_receipt,
    .pending = rc_emb_pending,
    .pending_bytes = rc_emb_pending_bytes,
    .reader_open = rc_emb_reader_open,
    .reader_close = rc_emb_reader_close,
    .reader_add = rc_emb_reader_add,
    .reader_remove = rc_emb_reader_remove,
    .reader_seek = rc_emb_reader_seek,
    .reader_pause = rc_emb_reader_pause,
    .fetch = rc_emb_fetch,
    .fetch_release = rc_emb_fetch_release,
    .reader_trim = rc_emb_reader_trim,
    .lag = rc_emb_lag,
    .position = rc_live_position,
    .positions = rc_live_positions,
    .position_set = rc_live_position_set,
    .commit = rc_live_commit,
    .committed = rc_live_committed,
    .group_delete = rc_live_group_delete,
    .health = health,
    .close = close_log,
};

static rc_embedded *new_log(const rc_embedded_config *config)
{
    rc_embedded *log = rc_calloc(1, sizeof *log);
    rc_embedded_config *c = &log->config;

    rc_db_setup();
    log->pub.ops = &embedded_ops;
    log->dir = rc_strdup(config->dir);
    log->lock_fd = -1;
    log->clock = config->clock ? config->clock : rc_clock_real();
    log->syncs_before = rc_sync_count();
    log->live_segment = -1;
    *c = *config;
    c->dir = NULL;
    if (c->segment_bytes <= 0)
        c->segment_bytes = SEGMENT_BYTES_DEFAULT;
    if (c->transaction_bytes <= 0)
        c->transaction_bytes = TRANSACTION_BYTES_DEFAULT;
    if (c->queues <= 0)
        c->queues = 1;
    /* Whole segments go, so there must be several in what is kept. */
    if (c->keep_bytes > 0)
        c->segment_bytes = RC_MIN(c->segment_bytes, RC_MAX(c->keep_bytes / 4, 65536));
    (void)pthread_mutex_init(&log->mu, NULL);
    (void)pthread_mutex_init(&log->live_mu, NULL);
    rc_cond_init(&log->work_cond);
    rc_cond_init(&log->done_cond);
    return log;
}

int rc_embedded_open(const rc_embedded_config *config, rc_log **ret, rc_error *err)
{
    rc_embedded *log = new_log(config);
    int r = rc_mkdirs(log->dir, err);

    if (r == 0)
        r = lock_folder(log, err);
    if (r == 0)
        r = rc_recover(log, err);
    if (r == 0)
        r = rc_thread_start(&log->thread, "log-writer", 0, rc_writer_thread, log, err);
    if (r < 0) {
        free_log(log);
        return rc_wrap(err, r, "open the message log");
    }
    log->thread_runs = true;
    *ret = &log->pub;
    return 0;
}
