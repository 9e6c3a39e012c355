#include "audit/export.h"
#include "tests/unit/audit/sample.h"
#include "tests/vectors/audit_chain_certificate.h"

#define EVENTS 3

/* A site, its certificate's path, and an export of its events as text. */
struct scene {
    struct identity *identity;
    char certificate[SCRATCH_PATH_BYTES];
    char *text;
    size_t bytes;
    struct digest hashes[EVENTS + 1];
    const char *stated;      /* kind of event 3, of a site that is older than its chain */
    struct digest statement; /* its digest */
};

/* Of a site that is older than its chain: two events, and then its statement of them. */
static struct chain_event old_event(const struct scene *scene, uint64_t sequence)
{
    struct chain_event event = sample_event(sequence);
    if (sequence == 1)
        event.kind = "serve-started";
    if (sequence == 3)
        event = (struct chain_event){.sequence = 3,
                                     .at = 1790000120,
                                     .kind = scene->stated,
                                     .detail = "over 2 events",
                                     .digest = &scene->statement};
    return event;
}

/* Writes events `from` to EVENTS; the first `unsigned_events` have no hash. */
static void scene_write(struct scene *scene, uint64_t from, uint64_t unsigned_events)
{
    struct export_summary summary = {.site = *identity_id(scene->identity),
                                     .from = from,
                                     .to = EVENTS,
                                     .unsigned_events = unsigned_events};
    struct chain_head head = {summary.site, EVENTS, scene->hashes[EVENTS]};
    uint8_t signature[SIGNATURE_BYTES];
    free(scene->text);
    FILE *stream = open_memstream(&scene->text, &scene->bytes);
    assert_non_null(stream);
    (void)snprintf(summary.name, sizeof(summary.name), "%s", identity_name(scene->identity));
    succeeds(export_write_header(stream, &summary, &scene->hashes[from - 1]));
    for (uint64_t sequence = from; sequence <= EVENTS; sequence++) {
        struct chain_event event = sample_event(sequence);
        bool bare = sequence < from + unsigned_events;
        if (unsigned_events > 0)
            event = old_event(scene, sequence);
        succeeds(export_write_event(stream, &event, bare ? NULL : &scene->hashes[sequence]));
    }
    succeeds(chain_head_sign(scene->identity, &head, signature));
    succeeds(export_write_head(stream, &head, signature));
    assert_int_equal(fclose(stream), 0);
}

/* `stated` NULL: of a site that was made with its chain. */
static void scene_chain(struct scene *scene, const char *stated)
{
    scene->stated = stated;
    succeeds(chain_start(identity_id(scene->identity), &scene->hashes[0]));
    for (uint64_t sequence = 1; sequence <= EVENTS; sequence++) {
        if (sequence == 3)
            scene->statement = scene->hashes[2];
        struct chain_event event = stated == NULL ? sample_event(sequence) : old_event(scene, sequence);
        succeeds(chain_next(&scene->hashes[sequence - 1], &event, &scene->hashes[sequence]));
    }
}

static struct scene scene_make(const char *directory)
{
    struct scene scene = {.identity = sample_identity(directory)};
    (void)scratch_path(directory, "keys/identity.crt", scene.certificate);
    scene_chain(&scene, NULL);
    scene_write(&scene, 1, 0);
    return scene;
}

static void scene_clear(struct scene *scene)
{
    identity_free(scene->identity);
    free(scene->text);
}

static struct error *count_event(void *context, const struct chain_event *event, const struct digest *hash)
{
    uint64_t *count = context;
    (*count)++;
    assert_int_equal(event->sequence, *count);
    assert_non_null(hash);
    return NULL;
}

static struct error *verify_text(const struct scene *scene, const char *text, size_t bytes, uint64_t *count)
{
    struct export_summary summary;
    FILE *stream = fmemopen((void *)text, bytes, "r");
    assert_non_null(stream);
    struct error *err = export_verify(stream, "e.jsonl", scene->certificate,
                                      count == NULL ? NULL : count_event, count, &summary);
    (void)fclose(stream);
    if (err == NULL) {
        assert_true(digest_equal(&summary.head, &scene->hashes[EVENTS]));
        assert_true(site_id_equal(&summary.site, identity_id(scene->identity)));
        assert_int_equal(summary.to, EVENTS);
    }
    return err;
}

