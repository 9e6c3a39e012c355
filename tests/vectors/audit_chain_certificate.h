/* A self-signed certificate "site" for the key of audit_chain.py (RFC 8032, test 1), made with `openssl req -x509`. */
#pragma once

#define VECTOR_CERTIFICATE                                                                                   \
    "-----BEGIN CERTIFICATE-----\n"                                                                          \
    "MIIBNDCB56ADAgECAhRWpi8r1qpcvXoJd8ATqS9ZA4dCLTAFBgMrZXAwDzENMAsG\n"                                     \
    "A1UEAwwEc2l0ZTAgFw0yNjExMjIwNDAwNTJaGA8yMTI2MTAyOTA0MDA1MlowDzEN\n"                                     \
    "MAsGA1UEAwwEc2l0ZTAqMAUGAytlcAMhANdamAGCsQq31Uv+08lkBzoO4XLz2qYj\n"                                     \
    "Ja8CGmj3B1Eao1MwUTAdBgNVHQ4EFgQUWyeqVYkXl3DkdXWxYqHe2XuL/G0wHwYD\n"                                     \
    "VR0jBBgwFoAUWyeqVYkXl3DkdXWxYqHe2XuL/G0wDwYDVR0TAQH/BAUwAwEB/zAF\n"                                     \
    "BgMrZXADQQCn3sQIfQ5b4lNjo2Yi6dhxQyoM4r2NLP34meouHB5T+eh7C5fX1ezY\n"                                     \
    "Jo7gQGF7uEQ/VE1SX0TV/92ueFpFuy0K\n"                                                                     \
    "-----END CERTIFICATE-----\n"
