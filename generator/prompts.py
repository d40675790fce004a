"""The prompts of the language model, the same for serving, training and evaluation.

prompt = report_prompt(context)
prompt = ask_prompt(context, "Is the heart enlarged?")
messages(prompt.text)                                   # for a processor's chat template

The order is prior cases, image, indication, task: all questions on one image share a prefix.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from PIL import Image

from db.errors import UserError
from db.labels import OBSERVATIONS

PROMPT_VERSION = "prompts-4"
"""Changes whenever prompts change; an adapter trained on another version is refused."""

Task = Literal["report", "ask", "classify", "caption"]
"""The rows of `generator.tasks.TASKS`."""

MAX_QUESTION = 300
"""Characters of a question."""

_CITE = "like [1]"
_REPORT = (
    "Write the findings and impression of this film. Cite the prior cases that support each "
    f"sentence, {_CITE}."
)
_CAPTION = f"Describe this film in one sentence. Cite the prior cases that support it, {_CITE}."
_ASK = f"Answer in a few words. Cite the prior cases that support the answer, {_CITE}."
_CLASSIFY = "Answer yes or no."

YES, NO = "yes", "no"


class PromptContext(Protocol):
    """What a prompt begins with, as `generator.context.build` makes it."""

    @property
    def text(self) -> str: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompt:
    """The input of a model: a text, and one image with every view of the study."""

    task: Task
    text: str
    image: Image.Image | None = None
    """RGB, from `generator.study_canvas`; None to answer without an image."""


def report_prompt(context: PromptContext, image: Image.Image | None = None) -> Prompt:
    return Prompt(task="report", text=_joined(context, _REPORT), image=image)


def caption_prompt(context: PromptContext, image: Image.Image | None = None) -> Prompt:
    return Prompt(task="caption", text=_joined(context, _CAPTION), image=image)


def ask_prompt(context: PromptContext, question: str, image: Image.Image | None = None) -> Prompt:
    """Raises UserError for a question that is empty or too long."""
    asked = " ".join(question.split())
    if not asked:
        raise UserError("the question is empty: ask something about the image")
    if len(asked) > MAX_QUESTION:
        raise UserError(f"a question may have {MAX_QUESTION} characters, not {len(asked)}")
    return Prompt(task="ask", text=_joined(context, f"{_ASK} {asked}"), image=image)


def classify_prompts(
    context: PromptContext,
    observations: Sequence[str] = OBSERVATIONS,
    image: Image.Image | None = None,
) -> list[Prompt]:
    """One yes-or-no question an observation, on one prefix."""
    return [
        Prompt(
            task="classify",
            text=_joined(context, f"{_CLASSIFY} {observation_question(name)}"),
            image=image,
        )
        for name in observations
    ]


def observation_question(name: str) -> str:
    """``No Finding`` is asked for as what it says."""
    return "Is the film normal?" if name == "No Finding" else f"Is there {name.lower()}?"


def messages(text: str, answer: str | None = None, *, image: bool = True) -> list[dict[str, Any]]:
    """A conversation of one turn in the form that chat templates of transformers take."""
    parts: list[dict[str, str]] = [{"type": "image"}] if image else []
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": [*parts, {"type": "text", "text": text}]}
    ]
    if answer is not None:
        turns.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return turns


def _joined(context: PromptContext, task: str) -> str:
    return f"{context.text}\n\n{task}"
