"""The checks, each of which raises CheckError or says what it found."""

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.robustness.backends.bench import (
    ROOT,
    SAME_LOSS,
    SETTINGS,
    STANDING,
    Bench,
    expect,
)


def bad_rows_are_counted_and_named(bench: Bench) -> str:
    error = bench.refused("listed", data="bad.jsonl")
    expect("4 of 8 rows" in error and "it is a list and no text" in error, error)
    listed = (bench.folder / "listed/run/bad_rows.csv").read_text().splitlines()
    expect(len(listed) == 5, listed)
    return error.split(": ")[0]


def a_val_split_that_equals_train_is_refused(bench: Bench) -> str:
    error = bench.refused("never", data="same")
    expect("of the val split" in error and "also in train" in error, error)
    return error[:60]


def settings_that_cannot_be_are_refused(bench: Bench) -> str:
    wrong = ["lr=nan", "weight_decay=inf", "max_grad_norm=nan", "dropout=nan", "rank=0"]
    if bench.backend == "unsloth":
        wrong += ["dora=true", "bits=8"]
    for setting in wrong:
        error = bench.refused("never", settings=[setting])
        expect(setting.split("=")[0].replace("bits", "bit").replace("dora", "DoRA") in error, error)
    expect(not (bench.folder / "never").exists(), "a folder was made")
    return ", ".join(wrong)


def settings_given_twice_add_up_and_bad_rows_are_skipped(bench: Bench) -> str:
    more = ("--skip-bad", "--set", "rank=4", "rslora=true", "--set", "max_steps=1")
    said = bench.finish("twice", *more, data="bad.jsonl", settings=["rank=4", "max_steps=1"])
    config = bench.config("twice")
    found = (config["r"], config["lora_alpha"], config["use_rslora"], bench.record("twice")["step"])
    expect(found == (4, 4, True, 1) and "left out" in said, f"{found}\n{said}")
    return f"rank, alpha, rsLoRA, steps: {found}"


def a_folder_with_brackets_is_read_and_not_its_sibling(bench: Bench) -> str:
    given = ("train", "--base", bench.base(), "--dataset", bench.data("run[1]"), "--dry-run")
    code, said = bench.run(*given, "--set", *SETTINGS)
    expect(code == 0 and "own rows" in said and "sibling" not in said, said)
    return next(line for line in said.splitlines() if line.startswith("memory"))[:40]


def two_runs_left_alone_are_alike(bench: Bench) -> str:
    for name in ("alone", "again"):
        bench.finish(name)
    record = bench.record("alone")
    expect(record["config"]["backend"] == bench.backend, record["config"])
    return f"{bench.alike('again', 'alone')}, val loss {record['val_loss']:.4f}"


def a_run_stopped_by_sigterm_is_resumed_as_the_same_run(bench: Bench) -> str:
    code, said = bench.train("stopped", stop_at=2)
    expect(code == 143 and "stopped by SIGTERM at step 2" in said, f"exit code {code}\n{said}")
    bench.finish("stopped", "--resume")
    steps = [_steps(bench.folder / name) for name in ("stopped", "alone")]
    expect(steps[0] == steps[1] == [1, 2, 3, 4, 5, 6], steps)
    return bench.alike("stopped", "alone")


def a_run_whose_time_is_up_is_resumed(bench: Bench) -> str:
    said = bench.finish("timed", "--max-seconds", "1")
    expect("continue with --resume" in said, said)
    before = _steps(bench.folder / "timed")
    bench.finish("timed", "--resume")
    return f"stopped after step {before[-1]}; {bench.alike('timed', 'alone')}"


def another_run_is_not_resumed(bench: Bench) -> str:
    error = bench.refused("again", "--resume", settings=["lr=0.02"])
    expect("another config: lr" in error, error)
    shutil.copytree(bench.folder / "alone", bench.folder / "lost")
    shutil.rmtree(bench.folder / "lost/run")
    error = bench.refused("lost", "--resume")
    expect("holds no run to resume" in error, error)
    expect(bench.distance("lost", "alone") == 0, "the adapter was replaced")
    error = bench.refused("mistyped", "--resume")
    expect("holds no run to resume" in error, error)
    return "other settings, a lost run, no run"


def a_start_adapter_of_another_rank_or_alpha_starts_from_the_same_function(bench: Bench) -> str:
    initial, found = ("--initial", str(bench.folder / "alone")), []
    wanted = bench.record("alone")["val_loss"]
    for name, settings in {
        "alpha 16": ["alpha=16"],
        "rank 4": ["rank=4"],
        "rank 8, rsLoRA": ["rank=8", "alpha=3", "rslora=true"],
    }.items():
        out = f"from-{name[:6].strip()}".replace(" ", "-")
        bench.finish(out, *initial, settings=[*STANDING, *settings])
        loss = bench.record(out)["val_loss"]
        expect(abs(loss / wanted - 1) < SAME_LOSS, f"{name}: val loss {loss}, was {wanted}")
        found.append(f"{name}: {loss:.4f}")
    error = bench.refused("lower", *initial, settings=["rank=1"])
    expect("rank 2, which does not fit into rank 1" in error, error)
    return f"val loss {wanted:.4f}; {', '.join(found)}; rank 1 refused"


def a_finished_run_is_merged(bench: Bench) -> str:
    out = bench.folder / "alone"
    for target in (out, bench.folder / "data"):
        bench.refused("alone", "--resume", "--merge", str(target))
    bench.finish("alone", "--resume", "--merge", str(bench.folder / "merged"))
    return _described(bench.folder / "merged")


