/* SPDX-License-Identifier: Apache-2.0 */
/* /api/v1/cluster: what the membership says, passed on as it is. */
#include "rest/routes.h"

#include "base/units.h"

/* @return false: answered 404. */
static bool in_cluster(exchange *ex)
{
    if (ex->rest->cluster.owner)
        return true;
    answer_error(ex, &ex->answer, 404, 0,
                 "this worker is in no cluster; 'rocketmq-connect distributed' runs one that is");
    return false;
}

void api_cluster(exchange *ex)
{
    const rc_rest_cluster *cluster = &ex->rest->cluster;

    if (!in_cluster(ex))
        return;
    ex->answer.status = 200;
    ex->answer.type = REST_JSON;
    cluster->describe(cluster->arg, &ex->answer.body);
}

void api_explain(exchange *ex)
{
    const rc_rest_cluster *cluster = &ex->rest->cluster;
    int64_t task = -1;
    rc_error err = {0};

    if (!in_cluster(ex))
        return;
    if (ex->item &&
        (rc_parse_int64(omc_slice_str(ex->item), &task) < 0 || task < 0 || task > INT32_MAX)) {
        answer_error(ex, &ex->answer, 400, 0, "'%s' is no number of a task", ex->item);
        return;
    }
    ex->answer.type = REST_JSON;
    if (cluster->explain(cluster->arg, ex->name, (int)task, &ex->answer.body, &err) < 0)
        answer_error(ex, &ex->answer, 404, 0, "%s", err.msg);
    else
        ex->answer.status = 200;
}

void api_drain(exchange *ex)
{
    const rc_rest_cluster *cluster = &ex->rest->cluster;

    if (!in_cluster(ex))
        return;
    cluster->drain(cluster->arg, !exchange_flag(ex, "off", false));
    ex->answer.status = 202;
    ex->answer.type = REST_JSON;
    cluster->describe(cluster->arg, &ex->answer.body);
}
