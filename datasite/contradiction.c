#include "datasite/contradiction.h"

#include "console/terminal.h"
#include "schemas/clock.h"

#include <inttypes.h>

struct error *contradiction_banner(struct store *store, const char *program, bool *ret_open)
{
    struct error *err = NULL;
    bool is_open = false;
    TRY(store_contradiction_open(store, &is_open));
    if (is_open)
        (void)printf(
            "%sA RECEIPT THAT THIS SITE SIGNED IS NOT IN ITS CHAIN OF EVENTS: site.db was rolled back, "
            "or copied and used\ntwice. Nothing is computed and nothing leaves until you have decided."
            "%s\n"
            "  %s audit verify                    checks what is here, and names the receipt\n"
            "  %s audit accept --reason \"TEXT\"    goes on with this file, because you know why\n\n",
            terminal_style(stdout, STYLE_BAD), terminal_style(stdout, STYLE_PLAIN), program, program);
    if (ret_open != NULL)
        *ret_open = is_open;
done:
    return err;
}

static void contradiction_print(const struct contradiction *contradiction)
{
    char requester[FINGERPRINT_BYTES], when[CLOCK_TEXT_BYTES], head[DIGEST_HEX_BYTES];
    site_id_format(&contradiction->requester, requester);
    clock_format(contradiction->found_at, when);
    digest_hex(&contradiction->head, head);
    (void)printf("Event %" PRIu64 " with head %.16s…, presented %s\n  by %s\n", contradiction->sequence, head,
                 when, requester);
}

struct error *contradiction_list(struct store *store, uint64_t *ret_count)
{
    struct error *err = NULL;
    struct contradiction *list = NULL;
    size_t count = 0;
    uint64_t shown = 0;
    TRY(store_contradictions(store, &list, &count));
    for (size_t i = 0; i < count; i++) {
        if (list[i].accepted_at != 0)
            continue;
        contradiction_print(&list[i]);
        shown++;
    }
    *ret_count = shown;
done:
    free(list);
    return err;
}
