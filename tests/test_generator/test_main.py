"""The command line of the generator: a report for a person, JSON for a machine."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from db.app.database import AppDatabase
from db.errors import MismatchError
from db.labels import OBSERVATIONS
from generator.__main__ import main
from generator.assessment.calibration import CALIBRATION, Calibration
from generator.mllama.adapter_record import AdapterRecord
from generator.output import as_json
from generator.prompts import PROMPT_VERSION
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from retriever.search import Retriever
from tests.support.fakes import ReportEncoder, ThumbnailEncoder, write_studies
from tests.support.models.scripted_model import ScriptedModel


@pytest.fixture(scope="module")
def index_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("index")
    source = JsonLines(write_studies(directory / "studies", 8), name="drawn")
    build(source, ThumbnailEncoder(), directory / "index")
    return directory / "index"


def image(index_dir: Path, number: int) -> str:
    return str(index_dir.parent / "studies" / f"{number}.png")


def run(*argv: str) -> int:
    model = ["--model", "none"] if argv[0] == "report" else []
    return main(
        [*argv, *model], open_retriever=lambda path: Retriever.open(path, ThumbnailEncoder())
    )


def test_report_prints_marked_statements_the_cited_cases_and_the_notice(
    index_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("report", str(index_dir), image(index_dir, 2), "-k", "5") == 0
    out = capsys.readouterr().out
    findings, cases = out.split("CITED CASES")
    assert "FINDINGS" in findings or "IMPRESSION" in findings
    assert all("[" in line for line in findings.splitlines() if line.startswith("  "))
    assert "drawn s3, score" in cases
    assert "excluded: drawn s2 (score 1.000), the same image" in cases
    assert out.rstrip().splitlines()[-1] == "Research use only, not for clinical use."


def test_report_also_writes_what_the_scores_rest_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = ReportEncoder({"Cardiomegaly": 0.9})
    build(
        JsonLines(write_studies(tmp_path / "studies", 8), name="drawn"), encoder, tmp_path / "index"
    )
    argv = ["report", str(tmp_path / "index"), str(tmp_path / "studies" / "0.png")]
    argv += ["--model", "none", "--json", "--maps", str(tmp_path / "maps")]
    assert main(argv, open_retriever=lambda path: Retriever.open(path, encoder)) == 0
    document = json.loads(capsys.readouterr().out)
    cited = {
        citation["number"]
        for statement in document["statements"]
        if statement["labels"].get("Cardiomegaly") == "positive"
        for citation in statement["citations"]
    }
    assert cited, "the report states what was seen"
    written = {path.name for path in (tmp_path / "maps").iterdir()}
    assert {"image-1-cardiomegaly.png"} | {
        f"case-{number}-image-1-cardiomegaly.png" for number in cited
    } <= written
    assert "image-1-pneumothorax.png" not in written
    assert {one["observation"] for one in document["regions"]} == set(OBSERVATIONS)


def test_maps_need_an_encoder_that_has_them(
    index_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["report", str(index_dir), image(index_dir, 2), "--maps", str(tmp_path / "maps")]
    assert run(*argv) == 1
    assert "cannot say what its scores rest on" in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()


def test_json_gives_every_statement_with_citations_that_resolve_to_a_case(
    index_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("report", str(index_dir), image(index_dir, 2), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["notice"] == "Research use only, not for clinical use."
    assert document["index"]["source"] == "drawn"
    assert document["excluded_cases"][0]["study_id"] == "s2"
    assert document["statements"]
    assert_resolved(document, Retriever.open(index_dir, ThumbnailEncoder()))


def assert_resolved(document: dict[str, Any], retriever: Retriever) -> None:
    """Every statement is grounded, and every quote stands in the report of the cited hit."""
    hits = {hit["number"]: hit for hit in document["hits"] if hit["cited"]}
    for statement in document["statements"]:
        assert statement["grounded"]
        for citation in statement["citations"]:
            assert hits[citation["number"]]["case"] == citation["case"]
            case = retriever.index.cases.find(citation["source"], citation["study_id"])
            assert case is not None and citation["quote"] in case.report


def test_an_excluded_patient_or_study_is_never_cited(
    index_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["report", str(index_dir), image(index_dir, 2), "--json"]

    def cited(*more: str) -> set[str]:
        assert run(*argv, *more) == 0
        hits = json.loads(capsys.readouterr().out)["hits"]
        return {hit["study_id"] for hit in hits if hit["cited"]}

    without = cited()
    assert without
    patient, study = sorted(without)[0].replace("s", "p"), sorted(without)[-1]
    kept = cited("--exclude-patient", patient, "--exclude-study", study)
    assert not {patient.replace("p", "s"), study} & kept


def test_bad_input_is_one_line_on_stderr_and_exit_code_1(
    index_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.png").write_text("no image")
    for argv in (
        [str(tmp_path / "nowhere"), image(index_dir, 0)],
        [str(index_dir), str(tmp_path / "text.png")],
        [str(index_dir), image(index_dir, 0), "-k", "0"],
    ):
        assert run("report", *argv) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1


TEXTS = {
    "report": "Findings: The heart is enlarged. [1][2][3][4][9] The lungs are clear.",
    "ask": "Yes. [1][2][3][4]",
    "caption": "Cardiomegaly. [1][2][3]",
}


def ask_model(*argv: str) -> int:
    return main(
        argv,
        open_retriever=lambda path: Retriever.open(path, ThumbnailEncoder()),
        open_model=lambda name, adapter, quantization: ScriptedModel(
            script=lambda prompt: TEXTS[prompt.task], name=name, adapter=adapter
        ),
    )


@pytest.mark.parametrize("verb", ["report", "ask", "classify", "caption"])
def test_every_verb_of_a_model_prints_a_page_and_json_with_the_notice(
    index_dir: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    question = ["--question", "Is the heart enlarged?"] if verb == "ask" else []
    argv = [verb, str(index_dir), image(index_dir, 2), "--model", "tiny", *question]
    assert ask_model(*argv) == 0
    page = capsys.readouterr().out
    assert page.rstrip().endswith("Research use only, not for clinical use.")
    assert ask_model(*argv, "--adapter", "mine", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    name = "assessment-2" if verb == "ask" else "tiny + mine, prompts-"
    assert document["generator"].startswith(name)
    assert document["task"] == verb
    assert [one["state"] for one in document["observations"]]
    assert len(document["observations"]) == 14
    if verb == "classify":
        assert document["calibrated_on"] is None
        assert "note: the probabilities are not calibrated" in page
        return
    assert_resolved(document, Retriever.open(index_dir, ThumbnailEncoder()))
    if verb == "report":
        removed = [one for s in document["statements"] for one in s["removed_citations"]]
        assert "no case has this number" in {one["reason"] for one in removed}


def test_a_stored_generation_is_the_printed_one_and_its_audit_entry_stands(
    index_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database_path = tmp_path / "app.sqlite3"
    argv = ["report", str(index_dir), image(index_dir, 2), "--json", "--db", str(database_path)]
    assert run(*argv) == 0
    printed = json.loads(capsys.readouterr().out)
    with AppDatabase.open(database_path) as database:
        (stored,) = database.generations.page(limit=5).generations
        (entry,) = database.audit
        assert database.audit.verify().number == 1
    assert json.loads(as_json(stored)) == printed
    assert printed["created_by"] == "command line"
    assert (entry.action, entry.caller) == ("report", "command line")
    assert entry.details["generation"] == printed["id"]


def test_classes_and_a_caption_need_no_language_model(
    index_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(index_dir), image(index_dir, 2), "--model", "none", "--json"]
    assert ask_model("classify", *given) == 0
    classes = json.loads(capsys.readouterr().out)
    assert classes["generator"] == "votes-2" and len(classes["observations"]) == 14
    assert ask_model("caption", *given) == 0
    caption = json.loads(capsys.readouterr().out)
    assert len(caption["statements"]) == 1 and caption["statements"][0]["citations"]


def test_without_a_language_model_the_assessment_answers(
    index_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["ask", str(index_dir), image(index_dir, 2), "--model", "none"]
    assert ask_model(*argv, "--question", "Is there edema?") == 0
    assert re.search(r"No, no edema is seen \(0\.\d\d\)\.", capsys.readouterr().out)
    assert ask_model(*argv, "--question", "What is the capital of France?") == 0
    assert "questions about the findings of the chest X-ray only" in capsys.readouterr().out
    assert ask_model(*argv, "--question", "Is the aorta tortuous?") == 0
    assert "Whether there is tortuous aorta is not assessed; " in capsys.readouterr().out
    assert ask_model(*argv, "--question", " ") == 1
    assert "the question is empty" in capsys.readouterr().err


@pytest.mark.parametrize("most", [1, 3])
def test_a_language_model_is_shown_at_most_k_cases(
    index_dir: Path, most: int, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ScriptedModel(script=lambda prompt: "Findings: The heart is enlarged. [1]")
    argv = ["report", str(index_dir), image(index_dir, 2), "-k", str(most), "--json"]
    assert main(argv, open_retriever=open_drawn, open_model=lambda *_: model) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["options"]["k"] == most and len(document["hits"]) == most
    (prompt,) = model.prompts
    assert f"[{most}] (" in prompt.text and f"[{most + 1}] (" not in prompt.text


def test_a_report_is_written_by_the_language_model_unless_another_is_named(
    index_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = []

    def open_model(name: str, adapter: str | None, quantization: str) -> ScriptedModel:
        opened.append(name)
        return ScriptedModel(script=lambda prompt: "Findings: The heart is enlarged.")

    argv = ["report", str(index_dir), image(index_dir, 2)]
    assert main(argv, open_retriever=open_drawn, open_model=open_model) == 0
    assert opened == ["pretrained/generator"]
    assert "The heart is enlarged." in capsys.readouterr().out


@pytest.mark.parametrize("missing", ["weights", "encoder"])
def test_an_unusable_default_model_falls_back_to_the_extractive_report_with_a_note(
    missing: str,
    index_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(model: object, manifest: object) -> list[str]:
        raise MismatchError("the adapter was trained with another encoder")

    if missing == "weights":
        monkeypatch.setattr("generator.vision_language.local_folder", lambda name: tmp_path)
    else:
        monkeypatch.setattr("generator.__main__.check_served", refuse)
    argv = ["report", str(index_dir), image(index_dir, 2)]
    model = ScriptedModel(script=lambda prompt: "")
    assert main(argv, open_retriever=open_drawn, open_model=lambda *_: model) == 0
    shown = capsys.readouterr()
    assert "CITED CASES" in shown.out
    assert missing in shown.err and "written without a language model" in shown.err


def open_drawn(path: Path) -> Retriever:
    return Retriever.open(path, ThumbnailEncoder())


def test_classes_are_calibrated_by_what_lies_with_the_adapter_that_was_loaded(
    index_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own").mkdir()
    Calibration(fitted_on="these studies").write(tmp_path / "own" / CALIBRATION)
    loaded = ScriptedModel(script=lambda prompt: "", adapter=str(tmp_path / "own"))
    assert (
        main(
            ["classify", str(index_dir), image(index_dir, 2), "--model", "tiny"],
            open_retriever=lambda path: Retriever.open(path, ThumbnailEncoder()),
            open_model=lambda name, adapter, quantization: loaded,
        )
        == 0
    )
    assert "calibrated on these studies" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["report", "ask", "classify", "caption"])
def test_an_adapter_of_another_encoder_is_refused_and_of_another_index_noted(
    index_dir: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = Retriever.open(index_dir, ThumbnailEncoder()).index.manifest.encoder
    adapted = ScriptedModel(script=lambda prompt: TEXTS[prompt.task], adapter="mine")
    question = ["--question", "Is the heart enlarged?"] if verb == "ask" else []

    def served(encoder_sha256: str) -> int:
        adapted.record = AdapterRecord(  # type: ignore[attr-defined]
            base_model="tiny",
            base_sha256="b" * 64,
            prompt_version=PROMPT_VERSION,
            index_fingerprint="f" * 64,
            encoder_sha256=encoder_sha256,
        )
        return main(
            [verb, str(index_dir), image(index_dir, 2), "--model", "tiny", *question],
            open_retriever=lambda path: Retriever.open(path, ThumbnailEncoder()),
            open_model=lambda name, adapter, quantization: adapted,
        )

    assert served("e" * 64) == 1
    out, err = capsys.readouterr()
    assert not out and not adapted.prompts
    assert "another encoder: build the index with that encoder, or train" in err
    assert served(encoder.weights_sha256) == 0
    assert not capsys.readouterr().err, "another index of the same encoder works as well"


@pytest.mark.parametrize(
    ("given", "expected"), [([], {}), (["--device", "cuda"], {"device": "cuda"})]
)
def test_the_encoder_runs_on_a_gpu_only_where_that_is_named(
    index_dir: Path, given: list[str], expected: dict[str, str]
) -> None:
    asked: list[dict[str, str]] = []

    def open_retriever(path: Path, **options: str) -> Retriever:
        asked.append(options)
        return Retriever.open(path, ThumbnailEncoder())

    argv = ["report", str(index_dir), image(index_dir, 3), "--model", "none", *given]
    assert main(argv, open_retriever=open_retriever) == 0
    assert asked == [expected]


def test_the_strategy_chooses_the_cases_of_every_task(
    index_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("report", "classify", "caption"):
        given = [verb, str(index_dir), image(index_dir, 2), "--model", "none", "--json"]
        for more, strategy in ((["--strategy", "findings"], "findings"), ([], "similar")):
            assert run(*given, *more) == 0
            assert json.loads(capsys.readouterr().out)["options"]["strategy"] == strategy
