/* Privacy is accounted beside the socket thread: whoever submits a job that takes the accountant long keeps nobody else waiting. */
#include "datasite/accountant.h"

#include "crypto/privacy_plan.h"
#include "datasite/budget.h"
#include "tests/unit/datasite/private_job.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PATIENCE_MS 60000

/* Who asks the accountant for what takes time. */
static pthread_t socket_thread;
static atomic_int asked_here, asked_beside;
struct error *__real_privacy_plan_epsilon(const struct job *job, enum privacy_accountant accountant,
                                          uint32_t rounds, uint32_t evaluations, double *ret_epsilon);
struct error *__wrap_privacy_plan_epsilon(const struct job *job, enum privacy_accountant accountant,
                                          uint32_t rounds, uint32_t evaluations, double *ret_epsilon);
struct error *__wrap_privacy_plan_epsilon(const struct job *job, enum privacy_accountant accountant,
                                          uint32_t rounds, uint32_t evaluations, double *ret_epsilon)
{
    if (accountant == PRIVACY_PLD && pthread_equal(pthread_self(), socket_thread))
        asked_here++;
    else if (accountant == PRIVACY_PLD)
        asked_beside++;
    return __real_privacy_plan_epsilon(job, accountant, rounds, evaluations, ret_epsilon);
}

static struct site *open_site(void **state, int *ret_wake)
{
    struct site *site = *state;
    socket_thread = pthread_self();
    asked_here = asked_beside = 0;
    *ret_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(*ret_wake >= 0);
    must(accountant_open(store_epsilons(site->store), *ret_wake, &site->requests.accountant));
    return site;
}

static void close_site(struct site *site, int wake)
{
    accountant_close(site->requests.accountant);
    site->requests.accountant = NULL;
    (void)close(wake);
}

