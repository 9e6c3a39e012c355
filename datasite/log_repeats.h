/* Keeps refusals from filling the log: of one kind about one peer, one line is written and the others of the
 * same minute are counted; the count is written when the minute is over. So what anybody can make a daemon
 * write is bounded by LOG_REPEATS_PLACES lines a minute, twice over: who comes when all places are taken
 * shares the last one, under an all-zero peer. Used by one thread. */
#pragma once

#include "datasite/log.h"

#define LOG_REPEATS_PLACES 32
#define LOG_REPEATS_MS (60 * 1000)

struct log_repeats {
    struct log_repeat {
        bool taken;
        enum event_kind kind;
        struct site_id peer;
        int64_t until;    /* the end of its minute, monotonic milliseconds */
        uint64_t counted; /* lines that were not written */
    } places[LOG_REPEATS_PLACES];
};

/* Whether to write a line of this kind about this peer; if not, it is counted. NULL writes everything. */
MUST_USE bool log_repeats_first(struct log_repeats *repeats, enum event_kind kind, const struct site_id *peer,
                                int64_t now);

/* Writes the counts of the minutes that are over. */
void log_repeats_flush(struct log_repeats *repeats, const struct log *log, int64_t now);
