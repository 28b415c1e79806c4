/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"

#include <string.h>

const struct rule_info rules[RULES] = {
    [RULE_ONE_UNANSWERED] = {"one-unanswered", "R16", "one send per queue without an answer",
                             {"base", "kills"}},
    [RULE_TAIL] = {"tail-wait", "R16", "after a time-out a queue rests until nothing can land",
                   {"kills", "storm"}},
    [RULE_BARRIER] = {"barrier", "R17", "strict: a barrier before a queue is read back",
                      {"base", "long-tail"}},
    [RULE_RESOLVE] = {"resolve", "R17", "what has no answer is read back before it is sent again",
                      {"base", "kills"}},
    [RULE_QUEUE_UNION] = {"queue-union", "R17", "all queues with inherited notes are read back",
                          {"base", "kills"}},
    [RULE_NOTES] = {"notes", "R18", "notes come from what was stored, not from the queue's end",
                    {"base", "kills"}},
    [RULE_NOTE_HELD] = {"note-held", "R18", "no note passes a record the position does not cover",
                        {"loss-async", "kills", "storm"}},
    [RULE_CONTIGUOUS] = {"contiguous", "R18", "the position is acknowledged without a gap",
                         {"base", "kills"}},
    [RULE_POSITION_RANK] = {"position-rank", "R18", "positions rank by generation, not by arrival",
                            {"kills", "freezes", "storm"}},
    [RULE_TAKE_OVER_WAIT] = {"take-over-wait", "R20", "without barriers, D_tail before reading back",
                             {"awake"}},
    [RULE_CONFIG_RANK] = {"config-rank", "config", "of two writes at once the first counts",
                          {"base"}},
    [RULE_WITNESS] = {"witness", "R7", "before it goes on, an owner reads the positions again",
                      {"loss-async", "loss"}},
    [RULE_FLOOR] = {"floor", "R11", "a generation is higher than any that was seen",
                    {"loss-async", "loss"}},
    [RULE_START_RECORD] = {"start-record", "R13", "a start record before the first data",
                           {"loss-async", "loss"}},
    [RULE_BOOTTIME] = {"boottime", "timers", "clocks that do not jump", {"base", "storm"}},
    [RULE_DRAIN] = {"drain", "R14", "nothing is under way when a unit is released",
                    {"base", "more-workers"}},
};

int rule_find(const char *name)
{
    for (int r = 0; r < RULES; r++)
        if (rules[r].name && !strcmp(rules[r].name, name))
            return r;
    return -1;
}
