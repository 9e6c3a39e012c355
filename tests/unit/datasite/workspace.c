#include "tests/unit/datasite/workspace.h"

#include <dirent.h>
#include <ftw.h>
#include <unistd.h>

static const uint8_t test_split_key[32] = {7, 1, 2};

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static int remove_tree(const char *path)
{
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int workspace_make(void **state)
{
    struct workspace *workspace = calloc(1, sizeof(*workspace));
    const char *data = getenv("DATASITE_TEST_DATA");
    char keys[160];
    if (workspace == NULL || data == NULL)
        return -1;
    (void)snprintf(workspace->path, sizeof(workspace->path), "site-XXXXXX");
    if (mkdtemp(workspace->path) == NULL)
        return -1;
    (void)workspace_file(workspace, "site-keys", keys);
    must(identity_create(keys, "site", &workspace->identity));
    if (remove_tree(keys) != 0) /* the tests count what they leave */
        return -1;
    (void)snprintf(workspace->database, sizeof(workspace->database), "%s/site.db", workspace->path);
    (void)snprintf(workspace->images, sizeof(workspace->images), "%s/subset-train-images.idx3", data);
    (void)snprintf(workspace->labels, sizeof(workspace->labels), "%s/subset-train-labels.idx1", data);
    *state = workspace;
    return 0;
}

int workspace_remove(void **state)
{
    struct workspace *workspace = *state;
    int failed = remove_tree(workspace->path);
    identity_free(workspace->identity);
    free(workspace);
    return failed;
}

const char *workspace_file(const struct workspace *workspace, const char *name, char ret_path[static 160])
{
    (void)snprintf(ret_path, 160, "%s/%s", workspace->path, name);
    return ret_path;
}

void workspace_write(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

bool workspace_has(const struct workspace *workspace, const char *name)
{
    char path[160];
    return access(workspace_file(workspace, name, path), F_OK) == 0;
}

size_t workspace_entries(const char *path)
{
    size_t count = 0;
    DIR *directory = opendir(path);
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    (void)closedir(directory);
    return count - 2;
}

void must(struct error *err)
{
    if (err != NULL)
        fail_msg("%s", err->sentence);
}

void refused(struct error *err, enum error_code code, const char *words)
{
    assert_non_null(err);
    if (err->code != code)
        fail_msg("%s instead of %s: %s", error_word(err->code), error_word(code), err->sentence);
    if (strstr(err->sentence, words) == NULL)
        fail_msg("'%s' is not in: %s", words, err->sentence);
    error_free(err);
}

struct store *workspace_store(const struct workspace *workspace)
{
    struct store *store = NULL;
    must(store_open(workspace->database, STORE_CREATE, &store));
    store_sign_with(store, workspace->identity);
    return store;
}

struct import_request workspace_request(const char *name)
{
    return (struct import_request){.name = name, .split_key = test_split_key, .now = 1790000000};
}

struct dataset_info workspace_import(struct store *store, const struct workspace *workspace,
                                     const struct import_request *request)
{
    struct dataset_info info = {0};
    must(import_idx(store, request, workspace->images, workspace->labels, &info));
    return info;
}

size_t workspace_datasets(struct store *store)
{
    struct dataset_info *infos = NULL;
    size_t count = 0;
    must(store_dataset_list(store, &infos, &count));
    free(infos);
    return count;
}
