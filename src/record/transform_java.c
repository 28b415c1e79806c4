/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Java's regular expression syntax to PCRE2's. Most of both is the same; this walks a pattern
 * once and rewrites what differs (\uXXXX, \0n, \p{Lower}, \p{IsLatin}, \11, inline flags), and
 * refuses what one of them would read in another way: silence there would mean a filter that
 * matches something else than it did in Java.
 *
 * Refused with a cure: unions and intersections of classes ([a-z&&[^b]]), Unicode blocks,
 * \N{name}, \G, flags d and U in the middle of a pattern, and PCRE2's own constructs.
 *
 * What stays different, found by comparing with OpenJDK 17: '.', '^' and '$' know \n, \r and
 * \r\n as line ends, not U+0085, U+2028 and U+2029; CASE_INSENSITIVE is never limited to ASCII;
 * \b and \B are ASCII unless UNICODE_CHARACTER_CLASS is set (as in JDK 19); an empty match lies
 * between characters, never inside a surrogate pair.
 */
#include "record/transform.h"

#include <ctype.h>

#define GROUPS_MAX 1000
#define DEPTH_MAX 250 /* As PCRE2. */

typedef struct translator {
    const char *pattern;
    const char *at; /**< Next byte. */
    rc_buf *out;
    unsigned *flags;
    rc_error *err;
    unsigned groups;       /**< Capturing groups opened so far. */
    bool comments;         /**< '#' begins a comment here. */
    bool outer[DEPTH_MAX]; /**< `comments` of the open groups. */
    size_t depth;
} translator;

static int refuse(translator *t, const char *what)
{
    return rc_fail(t->err, OMC_EINVAL, "regex '%s': at position %zu: %s", t->pattern,
                   (size_t)(t->at - t->pattern), what);
}

/** Value of exactly `digits` hex digits, or -1. */
static long read_hex(const char *at, int digits)
{
    long value = 0;

    for (int i = 0; i < digits; i++) {
        if (!isxdigit((unsigned char)at[i]))
            return -1;
        value =
            value * 16 + (isdigit((unsigned char)at[i]) ? at[i] - '0' : (at[i] | 32) - 'a' + 10);
    }
    return value;
}

/** `\uXXXX`, also two of them that make one character; `at` is behind the 'u'. */
static int translate_unicode(translator *t)
{
    long code = read_hex(t->at, 4);

    if (code < 0)
        return refuse(t, "\\u needs four hex digits, e.g. \\u00e9");
    t->at += 4;
    if (code >= 0xD800 && code < 0xDC00 && t->at[0] == '\\' && t->at[1] == 'u') {
        long low = read_hex(t->at + 2, 4);

        if (low >= 0xDC00 && low < 0xE000) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            t->at += 6;
        }
    }
    if (code >= 0xD800 && code < 0xE000)
        return refuse(t, "half of a surrogate pair; write both halves or \\x{...}");
    rc_buf_printf(t->out, "\\x{%lx}", (unsigned long)code);
    return 0;
}

/** `\0n`, `\0nn`, `\0mnn` with m <= 3; `at` is behind the '0'. */
static int translate_octal(translator *t)
{
    unsigned code = 0;
    int digits = 0;

    while (digits < 3 && *t->at >= '0' && *t->at <= '7' &&
           code * 8 + (unsigned)(*t->at - '0') < 256) {
        code = code * 8 + (unsigned)(*t->at++ - '0');
        digits++;
    }
    if (!digits)
        return refuse(t, "\\0 needs octal digits, e.g. \\0101");
    rc_buf_printf(t->out, "\\x{%x}", code);
    return 0;
}

static int translate_hex(translator *t)
{
    if (*t->at == '{') {
        const char *end = strchr(t->at, '}');

        if (!end)
            return refuse(t, "\\x{ without }");
        rc_buf_str(t->out, "\\x");
        rc_buf_add(t->out, t->at, (size_t)(end + 1 - t->at));
        t->at = end + 1;
        return 0;
    }
    if (read_hex(t->at, 2) < 0)
        return refuse(t, "\\x needs two hex digits, e.g. \\x41, or braces");
    rc_buf_str(t->out, "\\x");
    rc_buf_add(t->out, t->at, 2);
    t->at += 2;
    return 0;
}

