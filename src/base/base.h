/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The few macros every file uses: cleanup, assertions, counts, and the names of the ABI types
 * inside our rooms. Small internal allocations abort with a message; anything sized by a wire or
 * a user is bounded by its caller first.
 */
#ifndef RC_BASE_H
#define RC_BASE_H

#include <openmessaging/connect/data.h>
#include <openmessaging/connect/error.h>

#include <stdlib.h>

/* The ABI's value types are ours too: one layout, no copies at the border. */
typedef omc_error rc_error;
typedef omc_slice rc_slice;

#define RC_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define RC_MIN(a, b) ((a) < (b) ? (a) : (b))
#define RC_MAX(a, b) ((a) > (b) ? (a) : (b))
#define RC_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define RC_SLICE_FMT "%.*s"
#define RC_SLICE_ARG(s) (int)RC_MIN((s).len, (size_t)1 << 20), (s).base ? (s).base : ""

/**
 * Frees a local on every return: `RC_AUTO(rc_thing) thing = NULL;` calls rc_thing_free(thing).
 * The freeing function takes NULL.
 */
#define RC_AUTO(type) __attribute__((cleanup(type##_cleanup))) type *
#define RC_DEFINE_CLEANUP(type, free_fn)         \
    static inline void type##_cleanup(type **at) \
    {                                            \
        if (*at)                                 \
            free_fn(*at);                        \
    }
/** Moves a pointer out of a local: what leaves is not freed. */
#define RC_TAKE(ptr)                    \
    ({                                  \
        __typeof__(ptr) taken_ = (ptr); \
        (ptr) = NULL;                   \
        taken_;                         \
    })

static inline void rc_free_cleanup(void *at)
{
    free(*(void **)at);
}
#define RC_AUTO_FREE __attribute__((cleanup(rc_free_cleanup)))

/** States our own invariants; stays on in release. Input from outside is answered instead. */
#define RC_ASSERT(cond)                                            \
    do {                                                           \
        if (__builtin_expect(!(cond), 0))                          \
            rc_assert_failed(#cond, __FILE__, __LINE__, __func__); \
    } while (0)
_Noreturn void rc_assert_failed(const char *cond, const char *file, int line, const char *func);

/* Allocation that ends the process with a message when memory does. Never return NULL. */
void *rc_malloc(size_t size);
void *rc_calloc(size_t count, size_t size); /**< Zeroed. */
void *rc_realloc(void *old, size_t size);
char *rc_strdup(const char *text);
char *rc_strndup(const char *text, size_t len); /**< Copies exactly `len` bytes plus a NUL. */
char *rc_format(const char *fmt, ...) OMC_PRINTF(1, 2); /**< free() the result. */

/* ---- errors (see openmessaging/connect/error.h for the codes) -------------------------------- */

/** An empty error, without writing to all of its 1,024 bytes: for what runs a million times a
 *  second. Elsewhere `rc_error err = {0};`. */
static inline void rc_error_empty(rc_error *err)
{
    err->code = 0;
    err->flags = 0;
    err->msg[0] = '\0';
}
/** Fills `err` (may be NULL) and returns -code. */
#define rc_fail(err, code, ...) omc_fail((err), (code), 0, __VA_ARGS__)
/** The same, marked retriable. */
#define rc_fail_retriable(err, code, ...) omc_fail((err), (code), OMC_ERR_RETRIABLE, __VA_ARGS__)
/**
 * Adds what this level knows in front: "<fmt>: <old text>". Keeps code and flags.
 * @return r, unchanged.
 */
int rc_wrap(rc_error *err, int r, const char *fmt, ...) OMC_PRINTF(3, 4);
/**
 * Turns an errno into an error with its text: "<fmt>: No space left on device". Maps ENOSPC and
 * EDQUOT to OMC_ENOSPC, EACCES/EPERM to OMC_EACCES, ENOENT to OMC_ENOTFOUND, EEXIST to
 * OMC_EEXIST, ECONNREFUSED and kin to OMC_ECONNECT, else OMC_EIO. EINTR, EAGAIN, ENOSPC, EIO and
 * the connection errors are retriable.
 */
int rc_fail_errno(rc_error *err, int errnum, const char *fmt, ...) OMC_PRINTF(3, 4);
/** Name of a code for users and JSON: "no space" -> see table in error.c, e.g. "NO_SPACE". */
const char *rc_code_name(int code);

#endif
