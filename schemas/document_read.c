#include "schemas/clock.h"
#include "schemas/document.h"
#include "schemas/number.h"
#include "schemas/text.h"

#define DOCUMENT_LIST_BYTES 512
#define DOCUMENT_KEY_BYTES 64 /* longer keys are not repeated in sentences */

/* --- Sentences --- */

/* Adds to a list of words in a sentence; a list too long for it ends early. */
static void document_append(char list[static DOCUMENT_LIST_BYTES], const char *between, const char *word)
{
    size_t at = strlen(list);
    (void)snprintf(list + at, DOCUMENT_LIST_BYTES - at, "%s%s", at == 0 ? "" : between, word);
}

static void document_word_list(const char *const *words, char ret_list[static DOCUMENT_LIST_BYTES])
{
    ret_list[0] = '\0';
    for (size_t i = 0; words[i] != NULL; i++)
        document_append(ret_list, words[i + 1] == NULL ? " or " : ", ", words[i]);
}

/* Levenshtein's distance of two words of at most DOCUMENT_KEY_BYTES bytes. */
static size_t document_distance(const char *a, const char *b)
{
    size_t row[DOCUMENT_KEY_BYTES + 1];
    size_t columns = strlen(b);
    for (size_t k = 0; k <= columns; k++)
        row[k] = k;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= columns; k++) {
            size_t change = diagonal + (a[i - 1] == b[k - 1] ? 0 : 1);
            size_t shorter = row[k] < row[k - 1] ? row[k] : row[k - 1];
            diagonal = row[k];
            row[k] = change < shorter + 1 ? change : shorter + 1;
        }
    }
    return row[columns];
}

/* The known key that the writer may have meant, or NULL. */
static const char *document_nearest(const struct document_key *keys, const char *name)
{
    const char *nearest = NULL;
    size_t best = strlen(name) / 3 + 2;
    if (strlen(name) > DOCUMENT_KEY_BYTES)
        return NULL;
    for (; keys->key != NULL; keys++) {
        size_t distance = document_distance(name, keys->key);
        if (distance < best) {
            best = distance;
            nearest = keys->key;
        }
    }
    return nearest;
}

static struct error *document_unknown_key(const struct document_value *key, const char *name,
                                          const struct document_key *keys)
{
    char list[DOCUMENT_LIST_BYTES] = "";
    const char *nearest = document_nearest(keys, name);
    for (const struct document_key *row = keys; row->key != NULL; row++)
        document_append(list, ", ", row->key);
    if (nearest != NULL)
        return document_error(key, ERROR_INVALID, "is not a known key; did you mean %s? Known here: %s.",
                              nearest, list);
    return document_error(key, ERROR_INVALID, "is not a known key. Known here: %s.", list);
}

static void document_real_range(const struct document_key *row, char *ret_range, size_t range_bytes)
{
    (void)snprintf(ret_range, range_bytes, "%s %.10g and %s %.10g", row->least_open ? "above" : "at least",
                   row->least, row->most_open ? "below" : "at most", row->most);
}

/* What would do, after "must be ". */
static void document_expected(const struct document_key *row, char ret_list[static DOCUMENT_LIST_BYTES])
{
    char list[DOCUMENT_LIST_BYTES] = "";
    switch (row->type) {
    case DOCUMENT_MAPPING:
        (void)snprintf(list, sizeof(list), "a mapping of keys");
        break;
    case DOCUMENT_COUNT:
        (void)snprintf(list, sizeof(list), "a whole number from %llu to %llu", (unsigned long long)row->first,
                       (unsigned long long)row->last);
        break;
    case DOCUMENT_REAL:
        document_real_range(row, list, sizeof(list));
        break;
    case DOCUMENT_RANGE:
        (void)snprintf(list, sizeof(list), "two numbers [low, high] ");
        document_real_range(row, list + strlen(list), sizeof(list) - strlen(list));
        break;
    case DOCUMENT_BOOLEAN:
        (void)snprintf(list, sizeof(list), "true or false");
        break;
    case DOCUMENT_WORD:
        document_word_list(row->words, list);
        break;
    case DOCUMENT_WORDS:
        (void)snprintf(list, sizeof(list), "a list of ");
        for (size_t i = 0; row->words[i] != NULL; i++)
            document_append(list, i == 0 ? "" : ", ", row->words[i]);
        break;
    case DOCUMENT_NAME:
        (void)snprintf(list, sizeof(list), "a name of 1 to %zu of A-Z a-z 0-9 . - _", row->bytes - 1);
        break;
    case DOCUMENT_TITLE:
        (void)snprintf(list, sizeof(list), "a name of 1 to %zu bytes without blanks at its ends",
                       row->bytes - 1);
        break;
    case DOCUMENT_TEXT:
        (void)snprintf(list, sizeof(list), "text of 1 to %zu bytes", row->bytes - 1);
        break;
    case DOCUMENT_FINGERPRINT:
        (void)snprintf(list, sizeof(list), "a fingerprint: sha256: and 64 lower-case hex digits");
        break;
    case DOCUMENT_DURATION:
        (void)snprintf(list, sizeof(list), "a duration from %llus to %lluh, such as 60s, 5m or 1h",
                       (unsigned long long)row->first, (unsigned long long)row->last / 3600);
        break;
    case DOCUMENT_TIME:
        (void)snprintf(list, sizeof(list), "a time in UTC such as 2027-01-31T00:00:00Z");
        break;
    case DOCUMENT_READER:
        (void)snprintf(list, sizeof(list), "given");
        break;
    }
    memcpy(ret_list, list, sizeof(list));
}

