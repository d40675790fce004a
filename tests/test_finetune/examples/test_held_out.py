"""Patients held out where no split for validation is named."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from finetune.examples import indexes as index_examples
from finetune.examples.indexes import pack_indexes
from finetune.examples.options import ExampleOptions
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from retriever.search import Retriever
from tests.support.cases import words
from tests.support.fakes import ReportEncoder, write_studies

BONES = (
    "rib spine sternum scapula clavicle humerus manubrium xiphoid skull ulna radius fibula".split()
)


def test_a_held_out_patient_is_validated_with_and_never_shown_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_studies(tmp_path, 12, per_patient=2)
    studies = [json.loads(line) for line in path.read_text().splitlines()]
    for study, bone in zip(studies, BONES, strict=True):
        study["findings"] = f"The lungs are clear. The {bone} is intact."
    path.write_text("".join(json.dumps(study) + "\n" for study in studies))
    build(JsonLines(path), ReportEncoder(), tmp_path / "index")
    opened = SimpleNamespace(open=lambda place: Retriever.open(place, ReportEncoder()))
    monkeypatch.setattr(index_examples, "Retriever", opened)
    monkeypatch.setattr(index_examples, "VAL_SHARE", 3)

    options = ExampleOptions(passes=4, empty=0, distracted=1.0)
    pack = pack_indexes([tmp_path / "index"], options=options, side=16, count_tokens=words)

    held = {example.study_id for example in pack.val}
    assert held == {"s4", "s5", "s10", "s11"}
    assert {example.study_id for example in pack.train} == {f"s{n}" for n in range(12)} - held
    shown = " ".join(example.prompt for example in pack.train)
    assert [bone for bone in BONES if f"The {bone} is" not in shown] == [
        BONES[int(study_id[1:])] for study_id in sorted(held, key=lambda one: int(one[1:]))
    ]