static struct reply submit_as(struct site *site, const struct site_id *peer, bool listed, const char *text)
{
    uint8_t *body = NULL;
    struct reply reply = {.type = 0};
    Fds__Submit message = FDS__SUBMIT__INIT;
    struct request request = {.peer = *peer,
                              .peer_name = "researcher",
                              .listed = listed,
                              .type = FDS__MESSAGE_TYPE__MESSAGE_SUBMIT,
                              .number = ++site->number};
    message.job = (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
    must(wire_encode(&message.base, &body, &request.body_bytes));
    request.body = body;
    requests_answer(&site->requests, &request, &reply);
    free(body);
    return reply;
}

static struct reply submit(struct site *site, const char *text)
{
    return submit_as(site, &site->researcher, true, text);
}

/* The reply to the next request that was put aside. */
static struct reply accounted(struct site *site, int wake)
{
    struct parked_request parked;
    struct reply reply = {.type = 0};
    struct pollfd ready = {.fd = wake, .events = POLLIN};
    while (!requests_accounted(&site->requests, &parked)) {
        uint64_t count = 0;
        assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
        assert_int_equal(read(wake, &count, sizeof(count)), sizeof(count));
    }
    struct request request = {.peer = parked.peer,
                              .peer_name = parked.peer_name,
                              .listed = true,
                              .type = parked.type,
                              .number = parked.number,
                              .body = parked.body,
                              .body_bytes = parked.body_bytes,
                              .accounted = true};
    requests_answer(&site->requests, &request, &reply);
    free(parked.body);
    return reply;
}

static void job_text(const struct site *site, const char *name, const char *privacy,
                     char ret_text[static SITE_JOB_BYTES])
{
    private_job(site, &(struct private_words){.name = name, .privacy = privacy}, ret_text);
}

static void test_attack_submit_is_never_accounted_on_the_socket_thread(void **state)
{
    int wake = -1;
    struct site *site = open_site(state, &wake);
    char text[SITE_JOB_BYTES], other[SITE_JOB_BYTES];
    must(budget_set(site->store, site->identity, "made", &(struct budget_cap){1e-3, 1e-4, BUDGET_SUM},
                    SITE_NOW));
    job_text(site, "first", PRIVATE_DP_SGD, text);
    job_text(site, "second", PRIVATE_DP_SGD, other);
    assert_true(submit(site, text).later);
    assert_int_equal(site_count(site, "SELECT count(*) FROM job"), 0);
    site_expect_refusal(accounted(site, wake), ERROR_REFUSED, "are left.");
    site_expect_refusal(submit(site, text), ERROR_REFUSED, "are left."); /* known by now */
    site_expect_refusal(submit(site, other), ERROR_REFUSED, "are left.");
    assert_true(asked_here == 0 && asked_beside == 1);
    close_site(site, wake);
}

/* With a target each of two figures is asked for once, and then for the approval of a rule. */
static void test_submit_is_accounted_once_for_all_that_asks(void **state)
{
    int wake = -1;
    struct site *site = open_site(state, &wake);
    char text[SITE_JOB_BYTES];
    job_text(site, "aimed",
             "{mechanism: site-level, clip: 1, noise_multiplier: 8, target_epsilon: 20, delta: 1e-5}", text);
    assert_true(submit(site, text).later);
    site_expect_state(accounted(site, wake), FDS__JOB_STATE__JOB_PENDING);
    must(digest_of(text, strlen(text), &site->job_id));
    site_approve(site, 0, 1, 0);
    site_expect_state(submit(site, text), FDS__JOB_STATE__JOB_APPROVED);
    assert_true(asked_here == 0 && asked_beside == 2);
    close_site(site, wake);
}

/* One peer does not fill the room of all. */
static void test_attack_submit_of_one_peer_waits_in_few_places(void **state)
{
    int wake = -1;
    struct site *site = open_site(state, &wake);
    char text[SITE_JOB_BYTES], privacy[160];
    size_t waiting = 0;
    for (int i = 0; i < ACCOUNTANT_OF_PEER + 3; i++) {
        (void)snprintf(privacy, sizeof(privacy),
                       "{mechanism: dp-sgd, clip: 1, noise_multiplier: %d, delta: 1e-5, sampling_rate: 0.1}",
                       8 + i);
        job_text(site, "many", privacy, text);
        struct reply reply = submit(site, text);
        if (reply.later)
            waiting++;
        else
            site_expect_refusal(reply, ERROR_BUSY, "ask again");
    }
    assert_int_equal(waiting, ACCOUNTANT_OF_PEER);
    for (; waiting > 0; waiting--)
        site_expect_state(accounted(site, wake), FDS__JOB_STATE__JOB_PENDING);
    assert_int_equal(site_count(site, "SELECT count(*) FROM job"), ACCOUNTANT_OF_PEER);
    assert_true(asked_here == 0);
    close_site(site, wake);
}

/* All whom the owner does not know share few places, and a listed peer finds one. */
static void test_attack_submit_of_a_crowd_keeps_no_listed_peer_waiting(void **state)
{
    int wake = -1;
    struct site *site = open_site(state, &wake);
    char text[SITE_JOB_BYTES], privacy[160];
    size_t waiting = 0;
    for (int i = 0; i < ACCOUNTANT_WAITING + 1; i++) {
        struct site_id stranger = {{{0}}};
        stranger.digest.bytes[0] = (uint8_t)(i + 1);
        (void)snprintf(privacy, sizeof(privacy),
                       "{mechanism: dp-sgd, clip: 1, noise_multiplier: %d, delta: 1e-5, sampling_rate: 0.1}",
                       8 + i);
        job_text(site, "crowd", privacy, text);
        struct reply reply = submit_as(site, &stranger, false, text);
        if (reply.later)
            waiting++;
        else
            site_expect_refusal(reply, ERROR_BUSY, "ask again");
    }
    assert_int_equal(waiting, ACCOUNTANT_OF_LOBBY);
    job_text(site, "known", PRIVATE_DP_SGD, text);
    assert_true(submit(site, text).later);
    close_site(site, wake);
}

/* Whoever waits when the site stops gets no answer, and nothing is left. */
static void test_accountant_closes_with_requests_that_wait(void **state)
{
    int wake = -1;
    struct site *site = open_site(state, &wake);
    char text[SITE_JOB_BYTES];
    job_text(site, "left", PRIVATE_DP_SGD, text);
    assert_true(submit(site, text).later);
    close_site(site, wake);
    assert_int_equal(site_count(site, "SELECT count(*) FROM job"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, site_make, site_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_attack_submit_is_never_accounted_on_the_socket_thread),
        TEST(test_submit_is_accounted_once_for_all_that_asks),
        TEST(test_attack_submit_of_one_peer_waits_in_few_places),
        TEST(test_attack_submit_of_a_crowd_keeps_no_listed_peer_waiting),
        TEST(test_accountant_closes_with_requests_that_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
