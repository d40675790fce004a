"""Run many Python commands that import the large libraries once: tests/test_readme.py.

Each line on stdin is a JSON object: ``words`` (a module, or a file that ends in ``.py``, and its
arguments), ``output`` (the file for stdout and stderr) and ``wait``. The command runs in a fork of
this process as ``python -m MODULE`` or ``python FILE`` would. The line on stdout is its exit code,
or its process id where ``wait`` is false. SIGTERM ends the commands; this process ends after them.
"""

import json
import os
import runpy
import signal
import sys
from contextlib import suppress
from typing import Any

import open_clip  # noqa: F401
import peft  # noqa: F401
import transformers.models.mllama.modeling_mllama  # noqa: F401

import api.app  # noqa: F401
import indexer.build  # noqa: F401


def main() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in sys.stdin:
        command = json.loads(line)
        child = os.fork()
        if child == 0:
            run(command)
        answer = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if command["wait"] else child
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    with suppress(ChildProcessError):
        while True:
            os.wait()


def run(command: dict[str, Any]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    output = os.open(command["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.argv, sys.path[0] = command["words"], ""
    if sys.argv[0].endswith(".py"):
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    sys.exit()


if __name__ == "__main__":
    main()
