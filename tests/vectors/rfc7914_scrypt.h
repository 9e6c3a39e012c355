/* scrypt: the test vectors of RFC 7914, section 12, except the last, which takes 1 GiB; the first 32 bytes of their
 * output. */
#pragma once

#include <stdint.h>

static const struct {
    const char *passphrase, *salt;
    uint8_t log2_n, r, p;
    const char *output; /* hexadecimal */
} rfc7914_scrypt[] = {
    {"", "", 4, 1, 1, "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"},
    {"password", "NaCl", 10, 8, 16, "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"},
    {"pleaseletmein", "SodiumChloride", 14, 8, 1,
     "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"},
};
#define RFC7914_SCRYPT_COUNT (sizeof(rfc7914_scrypt) / sizeof(rfc7914_scrypt[0]))
