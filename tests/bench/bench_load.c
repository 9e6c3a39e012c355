/* Loading a shard from SQLite, beside read() of the same bytes from a plain file, and beside read() and
 * SHA-256 of them: a load checks every row against the dataset's digest.
 *
 *     bench_load [--smoke] DIR          DIR exists; load*.db and load.bytes are made in it and removed
 *
 * 30000 rows × 784 bytes with their labels and split hashes. Both sides start without the bytes in the
 * process: ours opens the store and calls dataset_load; the reference opens the file, allocates as many
 * bytes, and reads. Both find the file in the page cache. They take turns; printed are the medians and the
 * median of the ratios of neighbours:
 *
 *     load <ours ms> <reference ms> <ratio> <reference with SHA-256 ms> <ratio>
 *     sealed <encrypted ms> <in clear + raw AES-GCM ms> <ratio>
 *
 * The second line is of the same rows in an encrypted site, beside loading them in clear and opening as many bytes with
 * AES-256-GCM: OpenSSL alone, one context, a chunk of rows at a time from memory into one buffer. The key is unwrapped
 * before, as a daemon does once. */
#include "datasite/dataset.h"
#include "learning/random.h"
#include "schemas/files.h"
#include "tests/bench/stopwatch.h"

#include <fcntl.h>
#include <malloc.h>
#include <openssl/evp.h>
#include <unistd.h>

#define FEATURES 784
#define CLASSES 10
#define ROW_BYTES (FEATURES + sizeof(uint16_t) + sizeof(uint64_t))
#define REPEATS 31

struct paths {
    char clear[4096], sealed[4096], bytes[4096], keys[4096];
};

static void name_paths(const char *directory, struct paths *ret_paths)
{
    (void)snprintf(ret_paths->clear, sizeof ret_paths->clear, "%s/load.db", directory);
    (void)snprintf(ret_paths->sealed, sizeof ret_paths->sealed, "%s/load-sealed.db", directory);
    (void)snprintf(ret_paths->bytes, sizeof ret_paths->bytes, "%s/load.bytes", directory);
    (void)snprintf(ret_paths->keys, sizeof ret_paths->keys, "%s/load-keys", directory);
}

static void remove_file(const char *path, const char *behind)
{
    char name[4200];
    (void)snprintf(name, sizeof name, "%s%s", path, behind);
    (void)unlink(name);
}

static void remove_files(const struct paths *paths)
{
    static const char *const behind[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        remove_file(paths->clear, behind[i]);
        remove_file(paths->sealed, behind[i]);
    }
    remove_file(paths->bytes, "");
    remove_file(paths->keys, "/identity.key");
    remove_file(paths->keys, "/identity.crt");
    (void)rmdir(paths->keys);
}

/* Makes the record of a vault in the store. */
static void seal_store(struct store *store, struct vault *vault)
{
    struct vault_record record = {.source = VAULT_FROM_STDIN};
    struct vault_secret secret;
    stopwatch_must(vault_secret_new(&secret));
    stopwatch_must(vault_wrap(vault, &secret, record.wrapped));
    stopwatch_must(store_vault_add(store, &record));
    store_unlock(store, vault);
}

/* `vault` NULL: in clear. */
static void make_database(const char *path, const struct identity *identity, struct vault *vault,
                          const uint8_t *pixels, size_t rows)
{
    static const uint8_t split_key[32] = {1};
    struct store *store = NULL;
    struct dataset_writer *writer = NULL;
    struct dataset_info info = {.name = "load",
                                .kind = DATASET_BYTES,
                                .rows = rows,
                                .features = FEATURES,
                                .image_rows = 28,
                                .image_columns = 28,
                                .classes = CLASSES,
                                .source = "made up"};
    stopwatch_must(store_open(path, STORE_CREATE, &store));
    store_sign_with(store, identity);
    if (vault != NULL)
        seal_store(store, vault);
    stopwatch_must(dataset_writer_start(store, &info, NULL, NULL, split_key, &writer));
    for (size_t row = 0; row < rows; row++) {
        uint32_t label = (uint32_t)(row % CLASSES);
        stopwatch_must(dataset_writer_add(writer, pixels + row * FEATURES, &label, 1));
    }
    stopwatch_must(dataset_writer_finish(writer, NULL, &info));
    dataset_writer_free(writer);
    store_close(store);
}

static void make_databases(const struct paths *paths, struct vault *vault, const uint8_t *pixels, size_t rows)
{
    struct identity *identity = NULL;
    stopwatch_must(identity_create(paths->keys, "site", &identity));
    make_database(paths->clear, identity, NULL, pixels, rows);
    make_database(paths->sealed, identity, vault, pixels, rows);
    identity_free(identity);
}

static double time_ours(const char *path, const struct vault *vault)
{
    struct store *store = NULL;
    struct dataset *dataset = NULL;
    double start = stopwatch_ms();
    stopwatch_must(store_open(path, STORE_READ, &store));
    store_unlock(store, vault);
    stopwatch_must(dataset_load(store, "load", &dataset));
    double took = stopwatch_ms() - start;
    dataset_free(dataset);
    store_close(store);
    return took;
}

static double time_read(const struct paths *paths, size_t bytes, bool with_digest)
{
    double start = stopwatch_ms();
    int file = open(paths->bytes, O_RDONLY | O_CLOEXEC);
    uint8_t *data = malloc(bytes);
    size_t have = 0;
    while (file >= 0 && data != NULL && have < bytes) {
        ssize_t got = read(file, data + have, bytes - have);
        if (got <= 0)
            break;
        have += (size_t)got;
    }
    if (have != bytes)
        stopwatch_must(error_new(ERROR_IO, "%s could not be read.", paths->bytes));
    (void)close(file);
    struct digest digest;
    if (with_digest)
        stopwatch_must(digest_of(data, bytes, &digest));
    double took = stopwatch_ms() - start;
    free(data);
    return took;
}

