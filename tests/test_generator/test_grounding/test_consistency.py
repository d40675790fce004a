"""What a language model wrote, made to agree with the assessment."""

from collections.abc import Sequence

from db.app.generation import Statement
from generator.assessment.assess import assess
from generator.assessment.calibration import Calibration
from generator.grounding.consistency import ConsistentStatements, make_consistent
from indexer.reports.labeller import label_sentence
from tests.support.cases import a_retrieval, shown

CERTAIN = Calibration(knn=0.0, label_head=1.0)


def consistent(present: Sequence[str], *findings: str) -> ConsistentStatements:
    """With one case in the context, which names an effusion."""
    retrieval = a_retrieval(
        ["Small left pleural effusion. Heart size is normal."], dict.fromkeys(present, 0.9)
    )
    written = [
        Statement(section="findings", text=text, labels=label_sentence(text)) for text in findings
    ]
    return make_consistent(
        written, shown(retrieval), retrieval, assess(retrieval, {}, calibration=CERTAIN)
    )


def test_an_omitted_finding_is_added_and_summed_up_in_another_wording() -> None:
    made = consistent(["Pleural Effusion"], "Heart size is normal.")
    assert [(one.section, one.text) for one in made.statements] == [
        ("findings", "Heart size is normal."),
        ("findings", "There is a pleural effusion."),
        ("impression", "Pleural effusion."),
    ]
    assert all(len(one.citations) == 1 for one in made.statements[1:])


def test_an_impression_by_rule_does_not_repeat_what_the_model_wrote() -> None:
    made = consistent(["Pleural Effusion"], "Pleural effusion.")
    assert [one.text for one in made.statements] == [
        "Pleural effusion.",
        "There is a pleural effusion.",
    ]