/** Names of Java's properties that PCRE2 calls otherwise. `posix` ones become [:name:]. */
static const struct property {
    const char *java;
    const char *pcre;
    bool posix;
} properties[] = {
    {"Lower", "lower", true},
    {"Upper", "upper", true},
    {"ASCII", "ascii", true},
    {"Alpha", "alpha", true},
    {"Digit", "digit", true},
    {"Alnum", "alnum", true},
    {"Punct", "punct", true},
    {"Graph", "graph", true},
    {"Print", "print", true},
    {"Blank", "blank", true},
    {"Cntrl", "cntrl", true},
    {"XDigit", "xdigit", true},
    {"Space", "space", true},
    {"LC", "L&", false},
    {"javaLowerCase", "Lowercase", false},
    {"javaUpperCase", "Uppercase", false},
    {"javaAlphabetic", "Alphabetic", false},
    {"javaLetter", "L", false},
    {"javaDigit", "Nd", false},
    {"IsLetter", "L", false},
    {"IsTitlecase", "Lt", false},
    {"IsPunctuation", "P", false},
    {"IsControl", "Cc", false},
    {"IsDigit", "Nd", false},
};

/** `\p{...}` or `\pL`; `at` is behind the 'p' or 'P'. */
static int translate_property(translator *t, char p, bool in_class)
{
    const char *end;
    rc_slice name;

    if (*t->at != '{') {
        if (!isalpha((unsigned char)*t->at))
            return refuse(t, "\\p needs a property, e.g. \\p{L}");
        rc_buf_printf(t->out, "\\%c%c", p, *t->at++);
        return 0;
    }
    end = strchr(t->at, '}');
    if (!end || end - t->at > 64)
        return refuse(t, "\\p{ without }");
    name = omc_slice_of(t->at + 1, (size_t)(end - t->at - 1));
    for (size_t i = 0; i < RC_COUNT(properties); i++) {
        const struct property *known = &properties[i];

        if (!omc_slice_is(name, known->java))
            continue;
        if (!known->posix)
            rc_buf_printf(t->out, "\\%c{%s}", p, known->pcre);
        else
            rc_buf_printf(t->out, in_class ? "[:%s%s:]" : "[[:%s%s:]]", p == 'P' ? "^" : "",
                          known->pcre);
        t->at = end + 1;
        return 0;
    }
    if ((name.len > 2 && strncmp(name.base, "In", 2) == 0) ||
        (name.len > 4 && strncmp(name.base, "blk=", 4) == 0) ||
        (name.len > 6 && strncmp(name.base, "block=", 6) == 0))
        return refuse(t, "Unicode blocks are not supported; use a script, \\p{IsGreek}, or a "
                         "range, [\\u0370-\\u03FF]");
    if (name.len > 4 && strncmp(name.base, "java", 4) == 0)
        return refuse(t, "this \\p{java...} is not supported; use \\p{L}, \\p{Nd} or a class");
    if (name.len > 2 && strncmp(name.base, "Is", 2) == 0)
        name = omc_slice_of(name.base + 2, name.len - 2);
    else if (name.len > 3 && strncmp(name.base, "gc=", 3) == 0)
        name = omc_slice_of(name.base + 3, name.len - 3);
    else if (name.len > 17 && strncmp(name.base, "general_category=", 17) == 0)
        name = omc_slice_of(name.base + 17, name.len - 17);
    rc_buf_printf(t->out, "\\%c{" RC_SLICE_FMT "}", p, RC_SLICE_ARG(name));
    t->at = end + 1;
    return 0;
}

/** `\11` is group 11 only when it exists, else group 1 and the digit 1; `at` is at the digit. */
static void translate_back_reference(translator *t)
{
    unsigned group = (unsigned)(*t->at++ - '0');

    while (isdigit((unsigned char)*t->at) && group * 10 + (unsigned)(*t->at - '0') <= t->groups)
        group = group * 10 + (unsigned)(*t->at++ - '0');
    rc_buf_printf(t->out, "\\g{%u}", group);
}

