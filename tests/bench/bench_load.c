/* Loading a shard from SQLite, beside read() of the same bytes from a plain file, and beside read() and
 * SHA-256 of them: a load checks every row against the dataset's digest.
 *
 *     bench_load [--smoke] DIR          DIR exists; load.db and load.bytes are made in it and removed
 *
 * 30000 rows × 784 bytes with their labels and split hashes. Both sides start without the bytes in the
 * process: ours opens the store and calls dataset_load; the reference opens the file, allocates as many
 * bytes, and reads. Both find the file in the page cache. They take turns; printed are the medians and the
 * median of the ratios of neighbours:
 *
 *     load <ours ms> <reference ms> <ratio> <reference with SHA-256 ms> <ratio> */
#include "datasite/dataset.h"
#include "learning/random.h"
#include "schemas/files.h"
#include "tests/bench/stopwatch.h"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#define FEATURES 784
#define CLASSES 10
#define ROW_BYTES (FEATURES + sizeof(uint16_t) + sizeof(uint64_t))
#define REPEATS 31

struct paths {
    char database[4096], wal[4096], shm[4096], bytes[4096], keys[4096], key[4096], certificate[4096];
};

static void name_paths(const char *directory, struct paths *ret_paths)
{
    (void)snprintf(ret_paths->database, sizeof ret_paths->database, "%s/load.db", directory);
    (void)snprintf(ret_paths->wal, sizeof ret_paths->wal, "%s/load.db-wal", directory);
    (void)snprintf(ret_paths->shm, sizeof ret_paths->shm, "%s/load.db-shm", directory);
    (void)snprintf(ret_paths->bytes, sizeof ret_paths->bytes, "%s/load.bytes", directory);
    (void)snprintf(ret_paths->keys, sizeof ret_paths->keys, "%s/load-keys", directory);
    (void)snprintf(ret_paths->key, sizeof ret_paths->key, "%s/load-keys/identity.key", directory);
    (void)snprintf(ret_paths->certificate, sizeof ret_paths->certificate, "%s/load-keys/identity.crt",
                   directory);
}

static void remove_files(const struct paths *paths)
{
    (void)unlink(paths->database);
    (void)unlink(paths->wal);
    (void)unlink(paths->shm);
    (void)unlink(paths->bytes);
    (void)unlink(paths->key);
    (void)unlink(paths->certificate);
    (void)rmdir(paths->keys);
}

static void make_database(const struct paths *paths, const uint8_t *pixels, size_t rows)
{
    static const uint8_t split_key[32] = {1};
    struct identity *identity = NULL;
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
    stopwatch_must(identity_create(paths->keys, "site", &identity));
    stopwatch_must(store_open(paths->database, STORE_CREATE, &store));
    store_sign_with(store, identity);
    stopwatch_must(dataset_writer_start(store, &info, NULL, NULL, split_key, &writer));
    for (size_t row = 0; row < rows; row++) {
        uint32_t label = (uint32_t)(row % CLASSES);
        stopwatch_must(dataset_writer_add(writer, pixels + row * FEATURES, &label, 1));
    }
    stopwatch_must(dataset_writer_finish(writer, NULL, &info));
    dataset_writer_free(writer);
    store_close(store);
    identity_free(identity);
}

static double time_ours(const struct paths *paths)
{
    struct store *store = NULL;
    struct dataset *dataset = NULL;
    double start = stopwatch_ms();
    stopwatch_must(store_open(paths->database, STORE_READ, &store));
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
    double ours[REPEATS], reference[REPEATS], ratio[REPEATS], checked[REPEATS], checked_ratio[REPEATS];
    /* Freed shards go back to the system on both sides, so that each repeat pays for fresh pages like the
     * first. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    name_paths(argv[argc - 1], &paths);
    remove_files(&paths);
    uint8_t *bytes = make_bytes(rows * ROW_BYTES);
    stopwatch_must(file_write(paths.bytes, bytes, rows * ROW_BYTES, 0600));
    make_database(&paths, bytes, rows);
    free(bytes);
    (void)time_ours(&paths);
    (void)time_read(&paths, rows * ROW_BYTES, true);
    for (size_t i = 0; i < repeats; i++) {
        ours[i] = time_ours(&paths);
        reference[i] = time_read(&paths, rows * ROW_BYTES, false);
        checked[i] = time_read(&paths, rows * ROW_BYTES, true);
        ratio[i] = ours[i] / reference[i];
        checked_ratio[i] = ours[i] / checked[i];
    }
    remove_files(&paths);
    printf("load %.3f %.3f %.3f %.3f %.3f\n", stopwatch_median(ours, repeats),
           stopwatch_median(reference, repeats), stopwatch_median(ratio, repeats),
           stopwatch_median(checked, repeats), stopwatch_median(checked_ratio, repeats));
    return 0;
}
