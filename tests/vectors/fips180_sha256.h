/* SHA-256 examples of FIPS 180-4 (NIST's "Cryptographic Standards and Guidelines: Examples with Intermediate
 * Values" and the million-a message of FIPS 180-2, appendix B.3). */
#pragma once

#include <stddef.h>

static const struct {
    const char *message; /* this text, `times` times */
    size_t times;
    const char *digest;
} fips180_sha256[] = {
    {"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
};
#define FIPS180_SHA256_COUNT (sizeof(fips180_sha256) / sizeof(fips180_sha256[0]))
