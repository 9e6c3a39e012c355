#include "console/verbs.h"
#include "datasite/home_vault.h"
#include "datasite/lock.h"
#include "schemas/clock.h"

#include <unistd.h>

extern const struct verb verb_data_rekey;

static struct {
    const char *key_file;
    bool passphrase, key_stdin;
} rekey_given;

static const struct option *rekey_options(void)
{
    static const struct option options[] = {
        {.name = "key-file",
         .kind = OPTION_TEXT,
         .target = &rekey_given.key_file,
         .value = "FILE",
         .help = "from now on the key is in FILE; made (0600) if it is not there"},
        {.name = "passphrase",
         .kind = OPTION_FLAG,
         .target = &rekey_given.passphrase,
         .help = "from now on a passphrase opens the data"},
        {.name = "key-stdin",
         .kind = OPTION_FLAG,
         .target = &rekey_given.key_stdin,
         .help = "from now on the key is a line of standard input, 64 hexadecimal digits"},
        {0},
    };
    return options;
}

/* Everything that a rekeying needs, wiped at its end. */
struct rekey {
    struct home *home;
    int lock_fd;
    struct identity *identity;
    struct store *store;
    struct vault_record record; /* of the vault that there is, if any; then the new one's */
    bool was_encrypted;
    struct vault_secret secret; /* likewise */
    struct vault *before, *vault;
};

static void rekey_close(struct rekey *rekey)
{
    vault_secret_wipe(&rekey->secret);
    store_close(rekey->store);
    vault_free(rekey->before);
    vault_free(rekey->vault);
    identity_free(rekey->identity);
    if (rekey->lock_fd >= 0)
        (void)close(rekey->lock_fd);
    home_free(rekey->home);
}

/* The daemon keeps the old key in memory: it is down meanwhile. */
static struct error *rekey_open(const struct invocation *invocation, struct rekey *rekey)
{
    struct error *err = NULL;
    TRY(home_open(invocation->home, &rekey->home));
    TRY(error_prefix(lock_take(rekey->home->lock_path, &rekey->lock_fd),
                     "The data gets a new key while no daemon runs"));
    TRY(home_store(rekey->home, STORE_WRITE, &rekey->identity, &rekey->store));
    TRY(store_vault_find(rekey->store, &rekey->record, &rekey->was_encrypted));
    if (rekey->was_encrypted) {
        TRY(home_secret_ask(&rekey->record, &rekey->secret));
        TRY(vault_unwrap(rekey->record.wrapped, sizeof(rekey->record.wrapped), &rekey->secret,
                         &rekey->before));
        store_unlock(rekey->store, rekey->before);
    }
done:
    return err;
}

/* The source that was asked for, else the one that there is with its secret. */
static struct error *rekey_choose(const struct invocation *invocation, struct rekey *rekey)
{
    struct error *err = NULL;
    struct vault_choice choice;
    bool stays = rekey_given.key_file == NULL && !rekey_given.passphrase && !rekey_given.key_stdin,
         made = false;
    char before[STORE_KEY_PATH_BYTES] = "";
    if (stays && !rekey->was_encrypted)
        FAIL(ERROR_USAGE,
             "This site's data is in clear. To encrypt it, say where its key is to come from: %s data rekey "
             "--key-file FILE, or --passphrase, or --key-stdin",
             invocation->program);
    TRY(home_vault_choice(rekey_given.key_file, rekey_given.passphrase, rekey_given.key_stdin,
                          rekey->record.source, &choice));
    if (stays) {
        (void)snprintf(before, sizeof(before), "%s", rekey->record.key_path);
        choice.key_file = before;
    } else {
        TRY(home_secret_choose(&choice, &rekey->secret, &made));
    }
    TRY(home_vault_make(&choice, &rekey->secret, clock_now_ms() / 1000, &rekey->vault, &rekey->record));
done:
    return err;
}

static void rekey_print(const struct rekey *rekey, struct error *left_over)
{
    (void)printf("%s\n", rekey->was_encrypted
                             ? "All data has a new key; digests and approvals are what they were."
                             : "All data is encrypted; digests and approvals are what they were.");
    switch (rekey->record.source) {
    case VAULT_FROM_FILE:
        (void)printf("  Key  %s: keep a copy elsewhere; without it the rows are lost.\n",
                     rekey->record.key_path);
        break;
    case VAULT_FROM_PASSPHRASE:
        (void)printf("  Key  your passphrase: without it the rows are lost.\n");
        break;
    case VAULT_FROM_STDIN:
        (void)printf("  Key  the line on standard input: without it the rows are lost.\n");
        break;
    }
    if (left_over != NULL)
        (void)printf("Old bytes are still in site.db-wal, since another program uses site.db; they go when "
                     "it ends.\n");
    (void)printf("Backups made before still open with the old key: remove them, or keep both.\n");
}

static struct error *rekey_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct error *left_over = NULL;
    struct rekey rekey = {.lock_fd = -1};
    TRY(rekey_open(invocation, &rekey));
    TRY(rekey_choose(invocation, &rekey));
    TRY(store_rekey(rekey.store, rekey.vault, &rekey.record, clock_now_ms() / 1000));
    left_over = store_wipe_log(rekey.store);
    rekey_print(&rekey, left_over);
done:
    error_free(left_over);
    rekey_close(&rekey);
    return err;
}

const struct verb verb_data_rekey = {
    .name = "data rekey",
    .summary = "Encrypt all data anew, or for the first time",
    .arguments = "",
    .detail =
        "Opens every chunk of rows and seals it under a new key, all or nothing, whatever interrupts it; "
        "the\n"
        "digests of the datasets, and so the approvals, stay. Without an option the new key opens with the\n"
        "secret that there is. A site whose data is in clear becomes an encrypted one. Not while the daemon\n"
        "runs. Where both secrets are lines of standard input, the old one comes first.\n\n"
        "Example:\n"
        "  datasite data rekey --key-file /media/owner/ward3.key",
    .options = rekey_options,
    .run = rekey_run,
};