/** Copies \Q...\E; without \E to the end. `at` is behind the 'Q'. */
static void translate_quote(translator *t)
{
    const char *end = strstr(t->at, "\\E");
    size_t len = end ? (size_t)(end - t->at) : strlen(t->at);

    rc_buf_str(t->out, "\\Q");
    rc_buf_add(t->out, t->at, len);
    rc_buf_str(t->out, "\\E");
    t->at += len + (end ? 2 : 0);
}

static int translate_escape(translator *t, bool in_class)
{
    char c = t->at[1];

    if (!c)
        return refuse(t, "a lone \\ at the end; write \\\\ for a backslash");
    if (!isalnum((unsigned char)c)) { /* Also the first byte of a longer character. */
        rc_buf_char(t->out, '\\');
        rc_buf_char(t->out, c);
        t->at += 2;
        return 0;
    }
    if (!strchr(in_class ? "0acdDefhHnpPQrsStuvVwWx" : "0123456789aAbBcdDefhHknpPQrRsStuvVwWxXzZ",
                c)) {
        return c == 'N'   ? refuse(t, "\\N{name} is not supported; use \\x{...}")
               : c == 'G' ? refuse(t, "\\G is not supported; use ^ or a group")
                          : refuse(t, "this escape is unknown; a letter that is meant literally "
                                      "takes no \\");
    }
    t->at += 2;
    switch (c) {
    case 'u':
        return translate_unicode(t);
    case '0':
        return translate_octal(t);
    case 'x':
        return translate_hex(t);
    case 'p':
    case 'P':
        return translate_property(t, c, in_class);
    case 'Q':
        translate_quote(t);
        return 0;
    case 'b':
        if (t->at[0] == '{' && t->at[1] == 'g')
            return refuse(t, "\\b{g} is not supported");
        break;
    default:
        if (isdigit((unsigned char)c)) {
            t->at--;
            translate_back_reference(t);
            return 0;
        }
    }
    rc_buf_char(t->out, '\\');
    rc_buf_char(t->out, c);
    if (c == 'c' && *t->at)
        rc_buf_char(t->out, *t->at++);
    return 0;
}

/** A class from '[' to its ']'. */
static int translate_class(translator *t)
{
    rc_buf_char(t->out, *t->at++);
    if (*t->at == '^')
        rc_buf_char(t->out, *t->at++);
    if (*t->at == ']')
        rc_buf_char(t->out, *t->at++);
    while (*t->at && *t->at != ']') {
        int r = 0;

        if (*t->at == '[')
            return refuse(t, "a class inside a class is not supported; write \\[ for a bracket, "
                             "[abc] for [a[bc]], \\p{Alpha} for [:alpha:]");
        if (t->at[0] == '&' && t->at[1] == '&')
            return refuse(t, "&& in a class is not supported; write (?=[a-z])[^b] for "
                             "[a-z&&[^b]]");
        if (*t->at == '\\')
            r = translate_escape(t, true);
        else
            rc_buf_char(t->out, *t->at++);
        if (r < 0)
            return r;
    }
    if (!*t->at)
        return refuse(t, "a class without its closing ]");
    rc_buf_char(t->out, *t->at++);
    return 0;
}

/** Flags set inside a group end with it. */
static int open_group(translator *t, bool comments_outside)
{
    if (t->depth == DEPTH_MAX)
        return refuse(t, "more than 250 groups inside each other");
    t->outer[t->depth++] = comments_outside;
    return 0;
}

static void close_group(translator *t)
{
    if (t->depth) /* Else PCRE2 tells of the ) too many. */
        t->comments = t->outer[--t->depth];
    rc_buf_char(t->out, *t->at++);
}

