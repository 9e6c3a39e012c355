/* Whom the owner lets know that there is a dataset (policy.yaml, output.list), for the requests about datasets:
 *
 *     list       known to
 *     nobody     nobody
 *     mock       listed peers, once the owner has made a mock dataset of these rows
 *     peers      listed peers
 *     members    listed peers, and members of the consortium in the lobby
 *
 * Whoever is not told gets the answers of a site that has no such dataset. */
#pragma once

#include "datasite/request_parts.h"
#include "datasite/store_mock.h"

/* *ret_has_mock: *ret_mock holds the mock dataset that was made of these rows. */
MUST_USE struct error *request_may_know(const struct requests *requests, const struct request *request,
                                        const struct dataset_info *info, struct mock_info *ret_mock,
                                        bool *ret_has_mock, bool *ret_may_know);
