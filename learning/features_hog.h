/* The histogram of oriented gradients that features.h describes. Internal to this room. */
#pragma once

#include "schemas/error.h"

struct features_hog; /* the tables for images of one size; about 2 MB */

/* rows and columns as features_count accepts them. */
MUST_USE struct error *features_hog_new(size_t rows, size_t columns, struct features_hog **ret_hog);
void features_hog_free(struct features_hog *hog); /* accepts NULL */

/* How many features an image has. */
size_t features_hog_count(size_t rows, size_t columns);

/* One image [rows × columns] to [features_hog_count] features. */
void features_hog_image(struct features_hog *hog, const uint8_t *pixels, float *ret_values);
