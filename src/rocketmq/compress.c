/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Compressed bodies (protocol §8): a zlib stream, LZ4 frames, or zstd frames. The size behind is
 * recorded nowhere that can be trusted, so output grows in the arena up to the caller's limit.
 */
#include "rocketmq/wire.h"

#define ZLIB_CONST
#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

#define ZLIB_LEVEL 5 /* What Java's client uses. */
#define ZSTD_LEVEL 3
#define FIRST_OUTPUT ((size_t)4096)

int32_t rmq_compression_flag(enum rmq_compression how)
{
    return how == RMQ_COMPRESS_NONE ? 0 : (int32_t)how << 8 | RMQ_SYS_COMPRESSED;
}

/* 0 is from before there was a choice. */
static enum rmq_compression method_of(int32_t sys_flag)
{
    unsigned how = ((unsigned)sys_flag & RMQ_SYS_COMPRESSION) >> 8;

    return how == 0 ? RMQ_COMPRESS_ZLIB : (enum rmq_compression)how;
}

static const char *method_name(enum rmq_compression how)
{
    return how == RMQ_COMPRESS_LZ4 ? "LZ4" : how == RMQ_COMPRESS_ZSTD ? "Zstandard" : "zlib";
}

/* ---- compressing ----------------------------------------------------------------------------- */

static size_t put_zlib(char *out, size_t room, rc_slice body)
{
    uLongf len = room;

    return compress2((Bytef *)out, &len, (const Bytef *)body.base, body.len, ZLIB_LEVEL) == Z_OK
               ? len
               : 0;
}

static LZ4F_preferences_t lz4_preferences(size_t len)
{
    LZ4F_preferences_t how = LZ4F_INIT_PREFERENCES;

    /* Java's reader refuses blocks that depend on each other. */
    how.frameInfo.blockMode = LZ4F_blockIndependent;
    how.frameInfo.contentSize = len;
    return how;
}

static size_t put_lz4(char *out, size_t room, rc_slice body)
{
    LZ4F_preferences_t how = lz4_preferences(body.len);
    size_t n = LZ4F_compressFrame(out, room, body.base, body.len, &how);

    return LZ4F_isError(n) ? 0 : n;
}

static size_t put_zstd(char *out, size_t room, rc_slice body)
{
    size_t n = ZSTD_compress(out, room, body.base, body.len, ZSTD_LEVEL);

    return ZSTD_isError(n) ? 0 : n;
}

static size_t bound_of(enum rmq_compression how, size_t len)
{
    LZ4F_preferences_t lz4 = lz4_preferences(len);

    switch (how) {
    case RMQ_COMPRESS_LZ4:
        return LZ4F_compressFrameBound(len, &lz4);
    case RMQ_COMPRESS_ZSTD:
        return ZSTD_compressBound(len);
    default:
        return compressBound(len);
    }
}

int rmq_compress(enum rmq_compression how, rc_slice body, rc_buf *buf, rc_error *err)
{
    size_t room, n;
    char *out;

    if (how == RMQ_COMPRESS_NONE) {
        rc_buf_add(buf, body.base, body.len);
        return buf->overflow ? rc_fail(err, OMC_ENOMEM, "a body of %zu bytes has no room", body.len)
                             : 0;
    }
    room = bound_of(how, body.len);
    out = rc_buf_reserve(buf, room);
    if (!out)
        return rc_fail(err, OMC_ENOMEM,
                       "a body of %zu bytes may need %zu when compressed by %s, and %zu are left",
                       body.len, room, method_name(how), buf->max - RC_MIN(buf->len, buf->max));
    n = how == RMQ_COMPRESS_LZ4    ? put_lz4(out, room, body)
        : how == RMQ_COMPRESS_ZSTD ? put_zstd(out, room, body)
                                   : put_zlib(out, room, body);
    RC_ASSERT(n > 0 && n <= room); /* With that much room they fail on lack of memory only. */
    buf->len += n;
    buf->data[buf->len] = '\0';
    return 0;
}

/* ---- decompressing --------------------------------------------------------------------------- */

/* Where a decoder reads and writes. */
typedef struct flow {
    const char *in;
    size_t in_left;
    char *out;
    size_t out_left;
} flow;

enum step { STEP_DAMAGED, STEP_MORE, STEP_FRAME_END, STEP_DONE };

/* A decoder: moves the flow on as far as input and room go. */
typedef struct decoder {
    enum step (*step)(void *state, flow *f);
    void *state;
} decoder;

static enum step zlib_step(void *state, flow *f)
{
    z_stream *z = state;
    uInt in = (uInt)RC_MIN(f->in_left, (size_t)1 << 30);
    uInt out = (uInt)RC_MIN(f->out_left, (size_t)1 << 30);
    int r;

    z->next_in = (const Bytef *)f->in;
    z->avail_in = in;
    z->next_out = (Bytef *)f->out;
    z->avail_out = out;
    r = inflate(z, Z_NO_FLUSH);
    f->in += in - z->avail_in;
    f->in_left -= in - z->avail_in;
    f->out += out - z->avail_out;
    f->out_left -= out - z->avail_out;
    /* Z_BUF_ERROR: nothing moved, which the caller notices by what is left. */
    return r == Z_STREAM_END ? STEP_DONE : r == Z_OK || r == Z_BUF_ERROR ? STEP_MORE : STEP_DAMAGED;
}

static enum step lz4_step(void *state, flow *f)
{
    size_t in = f->in_left;
    size_t out = f->out_left;
    size_t r = LZ4F_decompress(state, f->out, &out, f->in, &in, NULL);

