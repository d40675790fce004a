"""Examples drawn from studies: the same from the same seed, as often as the options say."""

from dataclasses import replace

import pytest

from db.errors import UserError
from db.index.store import Case
from finetune.examples.draw import build_pack, train_examples, val_examples
from finetune.examples.options import ExampleOptions
from finetune.examples.studies import TrainingStudy
from retriever.case_filter import normalise_report
from tests.support.cases import a_case, a_retrieval, words

NEVER = {
    "empty": 0.0,
    "distracted": 0.0,
    "thinned": 0.0,
    "shuffled": 0.0,
    "report_findings": 0.0,
    "no_indication": 0.0,
}


def a_study(number: int, *, patient_id: str | None = None) -> TrainingStudy:
    own = a_case(
        number,
        f"The heart is enlarged. Sign {'y' * number}.",
        "Cardiomegaly.",
        patient_id=patient_id,
        indication="cough",
    )
    others: list[str | Case] = [
        a_case(100 * number + n, f"The heart is enlarged. Token {'x' * n} of {'z' * number}.")
        for n in range(1, 9)
    ]
    return TrainingStudy(case=own, retrieval=a_retrieval(others, {}), canvas=bytes([number]))


STUDIES = [a_study(number) for number in range(1, 5)]


def prompts(options: ExampleOptions, studies: list[TrainingStudy] = STUDIES) -> list[str]:
    return [e.prompt for e in train_examples(studies, options, words) if e.task == "report"]


def share(wanted: list[bool]) -> float:
    return sum(wanted) / len(wanted)


def test_the_same_seed_draws_the_same_whatever_else_is_in_the_set() -> None:
    options = ExampleOptions(passes=3, distracted=0.0)
    first = list(train_examples(STUDIES, options, words))
    assert first == list(train_examples(STUDIES, options, words))
    alone = list(train_examples(STUDIES[:1], options, words))
    assert alone == [one for one in first if one.study_id == "s1"]
    assert first != list(train_examples(STUDIES, replace(options, seed=1), words))


def test_probabilities_are_about_what_the_options_say() -> None:
    options = ExampleOptions(passes=60, **{**NEVER, "empty": 0.25, "no_indication": 0.4})
    drawn = prompts(options)
    assert len(drawn) == 240
    assert 0.15 < share(["Prior cases: none" in one for one in drawn]) < 0.35
    assert 0.3 < share(["Indication" not in one for one in drawn]) < 0.5
    stated = prompts(ExampleOptions(passes=60, **{**NEVER, "report_findings": 0.7}))
    assert 0.6 < share(["Film: Cardiomegaly" in one for one in stated]) < 0.8


def test_tasks_come_as_often_as_they_are_asked_for() -> None:
    options = ExampleOptions(passes=60, ask=0.5, classify=1.0, caption=0.0)
    tasks = [one.task for one in train_examples(STUDIES, options, words)]
    assert tasks.count("report") == tasks.count("classify") == 240
    assert 90 < tasks.count("ask") < 150
    assert "caption" not in tasks


def test_distractors_are_of_no_own_patient_study_or_report() -> None:
    own = a_study(1, patient_id="p1")
    sibling = a_case(900, "The lungs are grey.", patient_id="p1")
    copy = a_case(901, own.case.findings.upper(), own.case.impression)
    fair = a_case(902, "The lungs are blue.")
    other = replace(a_study(2), retrieval=a_retrieval([sibling, own.case], {}))
    third = replace(a_study(3), retrieval=a_retrieval([copy, fair], {}))
    options = ExampleOptions(passes=100, **{**NEVER, "distracted": 1.0})
    drawn = [
        one.prompt
        for one in train_examples([own, other, third], options, words)
        if one.task == "report" and one.study_id == "s1"
    ]
    assert any("lungs are blue" in one for one in drawn)
    assert not any("lungs are grey" in one for one in drawn)
    assert not any(normalise_report(own.case.findings) in normalise_report(one) for one in drawn)


def test_val_examples_are_as_a_service_would_ask_once_a_task() -> None:
    examples = list(val_examples(STUDIES[:2], 7, ExampleOptions(), words))
    assert [one.task for one in examples] == ["report", "ask", "classify", "caption"] * 2
    assert [one.canvas for one in examples] == [7] * 4 + [8] * 4
    assert all(
        "Film: no finding\nClosest case: [1]\nIndication: cough" in one.prompt for one in examples
    )


def test_train_and_val_examples_have_their_own_canvases() -> None:
    pack = build_pack(
        STUDIES[:3], STUDIES[3:], ExampleOptions(passes=1), count_tokens=words, about={"side": 2}
    )
    assert {one.study_id for one in pack.train} == {"s1", "s2", "s3"}
    assert {one.study_id for one in pack.val} == {"s4"}
    for one in (*pack.train, *pack.val):
        assert one.canvas is not None
        end = int(pack.canvas_ends[one.canvas])
        assert f"s{pack.canvas_data[end - 1]}" == one.study_id
    assert pack.about["prompt_version"] == "prompts-4"
    assert pack.about["options"]["passes"] == 1


def test_studies_that_give_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="no study gives an example"):
        build_pack([], [], ExampleOptions(), count_tokens=words, about={})


@pytest.mark.parametrize("options", [{"passes": 0}, {"empty": -0.1}, {"ask": 1.5}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UserError):
        ExampleOptions(**options)  # type: ignore[arg-type]
