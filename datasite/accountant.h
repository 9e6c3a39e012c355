/* A thread that asks the accountant (account.h) in place of the socket thread, which serves all peers meanwhile.
 *
 *     socket thread                                               accountant's thread
 *     a handler needs epsilons that nobody has computed yet
 *     (accountant_want), and fails; accountant_park  -->  waiting [ACCOUNTANT_WAITING]  -->  computed, remembered
 *     accountant_next  <--  requests to be handled again, from their beginning
 *
 * Bounded: at most ACCOUNTANT_WAITING requests wait, ACCOUNTANT_OF_PEER of one peer and ACCOUNTANT_OF_LOBBY of all whom the owner
 * has not listed, however many they are, so that they keep no listed peer out; others are told that the site is busy.
 * Each takes up to ACCOUNT_MOST accounts. What is waited for is at most a second of the processor for each account. The
 * functions are called by the socket thread; everything shared is inside, under a mutex. */
#pragma once

#include "crypto/identity.h"
#include "datasite/account.h"

#define ACCOUNTANT_WAITING 8
#define ACCOUNTANT_OF_PEER 2
#define ACCOUNTANT_OF_LOBBY 2

struct accountant;

/* A request that was put aside. */
struct parked_request {
    struct site_id peer;
    bool listed; /* when it came in */
    uint32_t type;
    uint64_t number;
    uint8_t *body; /* owned by whom it is given to */
    size_t body_bytes;
    char peer_name[IDENTITY_NAME_BYTES];
};

/* Remembers in `epsilons`, which is shared; `wake_fd`, an eventfd that is borrowed until accountant_close, is raised with each
 * request that is ready. */
MUST_USE struct error *accountant_open(struct store_epsilons *epsilons, int wake_fd,
                                       struct accountant **ret_accountant);

/* What the request in hand needs; forgotten by accountant_forget, which begins the next. */
void accountant_want(struct accountant *accountant, const struct account *account);
void accountant_forget(struct accountant *accountant);

/* Whether the request in hand, which wanted something, waits now: a copy of it is kept. False where it wanted nothing, and where
 * there is no room. */
MUST_USE bool accountant_park(struct accountant *accountant, const struct parked_request *request);

/* The next request whose accounts are made, or could not be; false when there is none. */
MUST_USE bool accountant_next(struct accountant *accountant, struct parked_request *ret_request);

/* Waits for the account in hand, at most about a second. Accepts NULL. */
void accountant_close(struct accountant *accountant);
