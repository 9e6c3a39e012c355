#include "tests/unit/schemas/secagg_sample.h"

static ProtobufCBinaryData part(struct secagg_sample *s, size_t count)
{
    return (ProtobufCBinaryData){.len = count, .data = s->bytes};
}

static void make_lists(struct secagg_sample *s)
{
    for (uint32_t i = 0; i < SAMPLE_SITES; i++) {
        s->adverts[i] = s->advert;
        s->advert_list[i] = &s->adverts[i];
        fds__agreement_statement__init(&s->agreements[i]);
        s->agreements[i].position = i + 1;
        s->agreements[i].public_key = part(s, 32);
        s->agreements[i].signature = part(s, 64);
        s->agreement_list[i] = &s->agreements[i];
        fds__input_statement__init(&s->inputs[i]);
        s->inputs[i].position = i + 1;
        s->inputs[i].digest = part(s, 32);
        s->inputs[i].signature = part(s, 64);
        s->input_list[i] = &s->inputs[i];
        s->sharers[i] = s->contributors[i] = i + 1;
        s->words[i] = part(s, 24);
        s->revealed[41 * i] = (uint8_t)(1 + i % 2);
    }
    s->sealed[0] = s->sealed[1] = part(s, 196);
}

static void make_advert(struct secagg_sample *s)
{
    fds__advertise__init(&s->advertise);
    s->advertise.first_slot = 4;
    s->advertise.count = 2;
    s->advertise.witness = &s->witness;
    fds__advert__init(&s->advert);
    s->advert.first_slot = 4;
    s->advert.count = 2;
    s->advert.public_key = part(s, 32);
    s->advert.ledger_sequence = 17;
    s->advert.ledger_head = part(s, 32);
    s->advert.entries = part(s, 192);
    s->advert.signature = part(s, 64);
    s->advertise.job_id = s->advert.job_id = part(s, 32);
    s->advertise.run_id = s->advert.run_id = part(s, 16);
}

static void make_shares(struct secagg_sample *s)
{
    fds__share__init(&s->share);
    s->share.n_adverts = SAMPLE_SITES;
    s->share.adverts = s->advert_list;
    s->share.witness = &s->witness;
    fds__shares__init(&s->shares);
    s->shares.first_slot = 4;
    s->shares.n_sealed = 2;
    s->shares.sealed = s->sealed;
    s->share.job_id = s->shares.job_id = part(s, 32);
    s->share.run_id = s->shares.run_id = part(s, 16);
}

static void make_sum(struct secagg_sample *s)
{
    fds__sum__init(&s->sum);
    s->sum.job_id = part(s, 32);
    s->sum.run_id = part(s, 16);
    s->sum.round = 2;
    s->sum.slot = 5;
    s->sum.keyset_hash = s->sum.inputs_digest = s->sum.public_key = part(s, 32);
    s->sum.n_sharers = s->sum.n_contributors = SAMPLE_SITES;
    s->sum.sharers = s->sharers;
    s->sum.contributors = s->contributors;
    s->sum.n_agreements = SAMPLE_SITES;
    s->sum.agreements = s->agreement_list;
    s->sum.words = part(s, 24);
    s->sum.signature = part(s, 64);
    s->sum.n_inputs = SAMPLE_SITES;
    s->sum.inputs = s->words;
    s->sum.opened = part(s, (size_t)32 * SAMPLE_SITES);
    s->sum.n_adverts = SAMPLE_SITES;
    s->sum.adverts = s->advert_list;
    s->previous = s->sum;
    s->sum.witness = &s->witness;
}

static void make_mask(struct secagg_sample *s)
{
    fds__mask__init(&s->mask);
    s->mask.round = 3;
    s->mask.attempt = 1;
    s->mask.slot = 5;
    s->mask.model_digest = part(s, 32);
    s->mask.n_sharers = SAMPLE_SITES;
    s->mask.sharers = s->sharers;
    s->mask.sealed = part(s, 196);
    s->mask.previous = &s->previous;
    s->mask.witness = &s->witness;
    fds__masked_input__init(&s->masked_input);
    s->masked_input.round = 3;
    s->masked_input.attempt = 1;
    s->masked_input.slot = 5;
    s->masked_input.context = part(s, 32);
    s->masked_input.words = part(s, 24);
    s->masked_input.signature = part(s, 64);
    s->mask.job_id = s->masked_input.job_id = part(s, 32);
    s->mask.run_id = s->masked_input.run_id = part(s, 16);
}

static void make_end(struct secagg_sample *s)
{
    fds__agree__init(&s->agree);
    fds__agreement__init(&s->agreement);
    fds__unmask__init(&s->unmask);
    fds__unmasking__init(&s->unmasking);
    s->agree.job_id = s->agreement.job_id = s->unmask.job_id = s->unmasking.job_id = part(s, 32);
    s->agree.run_id = s->agreement.run_id = s->unmask.run_id = s->unmasking.run_id = part(s, 16);
    s->agree.round = s->agreement.round = s->unmask.round = s->unmasking.round = 3;
    s->agree.attempt = s->agreement.attempt = s->unmask.attempt = s->unmasking.attempt = 1;
    s->agree.slot = s->unmask.slot = 5;
    s->agree.n_inputs = SAMPLE_SITES;
    s->agree.inputs = s->input_list;
    s->agree.witness = s->unmask.witness = &s->witness;
    s->agreement.signature = part(s, 64);
    s->unmask.n_agreements = SAMPLE_SITES;
    s->unmask.agreements = s->agreement_list;
    s->unmasking.revealed = (ProtobufCBinaryData){.len = sizeof(s->revealed), .data = s->revealed};
}

void secagg_sample_make(struct secagg_sample *ret_sample)
{
    struct secagg_sample *s = ret_sample;
    memset(s, 0, sizeof(*s));
    for (size_t i = 0; i < sizeof(s->bytes); i++)
        s->bytes[i] = (uint8_t)(i + 1);
    fds__witness__init(&s->witness);
    s->witness.sequence = 9;
    s->witness.head = part(s, 32);
    s->witness.signature = part(s, 64);
    make_advert(s);
    make_lists(s);
    make_shares(s);
    make_sum(s);
    make_mask(s);
    make_end(s);
}
