"""The count of contradictions between texts of one study."""

from bench.generation.contradictions import contradictions


def test_an_observation_stated_in_one_text_and_denied_in_another_is_counted() -> None:
    texts = {
        "report": {"Edema": "positive", "Fracture": "negative"},
        "caption": {"Edema": "negative"},
        "Is there a fracture?": {"Fracture": "uncertain"},
        "classify": {"Cardiomegaly": "positive"},
    }
    assert contradictions(texts) == [  # type: ignore[arg-type]
        ("Edema", "report", "caption"),
        ("Fracture", "Is there a fracture?", "report"),
    ]


def test_texts_that_agree_or_leave_out_do_not_contradict() -> None:
    texts = {"report": {"Edema": "positive"}, "ask": {"Edema": "uncertain"}, "caption": {}}
    assert contradictions(texts) == []  # type: ignore[arg-type]
