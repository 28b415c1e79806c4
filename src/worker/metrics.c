/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a task's metrics: shared by the task and by the views that show it. */
#include "worker/metrics.h"

rc_task_metrics *rc_task_metrics_new(void)
{
    rc_task_metrics *metrics = rc_calloc(1, sizeof *metrics);

    atomic_init(&metrics->refs, 1);
    rc_metric_set(metrics, RC_TM_LAG, -1);
    return metrics;
}

rc_task_metrics *rc_task_metrics_ref(rc_task_metrics *metrics)
{
    atomic_fetch_add_explicit(&metrics->refs, 1, memory_order_relaxed);
    return metrics;
}

void rc_task_metrics_unref(rc_task_metrics *metrics)
{
    if (metrics && atomic_fetch_sub_explicit(&metrics->refs, 1, memory_order_acq_rel) == 1)
        free(metrics);
}
