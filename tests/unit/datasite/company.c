#include "tests/unit/datasite/company.h"

#include "crypto/secagg_share.h"
#include "crypto/secagg_wire.h"
#include "datasite/store_internal.h"

/* ---- who ---- */

static struct identity *partner_new(const struct company *company, size_t number)
{
    struct identity *identity = NULL;
    char name[32], path[160];
    (void)snprintf(name, sizeof(name), "partner-%zu", number);
    must(identity_create(workspace_file(company->site->workspace, name, path), name, &identity));
    return identity;
}

static int identity_compare(const void *a, const void *b)
{
    return site_id_compare(identity_id(*(struct identity *const *)a),
                           identity_id(*(struct identity *const *)b));
}

static void make_roster(struct company *company)
{
    struct policy_gate *gate = &company->site->policy.gate;
    company->partners[0] = company->site->identity;
    for (size_t i = 1; i < COMPANY_SITES; i++)
        company->partners[i] = partner_new(company, i);
    qsort(company->partners, COMPANY_SITES, sizeof(company->partners[0]), identity_compare);
    gate->secure =
        (struct policy_secure_aggregation){.min_threshold = 3, .min_colluding = 1, .min_organisations = 2};
    for (size_t i = 0; i < COMPANY_SITES; i++) {
        company->roster[i] = *identity_id(company->partners[i]);
        company->everybody[i] = (uint32_t)i + 1;
        if (company->partners[i] == company->site->identity) {
            company->own = (uint32_t)i + 1;
            company->partners[i] = NULL;
            continue;
        }
        struct policy_partner *partner = &gate->partners[gate->partner_count++];
        site_id_format(&company->roster[i], partner->fingerprint);
        partner->organisation = (uint16_t)gate->partner_count;
    }
}

/* ---- the job ---- */

static void job_text(const struct company *company, const char *name, const char *more,
                     char text[static SITE_JOB_BYTES])
{
    int at = snprintf(text, SITE_JOB_BYTES,
                      "job: %s\ndataset: made\nmodel: {kind: softmax-regression}\n"
                      "training: {optimizer: lbfgs, local_iterations: 5}\n"
                      "evaluation: {test_fraction: 0.5, metrics: pooled}\n"
                      "federation: {rounds: %d, round_deadline: 60s}\nexpires: 2027-01-31T00:00:00Z\n"
                      "secure_aggregation: {enabled: true, key_batch: %d%s}\nsites:\n",
                      name, COMPANY_ROUNDS, COMPANY_BATCH, more);
    for (size_t i = 0; i < COMPANY_SITES; i++) {
        char fingerprint[FINGERPRINT_BYTES];
        site_id_format(&company->roster[i], fingerprint);
        at += snprintf(text + at, (size_t)(SITE_JOB_BYTES - at), "  - {name: s%zu, fingerprint: \"%s\"}\n", i,
                       fingerprint);
        assert_true(at < SITE_JOB_BYTES);
    }
}

void company_job(struct company *company, const char *name, const char *more)
{
    char text[SITE_JOB_BYTES];
    job_text(company, name, more, text);
    site_expect_state(site_submit(company->site, text), FDS__JOB_STATE__JOB_PENDING);
    site_approve(company->site, 0, 0, 0);
    company->run = (struct secagg_run){.job_hash = company->site->job_id,
                                       .roster = company->roster,
                                       .sites = COMPANY_SITES,
                                       .threshold = COMPANY_THRESHOLD};
    memcpy(company->run.run_id, company->site->run, STORE_RUN_ID_BYTES);
}

int company_make(void **state)
{
    struct company *company = calloc(1, sizeof(*company));
    void *site = NULL;
    if (company == NULL || site_make(&site) != 0)
        return -1;
    company->site = site;
    company->ledger = 100;
    make_roster(company);
    site_pause(company->site); /* so that the executor has the policy of now */
    site_resume(company->site);
    company_job(company, "summed", "");
    *state = company;
    return 0;
}

int company_begun(void **state)
{
    if (company_make(state) != 0)
        return -1;
    company_batch(*state, 0);
    return 0;
}

int company_masked(void **state)
{
    if (company_begun(state) != 0)
        return -1;
    company_mask(*state, 1, 0, 0, COMPANY_SITES, COMPANY_SITES - 1);
    return 0;
}

