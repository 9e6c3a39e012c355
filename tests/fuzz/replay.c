/* Runs a fuzzer's entry over its corpus without libFuzzer: every file of the folders given, and every
 * beginning of each file (up to REPLAY_PREFIXES_MOST of them), in memory of exactly that size so that a read
 * too far is noticed. */
#include <dirent.h>
#include <stdint.h>
#include <sys/stat.h>

#define REPLAY_BYTES_MOST (1u << 20)
#define REPLAY_PREFIXES_MOST 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_one(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    if (copy == NULL)
        return 1;
    if (size > 0)
        memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    return 0;
}

static int replay_file(const char *path)
{
    static uint8_t bytes[REPLAY_BYTES_MOST];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    int failed = ferror(file);
    (void)fclose(file);
    size_t step = size / REPLAY_PREFIXES_MOST + 1;
    for (size_t cut = 0; cut < size && !failed; cut += step)
        failed = replay_one(bytes, cut);
    return failed ? 1 : replay_one(bytes, size);
}

static int replay_folder(const char *folder, size_t *count)
{
    char path[4096];
    struct stat status;
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        perror(folder);
        return 1;
    }
    int failed = 0;
    for (const struct dirent *entry = readdir(directory); entry != NULL && !failed;
         entry = readdir(directory)) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
            continue;
        failed = replay_file(path);
        (*count)++;
    }
    (void)closedir(directory);
    return failed;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++)
        if (replay_folder(argv[i], &count) != 0)
            return 1;
    (void)printf("%zu files of the corpus\n", count);
    if (count == 0)
        (void)fprintf(stderr, "The corpus is empty.\n");
    return count == 0;
}
