/* SPDX-License-Identifier: Apache-2.0 */
/** Each process takes every n-th seed and adds up in memory that all share. */
#include "batch.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOBS_MAX = 64 };

void tally_add(struct tally *sum, const struct tally *other)
{
    sum->runs += other->runs;
    sum->failed += other->failed;
    sum->events += other->events;
    sum->claims += other->claims;
    sum->starts += other->starts;
    sum->releases += other->releases;
    sum->late += other->late;
    sum->witnessed += other->witnessed;
    sum->batches += other->batches;
    sum->configs_written += other->configs_written;
    sum->configs_refused += other->configs_refused;
    for (int f = 0; f < FAULTS; f++)
        sum->faults[f] += other->faults[f];
    if (!other->some || (sum->some && sum->seed < other->seed))
        return;
    sum->some = true;
    sum->seed = other->seed;
    memcpy(sum->invariant, other->invariant, sizeof(sum->invariant));
    memcpy(sum->text, other->text, sizeof(sum->text));
}

static void fails(struct tally *t, const char *invariant, const char *text)
{
    t->failed++;
    if (t->some)
        return;
    t->some = true;
    t->seed = t->at;
    snprintf(t->invariant, sizeof(t->invariant), "%s", invariant);
    snprintf(t->text, sizeof(t->text), "%s", text);
}

static void count(const sim *s, struct tally *t)
{
    t->runs++;
    t->events += s->engine.done;
    t->claims += s->claims;
    t->starts += s->starts;
    t->releases += s->releases;
    t->late += s->late;
    t->witnessed += s->witnessed;
    t->batches += s->batches;
    t->configs_written += s->configs_written;
    t->configs_refused += s->configs_refused;
    for (int f = 0; f < FAULTS; f++)
        t->faults[f] += s->faults[f];
    if (s->invariant)
        fails(t, s->invariant, s->failure);
}

static void work(const struct batch *b, int job, struct tally *t)
{
    sim *s = rc_calloc(1, sizeof(*s));

    sim_init(s);
    for (uint64_t i = (uint64_t)job; i < b->count; i += (uint64_t)b->jobs) {
        t->at = b->first + i;
        sim_run(s, t->at, b->mix, b->off);
        count(s, t);
        if (b->until_failure && t->some)
            break;
    }
    sim_release(s);
    free(s);
}

static pid_t start(const struct batch *b, int job, struct tally *t)
{
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        if (b->until_failure) /* What a broken machine says of itself is of no use. */
            RC_ASSERT(freopen("/dev/null", "w", stderr));
        work(b, job, t);
        _exit(0);
    }
    return pid;
}

static void await(pid_t pid, struct tally *t)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        t->runs++;
        fails(t, "abort", "the process ended: an assertion of the machine, or a crash");
    }
}

void batch_run(const struct batch *b, struct tally *sum)
{
    struct tally *shared = mmap(NULL, sizeof(*shared) * JOBS_MAX, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid[JOBS_MAX];

    RC_ASSERT(shared != MAP_FAILED && b->jobs >= 1 && b->jobs <= JOBS_MAX);
    for (int job = 0; job < b->jobs; job++) {
        pid[job] = start(b, job, &shared[job]);
        RC_ASSERT(pid[job] > 0);
    }
    for (int job = 0; job < b->jobs; job++) {
        await(pid[job], &shared[job]);
        tally_add(sum, &shared[job]);
    }
    munmap(shared, sizeof(*shared) * JOBS_MAX);
}