/* The export with `from` replaced by `to`, once. */
static struct error *verify_edited(const struct scene *scene, const char *from, const char *to)
{
    const char *at = strstr(scene->text, from);
    assert_non_null(at);
    size_t before = (size_t)(at - scene->text);
    size_t bytes = scene->bytes - strlen(from) + strlen(to);
    char *text = malloc(bytes + 1);
    assert_non_null(text);
    (void)snprintf(text, bytes + 1, "%.*s%s%s", (int)before, scene->text, to, at + strlen(from));
    struct error *err = verify_text(scene, text, bytes, NULL);
    free(text);
    return err;
}

/* Where line `number` begins, from 0. */
static const char *line_at(const char *text, size_t number)
{
    for (; number > 0; number--)
        text = strchr(text, '\n') + 1;
    return text;
}

static void test_export_verifies_with_the_certificate_alone(void **state)
{
    struct scene scene = scene_make(*state);
    uint64_t count = 0;
    succeeds(verify_text(&scene, scene.text, scene.bytes, &count));
    assert_int_equal(count, EVENTS);
    assert_non_null(strstr(scene.text, "\"detail\":\"Hôpital d'essai\""));
    scene_clear(&scene);
}

/* Written and signed by tests/vectors/audit_chain.py, which shares nothing with the code under test. */
static void test_export_of_the_vectors_verifies(void **state)
{
    char certificate[SCRATCH_PATH_BYTES], path[SCRATCH_PATH_BYTES];
    struct export_summary summary;
    struct digest head = sample_hash(3);
    (void)scratch_path(getenv("DATASITE_SOURCE_DIR"), "tests/fuzz/corpus/export/whole", path);
    (void)scratch_path(*state, "site.crt", certificate);
    scratch_write(certificate, VECTOR_CERTIFICATE, strlen(VECTOR_CERTIFICATE), 0644);
    FILE *stream = fopen(path, "r");
    assert_non_null(stream);
    succeeds(export_verify(stream, path, certificate, NULL, NULL, &summary));
    assert_int_equal(fclose(stream), 0);
    assert_true(digest_equal(&summary.head, &head));
    assert_string_equal(summary.name, "site");
}

static void test_export_of_the_newer_events_verifies(void **state)
{
    struct scene scene = scene_make(*state);
    scene_write(&scene, 3, 0);
    succeeds(verify_text(&scene, scene.text, scene.bytes, NULL));
    scene_clear(&scene);
}

static void test_export_of_a_site_older_than_its_chain_verifies(void **state)
{
    struct scene scene = scene_make(*state);
    scene_chain(&scene, "chain-started");
    scene_write(&scene, 1, 2);
    succeeds(verify_text(&scene, scene.text, scene.bytes, NULL));
    fails(verify_edited(&scene, "serve-started", "serve-stopped"), ERROR_UNTRUSTED);
    fails_saying(verify_edited(&scene, "\"unsigned\":2", "\"unsigned\":1"), ERROR_UNTRUSTED, "first line");
    scene_clear(&scene);
}

/* Hashes were wiped, and the site was led to go on: its signed head is over what others wrote. */
static void test_export_of_unsigned_events_that_nobody_stated_is_refused(void **state)
{
    struct scene scene = scene_make(*state);
    scene_chain(&scene, "serve-started");
    scene_write(&scene, 1, 2);
    fails_saying(verify_text(&scene, scene.text, scene.bytes, NULL), ERROR_UNTRUSTED,
                 "Events 1 to 2 were edited");
    scene_chain(&scene, "chain-started");
    scene_write(&scene, 1, 3);
    fails_saying(verify_text(&scene, scene.text, scene.bytes, NULL), ERROR_UNTRUSTED, "None of the events");
    scene_clear(&scene);
}

/* A statement of other events than those that are there. */
static void test_export_of_other_unsigned_events_is_refused(void **state)
{
    struct scene scene = scene_make(*state);
    scene_chain(&scene, "chain-started");
    scene.statement.bytes[0] ^= 1;
    struct chain_event event = old_event(&scene, 3);
    succeeds(chain_next(&scene.hashes[2], &event, &scene.hashes[3]));
    scene_write(&scene, 1, 2);
    fails_saying(verify_text(&scene, scene.text, scene.bytes, NULL), ERROR_UNTRUSTED,
                 "Events 1 to 2 were edited");
    scene_clear(&scene);
}

