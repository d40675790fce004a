"""Answers that a model under training writes, for its log and to compare models."""

from typing import Any

import torch

from finetune.adapter.backends import Trainable, answering
from finetune.adapter.collator import Collator, Rendering, Tokens
from finetune.fused.image_features import NUMBERS
from generator.mllama.decoding.decoder import Decoder
from generator.mllama.vision.encoder import Pixels


def sample_answer(
    asked: Tokens, collate: Collator, rendering: Rendering, most: int, trainable: Trainable
) -> str:
    """As the adapter will be served: with the tiles that it is trained on."""
    with answering(trainable) as model:
        if trainable.config.tiles == "real":
            base = model.get_base_model()
            return _decoded(base, trainable.device, asked, collate, rendering, most)
        return write_answer(model, trainable.device, asked, collate, rendering, most)


def write_answer(
    model: Any,
    device: torch.device,
    asked: Tokens,
    collate: Collator,
    rendering: Rendering,
    most: int,
) -> str:
    """The greedy answer of a model to the prompt of an example, of at most ``most`` tokens."""
    prompt = _prompt(asked)
    batch = collate([prompt])
    for name in ("labels", NUMBERS):
        batch.pop(name, None)
    ids = model.generate(
        **{name: value.to(device) for name, value in batch.items()},
        max_new_tokens=most,
        do_sample=False,
        eos_token_id=asked.ids[-1],
        pad_token_id=rendering.pad_id,
    )
    written = ids[0, len(prompt) :].tolist()
    return str(rendering.tokenizer.decode(written, skip_special_tokens=True)).strip()


def _decoded(
    base: Any,
    device: torch.device,
    asked: Tokens,
    collate: Collator,
    rendering: Rendering,
    most: int,
) -> str:
    """The same with real tiles alone, which transformers does not offer."""
    decoder = Decoder(base, records=False, tiles="real")
    prompt = _prompt(asked)
    image = None
    if asked.image is not None:
        batch = collate([prompt])
        pixels = Pixels(
            values=batch["pixel_values"],
            aspect_ratio_ids=batch["aspect_ratio_ids"],
            aspect_ratio_mask=batch["aspect_ratio_mask"],
        )
        image = decoder.encode_image(pixels)
    state, logits = decoder.prefill([prompt.ids], image, room=most)
    written: list[int] = []
    while len(written) < most:
        token = int(logits[0].argmax())
        if token == asked.ids[-1]:
            break
        written.append(token)
        logits = decoder.decode_step(state, torch.tensor([token], device=device))
    return str(rendering.tokenizer.decode(written, skip_special_tokens=True)).strip()


def _prompt(asked: Tokens) -> Tokens:
    return Tokens(
        ids=asked.ids[: asked.prompt_length], prompt_length=asked.prompt_length, image=asked.image
    )
