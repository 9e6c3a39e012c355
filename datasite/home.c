#include "datasite/home.h"

#include "crypto/keyfile.h"
#include "crypto/secret.h"
#include "datasite/chain_start.h"
#include "datasite/store_secagg.h"
#include "schemas/clock.h"
#include "schemas/files.h"
#include "schemas/policy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPLIT_KEY_FILE "split.key"
#define SECONDS_A_DAY 86400

void home_free(struct home *home)
{
    if (home == NULL)
        return;
    free(home->path);
    free(home->config_path);
    free(home->policy_path);
    free(home->database_path);
    free(home->keys_path);
    free(home->lock_path);
    node_config_free(home->config);
    free(home);
}

/* The paths of a home at `path`; nothing needs to exist. */
static struct error *home_paths(const char *path, struct home **ret_home)
{
    struct error *err = NULL;
    struct home *home = calloc(1, sizeof(*home));
    if (home == NULL || (home->path = strdup(path)) == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the site's paths.");
    TRY(path_join(path, "site.yaml", &home->config_path));
    TRY(path_join(path, "policy.yaml", &home->policy_path));
    TRY(path_join(path, "site.db", &home->database_path));
    TRY(path_join(path, "keys", &home->keys_path));
    TRY(path_join(path, "lock", &home->lock_path));
    *ret_home = home;
    home = NULL;
done:
    home_free(home);
    return err;
}

struct error *home_open(const char *path, struct home **ret_home)
{
    struct error *err = NULL;
    struct home *home = NULL;
    TRY(home_paths(path, &home));
    if (access(home->config_path, F_OK) != 0)
        FAIL(ERROR_NOT_FOUND,
             "There is no site in %s. Name another with --home DIR, or make it: datasite --home %s init "
             "--name NAME "
             "--listen tcp://127.0.0.1:54879",
             path, path);
    TRY(node_config_load(home->config_path, NODE_DATASITE, &home->config));
    *ret_home = home;
    home = NULL;
done:
    home_free(home);
    return err;
}

struct error *home_store(const struct home *home, enum store_mode mode, struct identity **ret_identity,
                         struct store **ret_store)
{
    struct error *err = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    TRY(identity_load(home->keys_path, &identity));
    TRY(store_open(home->database_path, mode, &store));
    store_sign_with(store, identity);
    TRY(chain_start_check(home->keys_path, mode, identity, store));
    if (mode == STORE_WRITE)
        TRY(store_secagg_count_in(store, home->keys_path));
    *ret_identity = identity;
    *ret_store = store;
    identity = NULL;
    store = NULL;
done:
    store_close(store);
    identity_free(identity);
    return err;
}

static struct error *home_write_text(const char *path, const char *text)
{
    return file_write(path, text, strlen(text), 0600);
}

static struct error *home_write_split_key(const struct home *home)
{
    struct error *err = NULL;
    char *path = NULL;
    uint8_t key[SPLIT_KEY_BYTES];
    TRY(path_join(home->keys_path, SPLIT_KEY_FILE, &path));
    TRY(secret_random(key, sizeof(key)));
    TRY(file_write(path, key, sizeof(key), 0600));
done:
    secret_wipe(key, sizeof(key));
    free(path);
    return err;
}

/* Fills the empty directory of `home`. */
static struct error *home_fill(const struct home *home, const char *name, const char *listen,
                               const char *advertise, const struct vault_record *record)
{
    struct error *err = NULL;
    char *config = NULL, *policy = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    TRY(node_config_text(NODE_DATASITE, name, listen, advertise, &config));
    TRY(home_write_text(home->config_path, config));
    TRY(policy_example(&policy));
    TRY(home_write_text(home->policy_path, policy));
    TRY(identity_create(home->keys_path, name, &identity));
    TRY(home_write_split_key(home));
    TRY(store_open(home->database_path, STORE_CREATE, &store));
    store_sign_with(store, identity);
    TRY(store_event_add(store, EVENT_SITE_CREATED, NULL, NULL, 0, clock_now_ms() / 1000, name, NULL));
    if (record != NULL)
        TRY(store_vault_add(store, record));
    TRY(chain_start_check(home->keys_path, STORE_CREATE, identity, store));
done:
    store_close(store);
    identity_free(identity);
    free(policy);
    free(config);
    return err;
}

/* Removes exactly the files that home_fill makes, and then the directories: never anything that it did not
 * make. */
static void home_discard(const struct home *home)
{
    static const char *const keys[] = {"identity.key", "identity.crt", SPLIT_KEY_FILE, CHAIN_START_FILE};
    static const char *const files[] = {"site.db", "site.db-wal", "site.db-shm", "site.yaml", "policy.yaml"};
    int directory = open(home->keys_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    for (size_t i = 0; directory >= 0 && i < sizeof(keys) / sizeof(keys[0]); i++)
        (void)unlinkat(directory, keys[i], 0);
    if (directory >= 0)
        (void)close(directory);
    (void)rmdir(home->keys_path);
    directory = open(home->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    for (size_t i = 0; directory >= 0 && i < sizeof(files) / sizeof(files[0]); i++)
        (void)unlinkat(directory, files[i], 0);
    if (directory >= 0)
        (void)close(directory);
    (void)rmdir(home->path);
}

static bool directory_is_empty(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return false;
    bool empty = true;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            empty = false;
    }
    (void)closedir(directory);
    return empty;
}

/* Nothing, or an empty directory, may be where the site is to be. */
static struct error *home_check_place(const char *path)
{
    struct error *err = NULL;
    struct home *home = NULL;
    struct stat status;
    TRY(home_paths(path, &home));
    if (access(home->config_path, F_OK) == 0 || access(home->database_path, F_OK) == 0)
        FAIL(ERROR_CONFLICT,
             "There is a site in %s already; datasite --home %s status shows it. Choose another --home for a "
             "new one.",
             path, path);
    if (lstat(path, &status) == 0 && !directory_is_empty(path))
        FAIL(ERROR_CONFLICT,
             "%s is in the way: a site is made in a new or an empty directory. Choose another --home.", path);
done:
    home_free(home);
    return err;
}

/* "/a/b/" -> "/a/b", and its parent "/a", made if missing. */
static struct error *home_place(const char *path, char **ret_place)
{
    struct error *err = NULL;
    char *place = strdup(path), *copy = NULL;
    if (place == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the site's path.");
    for (size_t length = strlen(place); length > 1 && place[length - 1] == '/'; length--)
        place[length - 1] = '\0';
    copy = strdup(place);
    if (copy == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the site's path.");
    TRY(directory_make(dirname(copy), 0755));
    *ret_place = place;
    place = NULL;
done:
    free(copy);
    free(place);
    return err;
}

/* A directory of a name of its own beside `place`. */
static struct error *home_temporary(const char *place, struct home **ret_home)
{
    struct error *err = NULL;
    char *temporary = NULL;
    struct home *home = NULL;
    if (asprintf(&temporary, "%s.new-XXXXXX", place) < 0) {
        temporary = NULL;
        FAIL(ERROR_MEMORY, "There is not enough memory for the site's path.");
    }
    if (mkdtemp(temporary) == NULL) {
        err = error_errno(ERROR_IO, errno, "A directory cannot be made beside %s", place);
        goto done;
    }
    err = home_paths(temporary, &home);
    if (err != NULL) {
        (void)rmdir(temporary);
        goto done;
    }
    *ret_home = home;
done:
    free(temporary);
    return err;
}

static struct error *home_check_words(const char *listen, const char *advertise)
{
    struct error *err = NULL;
    if (listen != NULL)
        TRY(error_prefix(endpoint_check(listen, true), "The endpoint to listen on"));
    if (advertise != NULL)
        TRY(error_prefix(endpoint_check(advertise, false), "The endpoint to advertise"));
done:
    return err;
}

struct error *home_create(const char *path, const char *name, const char *listen, const char *advertise,
                          struct home **ret_home)
{
    return home_create_encrypted(path, name, listen, advertise, NULL, ret_home);
}

struct error *home_create_encrypted(const char *path, const char *name, const char *listen,
                                    const char *advertise, const struct vault_record *record,
                                    struct home **ret_home)
{
    struct error *err = NULL;
    char *place = NULL;
    struct home *temporary = NULL, *home = NULL;
    TRY(home_check_words(listen, advertise));
    TRY(home_place(path, &place));
    TRY(home_check_place(place));
    TRY(home_temporary(place, &temporary));
    TRY(home_fill(temporary, name, listen, advertise, record));
    TRY(home_open(temporary->path, &home));
    home_free(home);
    home = NULL;
    if (rename(temporary->path, place) != 0) {
        err = error_errno(errno == EEXIST || errno == ENOTEMPTY ? ERROR_CONFLICT : ERROR_IO, errno,
                          "%s cannot be put in place", place);
        goto done;
    }
    home_free(temporary);
    temporary = NULL;
    TRY(home_open(place, ret_home));
done:
    if (temporary != NULL)
        home_discard(temporary);
    home_free(temporary);
    free(place);
    return err;
}

struct error *home_split_key(const struct home *home, uint8_t ret_key[static SPLIT_KEY_BYTES])
{
    struct error *err = NULL;
    char *path = NULL, *key = NULL;
    size_t bytes = 0;
    TRY(path_join(home->keys_path, SPLIT_KEY_FILE, &path));
    TRY(keyfile_read(path, &key, &bytes));
    if (bytes != SPLIT_KEY_BYTES)
        FAIL(ERROR_CORRUPT,
             "%s has %zu bytes instead of %d: restore it from a backup. With another key the rows would be "
             "divided "
             "anew into training and test rows.",
             path, bytes, SPLIT_KEY_BYTES);
    memcpy(ret_key, key, SPLIT_KEY_BYTES);
done:
    keyfile_free(key, bytes);
    free(path);
    return err;
}

bool home_certificate_warning(const struct identity *identity, int64_t now, char *ret_sentence,
                              size_t sentence_bytes)
{
    int64_t end = identity_not_after(identity);
    char when[CLOCK_TEXT_BYTES];
    if (end - now > IDENTITY_WARN_SECONDS)
        return false;
    clock_format(end, when);
    if (end <= now)
        (void)snprintf(
            ret_sentence, sentence_bytes,
            "This site's certificate expired at %s: others refuse it. Renew it: datasite trust request, "
            "have the CA issue a certificate, datasite trust install.",
            when);
    else
        (void)snprintf(
            ret_sentence, sentence_bytes,
            "This site's certificate expires in %lld days, at %s. Renew it: datasite trust request, have "
            "the CA issue a certificate, datasite trust install.",
            (long long)((end - now) / SECONDS_A_DAY), when);
    return true;
}
