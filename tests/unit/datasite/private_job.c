#include "tests/unit/datasite/private_job.h"

static const char *or_else(const char *text, const char *otherwise)
{
    return text == NULL ? otherwise : text;
}

/* "key: value", or nothing where the value is "". */
static void line(char *text, const char *key, const char *value)
{
    size_t used = strlen(text);
    if (value[0] == '\0')
        return;
    int length = snprintf(text + used, SITE_JOB_BYTES - used, "%s: %s\n", key, value);
    assert_true(length > 0 && (size_t)length < SITE_JOB_BYTES - used);
}

void private_job(const struct site *site, const struct private_words *words,
                 char ret_text[static SITE_JOB_BYTES])
{
    char own[FINGERPRINT_BYTES], federation[128], examples[64] = "";
    site_id_format(identity_id(site->identity), own);
    (void)snprintf(federation, sizeof(federation), "{rounds: %u, %s}", words->rounds == 0 ? 3 : words->rounds,
                   or_else(words->federation, "min_sites: 1"));
    const char *declared = or_else(words->examples, "3000");
    if (declared[0] != '\0')
        (void)snprintf(examples, sizeof(examples), ", examples: %s", declared);
    ret_text[0] = '\0';
    line(ret_text, "job", or_else(words->name, "private"));
    line(ret_text, "dataset", "made");
    line(ret_text, "model", or_else(words->model, "{kind: softmax-regression}"));
    line(ret_text, "training",
         or_else(words->training, "{optimizer: sgd, learning_rate: 0.5, momentum: 0.5}"));
    line(ret_text, "evaluation", or_else(words->evaluation, "{test_fraction: 0.5}"));
    line(ret_text, "federation", federation);
    line(ret_text, "privacy", or_else(words->privacy, PRIVATE_DP_SGD));
    line(ret_text, "features", or_else(words->features, ""));
    line(ret_text, "expires", "2027-01-31T00:00:00Z");
    size_t used = strlen(ret_text);
    (void)snprintf(ret_text + used, SITE_JOB_BYTES - used,
                   "sites:\n  - {name: site, fingerprint: \"%s\"%s}\n", own, examples);
}

void private_approved(struct site *site, const struct private_words *words, uint32_t runs)
{
    char text[SITE_JOB_BYTES];
    private_job(site, words, text);
    site_expect_state(site_submit(site, text), FDS__JOB_STATE__JOB_PENDING);
    site_approve(site, 0, runs, 0);
}

Fds__Update *private_update(const struct site *site, struct reply reply)
{
    Fds__Update *update = NULL;
    struct reply opened = site_opened(site, reply);
    assert_int_equal(opened.type, FDS__MESSAGE_TYPE__MESSAGE_UPDATE);
    must(wire_update_decode(opened.body, opened.body_bytes, &update));
    requests_reply_clear(&opened);
    return update;
}

Fds__Evaluation *private_evaluation(const struct site *site, struct reply reply)
{
    Fds__Evaluation *evaluation = NULL;
    struct reply opened = site_opened(site, reply);
    assert_int_equal(opened.type, FDS__MESSAGE_TYPE__MESSAGE_EVALUATION);
    must(wire_evaluation_decode(opened.body, opened.body_bytes, &evaluation));
    requests_reply_clear(&opened);
    return evaluation;
}
