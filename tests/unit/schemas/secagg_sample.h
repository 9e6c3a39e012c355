/* One valid message of each step of secure aggregation, of three sites and one batch of two slots, for a test to change. */
#pragma once

#include "schemas/wire.h"

#define SAMPLE_SITES 3

struct secagg_sample {
    Fds__Advertise advertise;
    Fds__Advert advert;
    Fds__Share share;
    Fds__Shares shares;
    Fds__Mask mask;
    Fds__MaskedInput masked_input;
    Fds__Agree agree;
    Fds__Agreement agreement;
    Fds__Unmask unmask;
    Fds__Unmasking unmasking;
    Fds__Sum sum;
    /* What they point to. */
    Fds__Witness witness;
    Fds__Advert adverts[SAMPLE_SITES], *advert_list[SAMPLE_SITES];
    Fds__AgreementStatement agreements[SAMPLE_SITES], *agreement_list[SAMPLE_SITES];
    Fds__InputStatement inputs[SAMPLE_SITES], *input_list[SAMPLE_SITES];
    Fds__Sum previous;
    uint32_t sharers[SAMPLE_SITES], contributors[SAMPLE_SITES];
    ProtobufCBinaryData sealed[2], words[SAMPLE_SITES];
    uint8_t bytes[256], revealed[3 * 41];
};

/* *ret_sample must not be moved: it points into itself. */
void secagg_sample_make(struct secagg_sample *ret_sample);
