/* Mock rows as they come from a site: whole and true, or refused; saved in the forms that people read; trained on. */
#include "made_run.h"

#include "orchestrator/local_site.h"
#include "orchestrator/mock_data.h"

#define ROWS 200
#define FEATURES 2
#define CLASSES 2

/* A dataset of numbers that any job can learn, and its pages. */
struct made_mock {
    double values[ROWS * FEATURES];
    uint8_t data[ROWS * FEATURES * 8], labels[ROWS * 2], digest[32];
};

static char name[] = "zoo", numbers[] = WIRE_KIND_NUMBERS, bytes_kind[] = WIRE_KIND_BYTES;

static void make(struct made_mock *made)
{
    memset(made, 0, sizeof *made);
    for (size_t i = 0; i < ROWS; i++) {
        made->labels[2 * i] = (uint8_t)(i % CLASSES);
        made->values[i * FEATURES] = (i % CLASSES == 0 ? -1.0 : 1.0) + (double)(i % 7) / 10;
        made->values[i * FEATURES + 1] = (double)(i % 5) / 8;
    }
    wire_parameters_write(made->values, ROWS * FEATURES, made->data);
}

static Fds__Mock page_of(struct made_mock *made, size_t first, size_t rows)
{
    Fds__Mock page = FDS__MOCK__INIT;
    page.dataset = name;
    page.kind = numbers;
    page.rows = ROWS;
    page.features = FEATURES;
    page.classes = CLASSES;
    page.first_row = first;
    page.data = (ProtobufCBinaryData){rows * FEATURES * 8, made->data + first * FEATURES * 8};
    page.labels = (ProtobufCBinaryData){rows * 2, made->labels + first * 2};
    page.digest = (ProtobufCBinaryData){32, made->digest};
    return page;
}

/* SHA-256 of header and rows, written down here a second time. */
static void sign(struct made_mock *made)
{
    uint8_t text[32 + ROWS * (FEATURES * 8 + 2)] = {1};
    struct digest digest;
    text[8] = ROWS;
    text[16] = FEATURES;
    text[24] = CLASSES;
    for (size_t i = 0; i < ROWS; i++) {
        memcpy(text + 32 + i * (FEATURES * 8 + 2), made->data + i * FEATURES * 8, FEATURES * 8);
        memcpy(text + 32 + i * (FEATURES * 8 + 2) + FEATURES * 8, made->labels + 2 * i, 2);
    }
    made_fine(digest_of(text, sizeof text, &digest));
    memcpy(made->digest, digest.bytes, 32);
}

static struct mock_data collected(struct made_mock *made)
{
    struct mock_data mock = {0};
    for (size_t first = 0; first < ROWS; first += 80) {
        Fds__Mock page = page_of(made, first, ROWS - first < 80 ? ROWS - first : 80);
        assert_false(mock_data_is_whole(&mock));
        made_fine(mock_data_add(&mock, name, &page));
    }
    assert_true(mock_data_is_whole(&mock));
    return mock;
}

static void test_mock_data_pages_make_the_dataset(void **state)
{
    struct made_mock made;
    (void)state;
    make(&made);
    sign(&made);
    struct mock_data mock = collected(&made);
    made_fine(mock_data_check(&mock));
    assert_memory_equal(mock.data, made.data, sizeof made.data);
    mock_data_clear(&mock);
}

static void test_mock_data_of_another_digest_is_refused(void **state)
{
    struct made_mock made;
    (void)state;
    make(&made);
    sign(&made);
    made.labels[0] ^= 1;
    struct mock_data mock = collected(&made);
    made_refusal(mock_data_check(&mock), ERROR_UNTRUSTED, "do not have the digest");
    mock_data_clear(&mock);
}

/* Each change of a page that follows is noticed; nothing is written beyond the rows that were announced. */
static void test_mock_data_pages_that_do_not_follow_are_refused(void **state)
{
    struct made_mock made;
    char other[] = "other";
    (void)state;
    make(&made);
    for (int change = 0; change < 8; change++) {
        struct mock_data mock = {0};
        uint8_t another_digest[32] = {1};
        Fds__Mock first = page_of(&made, 0, 80), next = page_of(&made, 80, 80);
        made_fine(mock_data_add(&mock, name, &first));
        switch (change) {
        case 0:
            next.first_row = 0;
            break;
        case 1:
            next.first_row = 160;
            break;
        case 2:
            next.rows = ROWS + 1;
            break;
        case 3:
            next.features = FEATURES * 8;
            break;
        case 4:
            next.classes = 3;
            break;
        case 5:
            next.kind = bytes_kind;
            break;
        case 6:
            next.dataset = other;
            break;
        default:
            next.digest.data = another_digest;
            break;
        }
        made_refusal(mock_data_add(&mock, name, &next), ERROR_INVALID,
                     change == 6 ? "another dataset" : "changed");
        assert_int_equal(mock.got, 80);
        mock_data_clear(&mock);
    }
}

