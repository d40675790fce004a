"""python tests/support/warm_python.py: many ``python -m MODULE`` commands that import the \
    large libraries
once.

Each line on stdin is a JSON array of the file for the output, the module and its arguments. The
module runs in a fork of this process; the line on stdout is its exit code.
"""

import json
import os
import runpy
import sys

import open_clip  # noqa: F401
import torch  # noqa: F401
import transformers  # noqa: F401

for line in sys.stdin:
    output, *command = json.loads(line)
    child = os.fork()
    if child == 0:
        told = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(told, 1)
        os.dup2(told, 2)
        sys.argv, sys.path[0] = command, ""
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        sys.exit()
    sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
    sys.stdout.flush()
