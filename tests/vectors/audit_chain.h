/* Written by audit_chain.py, which says how. */
#pragma once

#define VECTOR_PUBLIC_KEY "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define VECTOR_SITE "06e3fd8fda29bb60ab59557de61edb0aecdb231134be30e75b455f8e1b792fa9"
#define VECTOR_PROTECTIONS "min-rows 100; looked at by the owner"
#define VECTOR_HEAD_SIGNATURE                                                                                \
    "96d57945c3e06682b4c0ec421ce9f1fdda70ea1847c0846765907d9c3002244ce5473ee62826775e42b7f328897dd558989ae3" \
    "764a63412475b647d8f896a309"
#define VECTOR_RECEIPT_SIGNATURE                                                                             \
    "73b31c12d1aed718241eb7d5662af8ae828d5570481e58c351257c43f956e8482a125a8104445c745b9774ad27c0feacbb168a" \
    "cad936538cc233177248c35d08"
/* hash(0), hash(1), … */
static const char *const vector_hashes[] = {
    "67d59e7bfde20162f89370868a88955ce651f6d3e659b110a4009fdd39f57bd4",
    "443956fd9c45e4142fd128a883b619cf2688ffc375c4b04bb574a3427a9a001a",
    "b3ea7bc3cc54122ecddc1214105600c12408351e916c222fdde2a0bf7d6f5cb9",
    "eeac80c68f816dbc105aa97b38dc5007b944fa2c068ba5a3f0bd635b8ca18d0a",
    "4f9506d90337c6241bbbd827b829c5a97620acfe7be0e18f1e1e51225b98e6e6",
};
