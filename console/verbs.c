#include "console/verbs.h"
#include "schemas/files.h"

#include <errno.h>
#include <popt.h>
#include <unistd.h>

#define VERBS_MAX_OPTIONS 32
#define VERBS_NAME_BYTES 64

/* What main() was told about the program. */
struct program {
    const char *name, *environment, *summary;
    const struct verb *verbs;
};

static const char *verbs_program_name(const char *argv0)
{
    const char *slash = strrchr(argv0, '/');
    return slash == NULL ? argv0 : slash + 1;
}

static void verbs_usage(const struct program *program, FILE *stream)
{
    (void)fprintf(stream, "Usage: %s [--home DIR] VERB [OPTIONS]\n\n%s\n\nVerbs:\n", program->name,
                  program->summary);
    for (const struct verb *verb = program->verbs; verb->name != NULL; verb++)
        (void)fprintf(stream, "  %-15s %s\n", verb->name, verb->summary);
    (void)fprintf(stream,
                  "\n  --home DIR      where this node's files are; else %s, else the XDG data directory\n"
                  "  --help          this text; %s VERB --help explains one verb\n"
                  "  --version       version\n\n"
                  "Exit status: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted.\n",
                  program->environment, program->name);
}

static const struct option *verbs_options(const struct verb *verb)
{
    return verb->options == NULL ? NULL : verb->options();
}

static void verbs_help(const struct program *program, const struct verb *verb)
{
    (void)printf("Usage: %s %s%s%s%s\n\n%s\n", program->name, verb->name,
                 verbs_options(verb) == NULL ? "" : " [OPTIONS]", verb->arguments[0] == '\0' ? "" : " ",
                 verb->arguments, verb->summary);
    const struct option *options = verbs_options(verb);
    if (options != NULL)
        (void)printf("\nOptions:\n");
    for (; options != NULL && options->name != NULL; options++) {
        char left[VERBS_NAME_BYTES];
        char letter[8] = "    ";
        if (options->letter != 0)
            (void)snprintf(letter, sizeof(letter), "-%c, ", options->letter);
        (void)snprintf(left, sizeof(left), "%s--%s%s%s", letter, options->name,
                       options->value == NULL ? "" : " ", options->value == NULL ? "" : options->value);
        (void)printf("  %-30s %s\n", left, options->help);
    }
    if (verb->detail != NULL)
        (void)printf("\n%s\n", verb->detail);
}

/* "trust add" before "trust": *ret_words is how many arguments the name took. */
static const struct verb *verbs_find(const struct program *program, int count, const char *const *words,
                                     int *ret_words)
{
    char both[VERBS_NAME_BYTES] = "";
    if (count > 1)
        (void)snprintf(both, sizeof(both), "%s %s", words[0], words[1]);
    for (const struct verb *verb = program->verbs; verb->name != NULL && count > 1; verb++) {
        if (strcmp(verb->name, both) == 0) {
            *ret_words = 2;
            return verb;
        }
    }
    for (const struct verb *verb = program->verbs; verb->name != NULL; verb++) {
        if (strcmp(verb->name, words[0]) == 0) {
            *ret_words = 1;
            return verb;
        }
    }
    return NULL;
}

/* The second word of a verb of two whose first is `word`, or NULL. */
static const char *verbs_second(const struct verb *verb, const char *word)
{
    size_t length = strlen(word);
    return strncmp(verb->name, word, length) == 0 && verb->name[length] == ' ' ? verb->name + length + 1
                                                                               : NULL;
}

/* The second words of a first word that is no verb by itself: "idx, csv"; "" if there are none. */
static void verbs_second_words(const struct program *program, const char *word, size_t list_bytes,
                               char *ret_list)
{
    ret_list[0] = '\0';
    for (const struct verb *verb = program->verbs; verb->name != NULL; verb++) {
        const char *second = verbs_second(verb, word);
        size_t used = strlen(ret_list);
        if (second != NULL)
            (void)snprintf(ret_list + used, list_bytes - used, "%s%s", used == 0 ? "" : ", ", second);
    }
}

static void verbs_family_help(const struct program *program, const char *word)
{
    (void)printf("Usage: %s %s WORD [OPTIONS]\n\n", program->name, word);
    for (const struct verb *verb = program->verbs; verb->name != NULL; verb++) {
        if (verbs_second(verb, word) != NULL)
            (void)printf("  %-15s %s\n", verb->name, verb->summary);
    }
    (void)printf("\n`%s %s WORD --help` explains each, with an example.\n", program->name, word);
}

