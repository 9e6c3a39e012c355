#include "crypto/secret.h"

#include "crypto/openssl_error.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

void secret_wipe(void *memory, size_t bytes)
{
    if (bytes > 0)
        explicit_bzero(memory, bytes);
}

/* Not inlined: its own frame is what is overwritten. */
__attribute__((noinline)) void secret_wipe_stack(void)
{
    uint8_t area[8192];
    explicit_bzero(area, sizeof(area));
}

bool secret_equal(const void *a, const void *b, size_t bytes)
{
    return bytes == 0 || CRYPTO_memcmp(a, b, bytes) == 0;
}

struct error *secret_random(void *memory, size_t bytes)
{
    if (bytes == 0)
        return NULL;
    if (RAND_priv_bytes_ex(NULL, memory, bytes, 0) == 1)
        return NULL;
    secret_wipe(memory, bytes);
    return openssl_error("drawing random bytes");
}
