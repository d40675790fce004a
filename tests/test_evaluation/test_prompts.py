"""Prompts that travel to another machine, and the answers that come back."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from db.errors import MismatchError, NotFoundError, UserError
from evaluation.outputs.prompts import answer_prompts, prompt_sha256, read_prompts
from evaluation.outputs.replay import AnswerReplayer, PromptRecorder
from generator.prompts import Prompt
from generator.vision_language import GREEDY, DecodingOptions
from tests.support.evaluations import Bench
from tests.support.models.scripted_model import ScriptedModel
from tests.support.radiographs import draw_radiograph


def seen(prompt: Prompt) -> float:
    return 0.0 if prompt.image is None else float(np.asarray(prompt.image).mean()) / 300


def script(prompt: Prompt) -> str:
    return f"Findings: The heart is enlarged. [1] {len(prompt.text)} {seen(prompt):.6f}"


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(draw_radiograph(1, size=(40, 40))).convert("RGB")


def test_answers_from_elsewhere_make_the_same_outputs(tmp_path: Path) -> None:
    bench = Bench.make(tmp_path / "data")
    model = ScriptedModel(script, yes=seen)
    recorder = PromptRecorder(model, tmp_path / "prompts")
    bench.write(recorder, tmp_path / "scratch.jsonl")
    assert recorder.save() > 0 and not model.prompts
    done: list[int] = []
    answer_prompts(
        model, tmp_path / "prompts", tmp_path / "answers", computed="cuda", progress=done.append
    )
    assert sum(done) == len(read_prompts(tmp_path / "prompts"))
    player = AnswerReplayer(ScriptedModel(script), tmp_path / "answers")
    played = bench.write(player, tmp_path / "played.jsonl")
    direct = bench.write(ScriptedModel(script, yes=seen), tmp_path / "direct.jsonl")
    assert played.reports == direct.reports and played.answers == direct.answers
    assert played.classes == direct.classes and player.computed == "cuda"


def test_a_prompt_is_known_by_all_that_the_model_is_given(image: Image.Image) -> None:
    prompt = Prompt(task="report", text="Write.", image=image)
    other = image.copy()
    other.putpixel((0, 0), (255, 0, 0))
    keys = {
        prompt_sha256(prompt),
        prompt_sha256(Prompt(task="caption", text="Write.", image=image)),
        prompt_sha256(Prompt(task="report", text="Write!", image=image)),
        prompt_sha256(Prompt(task="report", text="Write.", image=other)),
        prompt_sha256(Prompt(task="report", text="Write.")),
    }
    assert len(keys) == 5
    assert prompt_sha256(Prompt(task="report", text="Write.", image=image.copy())) in keys


def test_answers_of_other_weights_or_prompts_are_refused(
    tmp_path: Path, image: Image.Image
) -> None:
    model = ScriptedModel(script)
    recorder = PromptRecorder(model, tmp_path)
    recorder.generate([Prompt(task="report", text="Write.", image=image)])
    recorder.save()
    answer_prompts(model, tmp_path, tmp_path / "answers", computed="cpu")
    player = AnswerReplayer(model, tmp_path / "answers")
    with pytest.raises(MismatchError, match="has no answer to a prompt of this evaluation"):
        player.generate([Prompt(task="report", text="Write it.", image=image)])
    other = ScriptedModel(script, weights_sha256="0" * 64)
    with pytest.raises(MismatchError, match="was answered with weights 5c5c5c5c5c5c, not with 000"):
        AnswerReplayer(other, tmp_path / "answers")


def test_a_run_that_was_cut_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluation.outputs.prompts.BATCH", 2)
    prompts = [Prompt(task="report", text="Write" + "." * n) for n in range(6)]
    recorder = PromptRecorder(ScriptedModel(script), tmp_path)
    recorder.generate(prompts)
    recorder.save()

    answers = tmp_path / "answers"
    with pytest.raises(KeyboardInterrupt):
        answer_prompts(ScriptedModel(script, fails_at=4), tmp_path, answers, computed="cpu")
    assert not answers.exists()
    with (tmp_path / "answers.tmp").open("a") as stream:
        stream.write('{"key": "torn')
    model, done = ScriptedModel(script), list[int]()
    answer_prompts(model, tmp_path, answers, computed="cpu", progress=done.append)
    assert [p.text for p in model.prompts] == [p.text for p in prompts[4:]] and done == [4, 2]
    wanted = [script(prompt) for prompt in prompts]
    assert AnswerReplayer(model, answers).generate(prompts) == wanted
    answers.rename(tmp_path / "answers.tmp")
    other = ScriptedModel(script, weights_sha256="0" * 64)
    answer_prompts(other, tmp_path, answers, computed="cpu")
    assert len(other.prompts) == 6


def test_a_prompt_is_answered_once_for_each_seed_that_it_was_drawn_with(tmp_path: Path) -> None:
    class Drawing(ScriptedModel):
        def generate(
            self, prompts: Sequence[Prompt], options: DecodingOptions = GREEDY
        ) -> list[str]:
            return [f"{one.text} {options.seed} {options.temperature}" for one in prompts]

    model, prompts = Drawing(script), [Prompt(task="report", text=text) for text in ("a", "b")]
    recorder = PromptRecorder(model, tmp_path)
    for seed in (3, 4, 4):
        recorder.generate(prompts, DecodingOptions(temperature=0.5, seed=seed))
    assert recorder.save() == 2
    answer_prompts(model, tmp_path, tmp_path / "answers", computed="cpu")
    player = AnswerReplayer(model, tmp_path / "answers")
    drawn = DecodingOptions(temperature=0.5, seed=4)
    assert player.generate(prompts, drawn) == ["a 4 0.5", "b 4 0.5"]
    with pytest.raises(MismatchError, match="no answer that was drawn with seed 5"):
        player.generate(prompts, DecodingOptions(temperature=0.5, seed=5))


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"key": "k", "task": "report", "text": "t", "image": None},
        {"key": "k", "task": "report", "text": "t", "image": "../x.png", "max_new_tokens": 5},
    ],
)
def test_what_is_no_prompt_is_refused(tmp_path: Path, line: dict[str, object]) -> None:
    with pytest.raises(NotFoundError, match="holds no prompts"):
        read_prompts(tmp_path)
    (tmp_path / "prompts.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(UserError, match="holds no prompts: make them again"):
        read_prompts(tmp_path)
    for text in ("", "{}", '{"weights_sha256": "a", "computed": "b"}\n{}'):
        (tmp_path / "answers").write_text(text)
        with pytest.raises(UserError, match="holds no answers"):
            AnswerReplayer(ScriptedModel(script), tmp_path / "answers")


def test_an_image_that_did_not_travel_is_named(tmp_path: Path, image: Image.Image) -> None:
    recorder = PromptRecorder(ScriptedModel(script), tmp_path)
    recorder.generate([Prompt(task="report", text="Write.", image=image)])
    recorder.save()
    [written] = (tmp_path / "images").iterdir()
    written.unlink()
    with pytest.raises(UserError, match=r"the image [0-9a-f]+\.png of the prompts cannot be read"):
        answer_prompts(ScriptedModel(script), tmp_path, tmp_path / "answers", computed="cpu")
