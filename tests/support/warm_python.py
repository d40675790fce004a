"""Run many Python commands that import the large libraries once.

    with WarmPython(folder) as python:
        code, said = python.run("-m", "grounded_cxr", "--help")
        child = python.start("-c", "import time; time.sleep(60)", output=folder / "output.txt")
        os.kill(child.pid, signal.SIGTERM)
        assert child.wait() == -signal.SIGTERM

Each command runs in a fork of a process that has done the imports, as ``python -m MODULE``,
``python -c CODE`` or ``python FILE`` would run it. What a test says of a process, of its exit code,
its signals and its output, holds for a fork as well; only the imports, which take most of the time
of a command, are not done again.

All that name the same folder share the process; it ends when the last of them leaves. It reads a
JSON object a line from a socket, and answers each with a line.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Self, TextIO

from filelock import FileLock

ROOT = Path(__file__).resolve().parent.parent.parent
IMPORTS = (
    "accelerate",
    "open_clip",
    "transformers.models.mllama.modeling_mllama",
    "transformers.models.mllama.processing_mllama",
    "api.app",
    "finetune.__main__",
    "finetune.adapter.run",
    "generator.mllama.load",
    "indexer.build",
    "matplotlib.backends.backend_agg",
    "peft.tuners.lora.bnb",
)
LONGEST = 600.0
"""Seconds until a command is taken to hang."""


class WarmPython:
    """The process that commands are forked from; it starts with the first one of any caller.

    ``folder`` is where its callers find each other.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stream: TextIO | None = None

    def run(
        self,
        *words: str,
        cwd: Path = ROOT,
        environment: Mapping[str, str] | None = None,
        seconds: float = LONGEST,
    ) -> tuple[int, str]:
        """Exit code and output, both streams together, of ``python WORDS``."""
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder, "output.txt")
            child = self.start(*words, output=output, cwd=cwd, environment=environment)
            return child.wait(seconds), output.read_text()

    def start(
        self,
        *words: str,
        output: Path,
        errors: Path | None = None,
        cwd: Path = ROOT,
        environment: Mapping[str, str] | None = None,
    ) -> "Child":
        """A command that runs on; ``output`` takes both streams, or ``errors`` what goes to stderr;
        ``environment`` is added."""
        asked = {
            "words": words,
            "output": str(output.absolute()),
            "errors": None if errors is None else str(errors.absolute()),
            "cwd": str(cwd),
            "environment": {**os.environ, **(environment or {})},
        }
        return Child(self, self.ask(**asked))

    def run_two(self, *words: str, folder: Path, seconds: float = LONGEST) -> None:
        """Two processes that find each other, as ``accelerate launch`` starts them on a machine.

        Both must exit with 0; ``folder`` takes their output.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        outputs = [folder / f"output-{rank}.txt" for rank in (0, 1)]
        group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        children = [
            self.start(
                *words,
                output=output,
                environment={"RANK": str(rank), "LOCAL_RANK": str(rank), **group},
            )
            for rank, output in enumerate(outputs)
        ]
        codes = [child.wait(seconds) for child in children]
        assert codes == [0, 0], "\n".join(output.read_text() for output in outputs)

    def ask(self, **asked: Any) -> Any:
        """The answer of the process."""
        if self._stream is None:
            self._stream = connect(self._folder)
        self._stream.write(f"{json.dumps(asked)}\n")
        self._stream.flush()
        return json.loads(self._stream.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()


@dataclass(frozen=True)
class Child:
    """A command that was started."""

    python: WarmPython
    pid: int

    def poll(self) -> int | None:
        """The exit code, once; None while it runs."""
        code: int | None = self.python.ask(ended=self.pid)
        return code

    def wait(self, seconds: float = LONGEST) -> int:
        """The exit code, once; a command that takes longer is killed."""
        deadline = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise TimeoutError(f"process {self.pid} ran for more than {seconds:g} seconds")
            time.sleep(0.02)
        return code

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit code, once, after a signal."""
        os.kill(self.pid, number)
        return self.wait()


def connect(folder: Path) -> TextIO:
    """To the process of ``folder``, which starts with the first call."""
    with lock_of(folder), socket.socket(socket.AF_UNIX) as connection:
        if not record_of(folder).exists():
            command = [sys.executable, "-m", __name__, str(folder)]
            subprocess.run(command, cwd=ROOT, check=True, process_group=0)  # it leaves at once
        connection.connect(record_of(folder).read_text())
        return connection.makefile("rw")


def lock_of(folder: Path) -> FileLock:
    """Held by who connects, and by the process when it decides to end."""
    return FileLock(folder / "warm_python.lock")


def record_of(folder: Path) -> Path:
    """A file with the address of the process, which is elsewhere: it may have a hundred letters."""
    return folder / "warm_python.address"


def main() -> None:
    folder = Path(sys.argv[1])
    place = Path(tempfile.mkdtemp())  # not as a context, which the commands would leave, too
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place / "socket"))
    listener.listen()
    record_of(folder).write_text(str(place / "socket"))
    if os.fork():
        os._exit(0)
    gc.disable()
    for name in IMPORTS:
        importlib.import_module(name)
    gc.freeze()  # a fork need not go through all of it when it ends
    gc.enable()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # it is for the commands
    serve(listener, folder)
    shutil.rmtree(place)
    os.killpg(os.getpgrp(), signal.SIGTERM)  # the commands that still run
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def serve(listener: socket.socket, folder: Path) -> None:
    """Answer everybody until the last one has left."""
    callers = selectors.DefaultSelector()
    callers.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in callers.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                callers.register(connection, selectors.EVENT_READ, connection.makefile("rw"))
            elif line := key.data.readline():
                key.data.write(f"{json.dumps(answer(**json.loads(line)))}\n")
                key.data.flush()
            else:
                callers.unregister(key.fileobj)
        if len(callers.get_map()) > 1:
            continue
        with lock_of(folder):
            if not callers.select(timeout=0):  # nobody has come meanwhile
                record_of(folder).unlink()
                return


def answer(ended: int | None = None, **asked: Any) -> int | None:
    """The exit code of a process that has ended, or the id of one that was started."""
    if ended is not None:
        found, status = os.waitpid(ended, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if found else None
    child = os.fork()
    if child == 0:
        command(**asked)
    return child


def command(
    words: list[str], output: str, errors: str | None, cwd: str, environment: dict[str, str]
) -> None:
    """Become ``python WORDS``."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    nothing = os.open(os.devnull, os.O_RDONLY)
    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    apart = written if errors is None else os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream, opened in enumerate((nothing, written, apart)):
        os.dup2(opened, stream)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = ""
    kind, *arguments = words
    if kind == "-m":
        sys.argv = arguments
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = ["-c", *arguments[1:]]
        sys.modules["__main__"] = ModuleType("__main__")
        exec(arguments[0], vars(sys.modules["__main__"]))
    else:
        sys.argv = words
        sys.path[0] = str(Path(kind).parent)
        runpy.run_path(kind, run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    main()
