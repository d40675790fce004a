"""Conversations in the forms that people bring."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from db.errors import UserError
from finetune.dataset.examples import DatasetExamples
from finetune.dataset.rows import Columns
from tests.support.datasets import png, write_images, write_lines

A, B = png(0), png(1)
ADDRESS = "data:image/png;base64," + base64.b64encode(A).decode()


def load(path: Path, row: dict[str, Any], columns: Columns | None = None) -> DatasetExamples:
    write_images(path, 3)
    lines = write_lines(path / "train.jsonl", [row])
    return DatasetExamples.load(str(lines), columns or Columns(), side=32)


def asked(data: DatasetExamples) -> list[tuple[str | None, str, int]]:
    """Question, answer and number of images of each example."""
    found = []
    for one in (*data.train, *data.val):
        question = one.prompt.rpartition("like [1]. ")[2] if one.task == "ask" else None
        found.append(
            (
                question,
                one.answer,
                len(data.images.studies[one.canvas or 0]),
            )
        )
    return found


def says(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


TEXT = {"type": "text", "text": "Is it clear?"}
FORMS: dict[str, dict[str, Any]] = {
    "openai": {
        "messages": [
            says("user", [{"type": "image_url", "image_url": {"url": ADDRESS}}, TEXT]),
            says("assistant", "Yes."),
        ]
    },
    "hugging face, images beside": {
        "images": ["image-0.png"],
        "messages": [
            says("user", [{"type": "image", "text": None}, {**TEXT, "image": None}]),
            says("assistant", [{"type": "text", "text": "Yes."}]),
        ],
    },
    "hugging face, path inside": {
        "messages": [
            says("user", [{"type": "image", "path": "image-0.png"}, TEXT]),
            says("assistant", "Yes."),
        ]
    },
    "llava": {
        "id": "1",
        "image": "image-0.png",
        "conversations": [
            {"from": "human", "value": "<image>\nIs it clear?"},
            {"from": "gpt", "value": "Yes."},
        ],
    },
    "sharegpt without a mark": {
        "images": ["image-0.png"],
        "conversations": [
            {"from": "human", "value": "Is it clear?"},
            {"from": "gpt", "value": "Yes."},
        ],
    },
    "json text": {
        "image": "image-0.png",
        "messages": json.dumps([says("user", "Is it clear?"), says("assistant", "Yes.")]),
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_a_conversation_is_a_question_and_its_answer(tmp_path: Path, form: str) -> None:
    data = load(tmp_path, FORMS[form])
    assert asked(data) == [("Is it clear?", "Yes.", 1)]


def test_a_conversation_may_stand_in_any_column(tmp_path: Path) -> None:
    row = {"image": "image-0.png", "talk": FORMS["llava"]["conversations"]}
    assert asked(load(tmp_path, row, Columns(text="talk"))) == [("Is it clear?", "Yes.", 1)]


def test_an_image_without_words_asks_for_a_report(tmp_path: Path) -> None:
    row = {
        "image": "image-0.png",
        "conversations": [
            {"from": "human", "value": "<image>"},
            {"from": "gpt", "value": "The lungs are clear."},
        ],
    }
    data = load(tmp_path, row)
    assert [one.task for one in (*data.train, *data.val)] == ["report"]


def test_every_question_is_an_example_with_the_images_up_to_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    row = {
        "images": ["image-0.png", "image-1.png"],
        "messages": [
            says("system", "You are kind."),
            says("user", "<image>Is it clear?"),
            says("assistant", "Yes."),
            says("user", "<image> Is it larger?"),
            says("assistant", "No."),
        ],
    }
    assert sorted(asked(load(tmp_path, row)), key=str) == [
        ("Is it clear?", "Yes.", 1),
        ("Is it larger?", "No.", 2),
    ]
    assert "a system message, which no prompt here has: 1" in caplog.text
    assert "several questions, each asked without those before it: 1" in caplog.text


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([says("user", "A?")], "it has no answer"),
        ([says("assistant", "A.")], "do not alternate"),
        ([says("user", "A?"), says("user", "B?")], "do not alternate"),
        ([says("user", "A?"), says("assistant", "")], "an answer is empty"),
        ([says("user", "A?"), says("assistant", "B."), says("user", "C?")], "has no answer"),
        ([says("user", "A?"), says("tool", "B.")], "a message is from 'tool'"),
        ([says("user", 7), says("assistant", "B.")], "neither text nor a list"),
        ([says("user", [{"type": "audio"}]), says("assistant", "B.")], "of type 'audio'"),
        ([says("user", "<image><image>A?"), says("assistant", "B.")], "more images than the 1"),
        ([says("user", "A?"), says("assistant", "<image>")], "an answer holds an image"),
        ("Hello", "it is no conversation"),
    ],
)
def test_a_conversation_that_is_none_is_a_bad_row(
    tmp_path: Path, messages: Any, reason: str
) -> None:
    row = {"image": "image-0.png", "messages": messages}
    with pytest.raises(UserError, match=f"1 of 1 rows .*line 1: column 'messages': .*{reason}"):
        load(tmp_path, row)


def test_images_that_no_mark_stands_for_make_a_bad_row(tmp_path: Path) -> None:
    row = {**FORMS["llava"], "image": ["image-0.png", "image-1.png"]}
    with pytest.raises(UserError, match="it names 1 of the 2 images"):
        load(tmp_path, row)


def test_a_conversation_without_an_image_is_a_bad_row(tmp_path: Path) -> None:
    row = {"messages": [says("user", "A?"), says("assistant", "B.")]}
    with pytest.raises(UserError, match="a question has no image"):
        load(tmp_path, row)
