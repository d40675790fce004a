"""Five folds of VQA-RAD, on drawn images and invented questions in the form it is published in."""

import argparse
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from bench.vqa_rad.__main__ import main
from bench.vqa_rad.folds import prepare
from bench.vqa_rad.questions import FOLDS, Asked, read_asked
from bench.vqa_rad.scores import OTHERS, OWN, fold_counts, systems_of
from db.errors import MismatchError, UserError
from evaluation.answers.scores import answer_table, is_right
from evaluation.outputs.names import WITH_RETRIEVAL, WITHOUT_RETRIEVAL
from evaluation.outputs.prompts import prompt_sha256, read_answers, read_prompts
from finetune.__main__ import main as finetune
from finetune.examples.folder import ExampleFolder
from generator.mllama.load import load_model
from generator.prompts import PROMPT_VERSION, ask_prompt
from generator.tasks import TaskRunner
from indexer.build import build
from indexer.encoder.weight_files import file_sha256
from indexer.sources.jsonl import JsonLines
from retriever.search import Retriever
from tests.support.fakes import ReportEncoder, write_studies
from tests.support.models.training import SETTINGS, quiet, tiny_base, write_pack
from tests.support.radiographs import draw_radiograph

pytestmark = quiet
IMAGES = 10
SETS = (
    ("Is the heart large?", ("Yes", "No "), "CLOSED"),
    ("Which view is drawn?", ("PA", "AP"), "CLOSED"),
    ("What is on the\nleft?", ("a patch", 3), "OPEN"),
)