/** `(?flags)` or `(?flags:`; `at` is behind the '?'. */
static int translate_inline_flags(translator *t)
{
    bool first = t->at == t->pattern + 2, off = false, outside = t->comments;
    char on[16] = "", no[16] = "";

    for (; *t->at && *t->at != ')' && *t->at != ':'; t->at++) {
        char *list = off ? no : on;
        size_t n = strlen(list);

        if (*t->at == '-' && !off) {
            off = true;
        } else if (*t->at == 'd' || *t->at == 'U') {
            if (!first || off || !strchr(t->at, ')') || memchr(t->at, ':', strcspn(t->at, ")")))
                return refuse(t, "flags d and U are supported at the start of the pattern only, "
                                 "e.g. (?U)\\w+");
            *t->flags |= *t->at == 'd' ? RC_REGEX_UNIX_LINES : RC_REGEX_UNICODE_CHARACTER_CLASS;
        } else if (*t->at == 'x' && n < sizeof on - 3) {
            memcpy(list + n, "xx", 3); /* Java ignores blanks in classes, too. */
            t->comments = !off;
        } else if (strchr("ims", *t->at) && n < sizeof on - 3) {
            list[n] = *t->at;
            list[n + 1] = '\0';
        } else if (*t->at != 'u') {
            return refuse(t, "this group is unknown; Java knows (?:x) (?=x) (?!x) (?<=x) (?<!x) "
                             "(?>x) (?<name>x) and the flags idmsuxU");
        }
    }
    if (!*t->at)
        return refuse(t, "( without )");
    if (*t->at == ')' && !*on && !*no) { /* Nothing left to say. */
        t->at++;
        return 0;
    }
    rc_buf_printf(t->out, "(?%s%s%s%c", on, *no ? "-" : "", no, *t->at);
    return *t->at++ == ':' ? open_group(t, outside) : 0;
}

static int translate_group(translator *t)
{
    char c = t->at[1];

    if (c == '*')
        return refuse(t, "nothing to repeat before *");
    if (c != '?') {
        t->groups++;
        rc_buf_char(t->out, *t->at++);
        return t->groups > GROUPS_MAX ? refuse(t, "more than 1000 groups")
                                      : open_group(t, t->comments);
    }
    t->at += 2;
    if (*t->at && strchr(":=!>", *t->at)) {
        rc_buf_printf(t->out, "(?%c", *t->at++);
        return open_group(t, t->comments);
    }
    if (t->at[0] == '<' && t->at[1] && strchr("=!", t->at[1])) {
        rc_buf_printf(t->out, "(?<%c", t->at[1]);
        t->at += 2;
        return open_group(t, t->comments);
    }
    if (*t->at != '<')
        return translate_inline_flags(t);
    rc_buf_str(t->out, "(?<");
    if (!isalpha((unsigned char)*++t->at))
        return refuse(t, "a group name begins with a letter, (?<name>x)");
    while (isalnum((unsigned char)*t->at))
        rc_buf_char(t->out, *t->at++);
    if (*t->at != '>')
        return refuse(t, "a group name has letters and digits only and ends with >");
    rc_buf_char(t->out, *t->at++);
    t->groups++;
    return t->groups > GROUPS_MAX ? refuse(t, "more than 1000 groups") : open_group(t, t->comments);
}

int rc_regex_translate(const char *pattern, unsigned *flags, rc_buf *out, rc_error *err)
{
    translator t = {.pattern = pattern, .at = pattern, .out = out, .flags = flags, .err = err};

    t.comments = *flags & RC_REGEX_COMMENTS;
    while (*t.at) {
        int r = 0;

        if (*t.at == '\\') {
            r = translate_escape(&t, false);
        } else if (*t.at == '[') {
            r = translate_class(&t);
        } else if (*t.at == '(') {
            r = translate_group(&t);
        } else if (*t.at == ')') {
            close_group(&t);
        } else if (*t.at == '{' && !isdigit((unsigned char)t.at[1])) {
            r = refuse(&t, "a repetition is {2}, {2,} or {2,5}; write \\{ for a brace");
        } else if (*t.at == '#' && t.comments) {
            size_t len = strcspn(t.at, "\n\r");

            rc_buf_add(out, t.at, len);
            t.at += len;
        } else {
            rc_buf_char(out, *t.at++);
        }
        if (r < 0)
            return r;
    }
    return out->overflow
               ? rc_fail(err, OMC_EINVAL, "regex of %zu bytes is too long", strlen(pattern))
               : 0;
}
