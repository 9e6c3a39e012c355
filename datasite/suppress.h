/* Cell suppression of a confusion matrix: counts below a minimum are withheld, and with them enough other counts that
 * they cannot be computed back from what is published. Pure.
 *
 *     primary         a count below m = min_cell, zero included
 *     complementary   a count of m or more, withheld to protect primary ones
 *
 * Both are WIRE_WITHHELD in the result, so that neither a zero nor a complementary cell can be told from a small count.
 *
 * What a reader is taken to know: this file; m; how many test rows of every true class there are (in a round in which all
 * counts of a row leave they can be added up, and the test rows of a job are always the same); the number of right
 * answers when it is published. The promise, to a reader who tries this very file on every matrix that these facts allow:
 * each primary cell may still have been anything from 0 to m - 1. Of a true class with n < m - 1 test rows altogether no
 * count can be above n; there it is anything from 0 to n.
 *
 * How. A decision that depends on withheld counts would tell something about them, so every decision but the last is a
 * function of what is published in the end (simulatable, as Kenthapadi, Mishra and Nissim call it):
 *
 *   1. A row with a primary cell loses its primary cells and its diagonal. S, the sum of what is withheld, is known.
 *      With k primary cells off the diagonal, all of them can be 0 and m - 1, and the diagonal too, when S is in
 *      [m - 1, k (m - 1)]; above (k + 1)(m - 1) the diagonal is no primary cell and takes up any of their values.
 *   2. For any other S the whole row is withheld.
 *   3. The number of right answers gives away E, the wrong answers that are withheld in all rows together. It is
 *      published when m <= E <= C - m, where C is how many the rows can hold; below, E itself is small, and at the upper
 *      end the cells would have to be large. A row with S > E cannot have a primary diagonal (it would be S - E or
 *      more), so nothing is published when one has, nor when its S < 2 m - 1 leaves its other cells no room beside a
 *      diagonal of m; and such a row holds no more than S - m. That it was withheld leaves both ends possible, and
 *      between them every value of every cell.
 *
 * tests/unit/datasite/test_suppress.c is that reader, for all matrices with given row totals.
 *
 * Sources: cell suppression with complementary cells and interval protection: Willenborg and de Waal, "Elements of
 * Statistical Disclosure Control", Springer 2001, chapter 3; Hundepool, Domingo-Ferrer, Franconi, Giessing, Schulte
 * Nordholt, Spicer and de Wolf, "Statistical Disclosure Control", Wiley 2012, section 4.4. Decisions that tell nothing:
 * Kenthapadi, Mishra and Nissim, "Simulatable Auditing", PODS 2005; what happens otherwise: Wong, Fu, Wang and Pei,
 * "Minimality Attack in Privacy Preserving Data Publishing", VLDB 2007.
 *
 * What it does not do. Every matrix is judged by itself: the same rows counted under other models, rounds or test
 * fractions tell more together than each alone. Counts of m and more are exact. Nothing is said of how likely a value
 * is: it is no differential privacy. */
#pragma once

#include "schemas/error.h"

#include <stddef.h>
#include <stdint.h>

struct suppression {
    uint64_t test_rows;   /* of the whole matrix */
    uint64_t correct;     /* the diagonal's sum, or WIRE_WITHHELD */
    size_t cells;         /* withheld */
    size_t complementary; /* of them */
};

/* counts and ret_counts [classes][classes], true classes by row, at most 2^53 together; they do not overlap. With
 * min_cell 0, and with 1, below which a count can only be 0, everything is published. ERROR_MEMORY; on failure nothing is
 * written. */
MUST_USE struct error *suppress_confusion(const uint64_t *counts, size_t classes, uint64_t min_cell,
                                          uint64_t *ret_counts, struct suppression *ret_suppression);
