"""Answers that join and leave a running batch, drafts and kept prefixes change no text."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from generator.mllama.decoding.continuous import Answering, ContinuousBatch, Written
from generator.mllama.decoding.prefix_cache import PrefixCache
from generator.mllama.decoding.prompt_lookup import PromptLookup
from generator.mllama.decoding.rows import RowDecoder, Work
from generator.mllama.decoding.static_batch import decode_together
from generator.mllama.load import load_model
from generator.mllama.model import MllamaModel
from generator.prompts import Prompt
from generator.vision_language import DecodingOptions
from tests.support.models.mllama_models import image_prompt, write_mllama

OPTIONS = DecodingOptions(max_new_tokens=24)
TEXTS = (
    "Prior cases:\n[1] The heart is enlarged. [2] Small effusion.\n\nWrite the findings.",
    "Is there edema? Answer yes or no.",
    "Findings: No pneumothorax. Impression: No acute cardiopulmonary disease. " * 4,
)
TILES = (2, 0, 1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> MllamaModel:
    folder = write_mllama(tmp_path_factory.mktemp("mllama"))
    return load_model(folder, device="cpu", quantization="none")


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    return [
        image_prompt(text, tiles=tiles, seed=seed)
        for seed, (text, tiles) in enumerate(zip(TEXTS, TILES, strict=True))
    ]


@pytest.fixture(scope="module")
def expected(model: MllamaModel, prompts: list[Prompt]) -> list[list[int]]:
    """Token by token, each prompt alone."""
    return [
        [
            token
            for picked in decode_together(
                model.decoder,
                [model.prompt_tokens(prompt)],
                model.encode_image([prompt.image]),
                OPTIONS,
                model.ends,
            )
            for token in picked.values()
        ]
        for prompt in prompts
    ]


def batch_of(model: MllamaModel, *, slots: int = 0, drafted: int = 16) -> ContinuousBatch:
    return ContinuousBatch(model.rows, model.ends, PrefixCache(slots=slots), drafted=drafted)


def asked(model: MllamaModel, prompt: Prompt, number: int = 0) -> Answering:
    return Answering(
        number=number,
        tokens=model.prompt_tokens(prompt),
        image=model.encode_image([prompt.image]),
        options=OPTIONS,
    )


def tokens_of(steps: list[list[Written]], number: int = 0) -> list[int]:
    return [token for step in steps for one in step if one.number == number for token in one.tokens]


def run(batch: ContinuousBatch) -> list[list[Written]]:
    steps = []
    while batch.numbers:
        steps.append(batch.step())
    return steps


@pytest.mark.parametrize("drafted", [0, 3, 16])
def test_answers_that_join_at_any_step_are_those_written_alone(
    model: MllamaModel, prompts: list[Prompt], expected: list[list[int]], drafted: int
) -> None:
    batch = batch_of(model, drafted=drafted)
    steps = []
    for number, prompt in enumerate(prompts):
        batch.join(asked(model, prompt, number))
        steps += [batch.step() for _ in range(2)]
    steps += run(batch)
    assert [tokens_of(steps, number) for number in range(len(prompts))] == expected
    ended = [one.number for step in steps for one in step if one.ended]
    assert sorted(ended) == [0, 1, 2]


def test_a_long_prompt_is_read_in_parts_while_others_are_written(
    model: MllamaModel,
    prompts: list[Prompt],
    expected: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(RowDecoder, "prompt_part", 7)
    batch = batch_of(model, drafted=0)
    batch.join(asked(model, prompts[0]))
    batch.step()
    batch.join(asked(model, prompts[2], 2))
    assert [one.number for one in batch.step()] == [0]
    assert tokens_of(run(batch), 2) == expected[2]


def test_a_cancelled_answer_leaves_at_the_next_step(
    model: MllamaModel, prompts: list[Prompt], expected: list[list[int]]
) -> None:
    cancelled = torch.zeros(1, dtype=torch.bool)
    batch = batch_of(model, drafted=0)
    leaving = asked(model, prompts[0])
    leaving = Answering(
        number=0,
        tokens=leaving.tokens,
        image=leaving.image,
        options=OPTIONS,
        cancelled=lambda: bool(cancelled),
    )
    batch.join(leaving)
    batch.join(asked(model, prompts[1], 1))
    batch.step()
    cancelled[0] = True
    assert Written(0, [], True) in batch.step()
    assert batch.numbers == [1]


@contextmanager
def watched(rows: RowDecoder) -> Iterator[list[list[int]]]:
    """How many tokens of each row a pass has, pass by pass."""
    passes: list[list[int]] = []
    extend = rows.extend

    def counted(work: Sequence[Work]) -> torch.Tensor:
        passes.append([len(one.tokens) for one in work])
        return extend(work)

    rows.extend = counted  # type: ignore[method-assign]
    try:
        yield passes
    finally:
        rows.extend = extend  # type: ignore[method-assign]


def test_prompts_that_wait_are_read_in_one_pass(
    model: MllamaModel, prompts: list[Prompt], expected: list[list[int]]
) -> None:
    batch = batch_of(model, drafted=0)
    waiting = [asked(model, prompt, number) for number, prompt in enumerate(prompts)]
    for one in waiting:
        batch.join(one)
    with watched(model.rows) as passes:
        steps = run(batch)
    assert passes[0] == [len(one.tokens) for one in waiting]
    assert passes[1] == [1, 1, 1]
    assert [tokens_of(steps, number) for number in range(3)] == expected


def test_what_is_read_in_one_pass_is_bounded_and_comes_in_order(
    model: MllamaModel,
    prompts: list[Prompt],
    expected: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(RowDecoder, "prompt_part", 12)
    batch = batch_of(model, drafted=0)
    waiting = [asked(model, prompt, number) for number, prompt in enumerate(prompts)]
    for one in waiting:
        batch.join(one)
    sizes = [len(one.tokens) for one in waiting]
    with watched(model.rows) as passes:
        steps = run(batch)
    first = 8 * 12
    assert sizes[0] < first < sizes[0] + sizes[1] + sizes[2]
    assert sum(passes[0]) == first
    writing = passes[0].index(passes[0][-1])  # prompts that the first pass read to their end
    assert passes[1] == [*[1] * writing, 12]
    assert [tokens_of(steps, number) for number in range(3)] == expected


@pytest.mark.parametrize("again", [0, 1])
def test_a_kept_prefix_is_not_computed_again_and_changes_no_text(
    model: MllamaModel, prompts: list[Prompt], expected: list[list[int]], again: int
) -> None:
    batch = batch_of(model, slots=4096)
    first, second = asked(model, prompts[0]), asked(model, prompts[0])
    longer = [*first.tokens[:-3], *first.tokens[4:]]
    tokens = first.tokens if again else longer
    batch.join(first)
    run(batch)
    kept = Answering(number=0, tokens=tokens, image=first.image, options=OPTIONS)
    batch.join(kept)
    with watched(model.rows) as passes:
        written = tokens_of(run(batch))
    assert passes[0] == [1 if again else len(longer) - len(first.tokens) + 3]
    other = Answering(number=0, tokens=tokens, image=second.image, options=OPTIONS)
    fresh = batch_of(model)
    fresh.join(other)
    assert written == tokens_of(run(fresh))


def test_prompts_with_the_same_beginning_on_one_image_read_it_once(
    model: MllamaModel, prompts: list[Prompt], expected: list[list[int]]
) -> None:
    first, other = asked(model, prompts[0]), asked(model, prompts[2], 3)
    ending = asked(model, prompts[1]).tokens[-9:]
    follower = Answering(
        number=1, tokens=[*first.tokens[:-3], *ending], image=first.image, options=OPTIONS
    )
    alone = batch_of(model, drafted=0)
    alone.join(follower)
    wanted = tokens_of(run(alone), 1)
    late = Answering(number=2, tokens=follower.tokens, image=first.image, options=OPTIONS)
    batch = batch_of(model, drafted=0)
    for one in (first, follower, other):
        batch.join(one)
    with watched(model.rows) as passes:
        steps = [batch.step(), batch.step()]
        batch.join(late)
        steps += run(batch)
    assert passes[0] == [len(first.tokens), len(other.tokens)]
    assert passes[1] == [1, 1, 9]
    assert passes[2] == [1, 1, 1, 1]
    assert [tokens_of(steps, n) for n in range(4)] == [expected[0], wanted, wanted, expected[2]]


def test_a_prompt_goes_on_alone_where_the_one_it_waited_for_is_cancelled(
    model: MllamaModel, prompts: list[Prompt], expected: list[list[int]]
) -> None:
    first = asked(model, prompts[0])
    gone = replace(first, cancelled=lambda: True)
    batch = batch_of(model, drafted=0)
    batch.join(gone)
    batch.join(replace(first, number=1))
    steps = run(batch)
    assert steps[0][0] == Written(0, [], True)
    assert tokens_of(steps, 1) == expected[0]


def test_a_prefix_on_another_image_is_not_shared(model: MllamaModel, prompts: list[Prompt]) -> None:
    cache = PrefixCache(slots=4096)
    tokens = model.prompt_tokens(prompts[0])
    image = model.encode_image([prompts[0].image])
    row = model.rows.start(slots=99, image=image)
    assert cache.fill(row, tokens) == 0
    model.rows.extend([Work(row, tokens)])
    cache.keep(row, tokens)
    assert cache.fill(model.rows.start(slots=99, image=image), tokens) == len(tokens) - 1
    other = model.encode_image([prompts[2].image])
    assert cache.fill(model.rows.start(slots=99, image=other), tokens) == 0


def test_rows_together_give_the_logits_of_each_alone(
    model: MllamaModel, prompts: list[Prompt]
) -> None:
    rows: RowDecoder = model.rows
    tokens = [model.prompt_tokens(prompt) for prompt in prompts]
    images = [model.encode_image([prompt.image]) for prompt in prompts]
    work = [
        Work(rows.start(slots=199, image=image), given)
        for given, image in zip(tokens, images, strict=True)
    ]
    alone = [
        model.decoder.prefill([given], image, room=0)[1]
        for given, image in zip(tokens, images, strict=True)
    ]
    torch.testing.assert_close(rows.extend(work), torch.cat(alone), rtol=1e-4, atol=1e-4)


def test_a_draft_goes_on_after_the_longest_repetition() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 5, 9, 2, 3, 7, 8])
    lookup.append([1, 2])
    assert lookup.draft(8) == [3, 4, 5]
    assert lookup.draft(2) == [3, 4]
    lookup.append([6])
    assert lookup.draft(8) == []
