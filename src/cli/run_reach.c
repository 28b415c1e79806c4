/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a run is. The log is the only witness that counts (what it holds survives a crash), so
 * progress, the end, and the summary are read from it; task metrics only fill the time between
 * two commits.
 */
#include "cli/run.h"

#include "base/diag.h"
#include "base/file.h"
#include "log/embedded.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int add_topic(rc_log *log, const char *name, const char *group, omc_arena *arena,
                     rc_reach *reach, rc_error *err)
{
    rc_topic *topic;
    int r = rc_log_topic(log, name, 0, &topic, err);

    if (r == -OMC_ENOTFOUND)
        return 0;
    for (int32_t queue = 0; r == 0 && queue < rc_topic_queues(topic); queue++) {
        int64_t min = 0, max = 0, committed = -1;
        rc_slice state;

        r = rc_log_bounds(log, topic, queue, &min, &max, err);
        if (r == 0)
            r = rc_log_committed(log, group, topic, queue, arena, &committed, &state, err);
        reach->end += max;
        reach->committed += RC_MAX(committed, (int64_t)0);
    }
    return r;
}

static int add_topics(rc_log *log, const rc_pipeline *pipeline, omc_arena *arena, rc_reach *reach,
                      rc_error *err)
{
    const char *list = rc_kv_text(pipeline->sink, "connect.topicnames", NULL, arena);
    const char *group =
        rc_kv_text(pipeline->sink, "task.group.id",
                   rc_arena_format(arena, "connect-%s", pipeline->sink_name), arena);
    char *copy, *name, *rest = NULL;

    if (!list)
        list = rc_kv_text(pipeline->sink, "topics", pipeline->topic, arena);
    copy = omc_copy(arena, list, strlen(list));
    for (name = strtok_r(copy, ",; ", &rest); name; name = strtok_r(NULL, ",; ", &rest)) {
        int r = add_topic(log, name, group, arena, reach, err);

        if (r < 0)
            return r;
    }
    return 0;
}

/* Offsets of files hold "position", the byte after the last line; other sources need not. */
static int add_position(void *arg, rc_slice partition, rc_slice offset)
{
    rc_reach *reach = arg;
    json_t *map = json_loadb(offset.base, offset.len, 0, NULL);
    const json_t *position = json_object_get(map, "position");

    (void)partition;
    if (json_is_integer(position))
        reach->position = RC_MAX(reach->position, (int64_t)0) + json_integer_value(position);
    json_decref(map);
    return 0;
}

int rc_reach_read(rc_log *log, const rc_pipeline *pipeline, rc_reach *ret, rc_error *err)
{
    const char *path;
    struct stat st;
    rc_arena arena;
    int r;

    *ret = (rc_reach){.position = -1, .size = -1};
    rc_arena_init(&arena, 4096);
    r = add_topics(log, pipeline, &arena.pub, ret, err);
    if (r == 0)
        r = rc_log_positions(log, pipeline->source_name, add_position, ret, err);
    path = rc_kv_text(pipeline->source, "filename", NULL, &arena.pub);
    if (path && stat(path, &st) == 0 && S_ISREG(st.st_mode))
        ret->size = (int64_t)st.st_size;
    rc_arena_release(&arena);
    return r;
}

/* ---- connectors as seen --------------------------------------------------------------------- */

/* Worse states rank higher; the worst one is what a user must hear of. */
static int rank(rc_state state)
{
    static const rc_state order[] = {
        RC_STATE_FINISHED, RC_STATE_RUNNING, RC_STATE_UNASSIGNED, RC_STATE_STARTING,
        RC_STATE_PAUSED,   RC_STATE_STOPPED, RC_STATE_STALLED,    RC_STATE_RESTARTING,
        RC_STATE_STUCK,    RC_STATE_FAILED,
    };

    for (size_t i = 0; i < RC_COUNT(order); i++)
        if (order[i] == state)
            return (int)i;
    return 0;
}

static void worsen(rc_seen *seen, rc_state state, const char *trace)
{
    if (rank(state) < rank(seen->state))
        return;
    seen->state = state;
    if (trace)
        (void)snprintf(seen->trace, sizeof seen->trace, "%s", trace);
}

void rc_seen_take(const rc_connector_view *view, rc_seen *ret)
{
    *ret = (rc_seen){.known = true, .state = RC_STATE_FINISHED};
    ret->finished = view->state == RC_STATE_FINISHED || view->task_count > 0;
    if (view->state != RC_STATE_FINISHED)
        worsen(ret, view->state, view->trace);
    for (size_t i = 0; i < view->task_count; i++) {
        const rc_task_view *task = &view->tasks[i];

        ret->finished = ret->finished && task->state == RC_STATE_FINISHED;
        worsen(ret, task->state, task->trace);
        for (int m = 0; task->metrics && m < RC_TM_COUNT; m++)
            ret->values[m] += rc_metric_get(task->metrics, (rc_task_metric)m);
    }
}

/* ---- --restart ------------------------------------------------------------------------------ */

/* Only files we made: a log.dir may hold other things. */
static bool ours(const char *name)
{
    static const char *const known[] = {"LOCK", "state.db", "state.db-wal", "state.db-shm"};
    const char *dot = strchr(name, '.');

    for (size_t i = 0; i < RC_COUNT(known); i++)
        if (!strcmp(name, known[i]))
            return true;
    return dot && dot - name == 20 && strspn(name, "0123456789") == 20 && !strncmp(dot, ".seg", 4);
}

static int remove_files(const char *dir, int64_t *bytes, int *count, rc_error *err)
{
    DIR *d = opendir(dir);
    const struct dirent *entry;
    int r = 0;

    if (!d)
        return errno == ENOENT ? 0 : rc_fail_errno(err, errno, "read folder '%s'", dir);
    while (r == 0 && (entry = readdir(d))) {
        RC_AUTO_FREE char *path = rc_path_join(dir, entry->d_name);
        struct stat st;

        if (!ours(entry->d_name))
            continue;
        if (stat(path, &st) == 0)
            *bytes += (int64_t)st.st_size;
        ++*count;
        if (unlink(path) < 0)
            r = rc_fail_errno(err, errno, "remove '%s'", path);
    }
    (void)closedir(d);
    (void)rmdir(dir); /* stays when something else is in it */
    return r;
}

int rc_pipeline_restart(const rc_pipeline *pipeline, const char *log_dir, rc_error *err)
{
    const rc_embedded_config config = {.dir = log_dir, .clock = rc_clock_real()};
    int64_t bytes = 0;
    int count = 0, r = 0;
    rc_log *log = NULL;

    if (access(log_dir, F_OK) == 0) {
        /* Opening tells whether somebody uses it. A damaged log cannot be opened, and is exactly
         * what should be removed. */
        r = rc_embedded_open(&config, &log, err);
        rc_log_close(log);
        if (r == -OMC_EEXIST)
            return rc_wrap(err, r, "--restart");
        r = remove_files(log_dir, &bytes, &count, err);
    }
    if (r == 0)
        r = remove_files(pipeline->state_dir, &bytes, &count, err);
    if (r == 0 && count)
        printf("%s: removed the state of earlier runs in '%s' (%d files, %.1f MB); starting from "
               "the beginning. What the sink has written before is not touched.\n",
               pipeline->name, log_dir, count, (double)bytes / 1e6);
    return r;
}
