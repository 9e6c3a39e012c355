#include "schemas/site_config.h"

#include "schemas/number.h"

#define ENDPOINT_HOST_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._"
#define ENDPOINT_IPV6_CHARACTERS "0123456789abcdefABCDEF:."

static bool endpoint_port(const char *text, bool listening)
{
    uint64_t port = 0;
    return number_count(text, &port) && port <= 65535 && (port >= 1 || listening);
}

/* The length of the host at `text`, brackets included; 0 when it is none. */
static size_t endpoint_host(const char *text, bool listening)
{
    if (listening && text[0] == '*')
        return 1;
    if (text[0] != '[') {
        size_t length = strspn(text, ENDPOINT_HOST_CHARACTERS);
        return text[0] == '-' || text[0] == '.' ? 0 : length;
    }
    size_t inside = strspn(text + 1, ENDPOINT_IPV6_CHARACTERS);
    bool address = memchr(text + 1, ':', inside) != NULL;
    if (text[1 + inside] == '%') /* the zone of a link-local address, such as %eth0 */
        inside += 1 + strspn(text + 2 + inside, ENDPOINT_HOST_CHARACTERS);
    return address && text[1 + inside] == ']' ? inside + 2 : 0;
}

struct error *endpoint_check(const char *endpoint, bool listening)
{
    const char *would_do =
        listening ? "an endpoint must be tcp://HOST:PORT, HOST a name, an address, [IPv6] or *, and "
                    "PORT from 0 to 65535, such as tcp://0.0.0.0:54879."
                  : "an endpoint must be tcp://HOST:PORT, HOST a name, an address or [IPv6], and "
                    "PORT from 1 to 65535, such as tcp://site.example.org:54879.";
    if (strnlen(endpoint, JOB_ENDPOINT_BYTES) >= JOB_ENDPOINT_BYTES)
        return error_new(ERROR_INVALID, "It is longer than %d bytes; %s", JOB_ENDPOINT_BYTES - 1, would_do);
    if (strncmp(endpoint, "tcp://", 6) != 0)
        return error_new(ERROR_INVALID, "It does not begin with tcp://; %s", would_do);
    size_t host = endpoint_host(endpoint + 6, listening);
    if (host == 0)
        return error_new(ERROR_INVALID, "The host is missing or malformed; %s", would_do);
    const char *port = endpoint + 6 + host;
    if (port[0] != ':' || !endpoint_port(port + 1, listening))
        return error_new(ERROR_INVALID, "The host must be followed by a colon and a port; %s", would_do);
    return NULL;
}