/* A hash that is taken out is found: this site was made with its chain. */
static void test_export_without_a_hash_is_refused(void **state)
{
    struct scene scene = scene_make(*state);
    scene_write(&scene, 1, 0);
    char hash[DIGEST_HEX_BYTES], field[DIGEST_HEX_BYTES + 16];
    for (size_t sequence = 1; sequence <= 2; sequence++) {
        digest_hex(&scene.hashes[sequence], hash);
        (void)snprintf(field, sizeof(field), ",\"hash\":\"%s\"", hash);
        fails_saying(verify_edited(&scene, field, ""), ERROR_UNTRUSTED, "its hash");
    }
    scene_clear(&scene);
}

static void test_export_with_any_one_byte_changed_is_refused(void **state)
{
    struct scene scene = scene_make(*state);
    for (size_t i = 0; i < scene.bytes; i++) {
        scene.text[i] ^= 1;
        struct error *err = verify_text(&scene, scene.text, scene.bytes, NULL);
        if (err == NULL)
            fail_msg("byte %zu can be changed: %.40s", i, scene.text + i);
        error_free(err);
        scene.text[i] ^= 1;
    }
    succeeds(verify_text(&scene, scene.text, scene.bytes, NULL));
    scene_clear(&scene);
}

static void test_export_that_is_cut_off_anywhere_is_refused(void **state)
{
    struct scene scene = scene_make(*state);
    for (size_t bytes = 1; bytes < scene.bytes; bytes++) {
        struct error *err = verify_text(&scene, scene.text, bytes, NULL);
        if (err == NULL)
            fail_msg("it can be cut off after %zu bytes", bytes);
        error_free(err);
    }
    fails_saying(verify_text(&scene, scene.text, (size_t)(line_at(scene.text, 3) - scene.text), NULL),
                 ERROR_UNTRUSTED, "truncated");
    scene_clear(&scene);
}

static void test_export_with_an_edited_event_names_it(void **state)
{
    struct scene scene = scene_make(*state);
    fails_saying(verify_edited(&scene, "from a researcher", "from nobody"), ERROR_UNTRUSTED,
                 "e.jsonl:3: Event 2 was edited");
    fails_saying(verify_edited(&scene, "\"round\":3", "\"round\":2"), ERROR_UNTRUSTED, "Event 3 was edited");
    scene_clear(&scene);
}

static void test_export_with_a_removed_event_names_it(void **state)
{
    struct scene scene = scene_make(*state);
    char *second = (char *)line_at(scene.text, 2);
    const char *third = line_at(scene.text, 3);
    memmove(second, third, strlen(third) + 1);
    fails_saying(verify_text(&scene, scene.text, strlen(scene.text), NULL), ERROR_UNTRUSTED,
                 "Event 2 was removed");
    scene_clear(&scene);
}

static void test_export_with_reordered_events_names_them(void **state)
{
    struct scene scene = scene_make(*state);
    const char *second = line_at(scene.text, 2), *third = line_at(scene.text, 3),
               *head = line_at(scene.text, 4);
    char *text = malloc(scene.bytes + 1);
    assert_non_null(text);
    (void)snprintf(text, scene.bytes + 1, "%.*s%.*s%.*s%s", (int)(second - scene.text), scene.text,
                   (int)(head - third), third, (int)(third - second), second, head);
    fails_saying(verify_text(&scene, text, scene.bytes, NULL), ERROR_UNTRUSTED,
                 "after event 1 comes event 3");
    free(text);
    scene_clear(&scene);
}

static void test_export_with_a_foreign_certificate_is_refused(void **state)
{
    struct scene scene = scene_make(*state);
    char keys[SCRATCH_PATH_BYTES];
    struct identity *other = NULL;
    succeeds(identity_create(scratch_path(*state, "other", keys), "site", &other));
    (void)scratch_path(*state, "other/identity.crt", scene.certificate);
    fails_saying(verify_text(&scene, scene.text, scene.bytes, NULL), ERROR_UNTRUSTED, "take the certificate");
    identity_free(other);
    scene_clear(&scene);
}

