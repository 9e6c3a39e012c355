#include "crypto/vault.h"

#include "crypto/digest.h"
#include "crypto/secret.h"

_Static_assert(VAULT_KEY_BYTES == DIGEST_BYTES, "a key is written and read as a digest is");
_Static_assert(VAULT_KEY_TEXT_BYTES == DIGEST_HEX_BYTES + 1, "its digits, a newline and a NUL");

struct error *vault_secret_new(struct vault_secret *ret_secret)
{
    struct error *err = NULL;
    *ret_secret = (struct vault_secret){.kind = VAULT_KEY, .count = VAULT_KEY_BYTES};
    TRY(secret_random(ret_secret->bytes, VAULT_KEY_BYTES));
done:
    return err;
}

struct error *vault_secret_key(const char *where, const void *data, size_t bytes,
                               struct vault_secret *ret_secret)
{
    struct error *err = NULL;
    struct digest key = {{0}};
    char hex[DIGEST_HEX_BYTES] = "";
    size_t digits = DIGEST_HEX_BYTES - 1;
    bool is_line = bytes == digits + 1 && ((const char *)data)[digits] == '\n';
    if (bytes == VAULT_KEY_BYTES) {
        memcpy(key.bytes, data, VAULT_KEY_BYTES);
    } else {
        if (bytes == digits || is_line)
            memcpy(hex, data, digits);
        if (!digest_parse(hex, &key))
            FAIL(ERROR_INVALID,
                 "%s holds no key: that is 64 hexadecimal digits (lower case) or 32 bytes. To make one: "
                 "openssl rand -hex 32",
                 where);
    }
    *ret_secret = (struct vault_secret){.kind = VAULT_KEY, .count = VAULT_KEY_BYTES};
    memcpy(ret_secret->bytes, key.bytes, VAULT_KEY_BYTES);
done:
    secret_wipe(&key, sizeof(key));
    secret_wipe(hex, sizeof(hex));
    return err;
}

struct error *vault_secret_passphrase(const char *text, struct vault_secret *ret_secret)
{
    size_t length = strnlen(text, VAULT_PASSPHRASE_MAX + 1);
    if (length < VAULT_PASSPHRASE_MIN || length > VAULT_PASSPHRASE_MAX)
        return error_new(
            ERROR_INVALID,
            "A passphrase has %d to %d characters: several words that nobody would guess together.",
            VAULT_PASSPHRASE_MIN, VAULT_PASSPHRASE_MAX);
    *ret_secret = (struct vault_secret){.kind = VAULT_PASSPHRASE, .count = length};
    memcpy(ret_secret->bytes, text, length);
    return NULL;
}

void vault_secret_text(const struct vault_secret *secret, char ret_text[static VAULT_KEY_TEXT_BYTES])
{
    struct digest key;
    memcpy(key.bytes, secret->bytes, VAULT_KEY_BYTES);
    digest_hex(&key, ret_text);
    ret_text[VAULT_KEY_TEXT_BYTES - 2] = '\n';
    ret_text[VAULT_KEY_TEXT_BYTES - 1] = '\0';
    secret_wipe(&key, sizeof(key));
}

void vault_secret_wipe(struct vault_secret *secret)
{
    secret_wipe(secret, sizeof(*secret));
}