    if (LZ4F_isError(r))
        return STEP_DAMAGED;
    f->in += in;
    f->in_left -= in;
    f->out += out;
    f->out_left -= out;
    return r == 0 ? STEP_FRAME_END : STEP_MORE;
}

static enum step zstd_step(void *state, flow *f)
{
    ZSTD_inBuffer in = {f->in, f->in_left, 0};
    ZSTD_outBuffer out = {f->out, f->out_left, 0};
    size_t r = ZSTD_decompressStream(state, &out, &in);

    if (ZSTD_isError(r))
        return STEP_DAMAGED;
    f->in += in.pos;
    f->in_left -= in.pos;
    f->out += out.pos;
    f->out_left -= out.pos;
    return r == 0 ? STEP_FRAME_END : STEP_MORE;
}

/* Output under way: `cap` bytes at `base`, the last thing in the arena. */
typedef struct output {
    omc_arena *arena;
    char *base;
    size_t cap;
} output;

static void grow(output *o, flow *f, size_t max)
{
    size_t used = (size_t)(f->out - o->base);
    size_t cap = o->cap > max / 2 ? max : o->cap * 2;
    char *bigger = omc_alloc(o->arena, cap);

    if (used)
        memcpy(bigger, o->base, used);
    o->base = bigger;
    o->cap = cap;
    f->out = bigger + used;
    f->out_left = cap - used;
}

/* Gives back what was reserved and not needed, so that small bodies stay small in the arena. */
static rc_slice trim(output *o, const flow *f)
{
    size_t used = (size_t)(f->out - o->base);
    size_t keep = (used + 7) & ~(size_t)7;

    if (o->base + ((o->cap + 7) & ~(size_t)7) == o->arena->cur)
        o->arena->cur = o->base + keep;
    return omc_slice_of(o->base, used);
}

static int run_decoder(const decoder *d, enum rmq_compression how, rc_slice body, size_t max,
                       omc_arena *arena, rc_slice *ret, rc_error *err)
{
    /* One more than allowed, to see the difference between full and too much. */
    size_t cap = RC_MIN(max + 1, RC_MAX(FIRST_OUTPUT, body.len * 4));
    output o = {arena, omc_alloc(arena, cap), cap};
    flow f = {body.base, body.len, o.base, cap};
    enum step step = STEP_MORE;

    while (step != STEP_DONE) {
        if (f.out_left == 0 && o.cap <= max)
            grow(&o, &f, max + 1);
        step = d->step(d->state, &f);
        if ((size_t)(f.out - o.base) > max)
            return rc_fail(err, OMC_ENOMEM,
                           "%zu bytes compressed by %s become more than the limit of %zu bytes",
                           body.len, method_name(how), max);
        if (step == STEP_FRAME_END && f.in_left == 0)
            step = STEP_DONE;
        if (step == STEP_MORE && f.in_left == 0 && f.out_left > 0)
            return rc_fail(err, OMC_EFORMAT,
                           "the %zu bytes compressed by %s end too soon; the message was damaged "
                           "before it was stored",
                           body.len, method_name(how));
        if (step == STEP_DAMAGED)
            return rc_fail(err, OMC_EFORMAT,
                           "the %zu bytes compressed by %s are damaged at byte %zu; the message "
                           "was damaged before it was stored",
                           body.len, method_name(how), body.len - f.in_left);
    }
    *ret = trim(&o, &f);
    return 0;
}

static int inflate_body(rc_slice body, size_t max, omc_arena *arena, rc_slice *ret, rc_error *err)
{
    z_stream z = {0};
    decoder d = {zlib_step, &z};
    int r;

    RC_ASSERT(inflateInit(&z) == Z_OK);
    r = run_decoder(&d, RMQ_COMPRESS_ZLIB, body, max, arena, ret, err);
    (void)inflateEnd(&z);
    return r;
}

static int lz4_body(rc_slice body, size_t max, omc_arena *arena, rc_slice *ret, rc_error *err)
{
    LZ4F_dctx *ctx = NULL;
    decoder d = {lz4_step, NULL};
    int r;

    RC_ASSERT(!LZ4F_isError(LZ4F_createDecompressionContext(&ctx, LZ4F_VERSION)));
    d.state = ctx;
    r = run_decoder(&d, RMQ_COMPRESS_LZ4, body, max, arena, ret, err);
    (void)LZ4F_freeDecompressionContext(ctx);
    return r;
}

static int zstd_body(rc_slice body, size_t max, omc_arena *arena, rc_slice *ret, rc_error *err)
{
    ZSTD_DCtx *ctx = ZSTD_createDCtx();
    decoder d = {zstd_step, ctx};
    int r;

    RC_ASSERT(ctx);
    r = run_decoder(&d, RMQ_COMPRESS_ZSTD, body, max, arena, ret, err);
    (void)ZSTD_freeDCtx(ctx);
    return r;
}

int rmq_decompress(int32_t sys_flag, rc_slice body, size_t max, omc_arena *arena, rc_slice *ret,
                   rc_error *err)
{
    RC_ASSERT(max < SIZE_MAX / 4 && body.len < SIZE_MAX / 4);
    switch (method_of(sys_flag)) {
    case RMQ_COMPRESS_ZLIB:
        return inflate_body(body, max, arena, ret, err);
    case RMQ_COMPRESS_LZ4:
        return lz4_body(body, max, arena, ret, err);
    case RMQ_COMPRESS_ZSTD:
        return zstd_body(body, max, arena, ret, err);
    default:
        return rc_fail(err, OMC_EFORMAT,
                       "sysFlag 0x%x names a compression that is not known here (zlib, LZ4 and "
                       "Zstandard are)",
                       (unsigned)sys_flag);
    }
}
