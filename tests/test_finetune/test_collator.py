from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoProcessor

from db.errors import UserError
from finetune.adapter.backends import IGNORED
from finetune.adapter.collator import Collator, ImageCache, Rendering
from generator.prompts import messages
from tests.support.models.mllama_models import CHAT_TEMPLATE, drawn_canvas, write_mllama
from tests.support.models.training import QUESTION, REPORT, tiny_base

CHATML = (
    "{%- for message in messages %}{{- '<|start_header_id|>' + message['role'] + '\n' }}"
    "{%- for part in message['content'] %}"
    "{%- if part['type'] == 'image' %}{{- '<|image|>' }}{%- else %}{{- part['text'] | trim }}"
    "{%- endif %}{%- endfor %}{{- '<|end_of_text|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant\n' }}{%- endif %}"
)
ANSWER = "Findings: The heart is enlarged. [1] The lungs are clear."


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return AutoProcessor.from_pretrained(tiny_base(tmp_path_factory))


def collator(processor: Any, opened: list[int] | None = None, limit: int = 1 << 30) -> Collator:
    def image(number: int) -> Any:
        if opened is not None:
            opened.append(number)
        return drawn_canvas(number + 1, seed=number)

    return Collator(
        processor, ImageCache(processor, image, limit=limit), pad_id=Rendering(processor).pad_id
    )


def test_a_batch_is_what_the_processor_makes_of_the_same_conversations(processor: Any) -> None:
    rendering = Rendering(processor)
    tokens = [
        rendering.tokenise(REPORT, ANSWER, image=0),
        rendering.tokenise(QUESTION, "no", image=1),
    ]
    batch = collator(processor)(tokens)
    texts = [
        processor.apply_chat_template(messages(REPORT, ANSWER)),
        processor.apply_chat_template(messages(QUESTION, "no")),
    ]
    expected = processor(
        images=[[drawn_canvas(1, seed=0)], [drawn_canvas(2, seed=1)]],
        text=texts,
        add_special_tokens=False,
        padding=True,
        padding_side="right",
        return_tensors="pt",
    )
    assert batch.keys() - {"labels"} == expected.keys()
    for name, value in expected.items():
        assert torch.equal(batch[name], value), name


def test_the_loss_counts_the_answer_and_its_end_of_turn_alone(processor: Any) -> None:
    tokens = Rendering(processor).tokenise(QUESTION, " no ", image=0)
    labels = collator(processor)([tokens, tokens])["labels"][0]
    counted = labels[labels != IGNORED].tolist()
    assert processor.tokenizer.decode(counted) == "no<|eot_id|>"


def test_a_prompt_is_cut_into_the_ids_that_serving_gives(processor: Any) -> None:
    tokens = Rendering(processor).tokenise(REPORT, ANSWER, image=0)
    text = processor.apply_chat_template(messages(REPORT), add_generation_prompt=True)
    asked = processor(images=[[drawn_canvas()]], text=text, add_special_tokens=False)
    assert list(tokens.ids[: tokens.prompt_length]) == list(asked["input_ids"][0])


def test_another_template_ends_an_answer_with_its_own_token(tmp_path: Path) -> None:
    assert CHATML != CHAT_TEMPLATE
    processor = AutoProcessor.from_pretrained(write_mllama(tmp_path, chat_template=CHATML))
    tokens = Rendering(processor).tokenise(QUESTION, "no", image=0)
    decode = processor.tokenizer.decode
    assert decode(tokens.ids[tokens.prompt_length :]) == "no<|end_of_text|>"
    assert decode(tokens.ids).startswith("<|begin_of_text|>")


@pytest.mark.parametrize(
    ("template", "named"),
    [
        (CHAT_TEMPLATE.replace("{{- '<|eot_id|>' }}", ""), "never learn to stop"),
        (
            "{%- if add_generation_prompt %}{{- 'prompt ' }}{%- endif %}" + CHAT_TEMPLATE,
            "does not begin a whole conversation",
        ),
    ],
)
def test_a_template_that_cannot_be_trained_with_is_refused(
    processor: Any, template: str, named: str
) -> None:
    given = processor.chat_template
    processor.chat_template = template
    try:
        with pytest.raises(UserError, match=named):
            Rendering(processor).tokenise(QUESTION, "no", image=0)
    finally:
        processor.chat_template = given


@pytest.mark.parametrize(
    ("prompt", "answer", "named"),
    [
        (" ", "no", "empty prompt"),
        (QUESTION, " \n", "empty answer"),
        (QUESTION, "no<|eot_id|>yes", r"'<\|eot_id\|>'"),
        ("<|image|>" + QUESTION, "no", r"'<\|image\|>'"),
    ],
)
def test_a_text_that_would_mislead_the_model_is_refused(
    processor: Any, prompt: str, answer: str, named: str
) -> None:
    with pytest.raises(UserError, match=named):
        Rendering(processor).tokenise(prompt, answer, image=0)


def test_a_batch_without_images_has_no_pixels(processor: Any) -> None:
    alone = Rendering(processor).tokenise(QUESTION, "no", image=None)
    assert collator(processor)([alone]).keys() == {"input_ids", "attention_mask", "labels"}
    assert "<|image|>" not in processor.tokenizer.decode(alone.ids)


def test_images_are_prepared_once_as_far_as_memory_is_granted(processor: Any) -> None:
    rendering = Rendering(processor)
    tokens = [rendering.tokenise(QUESTION, "no", image=number) for number in (0, 1, 0, 1)]
    opened: list[int] = []
    made = collator(processor, opened)(tokens)
    assert opened == [0, 1]
    opened.clear()
    assert torch.equal(
        made["pixel_values"], collator(processor, opened, limit=1)(tokens)["pixel_values"]
    )
    assert opened == [0, 1, 0, 1]
