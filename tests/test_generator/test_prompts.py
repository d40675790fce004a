"""The prompts: one wording for serving and training, the image's prefix shared by all questions."""

import subprocess
import sys

import pytest
from PIL import Image

from db.errors import UserError
from db.labels import OBSERVATIONS
from generator.context.build import write_context
from generator.prompts import (
    MAX_QUESTION,
    PROMPT_VERSION,
    ask_prompt,
    caption_prompt,
    classify_prompts,
    messages,
    observation_question,
    report_prompt,
)
from generator.tasks import TASKS

CONTEXT = write_context([], ("Edema",), count_tokens=len, indication="cough")


def test_the_wording_is_that_of_its_version() -> None:
    """Change the version with the wording: an adapter trained on another is to be refused."""
    head = "Prior cases: none\n\nFilm: Edema\nIndication: cough\n\n"
    assert PROMPT_VERSION == "prompts-4"
    assert report_prompt(CONTEXT).text == head + (
        "Write the findings and impression of this film. Cite the prior cases that support each "
        "sentence, like [1]."
    )
    assert caption_prompt(CONTEXT).text == head + (
        "Describe this film in one sentence. Cite the prior cases that support it, like [1]."
    )
    assert ask_prompt(CONTEXT, "Why?").text == head + (
        "Answer in a few words. Cite the prior cases that support the answer, like [1]. Why?"
    )
    assert classify_prompts(CONTEXT, ["Edema"])[0].text == head + (
        "Answer yes or no. Is there edema?"
    )


def test_all_tasks_on_one_image_share_its_context_and_image() -> None:
    image = Image.new("RGB", (4, 4))
    prompts = [
        report_prompt(CONTEXT, image),
        ask_prompt(CONTEXT, "Is there fluid?", image),
        *classify_prompts(CONTEXT, image=image),
        caption_prompt(CONTEXT, image),
    ]
    assert {prompt.task for prompt in prompts} == set(TASKS)
    assert all(prompt.image is image for prompt in prompts)
    assert all(prompt.text.startswith(CONTEXT.text + "\n\n") for prompt in prompts)


def test_every_observation_has_a_question_of_its_own() -> None:
    prompts = classify_prompts(CONTEXT)
    assert len({prompt.text for prompt in prompts}) == len(OBSERVATIONS)
    assert observation_question("No Finding") == "Is the film normal?"
    assert observation_question("Pleural Effusion") == "Is there pleural effusion?"


def test_a_question_is_one_line() -> None:
    asked = ask_prompt(CONTEXT, " Is there\n\nfluid? ").text
    assert asked.endswith("like [1]. Is there fluid?")


@pytest.mark.parametrize("question", ["", " \n ", "x" * (MAX_QUESTION + 1)])
def test_an_empty_or_endless_question_is_refused(question: str) -> None:
    with pytest.raises(UserError, match="question"):
        ask_prompt(CONTEXT, question)


def test_messages_are_one_turn_with_the_image_first() -> None:
    asked = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Why?"}]}
    answered = {"role": "assistant", "content": [{"type": "text", "text": ""}]}
    assert messages("Why?") == [asked]
    assert messages("Why?", "") == [asked, answered]
    assert messages("Why?", image=False)[0]["content"] == [{"type": "text", "text": "Why?"}]


LIGHT = (
    "generator.prompts",
    "generator.vision_language",
    "finetune.examples.folder",
    "finetune.examples.options",
    "finetune.adapter.command",
    "recipes.small_mllama.__main__",
    "finetune.examples.command",
)
HEAVY = ("faiss", "sqlalchemy", "pydicom", "open_clip", "datasets", "unsloth")


def test_training_loads_where_no_index_could_be_read() -> None:
    code = (
        "import importlib, sys\n"
        f"for light in {LIGHT}:\n"
        "    importlib.import_module(light)\n"
        f"    loaded = [one for one in {HEAVY} if one in sys.modules]\n"
        "    assert not loaded, (light, loaded)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
