/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Signatures: equal to those of the Java client in the recorded frames, and to ones computed with
 * Python's hmac from the rule in the protocol's description.
 */
#include "unit.h"

#include "frames_file.h"
#include "rocketmq/frame.h"

static rc_arena arena;

/* ---- recorded -------------------------------------------------------------------------------- */

static int good, wrong;

static bool comes_again(const rmq_header *header, size_t i)
{
    for (size_t k = i + 1; k < header->field_count; k++)
        if (omc_slice_eq(header->fields[k].name, header->fields[i].name))
            return true;
    return false;
}

/* The header before it was signed. Java's binary form writes the fields of a send twice, once by
 * hand and once from the map; a receiver puts them into a map again. */
static void unsigned_header(const rmq_header *header, rmq_header *ret)
{
    *ret = *header;
    ret->field_count = 0;
    for (size_t i = 0; i < header->field_count; i++)
        if (!omc_slice_is(header->fields[i].name, "AccessKey") &&
            !omc_slice_is(header->fields[i].name, "Signature") && !comes_again(header, i))
            ret->fields[ret->field_count++] = header->fields[i];
}

static bool signature_is(const rmq_frame *frame, const char *secret)
{
    rmq_credentials credentials = {.access_key = "frameskey"};
    rc_slice whole = frame->body;
    /* In two parts, as bodies come from several parcels. */
    rc_slice body[] = {omc_slice_of(whole.base, whole.len / 2),
                       omc_slice_of(whole.base + whole.len / 2, whole.len - whole.len / 2)};
    rmq_header header;

    unsigned_header(&frame->header, &header);
    (void)snprintf(credentials.secret_key, sizeof credentials.secret_key, "%s", secret);
    rmq_sign(&header, body, 2, &credentials, &arena.pub);
    return omc_slice_eq(rmq_header_get(&header, "Signature"),
                        rmq_header_get(&frame->header, "Signature"));
}

static void check_file(const char *name, rc_slice file)
{
    recorded record;
    rmq_frame frame;

    while (frames_next(&file, &record)) {
        assert_int_equal(rmq_frame_parse((const uint8_t *)record.frame.base, record.frame.len,
                                         &arena.pub, &frame, NULL),
                         0);
        if (!rmq_header_get(&frame.header, "Signature").base)
            continue;
        assert_true(omc_slice_is(rmq_header_get(&frame.header, "AccessKey"), "frameskey"));
        if (signature_is(&frame, "framessecret"))
            good++;
        else if (signature_is(&frame, "wrongsecret"))
            wrong++;
        else
            fail_msg("%s: signature of request %d is another one", name, frame.header.code);
    }
}

static void signatures_are_those_of_the_java_client(void **state)
{
    (void)state;

    rc_arena_init(&arena, 65536);
    assert_int_equal(frames_each_file("acl", check_file), 3);
    assert_true(good >= 60);
    assert_true(wrong >= 3);
    rc_arena_release(&arena);
}

/* ---- by the rule ----------------------------------------------------------------------------- */

static const struct {
    const char *what;
    rmq_credentials credentials;
    struct {
        const char *name, *value;
    } fields[6];
    const char *body[2];
    const char *signature;
} cases[] = {
    {"no other field, no body",
     {.access_key = "ak", .secret_key = "sk"},
     {{0}},
     {0},
     "AL2pakQ4gJnpWeA42COL+SacNKk="},
    {"capitals first, token, body in parts",
     {.access_key = "ak", .secret_key = "sk", .security_token = "tok"},
     {{"b", "T"}, {"a", "PG"}, {"_x", "2"}, {"Zeta", "1"}},
     {"hello ", "world"},
     "YxJre6/a8Q2tJPzD0Jbi98D6lOg="},
    {"a prefix comes first, empty secret",
     {.access_key = "ak"},
     {{"abc", "2"}, {"ab", "1"}, {"a", "3"}},
     {0},
     "cVU866gY/UJRhR6ZfSG1ckoHUuw="},
};

static void signatures_follow_the_rule(void **state)
{
    (void)state;

    rc_arena_init(&arena, 4096);
    for (size_t i = 0; i < RC_COUNT(cases); i++) {
        rc_slice body[] = {omc_slice_str(cases[i].body[0]), omc_slice_str(cases[i].body[1])};
        rmq_header header = {0};
        rc_slice signature;

        for (size_t k = 0; cases[i].fields[k].name; k++)
            rmq_header_add(&header, cases[i].fields[k].name,
                           omc_slice_str(cases[i].fields[k].value));
        rmq_sign(&header, body, 2, &cases[i].credentials, &arena.pub);
        signature = rmq_header_get(&header, "Signature");
        if (!omc_slice_is(signature, cases[i].signature))
            fail_msg("%s: " RC_SLICE_FMT, cases[i].what, RC_SLICE_ARG(signature));
        assert_true(omc_slice_is(rmq_header_get(&header, "AccessKey"), "ak"));
        assert_int_equal(!rmq_header_get(&header, "SecurityToken").base,
                         !cases[i].credentials.security_token[0]);
        /* The secret goes nowhere. */
        for (size_t k = 0; k < header.field_count; k++)
            assert_false(omc_slice_is(header.fields[k].value, "sk"));
    }
    rc_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_those_of_the_java_client),
        cmocka_unit_test(signatures_follow_the_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
