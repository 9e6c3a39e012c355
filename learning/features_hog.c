#include "learning/features_hog.h"

#include <math.h>

#define CELL 4
#define ORIENTATIONS 9
#define DEGREES (180.0 / ORIENTATIONS) /* of one orientation */
#define BLOCK_CELLS 2
#define BLOCK_VALUES (BLOCK_CELLS * BLOCK_CELLS * ORIENTATIONS)
#define LEVELS 511 /* differences of two bytes */
#define REGULAR 4.0F
#define PI 3.14159265358979323846

/* What one gradient adds: part of its length to `orientation`, the rest to the next one around. */
struct vote {
    float first, second;
    uint8_t orientation, next;
};

/* Between which two cells a pixel lies along one side: the centre of a cell is between its second and third pixel. */
static const struct {
    size_t cell;  /* 0: the one before the pixel's own */
    float before; /* share of the first of the two; the rest is the second's */
} between[CELL] = {{0, 0.375F}, {0, 0.125F}, {1, 0.875F}, {1, 0.625F}};

struct features_hog {
    size_t rows, columns, cell_rows, cell_columns;
    size_t stride;      /* cell_columns + 2: the cells have a border around them, whose votes are lost */
    float *cells;       /* [(cell_rows + 2) × stride × ORIENTATIONS], of the image in hand */
    struct vote *votes; /* [LEVELS × LEVELS], by dy + 255 and dx + 255 */
};

static size_t hog_cell_bytes(const struct features_hog *hog)
{
    return (hog->cell_rows + 2) * hog->stride * ORIENTATIONS * sizeof(float);
}

static struct vote vote_of(int dx, int dy)
{
    double length = sqrt((double)(dx * dx + dy * dy));
    double angle = atan2((double)dy, (double)dx) * 180.0 / PI; /* -180 to 180 */
    double place = angle / DEGREES - 0.5;                      /* in orientations, 0 at the first centre */
    double below = floor(place);
    double share = place - below;
    int orientation = (int)below; /* -10 to 8: gradients that point opposite ways are one orientation */
    while (orientation < 0)
        orientation += ORIENTATIONS;
    return (struct vote){
        .first = (float)(length * (1.0 - share)),
        .second = (float)(length * share),
        .orientation = (uint8_t)orientation,
        .next = (uint8_t)((orientation + 1) % ORIENTATIONS),
    };
}

struct error *features_hog_new(size_t rows, size_t columns, struct features_hog **ret_hog)
{
    struct error *err = NULL;
    struct features_hog *hog = calloc(1, sizeof(*hog));
    if (hog == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the features of images.");
    hog->rows = rows;
    hog->columns = columns;
    hog->cell_rows = rows / CELL;
    hog->cell_columns = columns / CELL;
    hog->stride = hog->cell_columns + 2;
    hog->cells = calloc(1, hog_cell_bytes(hog));
    hog->votes = calloc((size_t)LEVELS * LEVELS, sizeof(*hog->votes));
    if (hog->cells == NULL || hog->votes == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the features of images.");
    for (int dy = -255; dy <= 255; dy++)
        for (int dx = -255; dx <= 255; dx++)
            hog->votes[(dy + 255) * LEVELS + dx + 255] = vote_of(dx, dy);
    *ret_hog = hog;
    hog = NULL;
done:
    features_hog_free(hog);
    return err;
}

void features_hog_free(struct features_hog *hog)
{
    if (hog == NULL)
        return;
    if (hog->cells != NULL)
        explicit_bzero(hog->cells, hog_cell_bytes(hog));
    free(hog->cells);
    free(hog->votes);
    free(hog);
}

size_t features_hog_count(size_t rows, size_t columns)
{
    return (rows / CELL - 1) * (columns / CELL - 1) * BLOCK_VALUES;
}

/* A pixel's vote, to the four cells around it. */
static void hog_vote(struct features_hog *hog, size_t row, size_t column, const struct vote *vote)
{
    size_t cell_row = row / CELL + between[row % CELL].cell;
    size_t cell_column = column / CELL + between[column % CELL].cell;
    const float rows[2] = {between[row % CELL].before, 1.0F - between[row % CELL].before};
    const float columns[2] = {between[column % CELL].before, 1.0F - between[column % CELL].before};
    for (size_t r = 0; r < 2; r++)
        for (size_t c = 0; c < 2; c++) {
            float *cell = hog->cells + ((cell_row + r) * hog->stride + cell_column + c) * ORIENTATIONS;
            cell[vote->orientation] += rows[r] * columns[c] * vote->first;
            cell[vote->next] += rows[r] * columns[c] * vote->second;
        }
}

static void hog_cells(struct features_hog *hog, const uint8_t *pixels)
{
    size_t last_row = hog->rows - 1;
    size_t last_column = hog->columns - 1;
    memset(hog->cells, 0, hog_cell_bytes(hog));
    for (size_t r = 0; r <= last_row; r++) {
        const uint8_t *row = pixels + r * hog->columns;
        const uint8_t *above = r == 0 ? row : row - hog->columns;
        const uint8_t *below = r == last_row ? row : row + hog->columns;
        for (size_t c = 0; c <= last_column; c++) {
            int dx = row[c == last_column ? c : c + 1] - row[c == 0 ? c : c - 1];
            int dy = below[c] - above[c];
            if (dx != 0 || dy != 0)
                hog_vote(hog, r, c, &hog->votes[(dy + 255) * LEVELS + dx + 255]);
        }
    }
}

static void hog_block(const struct features_hog *hog, size_t row, size_t column, float *ret_values)
{
    float squares = REGULAR;
    for (size_t cell = 0; cell < BLOCK_CELLS * BLOCK_CELLS; cell++)
        memcpy(ret_values + cell * ORIENTATIONS,
               hog->cells + ((row + 1 + cell / BLOCK_CELLS) * hog->stride + column + 1 + cell % BLOCK_CELLS) *
                                ORIENTATIONS,
               ORIENTATIONS * sizeof(float));
    for (size_t i = 0; i < BLOCK_VALUES; i++)
        squares += ret_values[i] * ret_values[i];
    float factor = 1.0F / sqrtf(squares);
    for (size_t i = 0; i < BLOCK_VALUES; i++)
        ret_values[i] *= factor;
}

void features_hog_image(struct features_hog *hog, const uint8_t *pixels, float *ret_values)
{
    size_t block_rows = hog->cell_rows - (BLOCK_CELLS - 1);
    size_t block_columns = hog->cell_columns - (BLOCK_CELLS - 1);
    hog_cells(hog, pixels);
    for (size_t r = 0; r < block_rows; r++)
        for (size_t c = 0; c < block_columns; c++)
            hog_block(hog, r, c, ret_values + (r * block_columns + c) * BLOCK_VALUES);
}
