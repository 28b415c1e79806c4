/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Java regexes on PCRE2: compile, match, replace.
 *
 * No pattern may hang a task. PCRE2's limits count steps per start position, and its JIT does
 * not count the steps of a simple loop at all; so the limit for one match is taken from a budget
 * divided by what one counted step can cost on a text of this length. Texts longer than
 * JIT_TEXT_MAX go to the interpreter, which counts every step.
 *
 * Replacing follows Matcher.replaceAll(): after an empty match the search goes on one character
 * later (Perl would look for a longer match at the same place first).
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "record/transform.h"

#include <ctype.h>
#include <pcre2.h>

#define PATTERN_MAX 16384u
#define STEPS_MAX 1000000u
#define STEPS_MIN 1000u
#define JIT_TEXT_MAX 1024u
#define JIT_BUDGET (1u << 27)
#define FIND_BUDGET (1u << 26)
#define FIND_TEXT_MAX 65536u
#define HEAP_KIB_MAX 20480u
#define RESULT_MAX (1u << 20)

/** One piece of a replacement: literal bytes, or a group. */
typedef struct piece {
    rc_slice text; /**< Borrowed from `replacement`; base == NULL: group. */
    uint32_t group;
} piece;

struct rc_regex {
    char *pattern;     /**< As the user wrote it. */
    rc_buf translated; /**< In PCRE2's syntax. */
    unsigned flags;
    bool jit;
    pcre2_code *code;
    pcre2_code *loose; /**< For texts that are no UTF-8; made when the first one comes. */
    pcre2_match_data *data;
    pcre2_match_context *limits;
    pcre2_jit_stack *stack;
    rc_buf replacement;
    piece *pieces;
    size_t piece_count;
};

static const struct flag_name {
    const char *name;
    unsigned flag;
} flag_names[] = {
    {"CASE_INSENSITIVE", RC_REGEX_CASE_INSENSITIVE},
    {"MULTILINE", RC_REGEX_MULTILINE},
    {"DOTALL", RC_REGEX_DOTALL},
    {"COMMENTS", RC_REGEX_COMMENTS},
    {"LITERAL", RC_REGEX_LITERAL},
    {"UNIX_LINES", RC_REGEX_UNIX_LINES},
    {"UNICODE_CASE", RC_REGEX_UNICODE_CASE},
    {"UNICODE_CHARACTER_CLASS", RC_REGEX_UNICODE_CHARACTER_CLASS},
};

int rc_regex_flags(const omc_list *names, unsigned *ret, rc_error *err)
{
    unsigned flags = 0;

    for (size_t i = 0; i < names->count; i++) {
        size_t k = 0;

        while (k < RC_COUNT(flag_names) && strcmp(flag_names[k].name, names->items[i]) != 0)
            k++;
        if (k < RC_COUNT(flag_names)) {
            flags |= flag_names[k].flag;
            continue;
        }
        if (strcmp(names->items[i], "CANON_EQ") == 0)
            return rc_fail(
                err, OMC_EINVAL,
                "regex flag 'CANON_EQ' is not supported; remove it and match both forms, "
                "e.g. (?:\\u00e9|e\\u0301)");
        return rc_fail(err, OMC_EINVAL,
                       "regex flag '%s' is unknown; known flags are: CASE_INSENSITIVE, MULTILINE, "
                       "DOTALL, COMMENTS, LITERAL, UNIX_LINES, UNICODE_CASE, "
                       "UNICODE_CHARACTER_CLASS",
                       names->items[i]);
    }
    *ret = flags;
    return 0;
}

static uint32_t compile_options(unsigned flags)
{
    uint32_t options = PCRE2_UTF;

    if (flags & (RC_REGEX_CASE_INSENSITIVE))
        options |= PCRE2_CASELESS;
    if (flags & RC_REGEX_FULL)
        options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
    if (flags & RC_REGEX_LITERAL)
        return options | PCRE2_LITERAL; /* Java: the other flags become superfluous. */
    options |= PCRE2_NEVER_BACKSLASH_C;
    if (flags & RC_REGEX_MULTILINE)
        options |= PCRE2_MULTILINE;
    if (flags & RC_REGEX_DOTALL)
        options |= PCRE2_DOTALL;
    if (flags & RC_REGEX_COMMENTS)
        options |= PCRE2_EXTENDED | PCRE2_EXTENDED_MORE;
    if (flags & RC_REGEX_UNICODE_CHARACTER_CLASS)
        options |= PCRE2_UCP;
    return options;
}

