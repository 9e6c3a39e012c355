#include "crypto/openssl_error.h"

#include <openssl/err.h>

struct error *openssl_error(const char *doing)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return error_new(ERROR_CRYPTO, "OpenSSL failed while %s: %s.", doing,
                     reason != NULL ? reason : "it gives no reason");
}