def write_questions(folder: Path) -> Path:
    """Three questions a chest image, and one on a head."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for number in range(IMAGES + 1):
        name = f"drawn{number}.jpg"
        image = draw_radiograph(100 + number, size=(96, 80 + number))
        Image.fromarray(image).convert("RGB").save(folder / "images" / name)
        for text, answers, kind in SETS if number < IMAGES else SETS[:1]:
            rows.append(
                {
                    "qid": len(rows),
                    "image_name": name,
                    "image_organ": "CHEST" if number < IMAGES else "HEAD",
                    "question": text,
                    "answer": answers[number % 3 == 0],
                    "answer_type": kind,
                    "question_type": "PRES",
                    "phrase_type": "freeform",
                }
            )
    (folder / "train.json").write_text(json.dumps(rows))
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    """Data, an index of other images, and what ``prepare`` makes of them."""
    root = tmp_path_factory.mktemp("vqa")
    write_questions(root / "data")
    build(JsonLines(write_studies(root / "studies", 16)), ReportEncoder(), root / "index")
    prepare(prepare_arguments(root, base), open_retriever=opened)
    return root


def prepare_arguments(root: Path, base: Path) -> argparse.Namespace:
    return argparse.Namespace(
        data=root / "data", index=root / "index", work=root / "work", model=str(base)
    )


def opened(path: Path) -> Retriever:
    return Retriever.open(path, ReportEncoder())


def test_each_image_is_asked_about_in_one_fold_and_never_trained_on_there(root: Path) -> None:
    about, asked = read_asked(root / "work")
    assert about["prompt_version"] == PROMPT_VERSION and about["other_organs"] == {"HEAD": 1}
    assert sorted(int(one.question_id) for one in asked) == list(range(3 * IMAGES))
    fold_of: dict[str, set[int]] = {}
    for one in asked:
        fold_of.setdefault(one.group, set()).add(one.fold)
    assert all(len(folds) == 1 for folds in fold_of.values())
    for fold in range(FOLDS):
        held = {image for image, folds in fold_of.items() if folds == {fold}}
        assert len(held) == IMAGES // FOLDS
        pack = ExampleFolder.load(root / "work" / f"fold-{fold}" / "pack")
        train, val = ({one.study_id for one in part} for part in (pack.train, pack.val))
        assert len(train) == IMAGES - len(held) - 1 and len(val) == 1
        assert not train & held and not val & held and not train & val
        prompts = read_prompts(root / "work" / f"fold-{fold}" / "prompts")
        mine = {key for one in asked if one.fold == fold for key in one.keys.values()}
        assert {prompt["key"] for prompt in prompts} == mine


def test_every_question_is_trained_on_with_cases_and_without(root: Path) -> None:
    pack = ExampleFolder.load(root / "work" / "fold-0" / "pack")
    assert len(pack.train) == 2 * 3 * (IMAGES - IMAGES // FOLDS - 1)
    with_cases, without = (
        [one for one in pack.train if ("[1] (" in one.prompt) == shown] for shown in (True, False)
    )
    assert [one.answer for one in with_cases] == [one.answer for one in without]
    assert all("Prior cases: none" in one.prompt for one in without)
    assert {one.answer for one in pack.train} == {"yes", "no", "PA", "AP", "a patch", "3"}


def test_prompts_are_those_of_the_service(root: Path, base: Path) -> None:
    runner = TaskRunner(opened(root / "index"), load_model(base, device="cpu"))
    _, asked = read_asked(root / "work")
    for one in random.Random(0).sample(asked, 3):
        study = runner.retrieve([root / "data" / "images" / one.group])
        prompt = ask_prompt(study.short_context, one.text, study.image)
        assert prompt_sha256(prompt) == one.keys[WITH_RETRIEVAL] != one.keys[WITHOUT_RETRIEVAL]


def test_a_folder_with_other_content_is_not_overwritten(root: Path, base: Path) -> None:
    arguments = prepare_arguments(root, base)
    arguments.work = root / "data"
    with pytest.raises(UserError, match="holds no questions: name another place"):
        prepare(arguments, open_retriever=opened)


def test_a_fold_is_trained_and_answered_and_all_are_scored(
    root: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    initial = tmp_path / "initial"
    settings = [*SETTINGS, "max_steps=1", "sample_tokens=0", "eval_examples=0"]
    train = ["train", "--base", str(base), "--device", "cpu", "--out", str(initial)]
    pack = write_pack(tmp_path / "pack", examples=4)
    assert finetune([*train, "--examples", str(pack), "--set", *settings]) == 0
    answers = tmp_path / "answers"
    given = ["--work", str(root / "work"), "--answers", str(answers)]
    run = ["run", *given, "--model", str(base), "--initial", str(initial), "--device", "cpu"]
    assert main([*run, "--folds", "0", "--epochs", "1", "--lr", "0.01"]) == 0
    about, found = read_answers(answers / "fold-0.jsonl")
    made = json.loads((answers / "fold-0.json").read_text())
    assert about["computed"] == "cpu, none" and made["adapter"]["config"]["rank"] == 2
    assert len(found) == 12 and made["adapter"]["val_loss"] > 0
    begun = json.loads((answers / "fold-0" / "run" / "run.json").read_text())
    assert begun["initial_sha256"] == file_sha256(initial / "adapter_model.safetensors")
    assert main(["score", *given]) == 1
    assert "fold-1.jsonl holds no answers" in capsys.readouterr().err
    _, asked = read_asked(root / "work")
    for fold in range(1, FOLDS):
        write_answers(answers, fold, {k: "no" for one in asked for k in one.keys.values()})
    out = tmp_path / "figures.json"
    assert main(["score", *given, "--resamples", "50", "--out", str(out)]) == 0
    assert "  4: 2 images, 6 questions, of 4 closed" in capsys.readouterr().out
    document = json.loads(out.read_text())
    assert document["folds"][0]["weights_sha256"] == about["weights_sha256"]
    assert document["table"]["rows"]["closed accuracy"][WITH_RETRIEVAL]["count"][1] == 2 * IMAGES
    assert "drawn" not in out.read_text()


def write_answers(folder: Path, fold: int, answers: dict[str, str]) -> None:
    rows = [{"key": key, "answer": text} for key, text in answers.items()]
    lines = [{"weights_sha256": f"{fold}" * 64, "computed": "cpu, none"}, *rows]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / f"fold-{fold}.jsonl").write_text(text)
    (folder / f"fold-{fold}.json").write_text("{}")


def asked_of(number: int, answer: str, *, closed: bool = True) -> Asked:
    return Asked(
        question_id=str(number),
        group=f"image{number % 10}",
        fold=number % 10 % FOLDS,
        text="Is it?",
        answer=answer,
        closed=closed,
        keys={WITH_RETRIEVAL: f"w{number}", WITHOUT_RETRIEVAL: f"o{number}"},
        cases=("local/s1",),
    )


def test_figures_of_known_answers() -> None:
    """All right with retrieval, "no" without; yes is the commonest answer but in fold 0."""
    asked = [asked_of(n, "no" if n % 5 == 0 or n == 11 else "Yes") for n in range(20)]
    asked += [asked_of(20 + n, "left lung", closed=False) for n in range(10)]
    answers = {one.keys[WITH_RETRIEVAL]: f"{one.answer}. [1]" for one in asked}
    answers |= {one.keys[WITHOUT_RETRIEVAL]: "no" for one in asked}
    systems = systems_of(asked, answers)
    table = answer_table("drawn", systems, resamples=200)
    closed = {name: figure.count for name, figure in table.rows["closed accuracy"].items()}
    assert closed == {
        WITH_RETRIEVAL: (20, 20),
        WITHOUT_RETRIEVAL: (5, 20),
        OTHERS: (15, 20),
        OWN: (19, 20),
    }
    exact = {name: figure.count for name, figure in table.rows["exact match"].items()}
    assert exact == {
        WITH_RETRIEVAL: (30, 30),
        WITHOUT_RETRIEVAL: (5, 30),
        OTHERS: (25, 30),
        OWN: (29, 30),
    }
    gain = table.rows[f"closed accuracy: {WITH_RETRIEVAL} minus"][WITHOUT_RETRIEVAL].interval
    assert gain.value == pytest.approx(0.75) and 0 < gain.low < 0.75 < gain.high <= 1
    assert gain.low < 0.65 and "on 10 studies or images" in table.notes[0]  # images, not questions
    assert fold_counts(asked, systems)[0] == {
        "fold": 0,
        "images": 2,
        "questions": 6,
        "closed": 4,
        "closed_right": {WITH_RETRIEVAL: 4, WITHOUT_RETRIEVAL: 4, OTHERS: 0, OWN: 4},
    }


def test_the_majority_is_that_of_the_other_folds() -> None:
    asked = [asked_of(n, "Yes" if n % 5 == 0 else "no") for n in range(5)]
    asked += [asked_of(n, "yes") for n in (10, 20, 30, 40, 50)]  # all of fold 0
    systems = systems_of(asked, dict.fromkeys(k for one in asked for k in one.keys.values()))
    right = {row.question_id: is_right(row) for row in systems[OTHERS]}
    assert not any(right[str(n)] for n in (0, 10, 20, 30, 40, 50))
    assert not any(right[str(n)] for n in range(1, 5))  # there "yes" of fold 0 leads


def test_answers_to_other_prompts_are_refused() -> None:
    asked = [asked_of(0, "no")]
    answers = {asked[0].keys[WITH_RETRIEVAL]: "no", "another": "no"}
    with pytest.raises(MismatchError, match="question 0 has no answer without retrieval"):
        systems_of(asked, answers)
    assert systems_of(
        [replace(asked[0], keys={WITH_RETRIEVAL: "another", WITHOUT_RETRIEVAL: "another"})], answers
    )
