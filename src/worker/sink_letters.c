/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters of a sink task: written by a writer of the task's own, durable before the offset. */
#include "worker/sink_loop.h"

static int letters_ready(rc_sink *s, rc_error *err)
{
    rc_task *task = s->task;
    rc_writer_config config = {.name = task->name, .connector = task->setup.connector};
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

/* Makes all dead letters durable; no offset may be committed before. */
int rc_sink_flush_letters(rc_sink *s, rc_error *err)
{
    rc_receipt receipt;
    int r;

    if (!s->letter_append || rc_append_count(s->letter_append) == 0)
        return 0;
    r = rc_writer_submit(s->letters, s->letter_append, NULL, err);
    if (r < 0)
        return rc_wrap(err, r, "write dead letters");
    s->letter_append = NULL;
    while (
        !rc_writer_receipt(s->letters, rc_mono_ns(s->task->clock) + INT64_C(1000000000), &receipt))
        if (rc_task_commanded(s->task) == RC_COMMAND_STOP)
            return rc_fail_retriable(err, OMC_ECANCELED, "stopped while writing dead letters");
    r = receipt.result;
    *err = receipt.err;
    rc_append_free(receipt.append);
    return r < 0 ? rc_wrap(err, r, "write dead letters") : 0;
}

/* The skipped record of s->failure: counted, logged, kept as a dead letter. */
int rc_sink_skip(rc_sink *s, rc_error *err)
{
    int r = letters_ready(s, err);

    return r < 0 ? r : rc_task_skipped(s->task, s->letter_append, &s->failure, err);
}
