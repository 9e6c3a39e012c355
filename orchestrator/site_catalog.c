#include "orchestrator/site_catalog.h"

#include "schemas/clock.h"

#define CATALOG_STOP_MS 200  /* between two looks at `stop` */
#define CATALOG_AGAIN_MS 500 /* before a site is asked again that said: later */

struct asking {
    struct session *session;
    const struct site_catalog_plan *plan;
    struct site_catalog *catalogs;
    size_t count;
    int64_t connected_by; /* monotonic ms */
};

void site_catalog_clear(struct site_catalog *catalog)
{
    for (size_t i = 0; i < catalog->page_count; i++)
        wire_catalog_free(catalog->pages[i]);
    free(catalog->pages);
    free(catalog->datasets);
    mock_data_clear(&catalog->mock);
    *catalog = (struct site_catalog){0};
}

const struct site_dataset *site_catalog_find(const struct site_catalog *catalog, const char *name)
{
    for (size_t i = 0; i < catalog->dataset_count; i++)
        if (strcmp(catalog->datasets[i].schema->name, name) == 0)
            return &catalog->datasets[i];
    return NULL;
}

static void settle(struct site_catalog *catalog, const char *reason)
{
    catalog->settled = true;
    if (reason != NULL)
        (void)snprintf(catalog->reason, sizeof catalog->reason, "%.*s", SESSION_SENTENCE_BYTES - 1, reason);
}

/* ---- asking ---- */

static struct error *ask_catalog(const struct asking *asking, struct site_catalog *catalog)
{
    struct error *err = NULL;
    static char beginning[] = "";
    uint8_t *body = NULL;
    size_t bytes = 0;
    Fds__CatalogQuery query = FDS__CATALOG_QUERY__INIT;
    query.after = beginning;
    if (catalog->dataset_count > 0)
        query.after = catalog->datasets[catalog->dataset_count - 1].schema->name;
    TRY(wire_encode(&query.base, &body, &bytes));
    TRY(session_request(asking->session, &catalog->id, FDS__MESSAGE_TYPE__MESSAGE_CATALOG_QUERY, body, bytes,
                        &catalog->number));
done:
    free(body);
    return err;
}

static struct error *ask_mock(const struct asking *asking, struct site_catalog *catalog)
{
    struct error *err = NULL;
    uint8_t *body = NULL;
    size_t bytes = 0;
    Fds__MockQuery query = FDS__MOCK_QUERY__INIT;
    query.dataset = catalog->datasets[catalog->fetching].schema->name;
    query.first_row = catalog->mock.got;
    TRY(wire_encode(&query.base, &body, &bytes));
    TRY(session_request(asking->session, &catalog->id, FDS__MESSAGE_TYPE__MESSAGE_MOCK_QUERY, body, bytes,
                        &catalog->number));
done:
    free(body);
    return err;
}

static bool is_wanted(const struct asking *asking, const Fds__DatasetSchema *schema)
{
    const char *dataset = asking->plan->dataset;
    return asking->plan->on_mock != NULL && schema->mock_rows > 0 &&
           (dataset == NULL || strcmp(schema->name, dataset) == 0);
}

/* The next thing that is wanted of the site, or none. */
static struct error *ask_next(const struct asking *asking, struct site_catalog *catalog)
{
    catalog->ask_at = 0;
    if (!catalog->answered)
        return ask_catalog(asking, catalog);
    while (catalog->fetching < catalog->dataset_count &&
           !is_wanted(asking, catalog->datasets[catalog->fetching].schema))
        catalog->fetching++;
    if (catalog->fetching < catalog->dataset_count)
        return ask_mock(asking, catalog);
    settle(catalog, NULL);
    return NULL;
}

/* ---- answers ---- */

