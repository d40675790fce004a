"""How a command ends: with its exit code, and without a traceback where a person ends it.

if __name__ == "__main__":
    run(main)
"""

import os
import sys
from collections.abc import Callable
from typing import NoReturn

PIPE_CLOSED = 141
"""What a shell gives a command that SIGPIPE ended."""


def run(main: Callable[[], int]) -> NoReturn:
    """Exit with what ``main`` returns.

    Ctrl-C ends the process by SIGINT itself, so that a loop of the shell around it ends as well.
    """
    try:
        code = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.excepthook = lambda *_: sys.stderr.write("\nstopped\n")
        raise
    except BrokenPipeError:  # the reader has what it wanted, as head has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = PIPE_CLOSED
    sys.exit(code)
