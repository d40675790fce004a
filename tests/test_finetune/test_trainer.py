import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoProcessor, MllamaForConditionalGeneration

from db.errors import UserError
from finetune.__main__ import main
from finetune.adapter.backends import load_trainable
from finetune.adapter.collator import Tokens
from finetune.adapter.config import TrainConfig
from finetune.adapter.data import TrainingSet
from finetune.adapter.trainer import AdapterTrainer
from finetune.training.checkpoint import Checkpoint
from finetune.training.devices import Devices
from finetune.training.log import TrainingLog, clock, read_log
from generator.mllama.adapter_record import AdapterRecord
from generator.mllama.checkpoint import base_sha256
from tests.support.models.training import (
    CONFIG,
    SETTINGS,
    check_recorded,
    quiet,
    tiny_base,
    write_pack,
)
from tests.support.warm_python import WarmPython

pytestmark = quiet


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pack(tmp_path_factory.mktemp("data") / "pack")


@pytest.fixture(scope="module")
def finished(base: Path, pack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was left alone."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("runs") / "left-alone"
    assert main(command(base, pack, out)) == 0
    return out


def command(base: Path, pack: Path, out: Path, *more: str) -> list[str]:
    return [
        *("train", "--base", str(base), "--examples", str(pack), "--out", str(out)),
        *("--device", "cpu", *more, "--set", *SETTINGS, "dropout=0.1"),
    ]


def losses(out: Path) -> list[tuple[int, float]]:
    return [
        (line["step"], line["loss"]) for line in read_log(out / "run/log.jsonl") if "loss" in line
    ]


def test_the_loss_falls_and_is_logged_with_speed_memory_and_waiting(finished: Path) -> None:
    lines = read_log(finished / "run/log.jsonl")
    steps = [line for line in lines if "loss" in line]
    assert [line["step"] for line in steps] == [1, 2, 3, 4, 5, 6]
    assert steps[-1]["loss"] < steps[0]["loss"] - 0.5
    for name in ("tokens_per_second", "examples_per_second", "memory_gb", "grad_norm"):
        assert all(line[name] > 0 for line in steps), name
    assert all(0 <= line["wait_share"] <= 1 for line in steps)
    scored = [line for line in lines if "val_loss" in line]
    assert [line["step"] for line in scored] == [3, 6]
    assert all("sample" in line for line in scored)
    assert (finished / "run/curves.png").read_bytes().startswith(b"\x89PNG")


def test_an_adapter_trains_as_recorded(base: Path, pack: Path, tmp_path: Path) -> None:
    more = ("warmup=0.4", "max_grad_norm=0.3")
    assert main([*command(base, pack, tmp_path / "out"), *more]) == 0
    check_recorded("adapter", tmp_path / "out/run/log.jsonl")


def test_an_adapter_says_what_it_was_trained_on(finished: Path, base: Path, pack: Path) -> None:
    record = AdapterRecord.load(finished)
    about = json.loads((pack / "pack.json").read_text())
    assert record.base_model == str(base) and record.base_sha256 == base_sha256(base)
    assert record.index_fingerprint == "f" * 64 and record.encoder_sha256 == "e" * 64
    assert record.data_sha256 == about["data_sha256"]
    assert record.prompt_version == about["prompt_version"]
    assert TrainConfig(**record.config) == replace(CONFIG, dropout=0.1)
    assert {"torch", "transformers", "peft"} <= record.packages.keys()
    record.check(base=str(base), base_sha256=record.base_sha256)
    card = (finished / "README.md").read_text()
    assert "Research use only" in card and record.data_sha256[:12] in card


def test_an_adapter_loads_with_plain_peft_and_holds_the_best_weights(
    finished: Path, base: Path, pack: Path
) -> None:
    model: Any = MllamaForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    with_adapter = PeftModel.from_pretrained(model, str(finished))
    stored = load_file(finished / "adapter_model.safetensors")
    weights = {n: w for n, w in with_adapter.named_parameters() if "lora_" in n}
    assert len(weights) == len(stored) > 0
    for name, weight in weights.items():
        assert torch.equal(weight, stored[name.replace(".default", "")]), name
    open_clip_encoders = {"vision_model": 0, "language_model": 0}
    for name in stored:
        open_clip_encoders["vision_model" if "vision_model" in name else "language_model"] += 1
    assert all(open_clip_encoders.values())
    assert any("cross_attn" in name for name in stored) and any("fc1" in name for name in stored)
    record = AdapterRecord.load(finished)
    scored = {
        line["step"]: line["val_loss"]
        for line in read_log(finished / "run/log.jsonl")
        if "val_loss" in line
    }
    assert record.val_loss == pytest.approx(min(scored.values()), rel=1e-5)
    assert scored[record.step] == min(scored.values())


def test_a_killed_run_resumed_ends_with_the_weights_of_one_left_alone(
    finished: Path, base: Path, pack: Path, tmp_path: Path, warm_python: WarmPython
) -> None:
    out, said = tmp_path / "killed", tmp_path / "output.txt"
    child = warm_python.start("-m", "finetune", *command(base, pack, out), output=said)
    log = out / "run/log.jsonl"
    ended = None
    while ended is None and not (log.is_file() and '"step": 4' in log.read_text()):
        time.sleep(0.02)
        ended = child.poll()
    assert ended is None, f"it ended before it was killed: {said.read_text()}"
    assert child.end(signal.SIGKILL) == -signal.SIGKILL, "it ended before it was killed"
    assert main(command(base, pack, out)) == 1  # not without --resume
    assert main(command(base, pack, out, "--resume")) == 0
    assert losses(out) == losses(finished)
    name = "adapter_model.safetensors"
    assert (out / name).read_bytes() == (finished / name).read_bytes()
    ends = [Checkpoint.load(run / "run/checkpoint.pt") for run in (out, finished)]
    assert ends[0] is not None and ends[1] is not None
    assert ends[0].step == ends[1].step == 6
    for weight, value in ends[1].weights.items():
        assert torch.equal(ends[0].weights[weight], value), weight


def test_a_run_stops_after_max_seconds_and_resumes_from_there(
    finished: Path, base: Path, pack: Path, tmp_path: Path
) -> None:
    out = tmp_path / "short"
    assert main(command(base, pack, out, "--max-seconds", "0.001")) == 0
    assert [step for step, _ in losses(out)] == [1]
    assert (out / "adapter_model.safetensors").is_file()
    assert main(command(base, pack, out, "--resume")) == 0
    assert losses(out) == losses(finished)


@pytest.mark.parametrize(
    ("changed", "named"), [(["rank=4"], "another config"), (["seed=1"], "another config")]
)
def test_a_run_is_not_resumed_as_another(
    finished: Path,
    base: Path,
    pack: Path,
    changed: list[str],
    named: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*command(base, pack, finished, "--resume"), *changed]) == 1
    assert named in capsys.readouterr().err


