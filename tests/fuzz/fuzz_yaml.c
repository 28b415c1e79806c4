/* SPDX-License-Identifier: Apache-2.0 */
/** Any bytes as a pipeline file: no crash, and the tree keeps the promises of its header. */
#include "config/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tree(const rc_yaml *node, int depth)
{
    size_t count = 0;

    RC_ASSERT(depth <= 33 && node->line > 0 && node->column > 0 && node->text);
    if (node->kind == RC_YAML_SCALAR)
        RC_ASSERT(!node->children && strlen(node->text) <= node->text_len);
    for (const rc_yaml *child = node->children; child; child = child->next) {
        if (node->kind == RC_YAML_MAP)
            RC_ASSERT(child->key && (count > 50 || rc_yaml_get(node, child->key) == child));
        check_tree(child, depth + 1);
        count++;
    }
    RC_ASSERT(count == node->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rc_yaml *root = NULL;
    rc_error err = {0};
    rc_arena arena;

    rc_arena_init(&arena, 4096);
    if (rc_yaml_parse("fuzz", omc_slice_of((const char *)data, size), &arena.pub, &root, &err) == 0)
        check_tree(root, 1);
    else
        RC_ASSERT(!root && strncmp(err.msg, "fuzz:", 5) == 0);
    rc_arena_release(&arena);
    return 0;
}
