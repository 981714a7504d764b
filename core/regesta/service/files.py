"""The system's limit of open files: each connection is one."""

import logging

from regesta.service.heads import SPARE

logger = logging.getLogger("regesta.service")

OTHERS = 256  # the store's connections, files of artifacts, logs


def allow_connections(most: int) -> None:
    """Raise this process's limit of open files to what so many connections need; warn if the system forbids that."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    wanted = most + SPARE + OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= wanted:
        return
    possible = wanted if hard == unlimited else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
    if possible < wanted:
        logger.warning(
            "the system allows %d open files (ulimit -n), fewer than %d connections need: raise that, or lower "
            "REGESTA_MAX_CONNECTIONS",
            possible,
            most,
        )
