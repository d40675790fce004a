"""How every command ends, and what it shows of its progress."""

import io
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest

from api.__main__ import main as api
from finetune.__main__ import main as finetune
from generator.__main__ import main as generator
from indexer.__main__ import main as indexer
from indexer.cli.parser import PIPE_CLOSED
from indexer.cli.progress import ImageBar, progress_bar
from retriever.__main__ import main as retriever
from tests.conftest import ROOT

PROGRAM = "from indexer.cli.parser import run\n{}\nrun(main)\n"


def start(body: str) -> subprocess.Popen[str]:
    """A process with this ``main``."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background may have had SIGINT ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_a_command_exits_with_what_its_main_returns() -> None:
    with start("def main():\n    return 3") as process:
        assert process.communicate() == ("", "")
    assert process.returncode == 3


def test_a_missing_package_of_an_extra_is_named_with_the_cure() -> None:
    gone = "import sys\nsys.modules['gguf'] = None\ndef main():\n    import gguf"
    with start(gone) as process:
        _, said = process.communicate()
    assert process.returncode == 1
    assert said == (
        "error: this needs the package gguf, which is not installed: run scripts/install train\n"
    )
    with start("def main():\n    import no_such_package") as process:
        assert "Traceback" in process.communicate()[1]


def test_ctrl_c_ends_a_command_with_one_word_and_by_the_signal() -> None:
    waits = "import time\ndef main():\n    print('ready', flush=True)\n    time.sleep(60)"
    with start(waits) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert said == "\nstopped\n"
    assert process.returncode == -signal.SIGINT


def test_a_closed_pipe_ends_a_command_silently() -> None:
    talks = "def main():\n    for _ in range(100_000):\n        print('a line')\n    return 0"
    with start(talks) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "a line\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == PIPE_CLOSED


def test_the_progress_bar_of_a_short_job_is_shown_only_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        assert list(progress_bar([1, 2, 3], unit="case")) == [1, 2, 3]
        assert bool(stream.getvalue()) == shown


FIRST_SHOWN = """
import io, sys
from pathlib import Path

class Terminal(io.StringIO):
    loaded = None

    def isatty(self):
        return True

    def write(self, text):
        if self.loaded is None and "image" in text:
            Terminal.loaded = [name for name in {heavy} if name in sys.modules]
        return super().write(text)

sys.stderr = Terminal()
from indexer.__main__ import main
code = main(["build", "--source", "csv", "--data-dir", "no.csv", "--out", "no"])
shown = sys.stderr.getvalue()
print(Terminal.loaded, code, "error: no.csv" in shown.rpartition("image")[2])
"""


def test_the_bar_of_a_build_is_shown_before_its_imports_and_its_source() -> None:
    heavy = ["indexer.build", "indexer.sources.catalogue", "pydicom", "torch", "sqlalchemy"]
    done = subprocess.run(
        [sys.executable, "-c", FIRST_SHOWN.replace("{heavy}", repr(heavy))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[] 1 True\n"


def test_the_bar_of_a_build_counts_images(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stream)
    with ImageBar() as bar:
        assert "reading: 0image" in stream.getvalue()
        assert "0/" not in stream.getvalue()
        bar.start(10, 4).update(3)
    assert "7/10" in stream.getvalue().split("\r")[-1]


def test_the_bar_of_a_short_build_writes_nothing_into_a_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with ImageBar() as bar:
        bar.start(10, 4).update(6)
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


def test_the_bar_of_a_slow_build_is_in_a_log_from_the_first_image_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    monkeypatch.setattr("indexer.cli.progress.SELDOM", 0)
    with ImageBar() as bar:
        assert stream.getvalue() == "", (
            "nothing is counted yet, and a build from vectors counts none"
        )
        bar.start(10, 4).update(6)
    assert "10/10" in stream.getvalue()


@pytest.mark.parametrize("main", [api, finetune, generator, indexer, retriever])
def test_options_cannot_be_abbreviated(
    main: Callable[[Sequence[str]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every verb of the five commands: ``--he`` would be ``--help``."""
    with pytest.raises(SystemExit):
        main(["--help"])
    verbs = re.findall(r"^    ([a-z]+)  ", capsys.readouterr().out, re.MULTILINE)
    assert verbs
    for verb in verbs:
        with pytest.raises(SystemExit) as ended:
            main([verb, "--he"])
        assert ended.value.code == 2, verb
    capsys.readouterr()