static struct error *document_refuse(const struct document_value *value, const struct document_key *row)
{
    char expected[DOCUMENT_LIST_BYTES];
    document_expected(row, expected);
    return document_error(value, ERROR_INVALID, "must be %s%s.", expected, row->nullable ? ", or null" : "");
}

/* --- Values --- */

/* Stores a number whose range the table keeps within the field's width. */
static void document_store(const struct document_key *row, uint64_t number, void *ret_field)
{
    uint32_t narrow = (uint32_t)number;
    if (row->bytes == sizeof(narrow))
        memcpy(ret_field, &narrow, sizeof(narrow));
    else
        memcpy(ret_field, &number, sizeof(number));
}

static struct error *document_read_count(const struct document_value *value, const struct document_key *row,
                                         void *ret_field)
{
    uint64_t number = 0;
    const char *text = document_scalar(value, true);
    if (text == NULL || !number_count(text, &number) || number < row->first || number > row->last)
        return document_refuse(value, row);
    document_store(row, number, ret_field);
    return NULL;
}

/* Other readers of YAML take 010 for eight, so a leading zero is refused. */
static bool document_leading_zero(const char *text)
{
    if (*text == '+' || *text == '-')
        text++;
    return text[0] == '0' && text[1] >= '0' && text[1] <= '9';
}

static struct error *document_read_real(const struct document_value *value, const struct document_key *row,
                                        void *ret_field)
{
    double number = 0;
    char range[DOCUMENT_LIST_BYTES];
    const char *text = document_scalar(value, true);
    if (text == NULL || !number_form(text) || document_leading_zero(text)) {
        document_real_range(row, range, sizeof(range));
        return document_error(value, ERROR_INVALID, "must be a number, %s.", range);
    }
    if (!number_real(text, &number))
        return document_refuse(value, row);
    bool above = row->least_open ? number > row->least : number >= row->least;
    bool below = row->most_open ? number < row->most : number <= row->most;
    if (!above || !below)
        return document_refuse(value, row);
    memcpy(ret_field, &number, sizeof(number));
    return NULL;
}

static struct error *document_read_range(const struct document_value *value, const struct document_key *row,
                                         void *ret_field)
{
    struct error *err = NULL;
    struct document_range range = {.given = true};
    struct document_key number = *row; /* for sentences about one of the two */
    struct document_value low;
    struct document_value high;
    size_t count = 0;
    number.type = DOCUMENT_REAL;
    err = document_list(value, 2, 2, &count);
    if (err != NULL) {
        error_free(err);
        return document_refuse(value, row);
    }
    low = document_element(value, 0);
    high = document_element(value, 1);
    TRY(document_read_real(&low, &number, &range.low));
    TRY(document_read_real(&high, &number, &range.high));
    if (range.low > range.high) {
        err =
            document_error(value, ERROR_INVALID, "must be [low, high]; the first number is the larger one.");
        goto done;
    }
    memcpy(ret_field, &range, sizeof(range));
done:
    return err;
}

static struct error *document_read_boolean(const struct document_value *value, void *ret_field)
{
    bool boolean = false;
    struct error *err = document_boolean(value, &boolean);
    if (err == NULL)
        memcpy(ret_field, &boolean, sizeof(boolean));
    return err;
}

static bool document_word_place(const char *text, const char *const *words, uint32_t *ret_place)
{
    for (uint32_t i = 0; words[i] != NULL; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_place = i;
            return true;
        }
    }
    return false;
}

static struct error *document_read_word(const struct document_value *value, const struct document_key *row,
                                        void *ret_field)
{
    uint32_t place = 0;
    const char *text = document_scalar(value, false);
    if (text == NULL || !document_word_place(text, row->words, &place))
        return document_refuse(value, row);
    memcpy(ret_field, &place, sizeof(place));
    return NULL;
}

static struct error *document_read_words(const struct document_value *value, const struct document_key *row,
                                         void *ret_field)
{
    struct error *err = NULL;
    uint32_t bits = 0;
    size_t count = 0;
    char words[DOCUMENT_LIST_BYTES];
    TRY(document_list(value, (size_t)row->first, 32, &count));
    document_word_list(row->words, words);
    for (size_t i = 0; i < count; i++) {
        struct document_value element = document_element(value, i);
        const char *text = document_scalar(&element, false);
        uint32_t place = 0;
        if (text == NULL || !document_word_place(text, row->words, &place)) {
            err = document_error(&element, ERROR_INVALID, "must be %s.", words);
            goto done;
        }
        bits |= UINT32_C(1) << place;
    }
    memcpy(ret_field, &bits, sizeof(bits));
done:
    return err;
}