static void batch_clear(struct company *company)
{
    for (size_t i = 0; i < COMPANY_SITES; i++) {
        secagg_advert_clear(&company->adverts[i]);
        wire_advert_free(company->messages[i]);
        company->messages[i] = NULL;
        for (size_t slot = 0; slot < COMPANY_BATCH; slot++) {
            free(company->sealed[i][slot]);
            company->sealed[i][slot] = NULL;
        }
    }
    secagg_keyset_free(company->keyset);
    company->keyset = NULL;
}

int company_remove(void **state)
{
    struct company *company = *state;
    void *site = company->site;
    batch_clear(company);
    for (size_t i = 0; i < COMPANY_SITES; i++)
        identity_free(company->partners[i]);
    free(company);
    return site_remove(&site);
}

/* ---- messages ---- */

struct reply company_say(struct company *company, uint32_t type, const ProtobufCMessage *message)
{
    return site_ask(company->site, &company->site->researcher, true, type, message);
}

ProtobufCBinaryData company_copy(const void *bytes, size_t count)
{
    ProtobufCBinaryData data = {count, malloc(count + 1)};
    assert_non_null(data.data);
    memcpy(data.data, bytes, count);
    return data;
}

struct reply company_advertise(struct company *company, uint32_t first_slot, uint32_t count)
{
    Fds__Advertise message = FDS__ADVERTISE__INIT;
    message.job_id = (ProtobufCBinaryData){DIGEST_BYTES, company->site->job_id.bytes};
    message.run_id = (ProtobufCBinaryData){STORE_RUN_ID_BYTES, company->site->run};
    message.first_slot = first_slot;
    message.count = count;
    return company_say(company, FDS__MESSAGE_TYPE__MESSAGE_ADVERTISE, &message.base);
}

Fds__Share *company_share_message(struct company *company)
{
    Fds__Share *share = malloc(sizeof(*share));
    assert_non_null(share);
    fds__share__init(share);
    share->job_id = company_copy(company->site->job_id.bytes, DIGEST_BYTES);
    share->run_id = company_copy(company->site->run, STORE_RUN_ID_BYTES);
    share->n_adverts = COMPANY_SITES;
    share->adverts = calloc(COMPANY_SITES, sizeof(*share->adverts));
    assert_non_null(share->adverts);
    for (size_t i = 0; i < COMPANY_SITES; i++) {
        uint8_t *bytes = NULL;
        size_t count = 0;
        must(wire_encode(&company->messages[i]->base, &bytes, &count));
        must(wire_advert_decode(bytes, count, &share->adverts[i]));
        free(bytes);
    }
    return share;
}

struct reply company_share(struct company *company)
{
    Fds__Share *share = company_share_message(company);
    struct reply reply = company_say(company, FDS__MESSAGE_TYPE__MESSAGE_SHARE, &share->base);
    wire_share_free(share);
    return reply;
}

Fds__Agree *company_agree_message(struct company *company)
{
    Fds__Agree *agree = malloc(sizeof(*agree));
    assert_non_null(agree);
    fds__agree__init(agree);
    agree->job_id = company_copy(company->site->job_id.bytes, DIGEST_BYTES);
    agree->run_id = company_copy(company->site->run, STORE_RUN_ID_BYTES);
    agree->round = company->attempt.round;
    agree->attempt = company->attempt.attempt;
    agree->slot = company->attempt.slot;
    agree->n_inputs = company->u3.count;
    must(secagg_wire_make_inputs(company->inputs, company->u3.count, &agree->inputs));
    return agree;
}

struct reply company_agree(struct company *company)
{
    Fds__Agree *agree = company_agree_message(company);
    struct reply reply = company_say(company, FDS__MESSAGE_TYPE__MESSAGE_AGREE, &agree->base);
    wire_agree_free(agree);
    return reply;
}

