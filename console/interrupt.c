#include "console/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

/* Signal handlers can reach nothing but process-wide state; this is all of it. */
static volatile sig_atomic_t interrupt_signal;
static volatile sig_atomic_t interrupt_hangup;
static int interrupt_pipe[2] = {-1, -1};

static void interrupt_handle(int signal_number)
{
    int saved = errno;
    if (signal_number == SIGHUP)
        interrupt_hangup = 1;
    else
        interrupt_signal = signal_number;
    ssize_t written = write(interrupt_pipe[1], "!", 1); /* a full pipe wakes the reader as well */
    (void)written;
    errno = saved;
}

struct error *interrupt_install(void)
{
    if (interrupt_pipe[0] < 0 && pipe2(interrupt_pipe, O_NONBLOCK | O_CLOEXEC) != 0)
        return error_errno(ERROR_IO, errno, "The pipe that signals wake us by cannot be made");
    struct sigaction action = {.sa_handler = interrupt_handle, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigemptyset(&ignore.sa_mask);
    if (sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0 ||
        sigaction(SIGHUP, &action, NULL) != 0 || sigaction(SIGPIPE, &ignore, NULL) != 0)
        return error_errno(ERROR_IO, errno, "The handlers of signals cannot be installed");
    return NULL;
}

int interrupt_requested(void)
{
    return interrupt_signal;
}

bool interrupt_reload(void)
{
    bool requested = interrupt_hangup != 0;
    interrupt_hangup = 0;
    return requested;
}

int interrupt_fd(void)
{
    return interrupt_pipe[0];
}

void interrupt_drain(void)
{
    char bytes[64];
    while (read(interrupt_pipe[0], bytes, sizeof(bytes)) > 0) {
    }
}
