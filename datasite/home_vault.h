/* Where the key of an encrypted site comes from: a file that only its owner can read, a passphrase that is typed, or a
 * line of standard input. site.db says which (struct vault_record of store.h); the secret itself is nowhere in the home,
 * unless its owner puts the file there. */
#pragma once

#include "datasite/home.h"

/* What the owner chose for a key that is to be made. */
struct vault_choice {
    enum vault_source source;
    const char *key_file; /* VAULT_FROM_FILE: made with mode 0600 when nothing is there, else read */
};

/* From --encrypt, --key-file, --passphrase and --key-stdin: at most one of the last three, else ERROR_USAGE.
 * `otherwise` is what none of them means. */
MUST_USE struct error *home_vault_choice(const char *key_file, bool passphrase, bool key_stdin,
                                         enum vault_source otherwise, struct vault_choice *ret_choice);

/* The secret of a vault that is to be made; a person types a new passphrase twice. *ret_made: a key file was made for it
 * just now. The caller wipes the secret. */
MUST_USE struct error *home_secret_choose(const struct vault_choice *choice, struct vault_secret *ret_secret,
                                          bool *ret_made);
/* The secret of the vault that there is: reads the file, or asks. ERROR_UNTRUSTED for a file that others can read. */
MUST_USE struct error *home_secret_ask(const struct vault_record *record, struct vault_secret *ret_secret);

/* A new data key, wrapped with the secret, and the record of it. */
MUST_USE struct error *home_vault_make(const struct vault_choice *choice, const struct vault_secret *secret,
                                       int64_t now, struct vault **ret_vault,
                                       struct vault_record *ret_record);

/* Opens the vault of an encrypted site and unlocks the store with it; *ret_vault is NULL for a site in clear, and freed
 * after the store is closed. For every command that reads or writes rows. */
MUST_USE struct error *home_unlock(struct store *store, struct vault **ret_vault);
