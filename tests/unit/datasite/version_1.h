/* Approvals as version 1 of site.db had them, written here from the description in datasite/approval.h and not with
 * the code that is tested. */
#pragma once

#include "crypto/identity.h"
#include "datasite/store.h"

/* Sets version, statement and signature of a decision whose other fields are set; hold, growth and rows stay as they
 * are and are not signed. */
void version_1_sign(const struct identity *identity, const struct site_id *requester,
                    struct decision *decision);