/* A first word that is no verb by itself: its help, or what is wrong. */
static struct error *verbs_unknown(const struct program *program, int count, const char *const *words)
{
    char list[256];
    verbs_second_words(program, words[0], sizeof(list), list);
    if (list[0] == '\0')
        return error_new(ERROR_USAGE, "There is no verb '%s'. `%s --help` lists the verbs.", words[0],
                         program->name);
    if (count > 1 && (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0)) {
        verbs_family_help(program, words[0]);
        return NULL;
    }
    return error_new(ERROR_USAGE, "'%s' wants a second word: %s.", words[0], list);
}

static struct error *verbs_count(const struct option *option, const char *text)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    bool is_number = text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
    if (!is_number || value < option->minimum || value > option->maximum)
        return error_new(ERROR_USAGE, "--%s takes a whole number from %llu to %llu.", option->name,
                         (unsigned long long)option->minimum, (unsigned long long)option->maximum);
    *(uint64_t *)option->target = value;
    return NULL;
}

/* Copies of popt's as well. */
static struct error *verbs_texts(const struct option *option, char *text)
{
    struct option_texts *texts = option->target;
    if (texts->count == OPTION_TEXTS_MAX) {
        free(text);
        return error_new(ERROR_USAGE, "--%s can be given at most %d times.", option->name, OPTION_TEXTS_MAX);
    }
    texts->texts[texts->count++] = text;
    return NULL;
}

static struct error *verbs_take(const struct option *option, char *text)
{
    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)option->target = true;
        return NULL;
    case OPTION_TEXT:
        /* popt hands over a copy; it lives as long as the process, as the target does. */
        *(const char **)option->target = text;
        return NULL;
    case OPTION_COUNT: {
        struct error *err = verbs_count(option, text);
        free(text);
        return err;
    }
    case OPTION_TEXTS:
        return verbs_texts(option, text);
    }
    return error_new(ERROR_INTERNAL, "An option has no kind.");
}

/* popt's table from ours: val is 1 + the option's place; --help is 1 past the last. */
static size_t verbs_table(const struct option *options, struct poptOption *ret_table)
{
    size_t count = 0;
    for (; options != NULL && options[count].name != NULL && count < VERBS_MAX_OPTIONS; count++) {
        ret_table[count] = (struct poptOption){
            .longName = options[count].name,
            .shortName = options[count].letter,
            .argInfo = options[count].kind == OPTION_FLAG ? POPT_ARG_NONE : POPT_ARG_STRING,
            .val = (int)count + 1,
        };
    }
    ret_table[count] = (struct poptOption){
        .longName = "help", .shortName = 'h', .argInfo = POPT_ARG_NONE, .val = (int)count + 1};
    return count;
}

static struct error *verbs_check_arguments(const struct verb *verb, int count)
{
    if (count < verb->minimum_arguments)
        return error_new(ERROR_USAGE, "An argument is missing: %s %s.", verb->name, verb->arguments);
    if (verb->maximum_arguments == 0 && count > 0)
        return error_new(ERROR_USAGE, "There are too many arguments: `%s` takes none.", verb->name);
    if (verb->maximum_arguments >= 0 && count > verb->maximum_arguments)
        return error_new(ERROR_USAGE, "There are too many arguments: %s %s.", verb->name, verb->arguments);
    return NULL;
}

/* The default home. */
static struct error *verbs_default_home(const struct program *program, char **ret_home)
{
    const char *named = getenv(program->environment);
    const char *data = getenv("XDG_DATA_HOME");
    const char *user = getenv("HOME");
    char *parent = NULL;
    struct error *err = NULL;
    if (named != NULL && named[0] != '\0') {
        *ret_home = strdup(named);
        return *ret_home == NULL ? error_new(ERROR_MEMORY, "There is not enough memory.") : NULL;
    }
    if (data != NULL && data[0] == '/')
        return path_join(data, program->name, ret_home);
    if (user == NULL || user[0] == '\0')
        return error_new(ERROR_USAGE, "HOME is not set. Say where the home is: %s --home DIR …",
                         program->name);
    TRY(path_join(user, ".local/share", &parent));
    TRY(path_join(parent, program->name, ret_home));
done:
    free(parent);
    return err;
}

bool verbs_no_home(const struct invocation *invocation)
{
    (void)invocation;
    return false;
}

/* Parses the options of one verb and runs it. `words` starts with the verb's last word; `home` is what --home named, or
 * NULL. */
