"""Parse a command and run it: exit codes, and no traceback when a user interrupts it.

parser = Parser(prog="python -m indexer", examples=["info data/index"])
if __name__ == "__main__":
    run(main)
"""

import argparse
import errno
import math
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from db.extras import missing_package

_OF_THE_DISK = frozenset(
    getattr(errno, name)
    for name in ("EACCES", "EDQUOT", "ENOSPC", "EPERM", "EROFS")
    if hasattr(errno, name)
)
"""Reasons of the system for not writing or reading a file, of which no program can be the cause."""

PIPE_CLOSED = 141
"""The exit code of a shell for a command that SIGPIPE ended."""


class Parser(argparse.ArgumentParser):
    """A parser without abbreviated options (``--split`` never means ``--split-file``), and with
    examples at the end of every ``--help``.

    ``examples`` are the arguments that follow the command's name; the name itself is filled in, so
    that they fit both ``python -m PACKAGE`` and ``grounded-cxr``.
    """

    def __init__(self, *args: Any, examples: Sequence[str] = (), **settings: Any) -> None:
        if examples:
            lines = ["examples:", *(f"  %(prog)s {one}" for one in examples)]
            settings["epilog"] = "\n".join(lines)
            settings["formatter_class"] = argparse.RawDescriptionHelpFormatter
        super().__init__(*args, **{"allow_abbrev": False, **settings})
        self.register("action", "parsers", _Verbs)
        self.register("action", None, _Store)
        self.register("action", "store", _Store)


class _Store(argparse._StoreAction):
    """Keep the values of every use of an option with a list: ``--set a=1 --set b=2`` has both.

    The first use replaces the default. Any other option keeps its last value.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        held: Any = getattr(namespace, self.dest, None)
        if option_string and self.nargs in ("*", "+") and held is not self.default:
            more: Any = values
            values = [*held, *more]
        super().__call__(parser, namespace, values, option_string)


class _Verbs(argparse._SubParsersAction):  # type: ignore[type-arg]
    """Verbs whose ``--help`` starts with their description in the list of verbs."""

    def add_parser(self, name: str, **settings: Any) -> Any:
        if settings.get("help"):
            about = settings["help"]
            settings.setdefault("description", f"{about[:1].upper()}{about[1:]}.")
        return super().add_parser(name, **settings)


def seconds(text: str) -> float:
    """The type of an option that takes a time: a finite number above 0."""
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError
    return value


def moved(argv: Sequence[str], package: str, to: Mapping[str, str]) -> int | None:
    """Print the command that replaces a verb of ``package``, and return its exit code, 2.

    None for a verb that has not moved. ``to`` maps such verbs to ``package verb``.
    """
    if not argv or argv[0] not in to:
        return None
    command = shlex.join(["python", "-m", *to[argv[0]].split(), *argv[1:]])
    sys.stderr.write(f"'python -m {package} {argv[0]}' has moved: run\n  {command}\n")
    return 2


def run(main: Callable[[], int]) -> NoReturn:
    """Exit with the return value of ``main``; report a missing package of an extra, a full or
    read-only disk and a missing right as an error.

    Ctrl-C ends the process by SIGINT itself, so that a shell loop around it ends too.
    """
    try:
        code = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.excepthook = lambda *_: sys.stderr.write("\nstopped\n")
        raise
    except BrokenPipeError:  # the reader closed the pipe, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = PIPE_CLOSED
    except ModuleNotFoundError as error:
        told = missing_package(error)
        if told is None:
            raise
        sys.stderr.write(f"error: {told}\n")
        code = 1
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        place = error.filename or "a file"
        sys.stderr.write(
            f"error: {place} cannot be used ({error.strerror}): make room or get the right to it, "
            "or name another place\n"
        )
        code = 1
    sys.exit(code)