def test_a_full_directory_is_not_written_over(
    finished: Path, base: Path, pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(base, pack, finished)) == 1
    assert "add --resume" in capsys.readouterr().err


def trainer(
    base: Path,
    pack: Path,
    out: Path,
    config: TrainConfig = CONFIG,
    spoil: Callable[[int, dict[str, Tensor]], None] | None = None,
) -> AdapterTrainer:
    from finetune.examples.folder import ExampleFolder

    data = TrainingSet.make(
        ExampleFolder.load(pack), AutoProcessor.from_pretrained(base), config, torch.float32
    )
    made = 0

    def collate(examples: list[Tokens]) -> dict[str, Tensor]:
        nonlocal made
        made += 1
        batch = data.collate(examples)
        if spoil is not None:
            spoil(made, batch)
        return batch

    record = AdapterRecord(
        base_model=str(base),
        base_sha256="",
        prompt_version="",
        index_fingerprint=None,
        encoder_sha256=None,
        data_sha256="",
        config=vars(config),
        packages={},
    )
    device = torch.device("cpu")
    return AdapterTrainer(
        load_trainable(str(base), config, device),
        replace(data, collate=collate, sample=None),  # type: ignore[arg-type]
        out,
        record,
        devices=Devices(device=device),
        show=lambda line: None,
    )


