/* SPDX-License-Identifier: Apache-2.0 */
/* Task records in memory, for the workers of one process. */
#include "worker/ownership.h"

#include "base/hash.h"

#include <pthread.h>

typedef struct entry {
    char *connector;
    rc_arena memory;
    rc_task_record record;
    UT_hash_handle hh;
} entry;

struct rc_memory_book {
    pthread_mutex_t mu; /* guards entries */
    entry *entries;
};

rc_memory_book *rc_memory_book_new(void)
{
    rc_memory_book *book = rc_calloc(1, sizeof *book);

    (void)pthread_mutex_init(&book->mu, NULL);
    return book;
}

void rc_memory_book_free(rc_memory_book *book)
{
    entry *e, *next;

    if (!book)
        return;
    HASH_ITER(hh, book->entries, e, next)
    {
        HASH_DEL(book->entries, e); /* NOLINT(clang-analyzer-unix.Malloc) */
        rc_arena_release(&e->memory);
        free(e->connector);
        free(e);
    }
    (void)pthread_mutex_destroy(&book->mu);
    free(book);
}

static rc_task_record copy_record(const rc_task_record *from, omc_arena *arena)
{
    const omc_keyvalue **tasks = omc_alloc(arena, (from->count + 1) * sizeof *tasks);
    rc_task_record to = *from;

    for (size_t i = 0; i < from->count; i++)
        tasks[i] = rc_kv_copy(from->tasks[i], arena);
    to.tasks = tasks;
    return to;
}

static void put(void *arg, const char *connector, const rc_task_record *record,
                void (*done)(void *done_arg, int result, const rc_error *err), void *done_arg)
{
    rc_memory_book *book = arg;
    entry *e;

    (void)pthread_mutex_lock(&book->mu);
    HASH_FIND_STR(book->entries, connector, e);
    if (e) {
        rc_arena_release(&e->memory);
    } else {
        e = rc_calloc(1, sizeof *e);
        e->connector = rc_strdup(connector);
        HASH_ADD_KEYPTR(hh, book->entries, e->connector, strlen(e->connector), e);
    }
    rc_arena_init(&e->memory, 1024);
    e->record = copy_record(record, &e->memory.pub);
    (void)pthread_mutex_unlock(&book->mu);
    done(done_arg, 0, NULL);
}

static bool find(void *arg, const char *connector, omc_arena *arena, rc_task_record *ret)
{
    rc_memory_book *book = arg;
    entry *e;

    (void)pthread_mutex_lock(&book->mu);
    HASH_FIND_STR(book->entries, connector, e);
    if (e)
        *ret = copy_record(&e->record, arena);
    (void)pthread_mutex_unlock(&book->mu);
    return e != NULL;
}

rc_task_book rc_memory_book_of(rc_memory_book *book)
{
    return (rc_task_book){.put = put, .find = find, .arg = book};
}