Fds__Unmask *company_unmask_message(struct company *company)
{
    Fds__Unmask *unmask = malloc(sizeof(*unmask));
    assert_non_null(unmask);
    fds__unmask__init(unmask);
    unmask->job_id = company_copy(company->site->job_id.bytes, DIGEST_BYTES);
    unmask->run_id = company_copy(company->site->run, STORE_RUN_ID_BYTES);
    unmask->round = company->attempt.round;
    unmask->attempt = company->attempt.attempt;
    unmask->slot = company->attempt.slot;
    unmask->n_agreements = company->u3.count;
    must(secagg_wire_make_agreements(company->agreements, company->u3.count, &unmask->agreements));
    return unmask;
}

struct reply company_unmask(struct company *company)
{
    Fds__Unmask *unmask = company_unmask_message(company);
    struct reply reply = company_say(company, FDS__MESSAGE_TYPE__MESSAGE_UNMASK, &unmask->base);
    wire_unmask_free(unmask);
    return reply;
}

void company_expect(const struct reply *reply, uint32_t type)
{
    Fds__Refusal *refusal = NULL;
    if (reply->type == FDS__MESSAGE_TYPE__MESSAGE_REFUSAL &&
        wire_refusal_decode(reply->body, reply->body_bytes, &refusal) == NULL)
        fail_msg("refused: %s", refusal->sentence);
    assert_int_equal(reply->type, type);
}

/* ---- keys ---- */

static void partner_advertise(struct company *company, size_t i)
{
    struct secagg_advert *advert = &company->adverts[i];
    advert->first_slot = company->first_slot;
    advert->count = COMPANY_BATCH;
    advert->ledger_sequence = company->ledger;
    memset(advert->ledger_head.bytes, (int)company->ledger, DIGEST_BYTES);
    advert->entries = calloc(COMPANY_BATCH, sizeof(*advert->entries));
    assert_non_null(advert->entries);
    for (uint32_t slot = 0; slot < COMPANY_BATCH; slot++)
        must(
            secagg_slot_make(company->first_slot + slot, &company->secrets[i][slot], &advert->entries[slot]));
    must(secagg_advert_sign(company->partners[i], &company->run, advert));
    must(secagg_wire_make_advert(&company->run, advert, &company->messages[i]));
}

void company_partners_advertise(struct company *company, uint32_t first_slot)
{
    batch_clear(company);
    company->first_slot = first_slot;
    company->ledger++;
    for (size_t i = 0; i < COMPANY_SITES; i++)
        if (company->partners[i] != NULL)
            partner_advertise(company, i);
}

void company_take_advert(struct company *company, struct reply reply)
{
    size_t own = company->own - 1;
    company_expect(&reply, FDS__MESSAGE_TYPE__MESSAGE_ADVERT);
    must(wire_advert_decode(reply.body, reply.body_bytes, &company->messages[own]));
    must(secagg_wire_take_advert(&company->run, company->messages[own], &company->adverts[own]));
    requests_reply_clear(&reply);
}

void company_take_shares(struct company *company, struct reply reply)
{
    size_t own = company->own - 1, count = 0;
    Fds__Shares *shares = NULL;
    company_expect(&reply, FDS__MESSAGE_TYPE__MESSAGE_SHARES);
    must(wire_shares_decode(reply.body, reply.body_bytes, &shares));
    assert_int_equal(shares->first_slot, company->first_slot);
    assert_int_equal(shares->n_sealed, COMPANY_BATCH);
    must(secagg_keyset_make(&company->run, company->adverts, COMPANY_SITES, NULL, &company->keyset));
    for (uint32_t slot = 0; slot < COMPANY_BATCH; slot++) {
        assert_int_equal(shares->sealed[slot].len, (COMPANY_SITES - 1) * SECAGG_SEALED_BYTES);
        company->sealed[own][slot] = company_copy(shares->sealed[slot].data, shares->sealed[slot].len).data;
        for (size_t i = 0; i < COMPANY_SITES; i++)
            if (company->partners[i] != NULL)
                must(secagg_share_make(company->keyset, company->first_slot + slot, (uint32_t)i + 1,
                                       &company->secrets[i][slot], &company->sealed[i][slot], &count,
                                       &company->shares[i][slot]));
    }
    wire_shares_free(shares);
    requests_reply_clear(&reply);
}

void company_batch(struct company *company, uint32_t first_slot)
{
    company_partners_advertise(company, first_slot);
    company_take_advert(company, company_advertise(company, first_slot, COMPANY_BATCH));
    company_take_shares(company, company_share(company));
}