def test_a_loss_that_is_nan_stops_the_run_and_keeps_the_last_good_adapter(
    base: Path, pack: Path, tmp_path: Path
) -> None:
    def spoil(number: int, batch: dict[str, Tensor]) -> None:
        if number >= 12 and "pixel_values" in batch:  # past the first validation
            batch["pixel_values"] = batch["pixel_values"] * float("nan")

    with pytest.raises(
        UserError, match=r"NaN or infinite at step .*step 3 is kept.*lower learning rate"
    ):
        trainer(base, pack, tmp_path, spoil=spoil).train()
    kept = Checkpoint.load(tmp_path / "run/checkpoint.pt")
    assert kept is not None and 3 <= kept.step < 6
    for weights in (kept.weights, load_file(tmp_path / "adapter_model.safetensors")):
        assert all(torch.isfinite(weight).all() for weight in weights.values())


def test_a_step_is_the_mean_over_the_tokens_of_all_its_examples(
    base: Path, pack: Path, tmp_path: Path
) -> None:
    once = replace(CONFIG, max_steps=1, batch=4, accumulation=1, eval_examples=0)
    apart = replace(once, batch=1, accumulation=4)
    found = [trainer(base, pack, tmp_path / str(c.batch), c) for c in (once, apart)]
    found[1].plan = [tuple((number,) for number in found[0].plan[0][0])]
    for run in found:
        run.train()
    a, b = (losses(tmp_path / name)[0][1] for name in ("4", "1"))
    assert a == pytest.approx(b, rel=1e-4)
    # AdamW's first step is the sign of the gradient, which tells nothing: compare the norms
    norms = [read_log(tmp_path / name / "run/log.jsonl")[0]["grad_norm"] for name in ("4", "1")]
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)


def shares(passes: list[tuple[int, ...]], count: int) -> list[list[tuple[int, ...]]]:
    cpu = torch.device("cpu")
    return [list(Devices(device=cpu, rank=r, count=count).share(passes)) for r in range(count)]


def test_two_devices_share_a_step_between_them(base: Path, pack: Path, tmp_path: Path) -> None:
    passes = trainer(base, pack, tmp_path).plan[0]
    parts = shares(list(passes), 2)
    assert sorted([*parts[0], *parts[1]]) == sorted(passes) and all(parts)


def test_every_device_has_work_where_a_step_has_fewer_passes_than_devices() -> None:
    for passes in ([(1, 2, 3, 4)], [(1, 2), (3, 4, 5)], [(1,), (2, 3, 4)]):
        parts = shares(passes, 4)
        assert all(parts), passes
        trained = sorted(number for part in parts for numbers in part for number in numbers)
        assert trained == sorted(number for numbers in passes for number in numbers)
    assert shares([(1, 2), (3, 4)], 1) == [[(1, 2), (3, 4)]]
    assert [len(part) for part in shares([(1, 2)], 3)] == [1, 1, 0]  # no example is left


def test_more_devices_than_examples_in_a_step_are_refused_with_the_cure() -> None:
    devices = Devices(device=torch.device("cpu"), count=8)
    devices.check_work([((1, 2), (3, 4, 5, 6, 7, 8)), ((9,),)])  # the last step is a small one
    with pytest.raises(UserError, match=r"8 processes share steps of 4 .* accumulation to 8"):
        devices.check_work([((1, 2), (3, 4)), ((5, 6), (7, 8))])


def test_gradients_of_two_processes_are_added(tmp_path: Path, warm_python: WarmPython) -> None:
    script = """
import os, torch
from finetune.training.devices import Devices
rank = int(os.environ["RANK"])
torch.distributed.init_process_group("gloo")
devices = Devices(device=torch.device("cpu"), rank=rank, count=2)
a, b = (torch.nn.Parameter(torch.zeros(2, 2)) for _ in range(2))
if rank == 0:
    a.grad = torch.full((2, 2), 2.0)
else:
    a.grad, b.grad = torch.full((2, 2), 3.0), torch.ones(2, 2)
devices.sum_gradients([a, b])
assert torch.equal(a.grad, torch.full((2, 2), 5.0)) and torch.equal(b.grad, torch.ones(2, 2))
assert float(devices.sum(torch.tensor(1.0 + rank))) == 3.0 and devices.first == (rank == 0)
torch.distributed.destroy_process_group()  # or its threads may outlive the interpreter
"""
    warm_python.run_two("-c", script, folder=tmp_path)


