#include "scratch.h"

#include <dirent.h>
#include <ftw.h>
#include <openssl/err.h>
#include <sys/stat.h>
#include <unistd.h>

int scratch_set_up(void **state)
{
    char *directory = strdup("scratch-XXXXXX");
    if (directory == NULL || mkdtemp(directory) == NULL)
        return -1;
    *state = directory;
    return 0;
}

static int scratch_remove(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status, (void)kind, (void)place;
    return remove(path);
}

int scratch_tear_down(void **state)
{
    int removed = nftw(*state, scratch_remove, 8, FTW_DEPTH | FTW_PHYS);
    free(*state);
    if (ERR_peek_error() != 0) {
        ERR_print_errors_fp(stderr);
        return -1;
    }
    return removed;
}

const char *scratch_path(const char *directory, const char *name, char ret_path[static SCRATCH_PATH_BYTES])
{
    int bytes = snprintf(ret_path, SCRATCH_PATH_BYTES, "%s/%s", directory, name);
    assert_in_range(bytes, 1, SCRATCH_PATH_BYTES - 1);
    return ret_path;
}

void scratch_write(const char *path, const void *data, size_t bytes, mode_t mode)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

char *scratch_read(const char *path, size_t *ret_bytes)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    size_t bytes = (size_t)status.st_size;
    char *data = malloc(bytes + 1);
    FILE *file = fopen(path, "rb");
    assert_non_null(data);
    assert_non_null(file);
    assert_int_equal(fread(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
    data[bytes] = '\0';
    if (ret_bytes != NULL)
        *ret_bytes = bytes;
    return data;
}

mode_t scratch_mode(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

size_t scratch_entries(const char *directory)
{
    size_t entries = 0;
    DIR *open_directory = opendir(directory);
    assert_non_null(open_directory);
    for (const struct dirent *entry = readdir(open_directory); entry != NULL; entry = readdir(open_directory))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            entries++;
    assert_int_equal(closedir(open_directory), 0);
    return entries;
}

size_t scratch_hex(const char *hex, uint8_t *ret_bytes)
{
    size_t bytes = strlen(hex) / 2;
    for (size_t i = 0; i < bytes; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        ret_bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return bytes;
}

void succeeds(struct error *err)
{
    if (err != NULL)
        print_error("%s: %s\n", error_word(err->code), err->sentence);
    assert_null(err);
}

void fails(struct error *err, enum error_code code)
{
    fails_saying(err, code, "");
}

void fails_saying(struct error *err, enum error_code code, const char *text)
{
    assert_non_null(err);
    if (err->code != code || strstr(err->sentence, text) == NULL)
        print_error("%s: %s\n", error_word(err->code), err->sentence);
    assert_int_equal(err->code, code);
    assert_non_null(strstr(err->sentence, text));
    error_free(err);
}
