"""The benches of training: examples of one length, the verdict, and an adapter beside itself."""

from pathlib import Path

import numpy as np
import pytest

from bench.adapter_agreement import main as agreement
from bench.training_examples import BenchExamples
from bench.training_speed import judge
from finetune.__main__ import main
from finetune.collator import Rendering
from finetune.example_pack import Example, ExamplePack, encode_canvas
from finetune.qlora import load_processor
from generator.prompts import PROMPT_VERSION
from tests.mllama_models import film_canvas
from tests.training import REPORT, SETTINGS, quiet, tiny_base

pytestmark = quiet
FILMS = 3


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every film with a report of its own, in both parts."""
    folder = tmp_path_factory.mktemp("bench") / "pack"
    files = [np.frombuffer(encode_canvas(film_canvas(2, n)), np.uint8) for n in range(FILMS)]
    made = [
        Example(
            task="report",
            study_id=f"s{number}",
            prompt=REPORT,
            answer="Findings: The heart is enlarged. [1]" + " No pneumothorax." * number,
            canvas=number,
        )
        for number in range(FILMS)
    ]
    ExamplePack(
        train=made,
        val=made,
        about={"prompt_version": PROMPT_VERSION},
        canvas_data=np.concatenate(files),
        canvas_ends=np.cumsum([len(file) for file in files]),
    ).save(folder)
    return folder


def test_prompts_are_joined_and_cut_to_one_length_and_keep_image_and_answer(
    base: Path, pack: Path
) -> None:
    given = BenchExamples.read(pack)
    rendering = Rendering(load_processor(str(base)))
    made = given.tokens(rendering, 4, 300)
    image = rendering.processor.image_token_id
    for number, tokens in enumerate(made):
        alone = rendering.tokenise(*given.pairs[number % FILMS], image=0)
        answer = alone.ids[alone.prompt_length :]
        assert len(tokens) == 300 and tokens.ids.count(image) == 1
        assert tokens.ids[tokens.prompt_length :] == answer
    assert given.canvas(1, 28).size == (56, 28)


def test_the_verdict_needs_speed_memory_size_and_no_waiting() -> None:
    ours = {"step": 1.0, "peak_gb": 9.0, "waiting": 0.05}
    plain = [{"step": 3.0, "peak_gb": 40.0}, {"step": 2.1, "peak_gb": 19.0}]
    assert judge(plain, ours) == 0
    for worse in (
        {"step": 1.1},  # the quicker of the plain ones counts
        {"peak_gb": 10.0},  # so does the smaller
        {"peak_gb": 12.5},
        {"waiting": 0.1},
    ):
        assert judge(plain, {**ours, **worse}) == 1


def test_an_adapter_agrees_with_itself_and_not_with_another_answer(
    base: Path, pack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "adapter"
    given = ["--base", str(base), "--device", "cpu", "--examples", str(pack)]
    settings = [*SETTINGS, "max_steps=1", "sample_tokens=0", "eval_examples=0"]
    assert main(["train", *given, "--out", str(out), "--set", *settings]) == 0
    asked = [*given, "--adapter", str(out), "--films", str(FILMS)]
    tokens = tmp_path / "tokens.json"
    assert agreement(["tokens", *asked, "--out", str(tokens)]) == 0
    compare = ["compare", *asked, "--new-tokens", "6", str(tokens)]
    assert agreement(compare) == 0
    told = capsys.readouterr().out
    assert "100.00% of" in told and "3 of 3 identical" in told
    text = tokens.read_text()
    altered = text.index("[[") + 2
    tokens.write_text(text[:altered] + "9" + text[altered:])
    assert agreement(compare) == 1