IN_TWO = """
import json, sys, torch
from accelerate import PartialState
from finetune.__main__ import main
arguments, code = json.loads(sys.argv[1])
assert main(arguments) == code
assert PartialState().num_processes == 2
assert not torch.distributed.is_initialized()
"""
"""Runs a command that must have an exit code in both processes, which are in no group after it.

Each command has processes of its own: a second group in one would meet the first one's addresses.
"""


def test_two_processes_train_like_one_by_halving_its_passes_and_always_end_their_group(
    base: Path, pack: Path, tmp_path: Path, warm_python: WarmPython
) -> None:
    settings = ["dropout=0", "max_steps=2", "accumulation=1"]
    refused = command(base, pack, tmp_path / "out", "--initial", str(tmp_path / "missing"))
    trained = [*command(base, pack, tmp_path / "two"), *settings]
    for arguments, code in ((refused, 1), (trained, 0)):
        warm_python.run_two("-c", IN_TWO, json.dumps([arguments, code]), folder=tmp_path)
    assert main([*command(base, pack, tmp_path / "one"), *settings]) == 0
    found = [dict(losses(tmp_path / name)) for name in ("two", "one")]
    assert len(found[0]) == 2 and found[0] == pytest.approx(found[1], rel=1e-3)


def test_two_processes_whose_clocks_differ_stop_at_one_step_and_share_a_validation(
    base: Path, pack: Path, tmp_path: Path, warm_python: WarmPython
) -> None:
    """The second one's clock is far ahead; the first one's counts. Validation examples are odd."""
    late = (
        "import os, sys, time\n"
        "if os.environ['RANK'] == '1':\n"
        "    clock = time.monotonic\n"
        "    time.monotonic = lambda: clock() * 1000\n"
        "from finetune.__main__ import main\n"
        "assert main(sys.argv[1:]) == 0\n"
    )
    out = tmp_path / "out"

    def both(*more: str) -> None:
        warm_python.run_two("-c", late, *command(base, pack, out, *more), folder=tmp_path)

    both("--max-seconds", "0.001")
    assert [step for step, _ in losses(out)] == [1]
    found = Checkpoint.load(out / "run/checkpoint.pt")
    assert found is not None and found.step == 1 and found.random_state.shape[0] == 2
    assert (out / "adapter_model.safetensors").is_file()
    both("--resume", "--max-seconds", "900")
    assert [step for step, _ in losses(out)] == [1, 2, 3, 4, 5, 6]
    scored = [line["val_loss"] for line in read_log(out / "run/log.jsonl") if "val_loss" in line]
    assert len(scored) == 2 and AdapterRecord.load(out).val_loss == pytest.approx(
        min(scored), rel=1e-5
    )


def test_a_run_begins_with_the_weights_of_an_adapter(
    finished: Path, base: Path, pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--initial", str(finished), "--max-seconds", "0.001")
    assert main(command(base, pack, tmp_path / "more", *more)) == 0
    assert losses(tmp_path / "more")[0][1] < losses(finished)[0][1] - 0.5
    other = tmp_path / "other"
    other.mkdir()
    for path in finished.iterdir():
        if path.is_file():
            (other / path.name).write_bytes(path.read_bytes())
    replace(AdapterRecord.load(finished), base_sha256="0" * 64).save(other)
    given = command(base, pack, tmp_path / "refused", "--initial", str(other))
    assert main(given) == 1
    assert "an adapter of another base model" in capsys.readouterr().err
    assert not (tmp_path / "refused").exists()


def test_a_log_that_was_cut_off_is_read_and_taken_back(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "log.jsonl", print)
    for step in (1, 2, 3):
        log.write({"step": step, "loss": 1.0})
    with log.path.open("a") as stream:
        stream.write('{"step": 4, "lo')
    log.take_back(2)
    assert [line["step"] for line in read_log(log.path)] == [1, 2]


def test_a_checkpoint_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="cannot be read"):
        Checkpoint.load(tmp_path / "checkpoint.pt")


def test_time_left_reads_as_a_clock() -> None:
    assert clock(59.6) == "1:00" and clock(3725) == "1:02:05"


def test_prompts_of_another_version_are_refused(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = write_pack(tmp_path / "old", prompt_version="prompts-0")
    assert main(command(base, pack, tmp_path / "out")) == 1
    assert "create the examples again" in capsys.readouterr().err