/* Somebody with another key who rewrote everything, and names the site all the same. */
static void test_export_signed_by_another_key_is_refused(void **state)
{
    struct scene scene = scene_make(*state), forged = scene;
    char keys[SCRATCH_PATH_BYTES], site[FINGERPRINT_BYTES], own[FINGERPRINT_BYTES];
    forged.text = NULL;
    succeeds(identity_create(scratch_path(*state, "other", keys), "site", &forged.identity));
    scene_write(&forged, 1, 0);
    site_id_format(identity_id(scene.identity), site);
    site_id_format(identity_id(forged.identity), own);
    fails_saying(verify_edited(&forged, own, site), ERROR_UNTRUSTED, "signature of the head");
    scene_clear(&forged);
    scene_clear(&scene);
}

static void test_export_in_another_form_is_refused(void **state)
{
    struct scene scene = scene_make(*state);
    char hash[DIGEST_HEX_BYTES + 2];
    fails_saying(verify_edited(&scene, "{\"sequence\":2,", "{ \"sequence\":2,"), ERROR_INVALID, "the form");
    fails_saying(verify_edited(&scene, "from a", "from \\u0061"), ERROR_INVALID, "the form");
    fails_saying(verify_edited(&scene, "\"round\":3,", ""), ERROR_UNTRUSTED, "Event 3 was edited");
    fails_saying(verify_edited(&scene, "\"detail\":\"\"", "\"detail\":\"\",\"more\":1"), ERROR_INVALID,
                 "more");
    digest_hex(&scene.hashes[1], hash);
    fails_saying(verify_edited(&scene, hash, "00"), ERROR_INVALID, "\"hash\"");
    scene_clear(&scene);
}

static void test_export_with_something_behind_the_head_is_refused(void **state)
{
    struct scene scene = scene_make(*state);
    char *text = malloc(scene.bytes + 3);
    assert_non_null(text);
    (void)snprintf(text, scene.bytes + 3, "%s{}", scene.text);
    fails(verify_text(&scene, text, scene.bytes + 2, NULL), ERROR_INVALID);
    (void)snprintf(text, scene.bytes + 3, "%s\n", scene.text);
    fails_saying(verify_text(&scene, text, scene.bytes + 1, NULL), ERROR_INVALID, "follows the head");
    free(text);
    scene_clear(&scene);
}

static void test_export_with_an_endless_line_is_refused(void **state)
{
    struct scene scene = scene_make(*state);
    size_t bytes = EXPORT_LINE_BYTES + 10;
    char *text = malloc(bytes);
    assert_non_null(text);
    memset(text, ' ', bytes);
    fails_saying(verify_text(&scene, text, bytes, NULL), ERROR_LIMIT, "e.jsonl:1");
    free(text);
    scene_clear(&scene);
}

static void test_export_of_a_text_that_is_not_utf8_is_not_written(void **state)
{
    (void)state;
    struct chain_event event = sample_event(1);
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    assert_non_null(stream);
    event.detail = "\xff";
    fails_saying(export_write_event(stream, &event, NULL), ERROR_INVALID, "Event 1");
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(bytes, 0);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_export_verifies_with_the_certificate_alone),
        SCRATCH_TEST(test_export_of_the_vectors_verifies),
        SCRATCH_TEST(test_export_of_the_newer_events_verifies),
        SCRATCH_TEST(test_export_of_a_site_older_than_its_chain_verifies),
        SCRATCH_TEST(test_export_of_unsigned_events_that_nobody_stated_is_refused),
        SCRATCH_TEST(test_export_of_other_unsigned_events_is_refused),
        SCRATCH_TEST(test_export_without_a_hash_is_refused),
        SCRATCH_TEST(test_export_with_any_one_byte_changed_is_refused),
        SCRATCH_TEST(test_export_that_is_cut_off_anywhere_is_refused),
        SCRATCH_TEST(test_export_with_an_edited_event_names_it),
        SCRATCH_TEST(test_export_with_a_removed_event_names_it),
        SCRATCH_TEST(test_export_with_reordered_events_names_them),
        SCRATCH_TEST(test_export_with_a_foreign_certificate_is_refused),
        SCRATCH_TEST(test_export_signed_by_another_key_is_refused),
        SCRATCH_TEST(test_export_in_another_form_is_refused),
        SCRATCH_TEST(test_export_with_something_behind_the_head_is_refused),
        SCRATCH_TEST(test_export_with_an_endless_line_is_refused),
        SCRATCH_TEST(test_export_of_a_text_that_is_not_utf8_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