def an_adapter_of_a_base_stored_in_four_bits_is_merged(bench: Bench) -> str:
    merge = ("--merge", str(bench.folder / "merged-nf4"))
    bench.finish("four", *merge, base="base-nf4", settings=["max_steps=2"])
    return _described(bench.folder / "merged-nf4")


def preferences_are_trained_from_an_adapter(bench: Bench) -> str:
    given = ("--base", bench.base("base-nf4"), "--pairs", bench.data("pairs/pairs.jsonl"))
    more = ("--initial", str(bench.folder / "four"), "--set", *SETTINGS, "max_steps=4", "lr=1e-3")
    out = bench.folder / "preferred"
    code, said = bench.run("prefer", *given, "--out", str(out), *more)
    expect(code == 0, said)
    lines = [json.loads(line) for line in (out / "run/log.jsonl").read_text().splitlines()]
    first, last = lines[0], lines[-1]
    # before the first step the model is its own reference
    expect(abs(first["loss"] - math.log(2)) < 0.01 and abs(first["margin"]) < 0.01, first)
    expect(last["loss"] < first["loss"] and last["margin"] > 0, last)
    return f"loss {first['loss']:.4f} to {last['loss']:.4f}, margin {last['margin']:.4f}"


def peft_reads_the_same_adapter(bench: Bench) -> str:
    """In another process: the validation loss of the same weights, on a base that is stored in
    four bits, so that both compute with the same values."""
    given = ("train", "--base", bench.base("base-nf4"), "--dataset", bench.data())
    more = ("--initial", str(bench.folder / "four"), "--device", bench.device)
    out = bench.folder / "read"
    where = ("--backend", "peft", "--out", str(out))
    _python("-m", "finetune", *given, *more, *where, "--set", *SETTINGS, *STANDING)
    wanted, found = (bench.record(name)["val_loss"] for name in ("four", "read"))
    expect(abs(found / wanted - 1) < SAME_LOSS, f"val loss {found} through peft, was {wanted}")
    return f"val loss {found:.4f} through peft, {wanted:.4f} through {bench.backend}"


def merged_weights_answer_as_base_and_adapter_do(bench: Bench) -> str:
    return _compared(bench, "base", "alone", "merged")


def weights_merged_into_a_base_stored_in_four_bits_answer_alike(bench: Bench) -> str:
    return _compared(bench, "base-nf4", "four", "merged-nf4")


GROUPS: Mapping[str, Sequence[Callable[[Bench], str]]] = {
    "data": (
        bad_rows_are_counted_and_named,
        a_val_split_that_equals_train_is_refused,
        settings_that_cannot_be_are_refused,
        settings_given_twice_add_up_and_bad_rows_are_skipped,
        a_folder_with_brackets_is_read_and_not_its_sibling,
    ),
    "runs": (
        two_runs_left_alone_are_alike,
        a_run_stopped_by_sigterm_is_resumed_as_the_same_run,
        a_finished_run_is_merged,
        a_start_adapter_of_another_rank_or_alpha_starts_from_the_same_function,
        another_run_is_not_resumed,
        a_run_whose_time_is_up_is_resumed,
        merged_weights_answer_as_base_and_adapter_do,
    ),
    "stored": (
        an_adapter_of_a_base_stored_in_four_bits_is_merged,
        preferences_are_trained_from_an_adapter,
        peft_reads_the_same_adapter,
        weights_merged_into_a_base_stored_in_four_bits_answer_alike,
    ),
}
"""Groups that need nothing of each other; within one, checks look at what those before trained."""

_COMPARE = """
import sys
from generator.mllama.load import load_model
from generator.vision_language import DecodingOptions
from tests.support.models.mllama_models import image_prompt
prompts = [image_prompt(f"Write the findings. {n}", seed=n) for n in range(10)]
base, adapter, merged = sys.argv[1:]
texts = [
    load_model(*given, device="cpu").generate(prompts, DecodingOptions(max_new_tokens=24))
    for given in ([base, adapter], [merged], [base])
]
print(*(sum(a == b for a, b in zip(texts[0], other)) for other in texts[1:]))
"""


def _compared(bench: Bench, *names: str) -> str:
    """Base, adapter and merged weights in another process, as the service loads them."""
    said = _python("-c", _COMPARE, *(str(bench.folder / name) for name in names))
    equal, without = map(int, said.splitlines()[-1].split())
    found = f"{equal} of 10 greedy texts equal, {without} without the adapter"
    expect(equal >= 9 and without < 9, found)
    return found


def _steps(out: Path) -> list[int]:
    """Those in the log of a run."""
    lines = (out / "run/log.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def _described(merged: Path) -> str:
    """The files of a merged model, all of which must be there."""
    held = {path.name for path in merged.iterdir()}
    wanted = {"config.json", "model.safetensors", "generation_config.json", "tokenizer.json"}
    wanted |= {"processor_config.json", "chat_template.jinja", "README.md"}
    expect(wanted <= held, f"missing: {sorted(wanted - held)}")
    stored = json.loads((merged / "config.json").read_text())
    expect("quantization_config" not in stored, "the merged weights are quantized")
    return f"{len(held)} files, weights in {stored.get('dtype')}"


def _python(*words: str) -> str:
    """What another process prints."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path[1:]])},
        capture_output=True,
        text=True,
        check=False,
    )
    expect(done.returncode == 0, done.stderr or done.stdout)
    return done.stdout
