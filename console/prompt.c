#include "console/prompt.h"

#include "schemas/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

/* Signals of the terminal and of whoever ends programs wait, as readable `signals`, until the terminal is as it was;
 * then they do what they always do. No handler is needed, and none that the program has is replaced. */
struct prompt {
    bool is_terminal;
    struct termios before;
    sigset_t mask_before;
    int signals;
};

bool prompt_is_person(void)
{
    return isatty(STDIN_FILENO) == 1;
}

/* What can end or stop the program from outside. */
static const int prompt_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

static struct error *prompt_begin(struct prompt *prompt)
{
    sigset_t held;
    (void)sigemptyset(&held);
    for (size_t i = 0; i < sizeof(prompt_signals) / sizeof(prompt_signals[0]); i++)
        (void)sigaddset(&held, prompt_signals[i]);
    prompt->signals = signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK);
    if (prompt->signals < 0 || sigprocmask(SIG_BLOCK, &held, &prompt->mask_before) != 0) {
        int saved = errno;
        if (prompt->signals >= 0)
            (void)close(prompt->signals);
        return error_errno(ERROR_IO, saved, "Signals cannot be held back while a secret is typed");
    }
    prompt->is_terminal = prompt_is_person() && tcgetattr(STDIN_FILENO, &prompt->before) == 0;
    if (prompt->is_terminal) {
        struct termios silent = prompt->before;
        silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
        silent.c_lflag |= ICANON | ECHONL;
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    return NULL;
}

static void prompt_end(struct prompt *prompt)
{
    if (prompt->is_terminal)
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &prompt->before);
    (void)close(prompt->signals);
    (void)sigprocmask(SIG_SETMASK, &prompt->mask_before, NULL); /* what waited is delivered here */
}

/* Until standard input has something. */
static struct error *prompt_wait(const struct prompt *prompt, const char *what, int64_t deadline)
{
    struct pollfd ready[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                             {.fd = prompt->signals, .events = POLLIN}};
    int64_t left = deadline - clock_monotonic_ms();
    int got = poll(ready, 2, left > 0 ? (int)left : 0);
    if (got < 0 && errno == EINTR)
        return NULL;
    if (got < 0)
        return error_errno(ERROR_IO, errno, "Standard input cannot be read");
    if (ready[1].revents != 0)
        return error_new(ERROR_INTERRUPTED, "Stopped by a signal while waiting for %s.", what);
    if (got == 0)
        return error_new(ERROR_DEADLINE, "Nobody gave %s within %d minutes.", what, PROMPT_WAIT_MS / 60000);
    return NULL;
}

/* Byte by byte: what is behind the line belongs to whoever reads next. */
static struct error *prompt_line(const struct prompt *prompt, const char *what, char *ret_line,
                                 size_t line_bytes)
{
    struct error *err = NULL;
    size_t used = 0;
    int64_t deadline = clock_monotonic_ms() + PROMPT_WAIT_MS;
    for (;;) {
        char byte;
        TRY(prompt_wait(prompt, what, deadline));
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0)
            TRY(error_errno(ERROR_IO, errno, "Standard input cannot be read"));
        if (got == 0 && used == 0)
            FAIL(ERROR_INVALID,
                 "Standard input ended before %s came: type it on a terminal, or give it as a line.", what);
        if (got == 0 || byte == '\n')
            break;
        if (byte == '\0')
            FAIL(ERROR_INVALID, "A zero byte is in the line of %s: it is text.", what);
        if (used + 1 >= line_bytes)
            FAIL(ERROR_LIMIT, "The line of %s is longer than %zu bytes.", what, line_bytes - 1);
        ret_line[used++] = byte;
    }
    ret_line[used] = '\0';
done:
    return err;
}

struct error *prompt_secret(const char *question, const char *what, char *ret_line, size_t line_bytes)
{
    struct error *err = NULL;
    struct prompt prompt = {.signals = -1};
    TRY(prompt_begin(&prompt));
    /* To the terminal itself, since stderr may be a log; a terminal that is only read leaves stderr. */
    if (prompt.is_terminal && dprintf(STDIN_FILENO, "%s ", question) < 0)
        (void)dprintf(STDERR_FILENO, "%s ", question);
    err = prompt_line(&prompt, what, ret_line, line_bytes);
    prompt_end(&prompt);
done:
    return err;
}
