"""The patient's own prior study, given or found in the index: from images to statements."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from PIL import Image

from db.app.database import AppDatabase
from db.errors import UserError
from generator.__main__ import main
from generator.generation import origin_of, to_generation
from generator.request import GenerationRequest
from grounded_cxr import Generator, Report, Retriever
from retriever.options import SearchOptions
from tests.support.dicoms import write_dicom
from tests.support.models.scripted_model import ScriptedModel
from tests.support.service.priors import CALIBRATION, MarkedEncoder, build_priors, marked

MAY, JUNE = date(2026, 5, 3), date(2026, 6, 1)
NOW = marked(40, Pleural_Effusion=0.95)
BEFORE = marked(41, Cardiomegaly=0.95)
GENERATOR = Generator(calibration=CALIBRATION)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_priors(tmp_path_factory.mktemp("prior"))


@pytest.fixture(scope="module")
def retriever(index: Path) -> Retriever:
    return Retriever.open(index, MarkedEncoder())


def test_a_report_says_what_is_new_gone_and_unchanged(retriever: Retriever) -> None:
    now, before = NOW.copy(), BEFORE.copy()
    now[0, 2] = before[0, 2] = 240  # edema in both
    report = GENERATOR.report(retriever, now, prior=before, prior_date=MAY, study_date=JUNE)
    stated = {one.text: one for one in report.statements if one.change}
    assert set(stated) == {
        "Pleural effusion is new since 3 May 2026.",
        "Cardiomegaly, seen on 3 May 2026, is no longer seen.",
        "Edema is unchanged since 3 May 2026.",
    }
    for one in stated.values():
        assert str(one).endswith("[compared with the prior study]")
        assert not one.citations and not one.grounded
    prior = report.generation.prior
    assert prior is not None and (prior.date, prior.study_date) == (MAY, JUNE)
    assert {one.name: one.state for one in prior.observations}["Cardiomegaly"] == "present"
    assert "COMPARISON: the patient's own prior study of 3 May 2026" in str(report)
    assert "Prior study of 3 May 2026" in report._repr_html_()
    assert len(report.prior_images) == 1 and len(report.changes) == 3


def test_without_a_prior_study_no_change_is_stated(retriever: Retriever) -> None:
    report = GENERATOR.report(retriever, NOW, study_date=JUNE)
    assert report.generation.prior is None and report.changes == ()
    said = "Findings: The effusion is larger than before. [1] There is a pleural effusion. [1]"
    for prior in ((), BEFORE):  # a model is not shown the prior study, and may not compare
        model = Generator(ScriptedModel(lambda _: said), calibration=CALIBRATION)
        report = model.report(retriever, NOW, prior=prior)
        assert "larger" not in report.text
        assert any("shown no earlier image" in note for note in report.notes)
        assert ("new since" in report.text) == (len(prior) > 0)


def test_what_the_report_of_the_prior_study_contradicts_is_not_stated(
    retriever: Retriever,
) -> None:
    def compared(told: str) -> Report:
        return GENERATOR.report(retriever, NOW, prior=BEFORE, prior_report=told)

    report = compared("FINDINGS: A small pleural effusion. The heart is enlarged.")
    [gone] = [one for one in report.statements if one.change]
    assert gone.change is not None and gone.change.kind == "no longer seen"
    assert gone.change.quote == "The heart is enlarged."
    assert any("“A small pleural effusion.”" in note for note in report.notes)
    report = compared("No acute cardiopulmonary abnormality. Normal chest.")
    assert [one.change.kind for one in report.statements if one.change] == ["new"]


def test_an_earlier_study_is_found_where_the_caller_names_the_patient(
    retriever: Retriever,
) -> None:
    report = GENERATOR.report(retriever, NOW, find_prior_of="p1", study_date=date(2026, 3, 20))
    prior = report.generation.prior
    assert prior is not None and prior.case is not None
    assert prior.case.endswith(":s2") and prior.date == date(2026, 3, 3)
    assert {one.change.quote for one in report.statements if one.change} == {
        "There is a pleural effusion."
    }
    later = GENERATOR.report(retriever, NOW, find_prior_of="p1").generation.prior
    assert later is not None and later.date == date(2026, 4, 3)
    left = GENERATOR.report(retriever, NOW, find_prior_of="p1", exclude_study_ids=["s3"])
    assert left.generation.prior is not None and left.generation.prior.date == date(2026, 3, 3)


def test_a_prior_study_is_never_cited_as_another_patients_case(retriever: Retriever) -> None:
    own = {"p1"}
    found = GENERATOR.report(retriever, NOW, find_prior_of="p1")
    given = GENERATOR.report(retriever, NOW, prior=marked(2, Pleural_Effusion=0.9))
    for report in (found, given):
        assert report.cases and own.isdisjoint({case.patient_id for case in report.cases.values()})
    assert not own.isdisjoint(
        {case.patient_id for case in GENERATOR.report(retriever, NOW).cases.values()}
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g, r: g.report(r, NOW, prior=NOW), "has the same image as the study"),
        (
            lambda g, r: g.report(r, NOW, prior=marked(41, frontal=False)),
            "the prior study has no frontal view",
        ),
        (
            lambda g, r: g.report(r, marked(42, frontal=False), prior=BEFORE),
            "the study has no frontal view",
        ),
        (
            lambda g, r: g.report(r, NOW, prior=BEFORE, prior_date=JUNE, study_date=MAY),
            "the prior study is of 1 June 2026, after the study of 3 May 2026",
        ),
        (lambda g, r: g.report(r, NOW, prior_date=MAY), "send its images as well"),
        (lambda g, r: g.report(r, NOW, find_prior_of="p9"), "holds no study of patient 'p9'"),
        (
            lambda g, r: g.report(r, NOW, find_prior_of="p1", study_date=date(2026, 1, 1)),
            "no earlier study of patient 'p1' up to 1 January 2026",
        ),
        (lambda g, r: g.report(r, NOW, find_prior_of="p3"), "no dates of the studies of patient"),
        (
            lambda g, r: g.report(r, NOW, find_prior_of="p1", prior=BEFORE),
            "either given or found in the index",
        ),
    ],
)
def test_a_prior_study_that_cannot_be_compared_with_is_refused_in_one_sentence(
    retriever: Retriever, call: Callable[[Generator, Retriever], Report], message: str
) -> None:
    with pytest.raises(UserError, match=message) as refused:
        call(GENERATOR, retriever)
    assert "\n" not in str(refused.value) and ". " not in str(refused.value)


def test_a_prior_study_of_another_patient_or_a_later_date_is_refused_by_the_headers(
    retriever: Retriever, tmp_path: Path
) -> None:
    def dicom(name: str, seed: int, patient: str, day: str) -> Path:
        path = tmp_path / name
        write_dicom(path, marked(seed), PatientID=patient, StudyDate=day, ViewPosition="PA")
        return path

    now = dicom("now.dcm", 40, "known-1", "20260601")
    with pytest.raises(UserError, match="of another patient than the study") as refused:
        GENERATOR.report(retriever, now, prior=dicom("a.dcm", 41, "known-2", "20260503"))
    assert "known" not in str(refused.value)
    with pytest.raises(UserError, match="of a later date than the study") as refused:
        GENERATOR.report(retriever, now, prior=dicom("b.dcm", 41, "known-1", "20260701"))
    assert "2026" not in str(refused.value)
    report = GENERATOR.report(retriever, now, prior=dicom("c.dcm", 41, "known-1", "20260503"))
    assert report.generation.prior is not None and report.generation.prior.date is None
    assert "known-1" not in report.to_json() and "20260503" not in report.to_json()


def test_a_statement_of_change_that_does_not_follow_is_removed(retriever: Retriever) -> None:
    report = GENERATOR.report(retriever, NOW, prior=BEFORE, prior_date=MAY)
    new = next(one for one in report.statements if one.change and one.change.kind == "new")
    retrieval = retriever.search(NOW)
    before = report.generation.prior
    from generator.assessment.assess import assess
    from generator.grounding.report import GroundedReport
    from retriever.query import image_query, read_images

    query = image_query(retriever.encoder, read_images(NOW))
    now = assess(query, retriever.vote(query), calibration=CALIBRATION)
    for wrong in (
        replace(new, text="Pleural effusion is larger than on 3 May 2026."),
        replace(new, labels={"Edema": "positive"}),
        replace(new, change=replace(new.change, observation="Edema")),  # type: ignore[type-var]
        replace(new, change=replace(new.change, prior_probability=0.5)),  # type: ignore[type-var]
    ):
        made = to_generation(
            GroundedReport(
                statements=(new, wrong),
                hits=retrieval.hits,
                generator="test",
                index_fingerprint=retrieval.index_fingerprint,
                assessment=now,
                prior=before,
            ),
            retrieval,
            GenerationRequest(options=SearchOptions()),
            created_at=report.generation.created_at,
            created_by="test",
            origin=origin_of(retriever.encoder.spec),
        )
        assert made.statements == (new,)
        assert any("1 statements of change were removed" in note for note in made.notes)


def test_the_command_line_takes_a_prior_study_and_stores_the_comparison(
    index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, pixels in (("now.png", NOW), ("before.png", BEFORE)):
        Image.fromarray(pixels).save(tmp_path / name)
    told = tmp_path / "before.txt"
    told.write_text("The heart is enlarged.")
    CALIBRATION.write(index / "calibration.json")
    try:
        arguments = ["report", str(index), str(tmp_path / "now.png"), "--model", "none"]
        arguments += ["--prior", str(tmp_path / "before.png"), "--prior-date", "2026-05-03"]
        arguments += ["--prior-report", str(told), "--db", str(tmp_path / "app.sqlite3")]

        def open_retriever(path: Path) -> Retriever:
            return Retriever.open(path, MarkedEncoder())

        assert main([*arguments, "--json"], open_retriever=open_retriever) == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed["prior"]["date"] == "2026-05-03"
        with AppDatabase.open(tmp_path / "app.sqlite3") as database:
            [stored] = database.generations.page(limit=9).generations
        assert stored.prior is not None and stored.prior.date == MAY
        kinds = {one.change.kind for one in stored.statements if one.change}
        assert kinds == {"new", "no longer seen"}
        assert main([*arguments, "--patient", "p1"], open_retriever=open_retriever) == 1
        assert "ask for it to be found" in capsys.readouterr().err
    finally:
        (index / "calibration.json").unlink()
