#include "console/verbs.h"
#include "orchestrator/privacy_settings.h"

#include <jansson.h>

extern const struct verb verb_privacy_epsilon, verb_privacy_sigma;

#define REAL_DIGITS 15

static struct {
    const char *noise, *rate, *delta, *epsilon, *accountant;
    struct option_texts events;
    uint64_t steps, examples;
    bool json;
} asked;

/* What the options come to. */
struct account {
    enum privacy_accountant accountant;
    double delta;
    struct privacy_event events[PRIVACY_MAX_EVENTS + 1]; /* of --event, and one of the other options */
    size_t count;
};

/* Options that both verbs have. */
#define PRIVACY_SAMPLING                                                                                     \
    {.name = "sampling-rate",                                                                                \
     .kind = OPTION_TEXT,                                                                                    \
     .target = &asked.rate,                                                                                  \
     .value = "Q",                                                                                           \
     .help = "probability of a record to be in a step (Poisson); else 1"},                                   \
        {.name = "steps",                                                                                    \
         .kind = OPTION_COUNT,                                                                               \
         .target = &asked.steps,                                                                             \
         .value = "T",                                                                                       \
         .help = "how many steps; else 1",                                                                   \
         .minimum = 1,                                                                                       \
         .maximum = PRIVACY_MAX_STEPS},                                                                      \
        {.name = "delta",                                                                                    \
         .kind = OPTION_TEXT,                                                                                \
         .target = &asked.delta,                                                                             \
         .value = "D",                                                                                       \
         .help = "delta, below 1 in all records"},                                                           \
        {.name = "event",                                                                                    \
         .kind = OPTION_TEXTS,                                                                               \
         .target = &asked.events,                                                                            \
         .value = "SIGMA:RATE:STEPS",                                                                        \
         .help = "another event; may be given several times"},                                               \
        {.name = "accountant",                                                                               \
         .kind = OPTION_TEXT,                                                                                \
         .target = &asked.accountant,                                                                        \
         .value = "WORD",                                                                                    \
         .help = "pld, rdp or gaussian; else pld"},                                                          \
        {.name = "examples",                                                                                 \
         .kind = OPTION_COUNT,                                                                               \
         .target = &asked.examples,                                                                          \
         .value = "N",                                                                                       \
         .help = "records there are: warns of a delta that is too large",                                    \
         .minimum = 1,                                                                                       \
         .maximum = PRIVACY_MAX_EXAMPLES},                                                                   \
        {.name = "json", .kind = OPTION_FLAG, .target = &asked.json, .help = "as JSON"}, {0},

static const struct option *epsilon_options(void)
{
    static const struct option options[] = {{.name = "noise-multiplier",
                                             .kind = OPTION_TEXT,
                                             .target = &asked.noise,
                                             .value = "SIGMA",
                                             .help = "standard deviation of the noise over the clip norm"},
                                            PRIVACY_SAMPLING};
    return options;
}

static const struct option *sigma_options(void)
{
    static const struct option options[] = {{.name = "epsilon",
                                             .kind = OPTION_TEXT,
                                             .target = &asked.epsilon,
                                             .value = "E",
                                             .help = "the epsilon to keep"},
                                            PRIVACY_SAMPLING};
    return options;
}

/* The Gaussian accountant knows no sampling: its figure is that of every record in every step, which is an upper bound. */
static void account_whole(struct account *account)
{
    for (size_t i = 0; i < account->count; i++) {
        if (account->events[i].sampling_rate > 0 && account->events[i].sampling_rate < 1) {
            account->events[i].sampling_rate = 1;
            (void)fprintf(
                stderr,
                "The accountant gaussian has nothing for sampling: this is with every record in every "
                "step. pld and rdp count it.\n");
        }
    }
}

/* The event of --noise-multiplier, --sampling-rate and --steps goes first, if it is there. */
static struct error *account_read(bool single, double noise, struct account *ret_account)
{
    struct error *err = NULL;
    struct account account = {0};
    char warning[PRIVACY_WARNING_BYTES];
    TRY(privacy_settings_accountant(asked.accountant, &account.accountant));
    TRY(privacy_settings_number("delta", asked.delta, &account.delta));
    if (single) {
        struct privacy_event event = {noise, 1, asked.steps == 0 ? 1 : asked.steps};
        if (asked.rate != NULL)
            TRY(privacy_settings_number("sampling-rate", asked.rate, &event.sampling_rate));
        account.events[account.count++] = event;
    }
    for (size_t i = 0; i < asked.events.count; i++)
        TRY(privacy_settings_event(asked.events.texts[i], &account.events[account.count++]));
    if (account.accountant == PRIVACY_GAUSSIAN)
        account_whole(&account);
    privacy_settings_warning(account.delta, asked.examples, warning);
    if (warning[0] != '\0')
        (void)fprintf(stderr, "%s\n", warning);
    *ret_account = account;
done:
    return err;
}