static struct error *verbs_run(const struct program *program, const struct verb *verb, int count,
                               const char **words, const char *home)
{
    struct error *err = NULL;
    char *found = NULL;
    struct poptOption table[VERBS_MAX_OPTIONS + 2] = {0};
    const struct option *options = verbs_options(verb);
    size_t option_count = verbs_table(options, table);
    poptContext context = poptGetContext(NULL, count, words, table, 0);
    int value;
    while ((value = poptGetNextOpt(context)) > 0) {
        if ((size_t)value == option_count + 1) {
            verbs_help(program, verb);
            goto done;
        }
        TRY(verbs_take(&options[value - 1], poptGetOptArg(context)));
    }
    if (value < -1)
        FAIL(ERROR_USAGE, "%s: %s. `%s %s --help` lists the options.", poptBadOption(context, 0),
             poptStrerror(value), program->name, verb->name);
    const char **arguments = poptGetArgs(context);
    struct invocation invocation = {.program = program->name,
                                    .verb = verb->name,
                                    .home = home == NULL ? "" : home,
                                    .arguments = arguments};
    while (arguments != NULL && arguments[invocation.argument_count] != NULL)
        invocation.argument_count++;
    TRY(verbs_check_arguments(verb, invocation.argument_count));
    if (home == NULL && (verb->needs_home == NULL || verb->needs_home(&invocation))) {
        TRY(verbs_default_home(program, &found));
        invocation.home = found;
    }
    TRY(verb->run(&invocation));
done:
    free(found);
    (void)poptFreeContext(context);
    return err;
}

/* Global options, then the verb. *ret_verb names it for the failure's sentence. */
static struct error *verbs_dispatch(const struct program *program, int argc, const char **argv,
                                    const char **ret_verb)
{
    struct error *err = NULL;
    char *home = NULL;
    const struct poptOption globals[] = {
        {.longName = "home", .argInfo = POPT_ARG_STRING, .val = 1},
        {.longName = "help", .shortName = 'h', .argInfo = POPT_ARG_NONE, .val = 2},
        {.longName = "version", .argInfo = POPT_ARG_NONE, .val = 3},
        POPT_TABLEEND,
    };
    poptContext context = poptGetContext(NULL, argc, argv, globals, POPT_CONTEXT_POSIXMEHARDER);
    int value;
    while ((value = poptGetNextOpt(context)) > 0) {
        if (value == 1) {
            free(home);
            home = poptGetOptArg(context);
        } else if (value == 2) {
            verbs_usage(program, stdout);
            goto done;
        } else {
            (void)printf("%s %s\n", program->name, DATASITE_VERSION);
            goto done;
        }
    }
    if (value < -1)
        FAIL(ERROR_USAGE, "%s: %s. Options of a verb come after it.", poptBadOption(context, 0),
             poptStrerror(value));
    if (home != NULL && home[0] == '\0')
        FAIL(ERROR_USAGE, "--home wants a directory.");
    const char **words = poptGetArgs(context);
    int count = 0, name_words = 0;
    while (words != NULL && words[count] != NULL)
        count++;
    if (count == 0) {
        verbs_usage(program, stderr);
        FAIL(ERROR_USAGE, "A verb is missing.");
    }
    const struct verb *verb = verbs_find(program, count, words, &name_words);
    if (verb == NULL) {
        err = verbs_unknown(program, count, words);
        goto done;
    }
    *ret_verb = verb->name;
    TRY(verbs_run(program, verb, count - name_words + 1, words + name_words - 1, home));
done:
    free(home);
    (void)poptFreeContext(context);
    return err;
}

int verbs_main(int argc, char **argv, const char *environment, const char *summary, const struct verb *verbs)
{
    struct program program = {.name = argc > 0 ? verbs_program_name(argv[0]) : "program",
                              .environment = environment,
                              .summary = summary,
                              .verbs = verbs};
    const char *verb = "";
    struct error *err = verbs_dispatch(&program, argc, (const char **)argv, &verb);
    /* A full disk or a closed pipe must not look like success. */
    if (fflush(stdout) != 0 && err == NULL)
        err = error_errno(ERROR_IO, errno, "The results could not be written to standard output");
    int status = error_exit_status(err);
    if (err != NULL)
        (void)fprintf(stderr, "%s%s%s: %s\n", program.name, verb[0] == '\0' ? "" : " ", verb, err->sentence);
    error_free(err);
    return status;
}