/** Compiles the translated pattern. `more`: options beside those of the flags. */
static pcre2_code *compile(const rc_regex *regex, uint32_t more, rc_error *err)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    const rc_buf *text = &regex->translated;
    PCRE2_SIZE offset = 0;
    pcre2_code *code;
    int r = 0;

    RC_ASSERT(context);
    pcre2_set_newline(context, regex->flags & RC_REGEX_UNIX_LINES ? PCRE2_NEWLINE_LF
                                                                  : PCRE2_NEWLINE_ANYCRLF);
    code = pcre2_compile((PCRE2_SPTR)(text->data ? text->data : ""), text->len,
                         compile_options(regex->flags) | more, &r, &offset, context);
    pcre2_compile_context_free(context);
    if (!code) {
        char why[160] = "";

        pcre2_get_error_message(r, (PCRE2_UCHAR *)why, sizeof why);
        (void)rc_fail(err, OMC_EINVAL, "regex '%s' does not compile: %s, near position %zu",
                      regex->pattern, why, offset);
    }
    return code;
}

/** Makes what matching needs. */
static void prepare(rc_regex *regex)
{
    regex->jit = pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE) == 0;
    regex->data = pcre2_match_data_create_from_pattern(regex->code, NULL);
    regex->limits = pcre2_match_context_create(NULL);
    RC_ASSERT(regex->data && regex->limits);
    pcre2_set_heap_limit(regex->limits, HEAP_KIB_MAX);
    if (regex->jit) {
        regex->stack = pcre2_jit_stack_create(32768, 1 << 20, NULL);
        RC_ASSERT(regex->stack);
        pcre2_jit_stack_assign(regex->limits, NULL, regex->stack);
    }
}

int rc_regex_new(const char *pattern, unsigned flags, rc_regex **ret, rc_error *err)
{
    RC_AUTO(rc_regex) regex = NULL;
    int r = 0;

    if (strlen(pattern) > PATTERN_MAX)
        return rc_fail(err, OMC_EINVAL, "regex of %zu bytes is too long; at most %u are allowed",
                       strlen(pattern), PATTERN_MAX);
    regex = rc_calloc(1, sizeof *regex);
    regex->pattern = rc_strdup(pattern);
    rc_buf_init(&regex->translated, (size_t)PATTERN_MAX * 4);
    rc_buf_init(&regex->replacement, PATTERN_MAX);
    if (flags & RC_REGEX_LITERAL)
        rc_buf_str(&regex->translated, pattern);
    else
        r = rc_regex_translate(pattern, &flags, &regex->translated, err);
    if (r < 0)
        return r;
    regex->flags = flags;
    regex->code = compile(regex, 0, err);
    if (!regex->code)
        return -OMC_EINVAL;
    prepare(regex);
    *ret = RC_TAKE(regex);
    return 0;
}

void rc_regex_free(rc_regex *regex)
{
    if (!regex)
        return;
    pcre2_match_data_free(regex->data);
    pcre2_match_context_free(regex->limits);
    pcre2_jit_stack_free(regex->stack);
    pcre2_code_free(regex->code);
    pcre2_code_free(regex->loose);
    rc_buf_release(&regex->translated);
    rc_buf_release(&regex->replacement);
    free(regex->pieces);
    free(regex->pattern);
    free(regex);
}

/* ---- replacement -------------------------------------------------------------------------- */

static piece *add_piece(rc_regex *regex)
{
    regex->pieces = rc_realloc(regex->pieces, (regex->piece_count + 1) * sizeof *regex->pieces);
    return memset(&regex->pieces[regex->piece_count++], 0, sizeof *regex->pieces);
}

static void add_literal(rc_regex *regex, const char *at, size_t len)
{
    if (len)
        add_piece(regex)->text = omc_slice_of(at, len);
}

