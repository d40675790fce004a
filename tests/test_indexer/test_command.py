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
from indexer.cli.progress import progress_bar
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
