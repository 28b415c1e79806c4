/* SPDX-License-Identifier: Apache-2.0 */
/* docs/rest.md is what the table of routes says. */
#include "base/file.h"
#include "rest/rest.h"
#include "unit.h"

static void docs_are_the_table(void **state)
{
    RC_AUTO_FREE char *have = NULL;
    size_t len = 0;
    rc_error err = {0};
    rc_buf want = RC_BUF((size_t)1 << 20);

    (void)state;
    rc_rest_describe(&want);
    assert_false(want.overflow);
    if (getenv("RC_WRITE_DOCS"))
        assert_int_equal(rc_file_write_atomic(RC_SOURCE_DIR "/docs/rest.md", want.data, want.len,
                                              &err),
                         0);
    if (rc_file_read(RC_SOURCE_DIR "/docs/rest.md", (size_t)1 << 20, &have, &len, &err) < 0)
        fail_msg("%s", err.msg);
    if (strcmp(have, want.data) != 0)
        fail_msg("docs/rest.md is old; write it anew: rocketmq-connect docs rest > docs/rest.md");
    rc_buf_release(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(docs_are_the_table)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
