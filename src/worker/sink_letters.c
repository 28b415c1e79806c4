/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters of a sink task: written by a writer of the task's own, durable before the offset. */
#include "worker/sink_loop.h"

#define LETTERS_BYTES_MAX ((size_t)4 << 20)

static int letters_ready(rc_sink *s, rc_error *err)
{
    rc_task *task = s->task;
    rc_writer_config config = {.name = task->name,
                               .connector = task->setup.connector,
                               .fence = task->fence};
    int r;

    if (!task->dead_letter)
        return 0;
    if (!s->letters) {
        config.pending_bytes_max = (size_t)task->setup.worker_config->pending_bytes_max;
        r = rc_writer_open(task->log, &config, &s->letters, err);
        if (r < 0)
            return r;
    }
    if (!s->letter_append)
        s->letter_append = rc_append_new(s->letters);
    return 0;
}

/* Waits for the letters that are under way. Those that could not be stored are gone with their
 * writer, so nothing may be committed any more: the task ends, and its records are read again. */
static int wait_for_letters(rc_sink *s, rc_error *err)
{
    rc_receipt receipt;

    while (rc_writer_pending(s->letters) > 0) {
        int64_t deadline = rc_mono_ns(s->task->clock) + INT64_C(1000000000);

        if (!rc_writer_receipt(s->letters, deadline, &receipt)) {
            if (rc_task_commanded(s->task) == RC_COMMAND_STOP)
                return rc_fail_retriable(err, OMC_ECANCELED, "stopped while writing dead letters");
            continue;
        }
        rc_append_free(receipt.append);
        if (receipt.result < 0) {
            s->letters_lost = true;
            *err = receipt.err;
            err->flags &= ~OMC_ERR_RETRIABLE;
            return rc_wrap(err, receipt.result, "write dead letters");
        }
    }
    return 0;
}

/* Makes all dead letters durable; no offset may be committed before. */
int rc_sink_flush_letters(rc_sink *s, rc_error *err)
{
    int r;

    if (!s->letters)
        return 0;
    r = wait_for_letters(s, err); /* of a flush that a stop has cut short */
    if (r < 0 || !s->letter_append || rc_append_count(s->letter_append) == 0)
        return r;
    r = rc_writer_submit(s->letters, s->letter_append, NULL, err);
    if (r < 0)
        return rc_wrap(err, r, "write dead letters");
    s->letter_append = NULL;
    return wait_for_letters(s, err);
}

/* The skipped record of s->failure: counted, logged, kept as a dead letter. */
int rc_sink_skip(rc_sink *s, rc_error *err)
{
    int r = letters_ready(s, err);

    /* Letters wait for the next commit, but not without bound. */
    if (r == 0 && s->letter_append && rc_append_bytes(s->letter_append) >= LETTERS_BYTES_MAX) {
        r = rc_sink_flush_letters(s, err);
        if (r == 0)
            r = letters_ready(s, err);
    }
    return r < 0 ? r : rc_task_skipped(s->task, s->letter_append, &s->failure, err);
}
