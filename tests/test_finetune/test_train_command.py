import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoProcessor, MllamaForConditionalGeneration

from db.errors import MismatchError, UserError
from finetune.__main__ import main
from finetune.adapter.backends import load_processor, load_trainable
from finetune.adapter.data import TrainingSet
from finetune.adapter.initial import load_adapter_weights
from finetune.adapter.run import TrainingRun
from finetune.adapter.statement import package_versions
from finetune.examples.folder import ExampleFolder
from finetune.export.licence import find_licence
from finetune.export.merge import merge_adapter
from finetune.export.model_card import adapter_card
from finetune.training.checkpoint import Checkpoint
from finetune.training.devices import Devices
from finetune.training.places import check_space
from generator.mllama.adapter_record import AdapterRecord
from generator.mllama.checkpoint import read_config
from generator.mllama.load import load_model
from generator.vision_language import DecodingOptions
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from tests.support.fakes import ReportEncoder, write_studies
from tests.support.models.mllama_models import image_prompt, write_adapter
from tests.support.models.training import CONFIG, SETTINGS, quiet, tiny_base, write_pack
from tests.support.warm_python import WarmPython

pytestmark = quiet
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pack(tmp_path_factory.mktemp("data") / "pack", examples=14)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The sentence with which the command ends."""
    assert main(["train", "--device", "cpu", *arguments]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    return error


def test_a_dry_run_shows_three_examples_their_lengths_and_the_memory(
    base: Path, pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--base", str(base), "--examples", str(pack), "--device", "cpu"]
    assert main(["train", *arguments, "--dry-run", "--set", "max_tokens=90"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("--- example ") == 3
    assert shown.count("<|begin_of_text|>") == 3 and shown.count("<|eot_id|>") == 6
    counts = [
        int(line.split()[1]) for line in shown.splitlines() if line.endswith("#") and "-" in line
    ]
    assert sum(counts) == 14 - 2 and "2 left out as longer than 90 tokens" in shown
    assert "optimizer steps" in shown and "memory: about" in shown


def test_examples_too_long_to_validate_with_are_counted_and_others_chosen(
    base: Path, pack: Path
) -> None:
    given = ExampleFolder.load(pack)
    long = replace(given.val[0], answer="The lungs are clear. " * 60)
    data = replace(given, val=[long] * 9 + list(given.val))
    processor = load_processor(str(base))
    config = replace(CONFIG, max_tokens=200, eval_examples=2)
    chosen = TrainingSet.make(data, processor, config, torch.float32)
    assert chosen.val_too_long == 9 and len(chosen.val) == 2
    assert all(len(tokens) <= 200 for tokens in chosen.val)


def test_a_pack_is_not_split_anew(
    base: Path, pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--base", str(base), "--examples", str(pack), "--hold-out", "patient:0.1")
    assert "--examples are split already" in refusal(capsys, *given, "--dry-run")


def test_examples_that_are_all_too_long_are_refused(
    base: Path, pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--base", str(base), "--examples", str(pack), "--dry-run")
    error = refusal(capsys, *arguments, "--set", "max_tokens=16")
    assert "none of 14 examples fits into 16 tokens" in error and "raise max_tokens" in error


def test_arguments_that_do_not_fit_together_are_refused(
    base: Path, pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--base", str(base), "--examples", str(pack))
    assert "one of --index, --examples and --dataset" in refusal(capsys, "--base", str(base))
    assert "--out" in refusal(capsys, *given)
    (tmp_path / "file").write_text("")
    assert "is a file" in refusal(capsys, *given, "--out", str(tmp_path / "file"))
    full = ("--out", str(tmp_path / "new"), "--merge", str(tmp_path))
    assert "name another directory to merge into" in refusal(capsys, *given, *full)
    assert "use --backend peft" in refusal(
        capsys, *given, "--out", str(tmp_path / "new"), "--backend", "unsloth"
    )
    assert "is not an examples folder" in refusal(
        capsys, "--base", str(base), "--examples", str(tmp_path), "--out", str(tmp_path / "new")
    )
    assert not (tmp_path / "new").exists()


def test_a_base_that_is_no_mllama_is_refused_before_the_data_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "llama"
    other.mkdir()
    (other / "config.json").write_text(json.dumps({"model_type": "llama"}))
    given = ("--examples", str(tmp_path / "none"), "--out", str(tmp_path / "out"))
    assert "'mllama'" in refusal(capsys, "--base", str(other), *given)
    assert "name the folder of a model" in refusal(capsys, "--base", str(tmp_path), *given)


def test_training_ends_with_merged_weights_that_answer_as_base_and_adapter_do(
    base: Path, pack: Path, tmp_path: Path
) -> None:
    out, merged_dir = tmp_path / "adapter", tmp_path / "merged"
    arguments = ["train", "--base", str(base), "--examples", str(pack), "--device", "cpu"]
    where = ["--out", str(out), "--merge", str(merged_dir)]
    assert main([*arguments, *where, "--set", *SETTINGS, "max_steps=1"]) == 0
    merged = MllamaForConditionalGeneration.from_pretrained(merged_dir, dtype=torch.float32)
    trainable = load_trainable(str(base), CONFIG, CPU)
    load_adapter_weights(trainable, out)
    ids = torch.tensor([AutoProcessor.from_pretrained(merged_dir).tokenizer("The heart").input_ids])
    with torch.no_grad():
        expected = trainable.model(input_ids=ids).logits
        plain = trainable.model.get_base_model()  # type: ignore[operator]
        found = merged(input_ids=ids).logits
        with trainable.model.disable_adapter():  # type: ignore[operator]
            untrained = plain(input_ids=ids).logits
    apart = (expected - untrained).abs().max()
    assert (found - expected).abs().max() < 0.2 * apart  # the weights are rounded to bfloat16
    assert "Research use only" in (merged_dir / "README.md").read_text()


def test_a_merge_with_another_base_is_refused(base: Path, tmp_path: Path) -> None:
    record = {
        "base_model": str(base),
        "base_sha256": "0" * 64,
        "prompt_version": "prompts-4",
        "index_fingerprint": None,
        "encoder_sha256": None,
        "data_sha256": "0" * 64,
        "config": vars(CONFIG),
        "packages": package_versions(),
        "step": 1,
        "val_loss": None,
    }
    adapter = write_adapter(tmp_path / "adapter", base, record=record)
    with pytest.raises(MismatchError, match="was trained on other weights"):
        merge_adapter(adapter, tmp_path / "merged", CPU)
    (adapter / "adapter_record.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        merge_adapter(adapter, tmp_path / "merged", CPU)
    assert not (tmp_path / "merged").exists()


def test_too_little_memory_on_the_gpu_is_refused_before_any_weight_is_loaded(
    base: Path, pack: Path, tmp_path: Path
) -> None:
    class SmallCard(Devices):
        def free_memory(self) -> int:
            return 1 << 10

    bare = tmp_path / "base"
    shutil.copytree(base, bare)
    shard = bare / "model.safetensors"
    shard.write_bytes(shard.read_bytes()[:100])  # loading it would fail
    with pytest.raises(UserError, match=r"0\.0 GB free .* use --bits 4 and a lower rank"):
        TrainingRun.prepare(
            base=str(bare),
            base_config=read_config(bare),
            processor=load_processor(str(bare)),
            data=ExampleFolder.load(pack),
            config=CONFIG,
            devices=SmallCard(device=CPU),
        )


def test_an_adapter_of_other_layers_is_refused(base: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter", base)  # the text model alone, rank 4
    with pytest.raises(MismatchError, match="other layers or another rank"):
        load_adapter_weights(load_trainable(str(base), CONFIG, CPU), adapter)


def record_for(base: str) -> AdapterRecord:
    return AdapterRecord(
        base_model=base,
        base_sha256="0" * 64,
        prompt_version="prompts-4",
        index_fingerprint=None,
        encoder_sha256=None,
        data_sha256="1" * 64,
        config=vars(CONFIG),
        packages={},
    )


def test_a_llama_base_brings_its_terms_into_the_card_and_beside_merged_weights(
    tmp_path: Path,
) -> None:
    base, out = tmp_path / "base", tmp_path / "out"
    base.mkdir()
    out.mkdir()
    (base / "LICENSE.txt").write_text("LLAMA 3.2 COMMUNITY LICENSE AGREEMENT\n")
    (base / "USE_POLICY.md").write_text("policy")
    licence = find_licence(str(base))
    assert licence.llama
    card = adapter_card(record_for(str(base)), licence)
    assert "license: llama3.2" in card and "Built with Llama" in card
    assert card.split("# ")[1].startswith("Llama")
    licence.copy_to(out)
    assert {path.name for path in out.iterdir()} == {"LICENSE.txt", "USE_POLICY.md", "NOTICE"}
    assert "Copyright © Meta Platforms" in (out / "NOTICE").read_text()


def test_the_licence_of_the_shipped_model_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert [path.name for path in find_licence("pretrained/generator").files] == ["LICENSE"]


def test_another_base_keeps_its_own_licence(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("Apache License")
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\n---\nA model.\n")
    licence = find_licence(str(tmp_path))
    assert not licence.llama and licence.name == "apache-2.0"
    card = adapter_card(record_for(str(tmp_path)), licence)
    assert "license: apache-2.0" in card and "`LICENSE`" in card and "Llama" not in card
    assert "states no licence" in find_licence(str(tmp_path.parent)).terms()


def test_a_command_that_moved_names_the_new_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["base", "--corpus", "pack", "--cut", "cut"]) == 2
    assert "python -m recipes.small_mllama" in capsys.readouterr().err


@pytest.mark.parametrize("merge", ["{out}", "{out}/merged", "{out}/..", "{base}", "{file}/x"])
def test_a_place_to_merge_into_is_checked_before_training(
    base: Path, pack: Path, tmp_path: Path, merge: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "runs" / "adapter"
    place = merge.format(out=out, base=base, file=tmp_path / "file")
    given = ("--base", str(base), "--examples", str(pack), "--out", str(out), "--merge", place)
    assert "another directory" in refusal(capsys, *given) or "of its own" in refusal(capsys, *given)
    assert not out.exists()


def test_a_place_that_cannot_be_made_or_written_is_one_sentence(
    base: Path, pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    given = ("--base", str(base), "--examples", str(pack), "--out")
    error = refusal(capsys, *given, str(tmp_path / "file" / "deep" / "out"))
    assert "file is a file: name another directory" in error
    assert "cannot be written" in refusal(capsys, *given, "/proc/out")


def test_a_disk_that_is_too_small_is_refused_with_the_sizes(
    base: Path, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"needs 0\.10 GB and its disk has 0\.00 GB"):
        monkeypatch.setattr(
            "shutil.disk_usage", lambda path: SimpleNamespace(total=1, used=1, free=1)
        )
        check_space(tmp_path / "new", [5e7, 5e7])
    monkeypatch.undo()
    monkeypatch.setattr("finetune.training.places._largest_file", lambda: 1000)
    with pytest.raises(UserError, match="raise the limit"):
        check_space(tmp_path / "new", [10, 2000])
    check_space(tmp_path / "new", [10, 900])


def test_a_disk_that_fills_up_ends_the_run_in_one_sentence_and_what_was_kept_stays(
    base: Path, pack: Path, tmp_path: Path, warm_python: WarmPython
) -> None:
    """The size limit of a file stands in for the disk; it is lowered after the first validation."""
    script = (
        "import resource, sys\n"
        "from finetune.__main__ import main\n"
        "from finetune.adapter.trainer import AdapterTrainer\n"
        "def full(self):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))\n"
        "AdapterTrainer.logged_scores = full\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    out = tmp_path / "out"
    given = ["train", "--base", str(base), "--examples", str(pack), "--out", str(out)]
    code, said = warm_python.run("-c", script, *given, "--device", "cpu", "--set", *SETTINGS)
    assert code == 1 and "Traceback" not in said
    assert "cannot be written" in said.splitlines()[-1]
    assert AdapterRecord.load(out).step == 3
    kept = Checkpoint.load(out / "run/checkpoint.pt")
    assert kept is not None and kept.step == 2
    assert not list(out.rglob("*.tmp"))


def test_a_base_stored_in_nf4_is_merged_with_all_that_belongs_to_a_model(
    pack: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stored = tmp_path / "base"
    shutil.copytree(tiny_base(tmp_path_factory, nf4=True), stored)
    (stored / "LICENSE").write_text("Its licence.")
    invalid = {"do_sample": False, "temperature": 0.6, "max_new_tokens": 7}  # as Llama ships it
    (stored / "generation_config.json").write_text(json.dumps(invalid))
    out, merged_dir = tmp_path / "adapter", tmp_path / "merged"
    given = ["train", "--base", str(stored), "--examples", str(pack), "--device", "cpu"]
    where = ["--out", str(out), "--merge", str(merged_dir)]
    assert main([*given, *where, "--set", *SETTINGS, "max_steps=2"]) == 0
    names = {path.name for path in merged_dir.iterdir()}
    assert {"LICENSE", "README.md", "chat_template.jinja", "tokenizer.json"} <= names
    assert json.loads((merged_dir / "generation_config.json").read_text()) == invalid
    assert "base_model_relation: merge" in (merged_dir / "README.md").read_text()
    assert "quantization_config" not in json.loads((merged_dir / "config.json").read_text())
    assert (out / "LICENSE").read_text() == "Its licence."
    prompts = [image_prompt(f"What is seen, number {n}?", seed=n) for n in range(20)]
    models = [
        load_model(stored, out, device="cpu", quantization="none"),
        load_model(merged_dir, device="cpu", quantization="none"),
    ]
    texts = [m.generate(prompts, DecodingOptions(max_new_tokens=16)) for m in models]
    assert texts[0] == texts[1] and len(texts[0]) == 20


def test_weights_that_answer_otherwise_are_stored_in_float32_or_not_at_all(
    base: Path, pack: Path, tmp_path: Path
) -> None:
    stored = Path(shutil.copytree(base, tmp_path / "base"))
    config = json.loads((stored / "config.json").read_text())
    (stored / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}))
    out = tmp_path / "adapter"
    given = ["train", "--base", str(stored), "--examples", str(pack), "--device", "cpu"]
    assert main([*given, "--out", str(out), "--set", *SETTINGS, "max_steps=1"]) == 0
    seen: list[Any] = []

    def differing(differ: int) -> Any:
        def texts(model: Any, device: torch.device) -> list[str]:
            seen.append(model)
            return [str(len(seen) if len(seen) <= differ else "same")]

        return texts

    merge_adapter(out, tmp_path / "one", CPU, compare=differing(2))
    assert json.loads((tmp_path / "one/config.json").read_text())["dtype"] == "float32"
    seen.clear()
    with pytest.raises(UserError, match="answer 1 prompts otherwise"):
        merge_adapter(out, tmp_path / "two", CPU, compare=differing(4))
    assert not (tmp_path / "two").exists()
    seen.clear()
    merge_adapter(out, tmp_path / "three", CPU, compare=differing(0))
    assert json.loads((tmp_path / "three/config.json").read_text())["dtype"] == "bfloat16"


def test_an_index_without_images_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_studies(tmp_path / "data", 4)
    build(JsonLines(path, split=None), ReportEncoder({}), tmp_path / "index")
    for image in path.parent.rglob("*.png"):
        image.unlink()
    given = ("--index", str(tmp_path / "index"), "--base", "none", "--out", str(tmp_path / "out"))
    error = refusal(capsys, *given)
    assert "has no images to train on" in error and "--dataset" in error
    assert not (tmp_path / "out").exists()
