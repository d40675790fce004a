"""Report, ask, classify, caption with a model that says what it is told to."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from db.app.generation import NOTICE, OodCheck
from db.errors import UserError
from db.labels import OBSERVATIONS, named
from generator.assessment.calibration import Calibration
from generator.grounding.report import GroundedReport
from generator.mllama.adapter_record import AdapterRecord
from generator.prompts import Prompt
from generator.retrieved_study import RetrievedStudy
from generator.study_canvas import MAX_VIEWS
from generator.tasks import TaskRunner
from generator.vision_language import GREEDY, DecodingOptions
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from retriever.options import SearchOptions
from retriever.query import Query
from retriever.results import Retrieval
from retriever.search import Retriever
from tests.support.fakes import ReportEncoder, write_studies
from tests.support.models.scripted_model import ScriptedModel
from tests.support.radiographs import draw_radiograph

REPORT = (
    "Findings: The heart is enlarged. [1][2] The lungs are clear. [9] Impression: New effusion."
)


BY_LABEL_HEAD = Calibration(
    knn=0.0,
    label_head=1.0,
    operating_points={"high": 0.3, "balanced": 0.5, "specific": 0.9},
)
"""Of what the label head sees, cardiomegaly is present and a fracture possible."""


class CountingRetriever(Retriever):
    searches = 0

    def find(self, query: Query, options: SearchOptions) -> Retrieval:
        self.searches += 1
        return super().find(query, options)


class Pieces(ScriptedModel):
    """Streams letter by letter and remembers whether it was closed."""

    closed = False

    def stream(self, prompt: Prompt, options: DecodingOptions = GREEDY) -> Iterator[str]:
        try:
            yield from self.script(prompt)
        finally:
            self.closed = True


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> CountingRetriever:
    directory = tmp_path_factory.mktemp("index")
    encoder = ReportEncoder({"Cardiomegaly": 0.8, "Fracture": 0.4})
    build(JsonLines(write_studies(directory, 8)), encoder, directory / "index")
    return CountingRetriever.open(directory / "index", encoder)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    buffer = BytesIO()
    Image.fromarray(draw_radiograph(99, size=(96, 80))).save(buffer, "PNG")
    return buffer.getvalue()


def runner_of(retriever: Retriever, text: str = REPORT) -> tuple[TaskRunner, ScriptedModel]:
    model = ScriptedModel(script=lambda prompt: text)
    return TaskRunner(retriever, model, calibration=BY_LABEL_HEAD), model


@pytest.fixture
def study(retriever: CountingRetriever, image: bytes) -> RetrievedStudy:
    return runner_of(retriever)[0].retrieve([image], indication="dyspnea")


def test_an_image_is_searched_with_once_for_all_tasks(
    retriever: CountingRetriever, image: bytes
) -> None:
    runner, _ = runner_of(retriever)
    before = retriever.searches
    study = runner.retrieve([image])
    # the nearest cases, and those that name the one seen finding
    assert retriever.searches == before + 2
    runner.report(study)
    runner.ask(study, "Is the heart enlarged?")
    runner.classify(study)
    runner.caption(study)
    assert retriever.searches == before + 2


def test_a_study_has_one_canvas_and_contexts_of_two_sizes(study: RetrievedStudy) -> None:
    assert study.image is not None
    assert (study.image.size, study.image.mode) == ((32, 32), "RGB")
    assert study.context.image_findings == study.short_context.image_findings == ("Cardiomegaly",)
    assert study.context.text.endswith(
        "Film: Cardiomegaly [4]\nClosest case: [4]\nIndication: dyspnea"
    )
    assert len(study.short_context.hits) <= len(study.context.hits)


def test_excluded_patients_and_studies_are_neither_shown_nor_counted(
    retriever: CountingRetriever, image: bytes
) -> None:
    runner, _ = runner_of(retriever)
    study = runner.retrieve(
        [image], SearchOptions(exclude_patient_ids=["p0", "p1"], exclude_study_ids=["s2"])
    )
    ids = {hit.case.study_id for hit in study.retrieval.hits}
    assert ids
    assert not {"s0", "s1", "s2"} & ids
    everybody = [f"p{number}" for number in range(8)]
    with pytest.raises(UserError, match="no hits to vote"):
        runner.retrieve([image], SearchOptions(exclude_patient_ids=everybody))


def test_a_report_is_checked_against_the_cases_that_were_shown(
    retriever: CountingRetriever, study: RetrievedStudy
) -> None:
    runner, model = runner_of(retriever)
    report = runner.report(study)
    (prompt,) = model.prompts
    assert prompt.task == "report"
    assert prompt.text.startswith(study.context.text)
    assert prompt.image is study.image
    assert report.hits == study.context.hits
    assert report.as_written == REPORT
    assert report.generator == "scripted, prompts-4"
    assert report.index_fingerprint == retriever.index.manifest.fingerprint
    assert report.label_scores == study.retrieval.label_scores
    assert [statement.text for statement in report.statements] == [
        "The heart is enlarged.",
        "The lungs are clear.",
        "Cardiomegaly.",
    ]
    for statement in report.statements:
        assert statement.citations
        for citation in statement.citations:
            case = report.hits[citation.number - 1].case
            assert (citation.study_id, citation.source) == (case.study_id, case.source)
            assert citation.quote in case.report
    assert [one.number for one in report.statements[1].removed_citations] == [9]
    assert any("New effusion." in note for note in report.notes)


def test_several_studies_are_written_in_one_batch(
    retriever: CountingRetriever, study: RetrievedStudy
) -> None:
    runner, model = runner_of(retriever)
    reports = runner.reports([study, study])
    assert len(model.prompts) == 2
    assert reports[0] == reports[1] == runner.report(study)


@pytest.mark.parametrize("text", ["", "[1]", "]]][[[", "Findings: The effusion is unchanged. [1]"])
def test_a_report_without_any_valid_sentence_is_empty_and_says_so(
    retriever: CountingRetriever, study: RetrievedStudy, text: str
) -> None:
    report = runner_of(retriever, text)[0].report(study)
    assert report.statements == ()
    assert "no sentence of the model passed the checks" in report.notes


def test_a_streamed_report_ends_as_the_whole_one(
    retriever: CountingRetriever, study: RetrievedStudy
) -> None:
    runner = TaskRunner(retriever, Pieces(script=lambda prompt: REPORT))
    *events, last = runner.stream_report(study)
    assert last == runner.report(study)
    assert events[0] == ("stage", "writing")
    assert events[-1] == ("stage", "checking citations")
    assert "".join(text for kind, text in events[1:-1]) == REPORT  # type: ignore[misc]


def test_closing_a_stream_stops_the_model(
    retriever: CountingRetriever, study: RetrievedStudy
) -> None:
    model = Pieces(script=lambda prompt: REPORT)
    events = TaskRunner(retriever, model).stream_report(study)
    next(events)
    assert next(events) == ("text", "F")
    assert not model.closed
    events.close()  # type: ignore[attr-defined]
    assert model.closed


def test_an_answer_is_checked_against_the_brief_context(
    retriever: CountingRetriever, study: RetrievedStudy
) -> None:
    runner, model = runner_of(retriever, "Cardiomegaly. [1][2][3][4][8]")
    answer = runner.ask(study, "How large is the heart enlargement?")
    assert model.prompts[0].text.startswith(study.short_context.text)
    assert answer.hits == study.short_context.hits
    for citation in answer.citations:
        labels = study.short_context.hits[citation.number - 1].case.labels
        assert labels["Cardiomegaly"] == "positive"
    assert answer.citations
    (statement,) = answer.statements
    numbers = {one.number for one in (*answer.citations, *statement.removed_citations)}
    assert numbers == {1, 2, 3, 4, 8}
    assert statement.image_support == pytest.approx(0.8)
    assert answer.generator == "scripted, prompts-4"


def test_a_question_that_is_none_is_refused_before_the_model_is_asked(
    retriever: CountingRetriever, study: RetrievedStudy
) -> None:
    runner, model = runner_of(retriever)
    with pytest.raises(UserError, match="question"):
        runner.ask(study, "  ")
    assert model.prompts == []


@pytest.mark.parametrize(
    "text",
    ["Cardiomegaly. [1] The lungs are clear.", "Findings: Cardiomegaly. [1]", "Cardiomegaly"],
)
def test_a_caption_is_one_statement(
    retriever: CountingRetriever, study: RetrievedStudy, text: str
) -> None:
    caption = runner_of(retriever, text)[0].caption(study)
    assert isinstance(caption, GroundedReport)
    (statement,) = caption.statements
    assert statement.text.rstrip(".") == "Cardiomegaly"
    assert caption.as_written == text
    assert caption.hits == study.short_context.hits


def test_classes_combine_model_votes_and_image_by_the_calibration(
    retriever: CountingRetriever, study: RetrievedStudy
) -> None:
    model = ScriptedModel(script=lambda prompt: "", yes=lambda p: 0.9 if "edema" in p.text else 0.3)
    calibration = Calibration(
        language_model=0.7,
        knn=0.1,
        label_head=0.4,
        offsets={"Edema": 0.5},
        fitted_on="val of drawn",
    )
    result = TaskRunner(retriever, model, calibration=calibration).classify(study).assessment
    assert tuple(one.name for one in result.observations) == OBSERVATIONS
    assert {id(prompt.image) for prompt in model.prompts} == {id(study.image)}
    assert study.retrieval.label_scores is not None
    for one in result.observations:
        vote = study.votes[one.name]
        assert one.language_model == pytest.approx(0.9 if one.name == "Edema" else 0.3)
        assert (one.knn, one.knn_low, one.knn_high) == (vote.probability, vote.low, vote.high)
        assert one.label_head == study.retrieval.label_scores[one.name]
        assert one.probability == calibration.probability(
            one.name, language_model=one.language_model, knn=one.knn, label_head=one.label_head
        )
    assert result.calibrated_on == "val of drawn"


def test_a_model_that_has_weight_is_asked_once_however_many_tasks_follow(
    retriever: CountingRetriever, study: RetrievedStudy
) -> None:
    model = ScriptedModel(script=lambda prompt: REPORT, yes=lambda prompt: 0.95)
    calibration = replace(BY_LABEL_HEAD, language_model=1.0)
    runner = TaskRunner(retriever, model, calibration=calibration)
    report, answer = runner.report(study), runner.ask(study, "Is there an effusion?")
    classes = runner.classify(study)
    assert len(model.prompts) == 1 + len(OBSERVATIONS)
    assert report.assessment == answer.assessment == classes.assessment
    assert classes.assessment["Pleural Effusion"].language_model == pytest.approx(0.95)


def test_a_model_without_weight_is_shown_to_disagree_and_changes_nothing(
    retriever: CountingRetriever, study: RetrievedStudy
) -> None:
    model = ScriptedModel(script=lambda prompt: REPORT, yes=lambda prompt: 0.95)
    runner = TaskRunner(retriever, model, calibration=BY_LABEL_HEAD)
    report = runner.report(study)
    assert len(model.prompts) == 1
    classes = runner.classify(study)
    assert report.assessment is not None
    assert classes.assessment.present == report.assessment.present == ("Cardiomegaly",)
    (note,) = [note for note in classes.notes if "disagrees" in note]
    assert "Edema 0.95 against 0.10 (absent)" in note
    assert "Cardiomegaly" not in note


def test_a_model_that_is_entirely_sure_gives_a_probability_still(
    retriever: CountingRetriever, study: RetrievedStudy
) -> None:
    class Sure(ScriptedModel):
        def loglikelihood(self, prompts, answers):  # type: ignore[no-untyped-def]
            return np.array([[-2000.0, -1.0]] * len(prompts))

    result = TaskRunner(retriever, Sure(script=lambda prompt: "")).classify(study)
    edema = result.assessment["Edema"]
    assert edema.language_model is not None and 0 <= edema.language_model < 1e-6


def test_every_task_warns_of_an_image_out_of_distribution(
    retriever: CountingRetriever, study: RetrievedStudy
) -> None:
    ood = OodCheck(in_distribution=False, score=-9.0, threshold=-2.0, reason="it is a cat")
    strange = replace(study, retrieval=replace(study.retrieval, ood=ood))
    runner, _ = runner_of(retriever)
    warning = "Do not rely on this: it is a cat."
    for result in (
        runner.report(strange),
        runner.ask(strange, "Is the heart enlarged?"),
        runner.classify(strange),
        runner.caption(strange),
    ):
        assert result.warnings[0] == warning
        assert result.notice == NOTICE
    usual = replace(ood, in_distribution=True)
    known = replace(study, retrieval=replace(study.retrieval, ood=usual))
    assert warning not in runner.report(known).warnings


def test_a_note_names_images_that_the_model_cannot_be_shown(
    retriever: CountingRetriever, image: bytes
) -> None:
    runner, _ = runner_of(retriever)
    study = runner.retrieve([image] * (MAX_VIEWS + 2))
    assert study.image is not None
    assert study.image.size == (MAX_VIEWS * 32, 32)
    assert "the model was shown 4 images; 2 more were searched with" in runner.report(study).notes


def test_a_generator_is_named_after_model_adapter_and_prompts(retriever: Retriever) -> None:
    model = ScriptedModel(script=lambda prompt: "", adapter="my-adapter")
    assert TaskRunner(retriever, model).name == "scripted + my-adapter, prompts-4"


@pytest.mark.parametrize(
    ("written", "added"),
    [
        ("Findings: The lungs are clear. [1] Impression: Cardiomegaly. [4]", 0),
        ("Findings: The lungs are clear. [1] Impression: No pneumonia.", 1),
        ("Findings: The heart is enlarged. [1] Impression: Normal lungs.", 0),
        ("Findings: The heart is probably enlarged. [1] Impression: Normal lungs.", 0),
        ("Findings: The heart is not enlarged. [1] Impression: No pneumonia.", 1),
    ],
)
def test_a_present_finding_that_the_model_omits_is_added_and_noted(
    retriever: CountingRetriever, study: RetrievedStudy, written: str, added: int
) -> None:
    runner, _ = runner_of(retriever, written)
    report = runner.report(study)
    note = "present, omitted by the model, added by rule: Cardiomegaly (0.80)"
    assert (note in report.notes) == bool(added)
    found = [one for one in report.statements if one.added_by_rule]
    assert [one.text for one in found] == ["There is cardiomegaly."] * added
    assert all(one.grounded and not one.citations_added for one in found)
    assert report.assessment is not None
    for statement in report.statements:
        assert not report.assessment.contradicted(statement.labels)
    assert report.section("impression")


def test_a_sentence_that_the_assessment_contradicts_is_left_out_and_quoted(
    retriever: CountingRetriever, study: RetrievedStudy
) -> None:
    written = "Findings: The heart is not enlarged. [1] There is edema. The lungs are clear. [3]"
    report = runner_of(retriever, written)[0].report(study)
    assert "The heart is not enlarged." not in report.text
    assert "edema" not in report.text
    assert "The lungs are clear." in report.text
    left_out = [note for note in report.notes if note.startswith("left out, because the assess")]
    assert any("not enlarged.” (Cardiomegaly present, 0.80)" in note for note in left_out)
    assert any("“There is edema.” (Edema absent, 0.10)" in note for note in left_out)


def test_an_impression_is_made_of_the_present_findings_where_the_model_wrote_none(
    retriever: CountingRetriever, study: RetrievedStudy
) -> None:
    report = runner_of(retriever, "Findings: The heart is enlarged. [1]")[0].report(study)
    (statement,) = report.section("impression")
    assert statement.text == "Cardiomegaly."
    assert statement.added_by_rule


def test_a_finding_that_no_hit_states_rests_on_the_image_and_is_warned_of(
    retriever: CountingRetriever, study: RetrievedStudy
) -> None:
    runner, _ = runner_of(retriever, "Findings: The lungs are clear.")
    alone = replace(
        study,
        retrieval=replace(study.retrieval, hits=()),
        context=replace(study.context, hits=()),
    )
    report = runner.report(alone)
    assert "There is cardiomegaly. [image only] (added by rule)" in report.marked_text
    assert report.warnings[0] == "Present, but no prior case says so: cardiomegaly (0.80)."


def test_a_finding_that_only_another_hit_states_cites_it_after_the_shown_cases(
    retriever: CountingRetriever, study: RetrievedStudy
) -> None:
    runner, _ = runner_of(retriever, "Findings: The lungs are clear.")
    unshown = [hit for hit in study.context.hits if "Cardiomegaly" not in named(hit.case.labels)]
    context = replace(
        study.context,
        hits=tuple(replace(hit, rank=rank) for rank, hit in enumerate(unshown, start=1)),
    )
    report = runner.report(replace(study, context=context))
    number = len(unshown) + 1
    assert f"There is cardiomegaly. [{number}] (added by rule)" in report.marked_text
    assert [hit.rank for hit in report.hits] == list(range(1, number + 1))
    assert f"found by the citation check, not shown to the model: case {number}" in report.notes
    assert not any("no prior case" in one for one in report.warnings)


def test_a_caption_that_the_assessment_contradicts_gives_way_to_a_present_finding(
    retriever: CountingRetriever, study: RetrievedStudy
) -> None:
    caption = runner_of(retriever, "The heart is not enlarged. [1]")[0].caption(study)
    (statement,) = caption.statements
    assert statement.text == "Cardiomegaly."


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is the heart enlarged?", "Yes, cardiomegaly is seen (0.80)."),
        ("Is there an effusion?", "No, no pleural effusion is seen (0.10)."),
        ("Is there a fracture?", "Perhaps: fracture is only possible (0.40)."),
        ("Which side is the effusion on?", "No pleural effusion is seen (0.10)."),
        (
            "What is the capital of France?",
            "This answers questions about the findings of the chest X-ray only.",
        ),
    ],
)
def test_what_the_assessment_decides_is_not_asked_of_the_model(
    retriever: CountingRetriever, study: RetrievedStudy, question: str, answer: str
) -> None:
    runner, model = runner_of(retriever, "Left.")
    found = runner.ask(study, question)
    assert found.text == answer
    assert model.prompts == []
    assert found.assessment == study.assessment


def test_an_answer_that_the_assessment_contradicts_is_replaced(
    retriever: CountingRetriever, study: RetrievedStudy
) -> None:
    runner, _ = runner_of(retriever, "A large pleural effusion. [1]")
    found = runner.ask(study, "How large is the heart enlargement?")
    assert found.text == "No pleural effusion is seen (0.10)."
    assert any("A large pleural effusion." in note for note in found.notes)


def test_cases_are_chosen_as_for_the_adapter_unless_the_caller_says_otherwise(
    retriever: CountingRetriever, image: bytes
) -> None:
    runner, model = runner_of(retriever)
    assert runner.search_options().strategy == "similar"
    assert runner.retrieve([image]).retrieval.strategy == "similar"
    record = AdapterRecord(base_model="tiny", base_sha256="b" * 64, strategy="findings")
    model.record = record  # type: ignore[attr-defined]
    assert runner.retrieve([image]).retrieval.strategy == "findings"
    asked = SearchOptions(strategy="similar")
    assert runner.retrieve([image], asked).retrieval.strategy == "similar"
