#include "tests/unit/datasite/bench.h"

#include "schemas/files.h"

#include <fcntl.h>
#include <unistd.h>

#define OUT_BYTES (1 << 20)

void bench_store(const struct bench *bench, struct home **home, struct identity **identity,
                 struct store **store)
{
    must(home_open(bench->home, home));
    must(home_store(*home, STORE_WRITE, identity, store));
}

void bench_store_close(struct home *home, struct identity *identity, struct store *store)
{
    store_close(store);
    identity_free(identity);
    home_free(home);
}

static void add_dataset(struct store *store)
{
    static const uint8_t split_key[32] = {1};
    static const char *const classes[] = {"a", "b"};
    static const char *const columns[] = {"x"};
    static const double values[] = {1, 2};
    static const uint32_t labels[] = {0, 1};
    struct dataset_info info = {.name = "made",
                                .kind = DATASET_NUMBERS,
                                .rows = 2,
                                .features = 1,
                                .classes = 2,
                                .source = "made",
                                .imported_at = BENCH_NOW};
    struct dataset_writer *writer = NULL;
    must(dataset_writer_start(store, &info, classes, columns, split_key, &writer));
    must(dataset_writer_add(writer, values, labels, 2));
    must(dataset_writer_finish(writer, NULL, &info));
    dataset_writer_free(writer);
}

int bench_make(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    void *workspace = NULL;
    struct home *home = NULL;
    struct identity *identity = NULL;
    struct store *store = NULL;
    if (bench == NULL || workspace_make(&workspace) != 0)
        return -1;
    bench->workspace = workspace;
    (void)workspace_file(bench->workspace, "home", bench->home);
    (void)workspace_file(bench->workspace, "out", bench->out);
    must(home_create(bench->home, "site", "tcp://127.0.0.1:54879", NULL, &home));
    home_free(home);
    bench_store(bench, &home, &identity, &store);
    site_id_format(identity_id(identity), bench->own);
    add_dataset(store);
    bench_store_close(home, identity, store);
    *state = bench;
    return 0;
}

int bench_remove(void **state)
{
    struct bench *bench = *state;
    void *workspace = bench->workspace;
    free(bench);
    return workspace_remove(&workspace);
}

void bench_give(const struct verb *verb, const char *name, const char *text)
{
    for (const struct option *option = verb->options(); option->name != NULL; option++) {
        if (strcmp(option->name, name) != 0)
            continue;
        if (option->kind == OPTION_TEXT)
            *(const char **)option->target = text;
        else if (option->kind == OPTION_FLAG)
            *(bool *)option->target = text != NULL;
        else
            *(uint64_t *)option->target = text == NULL ? 0 : strtoull(text, NULL, 10);
        return;
    }
    fail_msg("there is no option %s", name);
}

struct error *bench_type(const struct bench *bench, const struct verb *verb, const char *argument)
{
    const struct invocation invocation = {.program = "datasite",
                                          .verb = verb->name,
                                          .home = bench->home,
                                          .argument_count = argument == NULL ? 0 : 1,
                                          .arguments = &argument};
    (void)fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    int file = open(bench->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(kept >= 0 && file >= 0 && dup2(file, STDOUT_FILENO) >= 0);
    struct error *err = verb->run(&invocation);
    (void)fflush(stdout);
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    (void)close(kept);
    (void)close(file);
    return err;
}

char *bench_printed(const struct bench *bench)
{
    uint8_t *text = NULL;
    size_t bytes = 0;
    must(file_read(bench->out, OUT_BYTES, &text, &bytes));
    return (char *)text;
}

void bench_expect_printed(const struct bench *bench, const char *words)
{
    char *text = bench_printed(bench);
    if (strstr(text, words) == NULL)
        fail_msg("\"%s\" is not in:\n%s", words, text);
    free(text);
}

void bench_expect_not_printed(const struct bench *bench, const char *words)
{
    char *text = bench_printed(bench);
    if (strstr(text, words) != NULL)
        fail_msg("\"%s\" is in:\n%s", words, text);
    free(text);
}

void bench_write_policy(const struct bench *bench, const char *text)
{
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/policy.yaml", bench->home);
    workspace_write(path, text, strlen(text));
}
