"""Answers drawn for the studies of an index, here or on another machine, and the pairs of them."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from db.errors import UserError
from evaluation.outputs.prompts import answer_prompts, read_prompts
from finetune.__main__ import main as finetune
from finetune.examples.indexes import GatheredStudies
from finetune.preferences.options import PairOptions
from finetune.preferences.pair_file import PairFile
from finetune.preferences.sampling import PairMaker
from generator.prompts import Prompt
from generator.vision_language import GREEDY, DecodingOptions
from indexer.__main__ import main as indexer
from tests.support.fakes import write_studies
from tests.support.models.scripted_model import ScriptedModel
from tests.support.models.training import tiny_base
from tests.support.models.training_studies import a_training_study

LARGE, EFFUSION = "The heart is enlarged.", "There is a small left pleural effusion."
FOUND = GatheredStudies(
    train=[
        a_training_study(1, LARGE, [LARGE + " Mildly."], scores={"Cardiomegaly": 0.9}),
        a_training_study(2, EFFUSION, [EFFUSION + " It is small."]),
    ],
    val=[a_training_study(3, LARGE, [LARGE + " Mildly."])],
    about={"index_fingerprint": "f" * 64, "encoder_sha256": "e" * 64, "strategy": "similar"},
)
OPTIONS = PairOptions(samples=3, exchanged=0.0, seed=7)


class DrawingModel(ScriptedModel):
    """Says something else with each seed."""

    def generate(self, prompts: Sequence[Prompt], options: DecodingOptions = GREEDY) -> list[str]:
        assert options.temperature == OPTIONS.temperature
        said = {7: LARGE, 8: EFFUSION, 9: "No pneumothorax."}[options.seed]
        return [f"Findings: {said} [1]" for _ in super().generate(prompts, options)]


def maker(out: Path, found: GatheredStudies = FOUND) -> PairMaker:
    return PairMaker(DrawingModel(lambda prompt: ""), found, OPTIONS, out)


def test_answers_are_drawn_by_seed_and_become_pairs_of_their_own_split(tmp_path: Path) -> None:
    out = tmp_path / "pairs"
    one = maker(out)
    assert one.write_prompts(out / "prompts") == len(read_prompts(out / "prompts")) == 3
    [line, *_] = read_prompts(out / "prompts")
    assert line["seeds"] == [7, 8, 9] and line["temperature"] == OPTIONS.temperature
    one.answer(out / "prompts", out / "answers", computed="cpu")
    said = one.write_pairs(out / "answers", held_out={"studies": ["s3"], "patients": []})
    assert said.startswith("train: 2 reward pairs of 2 prompts; val: 1 reward pairs of 1 prompts")
    data = PairFile.load(out / "pairs.jsonl")
    assert {p.study_id: p.answer for p in data.train} == {
        "s1": f"Findings: {LARGE} [1]",
        "s2": f"Findings: {EFFUSION} [1]",
    }
    assert {p.study_id for p in data.val} == {"s3"}
    assert all(p.rejected != p.answer for p in (*data.train, *data.val))
    assert data.about["options"]["weights"]["label_f1"] == 1.0
    assert data.about["labeller"] and data.about["weights_sha256"] == "5c" * 32


def test_answers_of_another_machine_make_the_same_pairs(tmp_path: Path) -> None:
    here, there = maker(tmp_path / "here"), maker(tmp_path / "there")
    for one, name in ((here, "here"), (there, "there")):
        one.write_prompts(tmp_path / name / "prompts")
    answers = tmp_path / "answers"
    model = DrawingModel(lambda prompt: "")
    answer_prompts(model, tmp_path / "here/prompts", answers, computed="cuda")
    for one in (here, there):
        one.write_pairs(answers, held_out={})
    pairs = [(tmp_path / name / "pairs.jsonl").read_bytes() for name in ("here", "there")]
    assert pairs[0] == pairs[1]


def test_answers_that_are_all_alike_are_refused_with_the_cure(tmp_path: Path) -> None:
    class Sure(ScriptedModel):
        pass

    one = PairMaker(Sure(lambda prompt: f"Findings: {LARGE} [1]"), FOUND, OPTIONS, tmp_path)
    one.write_prompts(tmp_path / "prompts")
    one.answer(tmp_path / "prompts", tmp_path / "answers", computed="cpu")
    with pytest.raises(UserError, match="no two answers to a prompt differ by --least-margin"):
        one.write_pairs(tmp_path / "answers", held_out={})


def test_pairs_are_made_of_an_index_and_held_out_studies_refused(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_studies(tmp_path / "data", 6)
    index = tmp_path / "index"
    given = ["build", "--source", "jsonl", "--data-dir", str(data), "--out", str(index)]
    assert indexer(given) == 0
    out = tmp_path / "pairs"
    pairs = [
        *("pairs", "--index", str(index), "--out", str(out), "--device", "cpu", "--studies", "3"),
        *("--model", str(tiny_base(tmp_path_factory)), "--samples", "2", "--max-new-tokens", "4"),
    ]
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"train": [], "val": ["other"], "test": ["s4"]}))
    own = ["--source", "jsonl", "--split-file", str(split), "--data-dir", str(data)]
    assert finetune([*pairs, *own]) == 1
    assert "study s4 of the test split is indexed" in capsys.readouterr().err
    assert not out.exists()
    assert finetune([*pairs, "--hold-out", "patient:0.3", "--write-prompts"]) == 0
    prompts = read_prompts(out / "prompts")
    assert len(prompts) >= 4  # of three studies, and of patients that are held out
    assert all(len(line["seeds"]) == 2 for line in prompts)
    # a base of random weights writes nothing that could be preferred
    assert finetune([*pairs, "--hold-out", "patient:0.3"]) == 1
    assert "no two answers to a prompt differ" in capsys.readouterr().err
    assert json.loads((out / "answers.jsonl").read_text().splitlines()[0])["computed"] == "cpu"
