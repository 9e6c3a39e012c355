#include "datasite/home_vault.h"

#include "console/prompt.h"
#include "crypto/keyfile.h"
#include "crypto/secret.h"
#include "schemas/files.h"

#include <errno.h>
#include <unistd.h>

struct error *home_vault_choice(const char *key_file, bool passphrase, bool key_stdin,
                                enum vault_source otherwise, struct vault_choice *ret_choice)
{
    int given = (key_file != NULL) + passphrase + key_stdin;
    enum vault_source source = otherwise;
    if (given > 1)
        return error_new(ERROR_USAGE, "--key-file, --passphrase and --key-stdin exclude each other.");
    if (key_file != NULL)
        source = VAULT_FROM_FILE;
    else if (passphrase)
        source = VAULT_FROM_PASSPHRASE;
    else if (key_stdin)
        source = VAULT_FROM_STDIN;
    *ret_choice = (struct vault_choice){source, key_file};
    return NULL;
}

/* ---- secrets ---- */

static struct error *key_file_read(const char *path, struct vault_secret *ret_secret)
{
    struct error *err = NULL;
    char *text = NULL;
    size_t bytes = 0;
    TRY(error_prefix(keyfile_read(path, &text, &bytes), "The key of this site's data"));
    TRY(vault_secret_key(path, text, bytes, ret_secret));
done:
    keyfile_free(text, bytes);
    return err;
}

static struct error *key_file_make(const char *path, struct vault_secret *ret_secret)
{
    struct error *err = NULL;
    char text[VAULT_KEY_TEXT_BYTES] = "";
    TRY(vault_secret_new(ret_secret));
    vault_secret_text(ret_secret, text);
    TRY(file_write(path, text, strlen(text), 0600));
done:
    secret_wipe(text, sizeof(text));
    return err;
}

static struct error *passphrase_ask(const char *question, struct vault_secret *ret_secret)
{
    struct error *err = NULL;
    char line[VAULT_PASSPHRASE_MAX + 1] = "";
    TRY(prompt_secret(question, "the passphrase", line, sizeof(line)));
    TRY(vault_secret_passphrase(line, ret_secret));
done:
    secret_wipe(line, sizeof(line));
    return err;
}

static struct error *passphrase_choose(struct vault_secret *ret_secret)
{
    struct error *err = NULL;
    struct vault_secret again = {.count = 0};
    TRY(passphrase_ask("New passphrase for this site's data:", ret_secret));
    if (prompt_is_person()) {
        TRY(passphrase_ask("The same again:", &again));
        if (again.count != ret_secret->count || !secret_equal(again.bytes, ret_secret->bytes, again.count))
            FAIL(ERROR_INVALID, "The two passphrases differ; nothing was changed. Try again.");
    }
done:
    vault_secret_wipe(&again);
    return err;
}

static struct error *key_line_ask(struct vault_secret *ret_secret)
{
    struct error *err = NULL;
    char line[VAULT_KEY_TEXT_BYTES] = "";
    TRY(prompt_secret("Key of this site's data (64 hexadecimal digits):", "the key", line, sizeof(line)));
    if (strlen(line) == VAULT_KEY_BYTES)
        FAIL(ERROR_INVALID, "The line on standard input holds no key: that is 64 hexadecimal digits.");
    TRY(vault_secret_key("The line on standard input", line, strlen(line), ret_secret));
done:
    secret_wipe(line, sizeof(line));
    return err;
}

struct error *home_secret_choose(const struct vault_choice *choice, struct vault_secret *ret_secret,
                                 bool *ret_made)
{
    struct error *err = NULL;
    bool makes = choice->source == VAULT_FROM_FILE && !keyfile_exists(choice->key_file);
    switch (choice->source) {
    case VAULT_FROM_FILE:
        TRY(makes ? key_file_make(choice->key_file, ret_secret)
                  : key_file_read(choice->key_file, ret_secret));
        break;
    case VAULT_FROM_PASSPHRASE:
        TRY(passphrase_choose(ret_secret));
        break;
    case VAULT_FROM_STDIN:
        TRY(key_line_ask(ret_secret));
        break;
    }
    *ret_made = makes;
done:
    return err;
}

struct error *home_secret_ask(const struct vault_record *record, struct vault_secret *ret_secret)
{
    switch (record->source) {
    case VAULT_FROM_FILE:
        return key_file_read(record->key_path, ret_secret);
    case VAULT_FROM_PASSPHRASE:
        return passphrase_ask("Passphrase of this site's data:", ret_secret);
    case VAULT_FROM_STDIN:
        return key_line_ask(ret_secret);
    }
    return error_new(ERROR_INTERNAL, "The key comes from an unknown source.");
}

/* ---- vaults ---- */

/* Absolute, so that it is found from everywhere; links stay links, so that a key may move behind one. */
static struct error *key_path_take(const char *key_file, char ret_path[static STORE_KEY_PATH_BYTES])
{
    struct error *err = NULL;
    char *here = NULL, *joined = NULL;
    if (key_file[0] != '/') {
        here = getcwd(NULL, 0);
        if (here == NULL)
            TRY(error_errno(ERROR_IO, errno, "The working directory cannot be found"));
        TRY(path_join(here, key_file, &joined));
    }
    const char *path = joined != NULL ? joined : key_file;
    if (strlen(path) >= STORE_KEY_PATH_BYTES)
        FAIL(ERROR_LIMIT, "The path of a key file has at most %d bytes.", STORE_KEY_PATH_BYTES - 1);
    memcpy(ret_path, path, strlen(path) + 1);
done:
    free(joined);
    free(here);
    return err;
}

struct error *home_vault_make(const struct vault_choice *choice, const struct vault_secret *secret,
                              int64_t now, struct vault **ret_vault, struct vault_record *ret_record)
{
    struct error *err = NULL;
    struct vault *vault = NULL;
    struct vault_record record = {.source = choice->source, .made_at = now};
    if (choice->source == VAULT_FROM_FILE)
        TRY(key_path_take(choice->key_file, record.key_path));
    TRY(vault_create(&vault));
    TRY(vault_wrap(vault, secret, record.wrapped));
    *ret_record = record;
    *ret_vault = vault;
    vault = NULL;
done:
    vault_free(vault);
    return err;
}

struct error *home_unlock(struct store *store, struct vault **ret_vault)
{
    struct error *err = NULL;
    struct vault_record record;
    struct vault_secret secret = {.count = 0};
    bool found = false;
    *ret_vault = NULL;
    TRY(store_vault_find(store, &record, &found));
    if (found) {
        TRY(home_secret_ask(&record, &secret));
        TRY(vault_unwrap(record.wrapped, sizeof(record.wrapped), &secret, ret_vault));
        store_unlock(store, *ret_vault);
    }
done:
    vault_secret_wipe(&secret);
    return err;
}
