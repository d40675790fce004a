"""From an index to examples, to an adapter, to a report: the whole way, with drawn images."""

import json
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from db.errors import NotFoundError, UserError
from finetune.__main__ import main
from finetune.examples.folder import ExampleFolder
from finetune.examples.indexes import VAL_SHARE, pack_indexes
from finetune.examples.options import ExampleOptions
from generator.__main__ import main as generate
from generator.mllama.adapter_record import AdapterRecord
from indexer.build import build
from indexer.encoder.load import load_encoder
from indexer.encoder.spec import Encoder
from indexer.index import Index
from indexer.sources.jsonl import JsonLines
from retriever.search import Retriever
from tests.support.models.mllama_models import TILE
from tests.support.models.training import SETTINGS, quiet, tiny_base
from tests.support.radiographs import draw_radiograph

pytestmark = quiet
SHAPES = (
    *("apple", "bottle", "candle", "drum", "egg", "fan", "gourd", "hat", "jar", "kettle", "lamp"),
    *("melon", "nut", "onion", "pear", "quince", "ring", "shoe", "tulip", "urn"),
)
STUDIES = 2 * VAL_SHARE


def mark(number: int) -> str:
    """A sentence that no other report has."""
    return f"The heart is enlarged like {SHAPES[number]}."


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("pretrained/encoder")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> Path:
    """``index``, built by the shipped encoder, of studies whose reports differ in one sentence."""
    root = tmp_path_factory.mktemp("index-examples")
    lines = []
    for number in range(STUDIES):
        Image.fromarray(draw_radiograph(number, size=(96, 80))).save(root / f"{number}.png")
        lines.append(
            json.dumps(
                {
                    "study_id": f"s{number:02}",
                    "patient_id": f"p{number:02}",
                    "image": f"{number}.png",
                    "findings": f"{mark(number)} The lungs are clear.",
                    "impression": "Cardiomegaly.",
                }
            )
        )
    (root / "studies.jsonl").write_text("\n".join(lines) + "\n")
    build(JsonLines(root / "studies.jsonl"), encoder, root / "index")
    return root


