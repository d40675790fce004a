"""A resumed run is the same run, or it is refused, and nothing that was kept is replaced."""

import json
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch

from finetune.__main__ import main
from finetune.export.adapter_files import WEIGHTS
from finetune.training.checkpoint import Checkpoint
from finetune.training.log import read_log
from tests.support.models.training import SETTINGS, quiet, tiny_base, write_pack
from tests.support.warm_python import WarmPython

pytestmark = quiet


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pack(tmp_path_factory.mktemp("data") / "pack")


def command(base: Path, pack: Path, out: Path, *more: str) -> list[str]:
    return [
        *("train", "--base", str(base), "--examples", str(pack), "--out", str(out)),
        *("--device", "cpu", *more, "--set", *SETTINGS, "dropout=0.1"),
    ]


@pytest.fixture(scope="module")
def finished(base: Path, pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "left-alone"
    assert main(command(base, pack, out)) == 0
    return out


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A finished run that a test may damage."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def refusal(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    assert main(arguments) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    return error


@pytest.mark.parametrize("lost", ["run", "run/run.json", "run/checkpoint.pt"])
def test_an_adapter_whose_run_is_lost_is_not_replaced(
    run: Path, base: Path, pack: Path, lost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / WEIGHTS).read_bytes()
    gone = run / lost
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    error = refusal(capsys, command(base, pack, run, "--resume"))
    assert "is missing" in error and f"--initial {run}" in error
    assert (run / WEIGHTS).read_bytes() == before


def test_a_place_without_a_run_is_not_resumed(
    base: Path, pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mistyped = tmp_path / "rnu"
    error = refusal(capsys, command(base, pack, mistyped, "--resume"))
    assert error == f"error: {mistyped} holds no run to resume: leave --resume out to start one"
    assert not mistyped.exists()


def test_a_folder_that_holds_something_else_is_not_resumed(
    base: Path, pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights of a whole model")
    assert "holds no run to resume" in refusal(capsys, command(base, pack, tmp_path, "--resume"))
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_checkpoint_is_there_from_the_start(finished: Path, base: Path, pack: Path) -> None:
    """So that a missing one was lost, however early a run was killed."""
    lines = read_log(finished / "run/log.jsonl")
    assert lines[0]["step"] == 1
    found = Checkpoint.load(finished / "run/checkpoint.pt")
    assert found is not None and found.random_state.shape[0] == 1


def test_a_row_that_moved_between_train_and_val_is_refused(
    finished: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the digest of the data set, which others compute, does not tell."""
    moved = write_pack(tmp_path / "moved")
    lines = (moved / "train.jsonl").read_text().splitlines(keepends=True)
    with (moved / "val.jsonl").open("a") as val:
        val.write(lines.pop())
    (moved / "train.jsonl").write_text("".join(lines))
    from finetune.examples import folder

    about = json.loads((moved / "pack.json").read_text())
    about["data_sha256"] = folder._digest(moved)
    (moved / "pack.json").write_text(json.dumps(about))
    stated = json.loads((finished / "run/run.json").read_text())
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    (out / "run/run.json").write_text(json.dumps(stated | {"data_sha256": about["data_sha256"]}))
    error = refusal(capsys, command(base, moved, out, "--resume"))
    assert "another split of the examples into train and val" in error


@pytest.mark.parametrize(
    ("part", "value", "named"),
    [
        ("packages", {"torch": "1.0"}, "another version of torch 1.0 then"),
        ("packages", {"numpy": "1.0"}, "another version of numpy 1.0 then"),
        ("config", {"rank": 3}, "another config: rank 3 then, 2 now"),
        ("base_files_sha256", "0", "another tokenizer, chat template or configuration"),
        ("initial_sha256", "0", "another start adapter"),
    ],
)
def test_another_software_base_or_start_is_refused(
    run: Path,
    base: Path,
    pack: Path,
    part: str,
    value: str | dict[str, str],
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = run / "run/run.json"
    stated = json.loads(path.read_text())
    stated[part] = stated[part] | value if isinstance(value, dict) else value
    path.write_text(json.dumps(stated))
    assert named in refusal(capsys, command(base, pack, run, "--resume"))


def test_a_run_of_an_earlier_version_is_resumed(run: Path, base: Path, pack: Path) -> None:
    path = run / "run/run.json"
    stated = json.loads(path.read_text())
    for name in ("packages", "examples_sha256", "base_files_sha256", "initial_sha256"):
        del stated[name]
    for name in ("rslora", "dora"):
        del stated["config"][name]
    path.write_text(json.dumps(stated | {"initial": None}))
    before = (run / WEIGHTS).read_bytes()
    assert main(command(base, pack, run, "--resume")) == 0
    assert (run / WEIGHTS).read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_writes_a_checkpoint_and_the_resumed_run_ends_like_one_left_alone(
    finished: Path,
    base: Path,
    pack: Path,
    tmp_path: Path,
    number: signal.Signals,
    warm_python: WarmPython,
) -> None:
    out, output = tmp_path / "stopped", tmp_path / "output.txt"
    slow = [*command(base, pack, out), "save_every=1000"]
    script = (
        "import sys, time\n"
        "from finetune.__main__ import main\n"
        "from finetune.adapter.trainer import AdapterTrainer\n"
        "AdapterTrainer.stepped = lambda self: time.sleep(0.5)\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    child = warm_python.start("-c", script, *slow, output=output)
    log = out / "run/log.jsonl"
    ended = None
    while ended is None and not (log.is_file() and '"step": 2' in log.read_text()):
        time.sleep(0.02)
        ended = child.poll()
    assert ended is None, output.read_text()
    code, said = child.end(number), output.read_text()
    assert code in (143, 1, -signal.SIGINT, 130), said
    assert f"stopped by {number.name} at step" in said
    found = Checkpoint.load(out / "run/checkpoint.pt")
    assert found is not None and 2 <= found.step < 6
    assert main([*command(base, pack, out, "--resume"), "save_every=1000"]) == 0
    assert (out / WEIGHTS).read_bytes() == (finished / WEIGHTS).read_bytes()
    kept = [[line["step"] for line in read_log(one / "run/log.jsonl")] for one in (out, finished)]
    assert kept[0] == kept[1] == [1, 2, 3, 4, 5, 6]
    scored = [
        [line["step"] for line in read_log(one / "run/log.jsonl") if "val_loss" in line]
        for one in (out, finished)
    ]
    assert scored[0] == scored[1] == [3, 6]


def test_another_number_of_processes_reads_the_random_states_it_finds() -> None:
    from finetune.training.checkpoint import _own
    from finetune.training.devices import Devices

    cpu = torch.device("cpu")
    states = torch.arange(6, dtype=torch.uint8).reshape(2, 3)
    assert _own(states, Devices(device=cpu, rank=1, count=2)).tolist() == [3, 4, 5]
    assert _own(states, Devices(device=cpu, rank=2, count=3)).tolist() == [0, 1, 2]
    assert _own(states[0], Devices(device=cpu)).tolist() == [0, 1, 2]  # an earlier version's