static struct error *print_json(json_t *object, const struct account *account)
{
    struct error *err = NULL;
    json_t *events = json_array();
    for (size_t i = 0; i < account->count; i++)
        (void)json_array_append_new(events, json_pack("{s:f, s:f, s:I}", "noise_multiplier",
                                                      account->events[i].noise_multiplier, "sampling_rate",
                                                      account->events[i].sampling_rate, "steps",
                                                      (json_int_t)account->events[i].steps));
    if (object == NULL || json_array_size(events) != account->count ||
        json_object_set_new(object, "delta", json_real(account->delta)) != 0 ||
        json_object_set_new(object, "accountant",
                            json_string(privacy_accountant_word(account->accountant))) != 0 ||
        json_object_set(object, "events", events) != 0)
        FAIL(ERROR_MEMORY, "There is not enough memory to print the figures.");
    (void)json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(REAL_DIGITS));
    (void)putchar('\n');
done:
    json_decref(object);
    json_decref(events);
    return err;
}

static struct error *epsilon_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct account account;
    double noise = 0, epsilon = 0;
    char figure[PRIVACY_BOUND_BYTES];
    bool single = asked.noise != NULL;
    (void)invocation;
    if (single)
        TRY(privacy_settings_number("noise-multiplier", asked.noise, &noise));
    else if (asked.events.count == 0 || asked.rate != NULL || asked.steps != 0)
        FAIL(ERROR_USAGE, "--noise-multiplier is missing.");
    TRY(account_read(single, noise, &account));
    TRY(privacy_settings_usage(
        privacy_epsilon(account.accountant, account.events, account.count, account.delta, &epsilon)));
    privacy_bound(epsilon, PRIVACY_BOUND_DIGITS, figure);
    if (asked.json)
        TRY(print_json(json_pack("{s:f}", "epsilon", epsilon), &account));
    else
        (void)printf("epsilon %s at delta %g (%s)\n", figure, account.delta,
                     privacy_accountant_word(account.accountant));
done:
    return err;
}

static struct error *sigma_run(const struct invocation *invocation)
{
    struct error *err = NULL;
    struct account account;
    double target = 0, noise = 0, epsilon = 0;
    char figure[PRIVACY_BOUND_BYTES];
    (void)invocation;
    TRY(privacy_settings_number("epsilon", asked.epsilon, &target));
    TRY(account_read(true, 0, &account));
    TRY(privacy_settings_usage(privacy_calibrate(account.accountant, account.events[0], account.events + 1,
                                                 account.count - 1, target, account.delta, &noise)));
    account.events[0].noise_multiplier = noise;
    TRY(privacy_settings_usage(
        privacy_epsilon(account.accountant, account.events, account.count, account.delta, &epsilon)));
    privacy_bound(epsilon, PRIVACY_BOUND_DIGITS, figure);
    if (asked.json)
        TRY(print_json(json_pack("{s:f, s:f}", "noise_multiplier", noise, "epsilon", epsilon), &account));
    else
        (void)printf("noise multiplier %.7g: epsilon %s at delta %g (%s)\n", noise, figure, account.delta,
                     privacy_accountant_word(account.accountant));
done:
    return err;
}

const struct verb verb_privacy_epsilon = {
    .name = "privacy epsilon",
    .summary = "What steps with noise tell about one record",
    .arguments = "",
    .detail = "An event is a number of steps that each add Gaussian noise of SIGMA times the clip norm to "
              "the sum of\n"
              "clipped contributions of a Poisson sample: each record is in it with probability Q, by "
              "itself. Batches\n"
              "of a fixed size, or shuffled ones, are no such sample: their rate is 1. Neighbours differ by "
              "one record,\n"
              "added or removed. All figures are upper bounds, rounded up. Nothing is read or asked for.\n"
              "Exit status: 0 a figure, 2 the options are wrong or come to none that can be told.\n\n"
              "Examples:\n"
              "  orchestrator privacy epsilon --noise-multiplier 1.1 --sampling-rate 0.0042667 --steps 14063 "
              "--delta 1e-5\n"
              "  orchestrator privacy epsilon --event 1.1:0.0043:14063 --event 10:1:20 --delta 1e-5 --json",
    .options = epsilon_options,
    .run = epsilon_run,
    .needs_home = verbs_no_home,
};

const struct verb verb_privacy_sigma = {
    .name = "privacy sigma",
    .summary = "The least noise that keeps an epsilon",
    .arguments = "",
    .detail =
        "The noise multiplier for steps at a sampling rate, beside the events of --event, whose noise is "
        "given.\n"
        "Rounded up to seven digits. Exit status: 0 a figure, 2 the options are wrong or no noise would "
        "do.\n\n"
        "Example:\n"
        "  orchestrator privacy sigma --epsilon 3 --sampling-rate 0.0683 --steps 585 --delta 1e-5 --json",
    .options = sigma_options,
    .run = sigma_run,
    .needs_home = verbs_no_home,
};
