/* Failures of OpenSSL as errors of this project.
 *
 * OpenSSL keeps a queue of errors a thread, and SSL_get_error() reads it: whoever leaves an old entry there
 * makes a later, healthy TLS call look broken. Every failure of OpenSSL in this room therefore ends in one of
 * these.
 */
#pragma once

#include "schemas/error.h"

/* ERROR_CRYPTO: "OpenSSL failed while <doing>: <its reason>." Empties the thread's queue. `doing` is a
 * gerund. */
MUST_USE struct error *openssl_error(const char *doing);