/** `$1` (as many digits as make an existing group) or `${name}`; `at` is behind the '$'. */
static int parse_group(rc_regex *regex, const char **at, rc_error *err)
{
    const char *text = regex->replacement.data, *from = *at;
    uint32_t groups = 0, group = 0;

    pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    if (*from == '{') {
        size_t len = strcspn(from + 1, "}");
        char name[64] = "";
        int number;

        if (!from[1 + len])
            return rc_fail(err, OMC_EINVAL, "replacement '%s': ${ without }", text);
        if (len < sizeof name)
            memcpy(name, from + 1, len);
        number = pcre2_substring_number_from_name(regex->code, (PCRE2_SPTR)name);
        if (number <= 0)
            return rc_fail(err, OMC_EINVAL,
                           "replacement '%s': the regex '%s' has no group named '%.*s'", text,
                           regex->pattern, (int)RC_MIN(len, (size_t)64), from + 1);
        group = (uint32_t)number;
        *at = from + len + 2;
    } else if (isdigit((unsigned char)*from)) {
        group = (uint32_t)(*from++ - '0');
        if (group > groups)
            return rc_fail(err, OMC_EINVAL,
                           "replacement '%s': group $%u does not exist; the regex '%s' has %u",
                           text, group, regex->pattern, groups);
        while (isdigit((unsigned char)*from) && group * 10 + (uint32_t)(*from - '0') <= groups)
            group = group * 10 + (uint32_t)(*from++ - '0');
        *at = from;
    } else {
        return rc_fail(err, OMC_EINVAL,
                       "replacement '%s': $ needs a group, $1 or ${name}; write \\$ for a dollar "
                       "sign",
                       text);
    }
    add_piece(regex)->group = group;
    return 0;
}

int rc_regex_set_replacement(rc_regex *regex, const char *text, rc_error *err)
{
    const char *at, *literal;
    int r;

    rc_buf_clear(&regex->replacement);
    regex->piece_count = 0;
    rc_buf_str(&regex->replacement, text);
    if (regex->replacement.overflow)
        return rc_fail(err, OMC_EINVAL, "replacement of %zu bytes is too long; at most %u",
                       strlen(text), PATTERN_MAX);
    at = literal = regex->replacement.data ? regex->replacement.data : "";
    while (*at) {
        if (*at != '\\' && *at != '$') {
            at++;
            continue;
        }
        add_literal(regex, literal, (size_t)(at - literal));
        if (*at++ == '$') {
            r = parse_group(regex, &at, err);
            if (r < 0)
                return r;
            literal = at;
            continue;
        }
        if (!*at)
            return rc_fail(err, OMC_EINVAL,
                           "replacement '%s' ends with a lone \\; write \\\\ for a backslash",
                           text);
        literal = at++; /* The escaped character begins the next literal. */
    }
    add_literal(regex, literal, (size_t)(at - literal));
    return 0;
}

/* ---- matching ----------------------------------------------------------------------------- */

/** Steps PCRE2 may count for one match, see the top of the file. */
static uint32_t step_limit(const rc_regex *regex, size_t len, bool jit)
{
    uint64_t n = len + 1, limit;

    if (regex->flags & RC_REGEX_FULL)
        limit = jit ? JIT_BUDGET / n : RC_MAX(STEPS_MAX, 8 * n);
    else
        limit = jit ? JIT_BUDGET / (n * n) : FIND_BUDGET / n;
    if (jit || !(regex->flags & RC_REGEX_FULL))
        limit = RC_MIN(RC_MAX(limit, STEPS_MIN), STEPS_MAX);
    return (uint32_t)RC_MIN(limit, (uint64_t)UINT32_MAX);
}

static int gave_up(const rc_regex *regex, size_t len, const char *why, rc_error *err)
{
    return rc_fail(err, OMC_EFORMAT,
                   "regex '%s' gave up on a text of %zu bytes: %s; simplify the regex: no repeat "
                   "inside a repeat as in (a+)+, possessive a++ where possible",
                   regex->pattern, len, why);
}

/** Sets the limits and searches with one of the two forms. @return PCRE2's code. */
static int search_with(rc_regex *regex, const pcre2_code *code, rc_slice text, size_t from)
{
    bool jit = regex->jit && code == regex->code && text.len <= JIT_TEXT_MAX;
    uint32_t limit = step_limit(regex, text.len, jit);

    pcre2_set_match_limit(regex->limits, limit);
    pcre2_set_depth_limit(regex->limits, limit);
    return pcre2_match(code, (PCRE2_SPTR)(text.base ? text.base : ""), text.len, from,
                       jit ? 0 : PCRE2_NO_JIT, regex->data, regex->limits);
}