/* Keeps the page, whose messages the datasets point to. */
static struct error *take_page(struct site_catalog *catalog, Fds__Catalog *page)
{
    struct error *err = NULL;
    Fds__Catalog **pages = realloc(catalog->pages, (catalog->page_count + 1) * sizeof *pages);
    if (pages == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the datasets of a site.");
    catalog->pages = pages;
    struct site_dataset *datasets =
        realloc(catalog->datasets, (catalog->dataset_count + page->n_datasets + 1) * sizeof *datasets);
    if (datasets == NULL)
        FAIL(ERROR_MEMORY, "There is not enough memory for the datasets of a site.");
    catalog->datasets = datasets;
    pages[catalog->page_count++] = page;
    for (size_t i = 0; i < page->n_datasets; i++)
        datasets[catalog->dataset_count++] = (struct site_dataset){.schema = page->datasets[i]};
    page = NULL;
done:
    wire_catalog_free(page);
    return err;
}

/* A site that starts from the beginning again and again would keep us for ever. */
static bool goes_on(const struct site_catalog *catalog, const Fds__Catalog *page)
{
    return catalog->dataset_count == 0 || page->n_datasets == 0 ||
           strcmp(catalog->datasets[catalog->dataset_count - 1].schema->name, page->datasets[0]->name) < 0;
}

static struct error *take_catalog(struct site_catalog *catalog, const struct session_event *event)
{
    struct error *err = NULL;
    Fds__Catalog *page = NULL;
    TRY(wire_catalog_decode(event->body, event->body_bytes, &page));
    if (!goes_on(catalog, page))
        FAIL(ERROR_INVALID, "Its list of datasets goes round in a circle.");
    catalog->answered = !page->more || catalog->dataset_count + page->n_datasets >= SITE_CATALOG_MAX;
    err = take_page(catalog, page);
    page = NULL;
    if (err == NULL && catalog->answered)
        catalog->reason[0] = '\0';
done:
    wire_catalog_free(page);
    return err;
}

static struct error *take_mock(const struct asking *asking, struct site_catalog *catalog,
                               const struct session_event *event)
{
    struct error *err = NULL;
    struct site_dataset *dataset = &catalog->datasets[catalog->fetching];
    Fds__Mock *page = NULL;
    TRY(wire_mock_decode(event->body, event->body_bytes, &page));
    TRY(mock_data_add(&catalog->mock, dataset->schema->name, page));
    if (!mock_data_is_whole(&catalog->mock))
        goto done;
    TRY(mock_data_check(&catalog->mock));
    TRY(asking->plan->on_mock(asking->plan->context, catalog, dataset, &catalog->mock));
    dataset->fetched = true;
    mock_data_clear(&catalog->mock);
    catalog->fetching++;
done:
    wire_mock_free(page);
    return err;
}

/* What a Refusal says; anything else is not an answer. */
static struct error *take_refusal(const struct session_event *event)
{
    struct error *err = NULL;
    Fds__Refusal *refusal = NULL;
    if (event->type != FDS__MESSAGE_TYPE__MESSAGE_REFUSAL)
        return error_new(ERROR_INVALID, "It answered with a message of another kind.");
    TRY(wire_refusal_decode(event->body, event->body_bytes, &refusal));
    err = wire_refusal_error(refusal);
done:
    wire_refusal_free(refusal);
    return err;
}

/* Busy, or too many requests in a short time: that passes. */
static bool may_pass(enum error_code code)
{
    return code == ERROR_BUSY || code == ERROR_LIMIT;
}

/* What is wrong with an answer is said of the site, or of the one dataset. Consumes the error. */
static void answer_failed(struct site_catalog *catalog, struct error *err, bool refused)
{
    if (refused && may_pass(err->code))
        catalog->ask_at = clock_monotonic_ms() + CATALOG_AGAIN_MS;
    if (!catalog->answered && catalog->ask_at == 0)
        settle(catalog, err->sentence);
    if (catalog->answered && catalog->ask_at == 0) {
        struct site_dataset *dataset = &catalog->datasets[catalog->fetching++];
        (void)snprintf(dataset->reason, sizeof dataset->reason, "%.*s", SESSION_SENTENCE_BYTES - 1,
                       err->sentence);
        mock_data_clear(&catalog->mock);
    }
    error_free(err);
}

static struct error *take_answer(const struct asking *asking, struct site_catalog *catalog,
                                 const struct session_event *event)
{
    struct error *err = NULL;
    uint32_t wanted =
        catalog->answered ? FDS__MESSAGE_TYPE__MESSAGE_MOCK : FDS__MESSAGE_TYPE__MESSAGE_CATALOG;
    bool refused = event->type != wanted;
    catalog->number = 0;
    if (refused)
        err = take_refusal(event);
    else if (catalog->answered)
        err = take_mock(asking, catalog, event);
    else
        err = take_catalog(catalog, event);
    if (err != NULL)
        answer_failed(catalog, err, refused);
    return catalog->settled || catalog->ask_at != 0 ? NULL : ask_next(asking, catalog);
}

static struct error *take_event(const struct asking *asking, struct site_catalog *catalog,
                                const struct session_event *event)
{
    switch (event->kind) {
    case SESSION_UP:
        if (!catalog->up) {
            catalog->up = true;
            return ask_next(asking, catalog);
        }
        break;
    case SESSION_DOWN:
    case SESSION_REFUSED:
        if (!catalog->up)
            settle(catalog, event->sentence);
        break;
    case SESSION_MESSAGE:
        if (catalog->number != 0 && event->answers == catalog->number)
            return take_answer(asking, catalog, event);
        break;
    case SESSION_NOTHING:
    case SESSION_WAKE:
        break;
    }
    return NULL;
}

/* ---- all of them ---- */

static struct site_catalog *find(const struct asking *asking, const struct site_id *id)
{
    for (size_t i = 0; i < asking->count; i++)
        if (site_id_equal(&asking->catalogs[i].id, id))
            return &asking->catalogs[i];
    return NULL;
}

static struct error *start(const struct asking *asking, struct site_catalog *catalog)
{
    struct error *err = NULL;
    TRY(site_id_parse(catalog->site->fingerprint, &catalog->id));
    catalog->settled = catalog->in_run;
    if (catalog->in_run)
        goto done;
    (void)snprintf(catalog->reason, sizeof catalog->reason, "%s",
                   catalog->site->endpoint[0] == '\0' ? "It dials in, and has not by now."
                                                      : "It has not answered in time.");
    if (catalog->site->endpoint[0] != '\0')
        TRY(session_dial(asking->session, &catalog->id, catalog->site->endpoint));
done:
    return err;
}

/* Asks again whoever put us off; *ret_open: somebody has not settled yet. */
static struct error *ask_due(const struct asking *asking, bool *ret_open)
{
    struct error *err = NULL;
    int64_t now = clock_monotonic_ms();
    *ret_open = false;
    for (size_t i = 0; i < asking->count; i++) {
        struct site_catalog *catalog = &asking->catalogs[i];
        if (!catalog->up && now >= asking->connected_by)
            catalog->settled = true;
        if (catalog->ask_at != 0 && catalog->ask_at <= now)
            TRY(ask_next(asking, catalog));
        *ret_open |= !catalog->settled;
    }
done:
    return err;
}

static struct error *step(const struct asking *asking, int64_t left)
{
    struct error *err = NULL;
    struct session_event event = {0};
    const struct site_catalog_plan *plan = asking->plan;
    if (plan->stop != NULL && plan->stop(plan->context))
        FAIL(ERROR_INTERRUPTED, "It was cancelled.");
    TRY(session_next(asking->session, (int)(left < CATALOG_STOP_MS ? left : CATALOG_STOP_MS), &event));
    struct site_catalog *catalog = find(asking, &event.peer);
    if (catalog != NULL && !catalog->settled)
        TRY(take_event(asking, catalog, &event));
done:
    session_event_clear(&event);
    return err;
}

/* The deadline came in the middle. */
static void leave(const struct asking *asking, struct site_catalog *catalog)
{
    struct error *undropped = session_drop(asking->session, &catalog->id);
    error_free(undropped);
    if (!catalog->settled && catalog->answered && catalog->fetching < catalog->dataset_count)
        (void)snprintf(catalog->datasets[catalog->fetching].reason, sizeof catalog->datasets->reason,
                       "Its rows did not come in time.");
    mock_data_clear(&catalog->mock);
}

struct error *site_catalog_all(struct session *session, const struct site_catalog_plan *plan,
                               struct site_catalog *catalogs, size_t count)
{
    struct error *err = NULL;
    struct asking asking = {session, plan, catalogs, count, clock_monotonic_ms() + plan->connect_ms};
    int64_t until = clock_monotonic_ms() + plan->deadline_ms;
    bool open = true;
    for (size_t i = 0; i < count; i++)
        TRY(start(&asking, &catalogs[i]));
    for (int64_t left = plan->deadline_ms; left > 0; left = until - clock_monotonic_ms()) {
        TRY(ask_due(&asking, &open));
        if (!open)
            break;
        TRY(step(&asking, left));
    }
done:
    for (size_t i = 0; i < count; i++)
        leave(&asking, &catalogs[i]);
    return err;
}
