/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /connectors/stop|pause|resume/all: asks for the names, then changes one connector after the
 * other. A connector that disappears on the way is no error; one that fails ends the walk and is
 * named, with how far it came.
 */
#include "rest/routes.h"
#include "rest/views.h"

struct all {
    rc_request_kind kind;
    size_t count;
    size_t at; /* The one under way. */
    size_t changed;
    const char **names;
    size_t *changed_at; /* Indexes of those changed. */
};

static void step(exchange *ex);

static void finish(exchange *ex, answer *out)
{
    struct all *all = ex->state;
    rc_buf names = RC_BUF(REST_ANSWER_MAX / 2);

    if (all->kind != RC_REQUEST_DELETE) {
        answer_compat_text(out, "%zu connectors are %s", all->changed,
                           all->kind == RC_REQUEST_PAUSE ? "suspended" : "resumed");
        return;
    }
    for (size_t i = 0; i < all->changed; i++)
        rc_buf_printf(&names, "%s%s", i ? ", " : "", all->names[all->changed_at[i]]);
    answer_compat_text(out, "[%s] connectors are deleted", names.data ? names.data : "");
    rc_buf_release(&names);
}

static void render_step(exchange *ex, const rc_reply *reply, answer *out)
{
    struct all *all = ex->state;

    if (reply->result == 0) {
        all->changed_at[all->changed++] = all->at;
    } else if (reply->result != -OMC_ENOTFOUND) {
        answer_error(ex, out, answer_status_of(-reply->result), 500,
                     "Connector [%s]: %s; %zu of %zu connectors were changed before it",
                     all->names[all->at], answer_why(ex, reply), all->changed, all->count);
        return;
    }
    if (++all->at == all->count)
        finish(ex, out);
    else
        ex->next = step;
}

static void give_up(exchange *ex)
{
    struct all *all = ex->state;

    answer_error(ex, &ex->answer, 503, 500,
                 "the worker did not answer in time; some of the %zu connectors may be changed. "
                 "Look at GET /connectors/list before trying again",
                 all->count);
}

static void step(exchange *ex)
{
    struct all *all = ex->state;
    rc_request request = {.kind = all->kind, .connector = all->names[all->at], .expected = -1};

    exchange_post(ex, &request, render_step);
}

static void render_names(exchange *ex, const rc_reply *reply, answer *out)
{
    struct all *all = ex->state;
    const char *what = all->kind == RC_REQUEST_DELETE  ? "deleted"
                       : all->kind == RC_REQUEST_PAUSE ? "paused"
                                                       : "resumed";

    if (reply->result < 0) {
        answer_error(ex, out, answer_status_of(-reply->result), 500, "%s", answer_why(ex, reply));
        return;
    }
    if (reply->count == 0) {
        answer_compat_text(out, "No connector needs to be %s, please add connector first", what);
        return;
    }
    all->count = reply->count;
    all->names = omc_alloc(&ex->arena.pub, reply->count * sizeof *all->names);
    all->changed_at = omc_alloc(&ex->arena.pub, reply->count * sizeof *all->changed_at);
    for (size_t i = 0; i < reply->count; i++)
        all->names[i] =
            omc_copy(&ex->arena.pub, reply->connectors[i].name, strlen(reply->connectors[i].name));
    ex->next = step;
}

static void change_all(exchange *ex, rc_request_kind kind)
{
    struct all *all = omc_alloc0(&ex->arena.pub, sizeof *all);
    rc_request request = {.kind = RC_REQUEST_LIST, .expected = -1};

    all->kind = kind;
    ex->state = all;
    ex->late = give_up;
    exchange_post(ex, &request, render_names);
}

void compat_stop_all(exchange *ex)
{
    change_all(ex, RC_REQUEST_DELETE);
}

void compat_pause_all(exchange *ex)
{
    change_all(ex, RC_REQUEST_PAUSE);
}

void compat_resume_all(exchange *ex)
{
    change_all(ex, RC_REQUEST_RESUME);
}