static bool document_text_fits(const char *text, const struct document_key *row)
{
    size_t limit = row->bytes - 1;
    if (row->type == DOCUMENT_NAME)
        return text_name(text, limit);
    if (row->type == DOCUMENT_TITLE)
        return text_title(text, limit);
    if (row->type == DOCUMENT_FINGERPRINT)
        return text_fingerprint(text);
    return strlen(text) <= limit;
}

static struct error *document_read_text(const struct document_value *value, const struct document_key *row,
                                        void *ret_field)
{
    struct error *err = NULL;
    const char *text = NULL;
    TRY(document_text(value, &text));
    if (text[0] == '\0' || !document_text_fits(text, row)) {
        err = document_refuse(value, row);
        goto done;
    }
    memcpy(ret_field, text, strlen(text) + 1);
done:
    return err;
}

static struct error *document_read_duration(const struct document_value *value,
                                            const struct document_key *row, void *ret_field)
{
    int64_t seconds = 0;
    const char *text = document_scalar(value, false);
    struct error *reason = text == NULL ? NULL : clock_parse_duration(text, &seconds);
    bool fits =
        text != NULL && reason == NULL && (uint64_t)seconds >= row->first && (uint64_t)seconds <= row->last;
    error_clear(&reason);
    if (!fits)
        return document_refuse(value, row);
    document_store(row, (uint64_t)seconds, ret_field);
    return NULL;
}

static struct error *document_read_time(const struct document_value *value, const struct document_key *row,
                                        void *ret_field)
{
    int64_t seconds = 0;
    const char *text = document_scalar(value, false);
    struct error *reason = text == NULL ? NULL : clock_parse(text, &seconds);
    bool fits = text != NULL && reason == NULL;
    error_clear(&reason);
    if (!fits)
        return document_refuse(value, row);
    memcpy(ret_field, &seconds, sizeof(seconds));
    return NULL;
}

static struct error *document_read_value(const struct document_value *value, const struct document_key *row,
                                         void *ret_target)
{
    void *field = (char *)ret_target + row->offset;
    switch (row->type) {
    case DOCUMENT_MAPPING:
        return document_read(value, row->keys, ret_target);
    case DOCUMENT_COUNT:
        return document_read_count(value, row, field);
    case DOCUMENT_REAL:
        return document_read_real(value, row, field);
    case DOCUMENT_RANGE:
        return document_read_range(value, row, field);
    case DOCUMENT_BOOLEAN:
        return document_read_boolean(value, field);
    case DOCUMENT_WORD:
        return document_read_word(value, row, field);
    case DOCUMENT_WORDS:
        return document_read_words(value, row, field);
    case DOCUMENT_NAME:
    case DOCUMENT_TITLE:
    case DOCUMENT_TEXT:
    case DOCUMENT_FINGERPRINT:
        return document_read_text(value, row, field);
    case DOCUMENT_DURATION:
        return document_read_duration(value, row, field);
    case DOCUMENT_TIME:
        return document_read_time(value, row, field);
    case DOCUMENT_READER:
        return row->read(value, field);
    }
    return error_new(ERROR_INTERNAL, "A table of keys holds an unknown type; this is a bug.");
}

/* --- Mappings --- */

static const struct document_key *document_row(const struct document_key *keys, const char *name)
{
    for (; keys->key != NULL; keys++) {
        if (strcmp(keys->key, name) == 0)
            return keys;
    }
    return NULL;
}

static struct error *document_check_required(const struct document_value *mapping,
                                             const struct document_key *keys)
{
    char expected[DOCUMENT_LIST_BYTES];
    struct document_value ignored;
    for (; keys->key != NULL; keys++) {
        if (!keys->required || document_find(mapping, keys->key, &ignored))
            continue;
        document_expected(keys, expected);
        return document_error(mapping, ERROR_INVALID, "lacks the key %s, which must be %s.", keys->key,
                              expected);
    }
    return NULL;
}

struct error *document_read(const struct document_value *mapping, const struct document_key *keys,
                            void *ret_target)
{
    struct error *err = NULL;
    if (!document_is_mapping(mapping))
        return document_error(mapping, ERROR_INVALID, "must be a mapping of keys to values.");
    for (size_t i = 0; i < document_pairs(mapping); i++) {
        struct document_value key;
        struct document_value value;
        const char *name = document_pair(mapping, i, &key, &value);
        const struct document_key *row = document_row(keys, name);
        if (row == NULL) {
            err = document_unknown_key(&key, name, keys);
            goto done;
        }
        if (row->nullable && document_is_null(&value)) {
            if (row->null_clears)
                memset((char *)ret_target + row->offset, 0, row->bytes);
            continue;
        }
        TRY(document_read_value(&value, row, ret_target));
    }
    TRY(document_check_required(mapping, keys));
done:
    return err;
}