static void test_mock_data_saved_as_csv_names_the_columns(void **state)
{
    struct made_mock made;
    char label[] = "label", *columns[] = {label};
    Fds__DatasetSchema schema = FDS__DATASET_SCHEMA__INIT;
    make(&made);
    struct mock_data mock = collected(&made);
    schema.name = name;
    schema.kind = numbers;
    schema.features = FEATURES;
    schema.columns = columns;
    schema.n_columns = 1;
    made_fine(mock_data_save(&mock, &schema, *state));
    char *path = made_path(*state, "MOCK.csv");
    char *text = made_text(path);
    assert_int_equal(strncmp(text, "\"label\",value_2,class\n-1,0,0\n1.1,0.125,1\n", 41), 0);
    schema.features = FEATURES + 1;
    made_refusal(mock_data_save(&mock, &schema, *state), ERROR_INVALID, "do not have the form");
    free(text);
    free(path);
    mock_data_clear(&mock);
}

static struct job *job_of(const char *training)
{
    struct job *job = NULL;
    char text[1024];
    int length = snprintf(text, sizeof text,
                          "job: try\ndataset: zoo\nmodel: {kind: softmax-regression}\ntraining: %s\n"
                          "federation: {rounds: 2, min_sites: 1}\nseed: 3\nexpires: 2099-01-01T00:00:00Z\n"
                          "sites:\n  - {name: a, fingerprint: "
                          "\"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}\n",
                          training);
    made_fine(job_parse(text, (size_t)length, "job.yaml", &job));
    return job;
}

/* One round from zeros; the model goes to ret_model. */
static void train_once(const struct job *job, uint32_t position,
                       double ret_model[static(FEATURES + 1) * CLASSES], uint64_t *ret_right)
{
    struct made_mock made;
    struct local_site *site = NULL;
    struct training_result result;
    uint64_t counts[CLASSES * CLASSES];
    double zeros[(FEATURES + 1) * CLASSES] = {0};
    make(&made);
    struct mock_data mock = collected(&made);
    made_fine(local_site_open(&mock, job, position, 0, 0, &site));
    assert_null(mock.data);
    made_fine(local_site_train(site, 1, zeros, NULL, ret_model, &result));
    made_fine(local_site_count(site, true, ret_model, counts));
    assert_int_equal(counts[0] + counts[1] + counts[2] + counts[3] + local_site_train_rows(site), ROWS);
    *ret_right = counts[0] + counts[3];
    local_site_free(site);
}

static void test_local_site_learns_and_repeats_itself(void **state)
{
    static const char *const trainings[] = {"{optimizer: lbfgs, local_iterations: 10}",
                                            "{optimizer: sgd, batch_size: 1000000, local_epochs: 20}"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct job *job = job_of(trainings[i]);
        double a[(FEATURES + 1) * CLASSES], b[(FEATURES + 1) * CLASSES];
        uint64_t right = 0, again = 0;
        train_once(job, 0, a, &right);
        train_once(job, 0, b, &again);
        assert_memory_equal(a, b, sizeof a);
        assert_true(right > 20 && right == again);
        train_once(job, 1, b, &again); /* another site draws other test rows */
        assert_memory_not_equal(a, b, sizeof a);
        job_free(job);
    }
}

static void test_local_site_with_too_few_rows_is_refused(void **state)
{
    struct made_mock made;
    struct local_site *site = NULL;
    struct mock_data mock = {0};
    struct job *job = job_of("{optimizer: lbfgs}");
    (void)state;
    make(&made);
    Fds__Mock page = page_of(&made, 0, 1);
    page.rows = 1;
    made_fine(mock_data_add(&mock, name, &page));
    made_refusal(local_site_open(&mock, job, 0, 0, 0, &site), ERROR_INVALID, "too small");
    job_free(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mock_data_pages_make_the_dataset),
        cmocka_unit_test(test_mock_data_of_another_digest_is_refused),
        cmocka_unit_test(test_mock_data_pages_that_do_not_follow_are_refused),
        MADE_TEST(test_mock_data_saved_as_csv_names_the_columns),
        cmocka_unit_test(test_local_site_learns_and_repeats_itself),
        cmocka_unit_test(test_local_site_with_too_few_rows_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
