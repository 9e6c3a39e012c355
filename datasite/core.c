#include "datasite/core.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* Both: a limit of 0 does not stop a core that is piped to a program (core(5)), and a process that is not dumpable
 * becomes dumpable again with exec. */
struct error *core_forbid(void)
{
    static const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        return error_errno(ERROR_IO, errno, "Core files, which would hold rows, cannot be switched off");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return error_errno(ERROR_IO, errno, "Dumps of memory, which would hold rows, cannot be switched off");
    return NULL;
}
