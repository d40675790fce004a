"""The report that every generator fills: marks, sections, cited hits."""

from db.app.generation import NOTICE, Citation, Statement
from db.index.store import Case
from generator.grounding.report import GroundedReport
from retriever.results import Hit


def citation(number: int) -> Citation:
    return Citation(
        number=number,
        source="demo",
        study_id=f"s{number}",
        index_fingerprint="f" * 64,
        quote="The heart is large.",
        score=0.5,
    )


def hit(rank: int) -> Hit:
    case = Case(
        case_id=rank,
        source="demo",
        study_id=f"s{rank}",
        patient_id=None,
        indication="",
        findings="The heart is large.",
        impression="",
        labels={},
        sentences=(),
        images=(),
    )
    return Hit(rank=rank, score=0.5, case=case)


REPORT = GroundedReport(
    statements=(
        Statement(section="impression", text="Cardiomegaly.", citations=(citation(1),)),
        Statement(section="findings", text="Heart large.", citations=(citation(3), citation(1))),
        Statement(section="findings", text="A small nodule."),
    ),
    hits=(hit(1), hit(2), hit(3)),
    generator="test-1",
    index_fingerprint="f" * 64,
)


def test_a_statement_shows_its_numbers_in_ascending_order() -> None:
    assert str(REPORT.section("findings")[0]) == "Heart large. [1][3]"


def test_a_statement_without_a_case_says_that_it_rests_on_the_image_alone() -> None:
    statement = REPORT.section("findings")[1]
    assert not statement.grounded
    assert str(statement) == "A small nodule. [image only]"


def test_the_text_has_findings_before_impression_and_no_marks() -> None:
    assert REPORT.text == "Heart large. A small nodule.\n\nCardiomegaly."


def test_only_hits_that_a_statement_cites_are_cited_hits() -> None:
    assert [one.rank for one in REPORT.cited_hits] == [1, 3]


def test_a_printed_report_ends_with_the_notice() -> None:
    assert str(REPORT).splitlines()[-1] == NOTICE
    assert NOTICE == "Research use only, not for clinical use."


def test_an_empty_section_gets_no_title() -> None:
    only_findings = GroundedReport(
        statements=REPORT.section("findings"),
        hits=REPORT.hits,
        generator="test-1",
        index_fingerprint="f" * 64,
    )
    assert "IMPRESSION" not in str(only_findings)
    assert only_findings.text == "Heart large. A small nodule."
