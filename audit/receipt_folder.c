#include "audit/receipt_folder.h"

#include "schemas/files.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

struct error *receipt_file_read(const char *path, struct receipt *ret_receipt)
{
    struct error *err = NULL;
    uint8_t *bytes = NULL;
    size_t count = 0;
    json_t *object = NULL;
    json_error_t problem;
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode)) /* a pipe would be waited for */
        FAIL(ERROR_INVALID, "%s: this is not a file.", path);
    TRY(file_read(path, RECEIPT_FILE_BYTES, &bytes, &count));
    object = json_loadb((const char *)bytes, count, JSON_REJECT_DUPLICATES, &problem);
    if (object == NULL)
        FAIL(ERROR_INVALID, "%s:%d:%d: this is not a receipt: not one JSON object.", path, problem.line,
             problem.column);
    TRY(receipt_from_json(object, path, ret_receipt));
done:
    json_decref(object);
    free(bytes);
    return err;
}

struct error *receipt_file_write(const char *path, const struct receipt *receipt)
{
    struct error *err = NULL;
    json_t *object = NULL;
    char *text = NULL;
    TRY(receipt_to_json(receipt, &object));
    text = json_dumps(object, JSON_INDENT(2));
    if (text == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory to write a receipt.");
    TRY(file_write(path, text, strlen(text), 0644));
done:
    free(text);
    json_decref(object);
    return err;
}

/* ---- folders ---- */

struct receipt_names {
    char **names;
    size_t count, room;
};

static void receipt_names_clear(struct receipt_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
}

static struct error *receipt_names_add(struct receipt_names *names, const char *name)
{
    if (names->count == names->room) {
        size_t room = names->room == 0 ? 64 : 2 * names->room;
        char **grown = reallocarray(names->names, room, sizeof(*grown));
        if (grown == NULL)
            return error_new(ERROR_MEMORY, "There is not enough memory for a list of receipts.");
        names->names = grown;
        names->room = room;
    }
    names->names[names->count] = strdup(name);
    if (names->names[names->count] == NULL)
        return error_new(ERROR_MEMORY, "There is not enough memory for a list of receipts.");
    names->count++;
    return NULL;
}

static bool receipt_name_fits(const char *name)
{
    size_t bytes = strlen(name);
    size_t suffix = strlen(RECEIPT_FOLDER_SUFFIX);
    return name[0] != '.' && bytes > suffix && strcmp(name + bytes - suffix, RECEIPT_FOLDER_SUFFIX) == 0;
}

static int receipt_names_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct error *receipt_names_read(const char *directory, struct receipt_names *names)
{
    struct error *err = NULL;
    DIR *folder = opendir(directory);
    if (folder == NULL && errno == ENOENT)
        FAIL(ERROR_NOT_FOUND, "There is no folder %s.", directory);
    if (folder == NULL)
        TRY(error_errno(ERROR_IO, errno, "The folder %s cannot be read", directory));
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (!receipt_name_fits(entry->d_name))
            continue;
        if (names->count == RECEIPT_FOLDER_FILES)
            FAIL(ERROR_LIMIT, "%s holds more than %d receipts: check them in several folders.", directory,
                 RECEIPT_FOLDER_FILES);
        TRY(receipt_names_add(names, entry->d_name));
    }
    if (names->count > 1)
        qsort(names->names, names->count, sizeof(*names->names), receipt_names_compare);
done:
    if (folder != NULL)
        (void)closedir(folder);
    return err;
}

struct error *receipt_folder_verify(const char *directory,
                                    struct error *(*visit)(void *context, const char *path,
                                                           const struct receipt *receipt),
                                    void *context, uint64_t *ret_count)
{
    struct error *err = NULL;
    struct receipt_names names = {.count = 0};
    char *path = NULL;
    TRY(receipt_names_read(directory, &names));
    for (size_t i = 0; i < names.count; i++) {
        struct receipt receipt;
        free(path);
        path = NULL;
        TRY(path_join(directory, names.names[i], &path));
        TRY(receipt_file_read(path, &receipt));
        TRY(error_prefix(receipt_verify(&receipt), "%s", path));
        if (visit != NULL)
            TRY(visit(context, path, &receipt));
    }
    *ret_count = names.count;
done:
    free(path);
    receipt_names_clear(&names);
    return err;
}