@pytest.fixture(scope="module")
def adapter(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tiny_base(tmp_path_factory)
    out = root / "adapter"
    given = ["train", "--index", str(root / "index"), "--base", str(base), "--out", str(out)]
    settings = [*SETTINGS, "max_steps=1", "batch=1", "eval_examples=1", "sample_tokens=0"]
    given += ["--passes", "1", "--strategy", "findings", "--device", "cpu"]
    assert main([*given, "--set", *settings]) == 0
    return out


def test_an_adapter_trained_from_an_index_names_it_and_writes_a_report_with_it(
    root: Path, adapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = Index.open(root / "index").manifest
    record = AdapterRecord.load(adapter)
    assert record.index_fingerprint == manifest.fingerprint
    assert record.encoder_sha256 == manifest.encoder.weights_sha256
    given = ["report", str(root / "index"), str(root / "3.png"), "--exclude-study", "s03"]
    model = ["--model", record.base_model, "--adapter", str(adapter), "--max-new-tokens", "8"]
    assert generate([*given, *model, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert str(adapter) in made["generator"]
    assert record.strategy == made["options"]["strategy"] == "findings", "served as it was trained"


def test_held_out_patients_are_shown_in_no_context(adapter: Path) -> None:
    pack = ExampleFolder.load(adapter / "run" / "examples")
    held = {example.study_id for example in pack.val}
    assert held == {f"s{VAL_SHARE - 1:02}", f"s{STUDIES - 1:02}"}
    assert not held & {example.study_id for example in pack.train}
    prompts = " ".join(example.prompt for example in (*pack.train, *pack.val))
    shown = {number for number in range(STUDIES) if mark(number) in prompts}
    assert shown and not shown & {VAL_SHARE - 1, STUDIES - 1}


def test_images_fill_the_canvas_at_the_tile_size_of_the_base_model(adapter: Path) -> None:
    pack = ExampleFolder.load(adapter / "run" / "examples")
    assert pack.about["side"] == TILE and pack.canvas(0).size == (TILE, TILE)


def test_a_run_from_an_index_is_resumed_with_the_same_examples(
    root: Path, adapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ExampleFolder.load(adapter / "run" / "examples").about["data_sha256"]
    base = AdapterRecord.load(adapter).base_model
    given = ["train", "--index", str(root / "index"), "--base", base, "--out", str(adapter)]
    settings = [*SETTINGS, "max_steps=1", "batch=1", "eval_examples=1", "sample_tokens=0"]
    given += ["--passes", "1", "--device", "cpu"]
    assert main([*given, "--resume", "--set", *settings]) == 1
    assert "another strategy (findings then, similar now)" in capsys.readouterr().err
    given += ["--strategy", "findings"]
    assert main([*given, "--set", *settings]) == 1
    assert "add --resume to continue it" in capsys.readouterr().err
    folds = root / "other-folds.json"
    folds.write_text("{}")
    for flag, value in (
        *(("--source", "jsonl"), ("--data-dir", str(root)), ("--hold-out", "patient:0.3")),
        *(("--folds", str(folds)), ("--split-file", str(folds)), ("--columns", "image=File")),
    ):
        assert main([*given, flag, value, "--resume", "--set", *settings]) == 1
        assert f"holds a run with another {flag}: name what" in capsys.readouterr().err
    assert main([*given, "--resume", "--set", *settings]) == 0
    assert ExampleFolder.load(adapter / "run" / "examples").about["data_sha256"] == before


def test_examples_are_those_of_the_index_that_is_named(
    root: Path, adapter: Path, encoder: Encoder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (root / "studies.jsonl").read_text().splitlines()[:3]
    (root / "fewer.jsonl").write_text("\n".join(lines))
    build(JsonLines(root / "fewer.jsonl"), encoder, tmp_path / "fewer")
    base = AdapterRecord.load(adapter).base_model
    given = ["train", "--base", base, "--passes", "1", "--device", "cpu", "--index"]
    look = ["--out", str(tmp_path / "out"), "--dry-run"]
    shown = []
    for index in (root / "index", tmp_path / "fewer", root / "index"):
        assert main([*given, str(index), *look]) == 0
        out = capsys.readouterr().out
        shown.append([line for line in out.splitlines() if "measured in a step" not in line])
    assert shown[0] == shown[2] != shown[1]
    assert main([*given, str(tmp_path / "fewer"), "--out", str(adapter), "--resume"]) == 1
    assert "holds a run on another index" in capsys.readouterr().err


def test_each_study_is_looked_up_in_the_index_of_its_fold(
    root: Path, tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Retriever, "open", partial(Retriever.open, encoder=encoder))
    folds = tmp_path / "folds.json"
    folds.write_text(json.dumps({f"s{n:02}": n % 2 for n in range(4)}))
    options = ExampleOptions(passes=1)

    def packed(folds: Path | None) -> ExampleFolder:
        return pack_indexes(
            [root / "index"] * 2, options=options, side=16, count_tokens=len, folds=folds
        )

    assert {example.study_id for example in packed(folds).train} == {"s00", "s01", "s02", "s03"}
    with pytest.raises(UserError, match="several indexes need --folds"):
        packed(None)
    with pytest.raises(NotFoundError, match="does not exist"):
        packed(tmp_path / "none.json")
    folds.write_text("[1]")
    with pytest.raises(UserError, match="must be a JSON object of study id to fold number"):
        packed(folds)


def test_an_index_whose_images_are_missing_is_refused_with_the_cure(
    tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Retriever, "open", partial(Retriever.open, encoder=encoder))
    image = tmp_path / "0.png"
    Image.fromarray(draw_radiograph(0, size=(96, 80))).save(image)
    line = {"study_id": "a", "patient_id": "p", "image": "0.png", "findings": "Clear."}
    (tmp_path / "studies.jsonl").write_text(json.dumps(line) + "\n")
    build(JsonLines(tmp_path / "studies.jsonl"), encoder, tmp_path / "index")
    image.unlink()

    def packed() -> ExampleFolder:
        return pack_indexes(
            [tmp_path / "index"], options=ExampleOptions(passes=1), side=16, count_tokens=len
        )

    with pytest.raises(UserError, match="is missing: rebuild the index"):
        packed()
