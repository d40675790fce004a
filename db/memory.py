"""Free memory, so that too large a task is refused instead of killed."""

import os
from pathlib import Path


def free_memory() -> int:
    """Return the bytes of available memory, caches included; all memory if that is unknown."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(x for x in lines if x.startswith("MemAvailable")).split()[1])
    except (OSError, StopIteration, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