#define CHUNK_BYTES (STORE_CHUNK_ROWS * ROW_BYTES)

static void gcm_must(int done)
{
    if (done != 1)
        stopwatch_must(error_new(ERROR_CRYPTO, "AES-256-GCM failed."));
}

/* Tags of the chunks of `sealed`, which are sealed where they are. */
static void seal_bytes(uint8_t *sealed, size_t bytes, const uint8_t key[static 32], uint8_t (*ret_tags)[16])
{
    EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
    uint8_t nonce[12] = {0};
    int made = 0;
    gcm_must(EVP_EncryptInit_ex(gcm, EVP_aes_256_gcm(), NULL, key, NULL));
    for (size_t at = 0; at < bytes; at += CHUNK_BYTES) {
        size_t step = bytes - at < CHUNK_BYTES ? bytes - at : CHUNK_BYTES;
        memcpy(nonce, &at, sizeof at);
        gcm_must(EVP_EncryptInit_ex(gcm, NULL, NULL, NULL, nonce));
        gcm_must(EVP_EncryptUpdate(gcm, sealed + at, &made, sealed + at, (int)step));
        gcm_must(EVP_EncryptFinal_ex(gcm, sealed + at + step, &made));
        gcm_must(EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, 16, ret_tags[at / CHUNK_BYTES]));
    }
    EVP_CIPHER_CTX_free(gcm);
}

static double time_gcm(const uint8_t *sealed, size_t bytes, const uint8_t key[static 32], uint8_t (*tags)[16])
{
    static uint8_t plain[CHUNK_BYTES];
    uint8_t nonce[12] = {0};
    int made = 0;
    double start = stopwatch_ms();
    EVP_CIPHER_CTX *gcm = EVP_CIPHER_CTX_new();
    gcm_must(EVP_DecryptInit_ex(gcm, EVP_aes_256_gcm(), NULL, key, NULL));
    for (size_t at = 0; at < bytes; at += CHUNK_BYTES) {
        size_t step = bytes - at < CHUNK_BYTES ? bytes - at : CHUNK_BYTES;
        memcpy(nonce, &at, sizeof at);
        gcm_must(EVP_DecryptInit_ex(gcm, NULL, NULL, NULL, nonce));
        gcm_must(EVP_DecryptUpdate(gcm, plain, &made, sealed + at, (int)step));
        gcm_must(EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_SET_TAG, 16, tags[at / CHUNK_BYTES]));
        gcm_must(EVP_DecryptFinal_ex(gcm, plain + step, &made));
    }
    EVP_CIPHER_CTX_free(gcm);
    return stopwatch_ms() - start;
}

static uint8_t *make_bytes(size_t count)
{
    struct random random = random_stream(1, RANDOM_INITIALISATION, 0, 0);
    uint8_t *bytes = malloc(count);
    if (bytes == NULL)
        stopwatch_must(error_new(ERROR_MEMORY, "There is not enough memory for the rows."));
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)random_word(&random);
    return bytes;
}

int main(int argc, char **argv)
{
    bool smoke = argc == 3 && strcmp(argv[1], "--smoke") == 0;
    if (argc != (smoke ? 3 : 2)) {
        (void)fprintf(stderr, "usage: bench_load [--smoke] DIR\n");
        return 2;
    }
    size_t rows = smoke ? 300 : 30000;
    size_t repeats = smoke ? 1 : REPEATS;
    struct paths paths;
    static const uint8_t key[32] = {7};
    static uint8_t tags[30000 / STORE_CHUNK_ROWS + 1][16];
    double ours[REPEATS], reference[REPEATS], ratio[REPEATS], checked[REPEATS], checked_ratio[REPEATS];
    double sealed[REPEATS], opened[REPEATS], sealed_ratio[REPEATS];
    struct vault *vault = NULL;
    size_t count = rows * ROW_BYTES;
    /* Freed shards go back to the system on both sides, so that each repeat pays for fresh pages like the
     * first. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    name_paths(argv[argc - 1], &paths);
    remove_files(&paths);
    stopwatch_must(vault_create(&vault));
    uint8_t *bytes = make_bytes(count);
    stopwatch_must(file_write(paths.bytes, bytes, count, 0600));
    make_databases(&paths, vault, bytes, rows);
    seal_bytes(bytes, count, key, tags);
    (void)time_ours(paths.clear, NULL);
    (void)time_ours(paths.sealed, vault);
    (void)time_read(&paths, count, true);
    for (size_t i = 0; i < repeats; i++) {
        ours[i] = time_ours(paths.clear, NULL);
        sealed[i] = time_ours(paths.sealed, vault);
        opened[i] = ours[i] + time_gcm(bytes, count, key, tags);
        reference[i] = time_read(&paths, count, false);
        checked[i] = time_read(&paths, count, true);
        ratio[i] = ours[i] / reference[i];
        checked_ratio[i] = ours[i] / checked[i];
        sealed_ratio[i] = sealed[i] / opened[i];
    }
    free(bytes);
    vault_free(vault);
    remove_files(&paths);
    printf("load %.3f %.3f %.3f %.3f %.3f\n", stopwatch_median(ours, repeats),
           stopwatch_median(reference, repeats), stopwatch_median(ratio, repeats),
           stopwatch_median(checked, repeats), stopwatch_median(checked_ratio, repeats));
    printf("sealed %.3f %.3f %.3f\n", stopwatch_median(sealed, repeats), stopwatch_median(opened, repeats),
           stopwatch_median(sealed_ratio, repeats));
    return 0;
}
