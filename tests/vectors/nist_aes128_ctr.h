/* AES-128-CTR: NIST SP 800-38A, section F.5.1. Hexadecimal. */
#pragma once

#define NIST_AES128_CTR_KEY "2b7e151628aed2a6abf7158809cf4f3c"
#define NIST_AES128_CTR_COUNTER "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
#define NIST_AES128_CTR_PLAIN                                                                                \
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"                                       \
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
#define NIST_AES128_CTR_CIPHER                                                                               \
    "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"                                       \
    "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee"
#define NIST_AES128_CTR_BYTES 64
