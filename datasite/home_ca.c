#include "datasite/home.h"

#include "schemas/files.h"

#include <sys/stat.h>
#include <unistd.h>

#define CA_FILE "keys/ca.crt"
#define CONFIG_MAX_BYTES 1048576
#define CA_MAX_BYTES 65536

static bool same_file(const char *a, const char *b)
{
    struct stat one, other;
    return a[0] != '\0' && stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

/* The "  ca: …" line of the block "trust:", as init writes it; false when the file is written otherwise. */
static bool ca_line(const char *text, const char **ret_start, const char **ret_end)
{
    bool inside = false;
    for (const char *line = text; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        size_t indent = strspn(line, " ");
        if (indent == 0 && length > 0 && line[0] != '#')
            inside = strncmp(line, "trust:", 6) == 0 && 6 + strspn(line + 6, " ") == length;
        if (inside && indent > 0 && strncmp(line + indent, "ca:", 3) == 0) {
            *ret_start = line + indent;
            *ret_end = line + length;
            return true;
        }
        line += length;
        if (*line == '\n')
            line++;
    }
    return false;
}

/* The new text goes to a file beside first and is read back as a configuration, so that site.yaml is replaced
 * only by one that works and means this. */
static struct error *config_replace(const struct home *home, const char *ca_path, const char *text,
                                    size_t bytes, bool *ret_edited)
{
    struct error *err = NULL;
    char *trial = NULL;
    struct node_config *config = NULL;
    bool means_it = false;
    TRY(path_join(home->path, "site.yaml.new", &trial));
    TRY(file_write(trial, text, bytes, 0600));
    struct error *unreadable = node_config_load(trial, NODE_DATASITE, &config);
    means_it = unreadable == NULL && same_file(config->ca_file, ca_path);
    error_free(unreadable);
    if (means_it)
        TRY(file_write(home->config_path, text, bytes, 0600));
    *ret_edited = means_it;
done:
    if (trial != NULL)
        (void)unlink(trial);
    node_config_free(config);
    free(trial);
    return err;
}

static struct error *config_name_ca(const struct home *home, const char *ca_path, bool *ret_edited)
{
    struct error *err = NULL;
    uint8_t *data = NULL;
    char *text = NULL;
    size_t bytes = 0;
    const char *start = NULL, *end = NULL;
    bool edited = false;
    TRY(file_read(home->config_path, CONFIG_MAX_BYTES, &data, &bytes));
    const char *old = (const char *)data;
    if (strlen(old) == bytes && ca_line(old, &start, &end)) {
        int length = asprintf(&text, "%.*sca: \"" CA_FILE "\"%s", (int)(start - old), old, end);
        if (length < 0) {
            text = NULL;
            FAIL(ERROR_MEMORY, "There is not enough memory to change %s.", home->config_path);
        }
        TRY(config_replace(home, ca_path, text, (size_t)length, &edited));
    }
    *ret_edited = edited;
done:
    free(text);
    free(data);
    return err;
}

struct error *home_ca_read(const char *path, char **ret_pem)
{
    struct error *err = NULL;
    uint8_t *pem = NULL;
    size_t bytes = 0;
    TRY(file_read(path, CA_MAX_BYTES, &pem, &bytes));
    if (memmem(pem, bytes, "PRIVATE KEY", 11) != NULL)
        FAIL(ERROR_INVALID, "%s holds a private key, which belongs to its owner alone: pass the certificate.",
             path);
    if (strlen((const char *)pem) != bytes ||
        strstr((const char *)pem, "-----BEGIN CERTIFICATE-----") == NULL ||
        strstr((const char *)pem, "-----END CERTIFICATE-----") == NULL)
        FAIL(ERROR_INVALID,
             "%s is not a certificate in PEM form (-----BEGIN CERTIFICATE-----), or was cut off.", path);
    *ret_pem = (char *)pem;
    pem = NULL;
done:
    free(pem);
    return err;
}

struct error *home_ca_install(const struct home *home, const char *pem, bool *ret_edited)
{
    struct error *err = NULL;
    char *ca_path = NULL;
    TRY(path_join(home->path, CA_FILE, &ca_path));
    TRY(file_write(ca_path, pem, strlen(pem), 0644));
    if (same_file(home->config->ca_file, ca_path))
        *ret_edited = true;
    else
        TRY(config_name_ca(home, ca_path, ret_edited));
done:
    free(ca_path);
    return err;
}