/** One search from `from`. @return 1, 0 or an error. */
static int search(rc_regex *regex, rc_slice text, size_t from, rc_error *err)
{
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(regex->data);
    char why[160] = "";
    int r;

    if (!(regex->flags & RC_REGEX_FULL) && text.len > FIND_TEXT_MAX)
        return rc_fail(err, OMC_EFORMAT, "regex '%s': a name of %zu bytes is too long; at most %u",
                       regex->pattern, text.len, FIND_TEXT_MAX);
    r = search_with(regex, regex->code, text, from);
    if (r <= PCRE2_ERROR_UTF8_ERR1 && r >= PCRE2_ERROR_UTF8_ERR21) {
        /* Not always compiled so: in PCRE2 10.42, JIT with MATCH_INVALID_UTF does not find
           characters beyond ASCII by \W, \D and \S. */
        if (!regex->loose)
            regex->loose = compile(regex, PCRE2_MATCH_INVALID_UTF, err);
        if (!regex->loose)
            return -OMC_EINVAL;
        r = search_with(regex, regex->loose, text, from);
    }
    if (r == PCRE2_ERROR_NOMATCH)
        return 0;
    if (r < 0) {
        pcre2_get_error_message(r, (PCRE2_UCHAR *)why, sizeof why);
        return gave_up(regex, text.len, why, err);
    }
    /* Around bytes that are no UTF-8, "whole text" means a piece of it to PCRE2. */
    if (regex->flags & RC_REGEX_FULL)
        return at[0] == 0 && at[1] == text.len;
    return at[0] <= at[1]; /* \K would allow the contrary; it is refused, but cheap to rule out. */
}

int rc_regex_match(rc_regex *regex, rc_slice text, rc_error *err)
{
    return search(regex, text, 0, err);
}

/** Appends the replacement for the match found last. */
static void expand(const rc_regex *regex, rc_slice text, rc_buf *out)
{
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(regex->data);

    for (size_t i = 0; i < regex->piece_count; i++) {
        const piece *p = &regex->pieces[i];
        const PCRE2_SIZE *group = at + 2 * (size_t)p->group;

        if (p->text.base)
            rc_buf_add(out, p->text.base, p->text.len);
        else if (group[0] != PCRE2_UNSET && group[0] < group[1])
            rc_buf_add(out, text.base + group[0], group[1] - group[0]);
    }
}

/** Position behind the character at `at`. */
static size_t next_character(rc_slice text, size_t at)
{
    at++;
    while (at < text.len && ((unsigned char)text.base[at] & 0xC0) == 0x80)
        at++;
    return at;
}

int rc_regex_replace(rc_regex *regex, rc_slice text, omc_arena *arena, rc_slice *ret, rc_error *err)
{
    rc_buf out __attribute__((cleanup(rc_buf_release))) = RC_BUF(RESULT_MAX);
    const PCRE2_SIZE *at = pcre2_get_ovector_pointer(regex->data);
    size_t copied = 0, from = 0;
    bool found = false;

    while (from <= text.len && !out.overflow) {
        int r = search(regex, text, from, err);

        if (r < 0)
            return r;
        if (r == 0)
            break;
        found = true;
        if (at[0] > copied)
            rc_buf_add(&out, text.base + copied, at[0] - copied);
        expand(regex, text, &out);
        copied = at[1];
        from = at[1] > at[0] ? at[1] : next_character(text, at[1]);
        if (regex->flags & RC_REGEX_FULL)
            break;
    }
    *ret = text;
    if (!found)
        return 0;
    if (copied < text.len)
        rc_buf_add(&out, text.base + copied, text.len - copied);
    if (out.overflow)
        return rc_fail(err, OMC_EFORMAT, "regex '%s': the result is longer than %u bytes",
                       regex->pattern, RESULT_MAX);
    *ret = rc_arena_slice(arena, omc_slice_of(out.data ? out.data : "", out.len));
    return 1;
}
