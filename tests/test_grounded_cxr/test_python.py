"""The public Python face: three lines, on one image or several, in whatever form they come."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import grounded_cxr
from db.errors import NotFoundError, UserError
from grounded_cxr import Generator, Report, Retriever, load_generator
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from tests.conftest import ROOT
from tests.support.fakes import ReportEncoder, write_studies
from tests.support.models.scripted_model import ScriptedModel
from tests.support.radiographs import draw_radiograph


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Retriever:
    folder = tmp_path_factory.mktemp("face")
    encoder = ReportEncoder({"Cardiomegaly": 0.8})
    build(JsonLines(write_studies(folder / "studies", 8)), encoder, folder / "index")
    return Retriever.open(folder / "index", encoder)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "pa.png"
    Image.fromarray(draw_radiograph(40, size=(96, 80))).save(path)
    return path


def test_importing_the_package_loads_no_large_library() -> None:
    code = (
        "import sys, grounded_cxr\n"
        "assert 'load_generator' in dir(grounded_cxr)\n"
        "large = {'torch', 'transformers', 'faiss', 'numpy', 'PIL'} & sys.modules.keys()\n"
        "assert not large, large"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_the_package_exports_exactly_its_public_names() -> None:
    assert all(getattr(grounded_cxr, name) for name in grounded_cxr.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'open_index'"):
        _ = grounded_cxr.open_index


def test_an_image_may_be_a_path_bytes_a_pil_image_or_an_array(
    retriever: Retriever, image: Path
) -> None:
    pixels = np.asarray(Image.open(image))
    generator = load_generator(None)
    texts = {
        generator.report(retriever, one).text
        for one in (image, str(image), image.read_bytes(), Image.open(image), pixels, [image])
    }
    assert len(texts) == 1
    assert len(generator.report(retriever, [image, pixels]).images) == 2
    assert retriever.search(str(image)).hits[0].case == retriever.search(pixels).hits[0].case


def test_every_statement_of_an_extractive_report_cites_a_case(
    retriever: Retriever, image: Path
) -> None:
    report = load_generator("none").report(retriever, image)
    assert report.findings and report.statements == (*report.findings, *report.impression)
    assert all(statement.citations for statement in report.statements)
    assert set(report.cited_cases) <= set(report.cases)
    assert "CITED CASES" in str(report)
    assert str(report).endswith("Research use only, not for clinical use.")


def test_patients_and_studies_can_be_excluded(retriever: Retriever, image: Path) -> None:
    generator = load_generator(None)
    first = generator.report(retriever, image).cases[1]
    report = generator.report(retriever, image, exclude_study_ids=[first.study_id], k=3)
    assert first.study_id not in {case.study_id for case in report.cases.values()}
    assert len(report.cases) == 3
    patient = str(first.patient_id)
    report = generator.report(retriever, image, exclude_patient_ids=[patient])
    assert patient not in {case.patient_id for case in report.cases.values()}


def test_classes_a_caption_and_many_questions_need_no_language_model(
    retriever: Retriever, image: Path
) -> None:
    generator = load_generator(None)
    observations = generator.classify(retriever, image).observations
    assert observations is not None and len(observations) == 14
    assert all(0 <= one.probability <= 1 for one in observations)
    assert len(generator.caption(retriever, image).statements) == 1
    (answer,) = generator.ask(retriever, image, "Is the heart enlarged?").statements
    assert answer.text.startswith(("Yes, ", "No, "))
    (answer,) = generator.ask(retriever, image, "Is the aorta tortuous?").statements
    assert answer.text.startswith("Whether there is tortuous aorta is not assessed; ")


def test_a_language_model_writes_and_its_citations_are_checked(
    retriever: Retriever, image: Path
) -> None:
    model = ScriptedModel(
        lambda _: "Findings: The heart is enlarged. [1]\nImpression: Cardiomegaly. [7]"
    )
    report = Generator(model).report(retriever, image, indication="dyspnea")
    assert "The heart is enlarged." in report.text
    assert report.generation.origin.model == model.name
    assert report.generation.indication == "dyspnea"
    for statement in report.statements:
        for citation in statement.citations:
            assert citation.quote in report.cases[citation.number].report


def test_an_answer_is_one_statement(retriever: Retriever, image: Path) -> None:
    answer = Generator(ScriptedModel(lambda _: "yes [1]")).ask(retriever, image, "Is it enlarged?")
    assert len(answer.statements) == 1
    assert "<i>Is it enlarged?</i>" in answer._repr_html_()


def test_json_has_the_keys_of_the_service(retriever: Retriever, image: Path) -> None:
    document = json.loads(load_generator(None).report(retriever, image).to_json())
    assert document["task"] == "report" and document["notice"]
    assert {"statements", "hits", "origin", "index", "notes"} <= document.keys()


def test_reprs_are_short(retriever: Retriever, image: Path) -> None:
    generator = load_generator(None)
    report = generator.report(retriever, image)
    assert repr(generator) == "Generator(extractive)"
    assert re.fullmatch(r"Report\('.{1,60}', \d+ cited cases?\)", repr(report))
    assert len(repr(retriever)) < 100
    assert "\n" not in repr(report) + repr(retriever)


def test_a_notebook_shows_image_text_and_cited_cases(retriever: Retriever, image: Path) -> None:
    report = load_generator(None).report(retriever, image)
    shown = report._repr_html_()
    assert shown.count("data:image/png;base64,") > len(report.images)  # and those of the cases
    assert "Research use only, not for clinical use." in shown
    for statement in report.statements:
        assert statement.text in shown
    for number, case in report.cited_cases.items():
        assert f"<summary>[{number}] {case.source} {case.study_id}, score" in shown
    assert "http" not in re.sub(r"base64,[^\"]+", "", shown)


def test_a_notebook_escapes_markup_in_texts(retriever: Retriever, image: Path) -> None:
    report = load_generator(None).report(retriever, image)
    bad = "<script>alert(1)</script>"
    [first, *_] = report.statements
    quoted = tuple(replace(one, quote=bad) for one in first.citations)
    generation = replace(
        report.generation,
        statements=(replace(first, text=bad, citations=quoted, contradiction=bad),),
        notes=(bad,),
        question=bad,
    )
    cases = {
        number: replace(case, study_id=bad, findings=bad) for number, case in report.cases.items()
    }
    shown = Report(generation=generation, images=report.images, cases=cases)._repr_html_()
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") >= 6


def test_an_adapter_without_a_model_is_refused() -> None:
    with pytest.raises(UserError, match="an adapter belongs to a language model"):
        load_generator("none", "runs/adapter")


def test_the_default_is_the_shipped_language_model_where_its_weights_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loaded = []

    def load_model(name: str, adapter: str | None, **options: str) -> ScriptedModel:
        loaded.append(name)
        return ScriptedModel(lambda _: "")

    monkeypatch.setattr("generator.mllama.load.load_model", load_model)
    assert load_generator().model is not None and loaded == ["pretrained/generator"]
    monkeypatch.setattr("generator.vision_language.local_folder", lambda name: tmp_path)
    assert load_generator().model is None, "without weights"


def test_a_report_can_be_made_from_what_is_stored(retriever: Retriever, image: Path) -> None:
    report = load_generator(None).report(retriever, image)
    alone = Report(generation=report.generation)
    assert str(alone) == str(report) and alone.cited_cases == {}
    assert "<img" not in alone._repr_html_()


def test_what_a_score_rests_on_is_drawn_over_an_image(retriever: Retriever, image: Path) -> None:
    report = load_generator(None).report(retriever, [image, image])
    assert {one.image for one in report.regions} == {1, 2}
    drawn = np.asarray(report.overlay("Cardiomegaly", image=2)).astype(int)
    assert drawn.shape[1] == 80 and drawn[70, 20, 0] - drawn[70, 20, 2] > 60
    with pytest.raises(NotFoundError, match="no map of 'Cardiomegaly' in image 3"):
        report.overlay("Cardiomegaly", image=3)
