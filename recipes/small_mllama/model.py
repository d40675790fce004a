"""The small base model: SmolLM2's layers as a Llama 3.2 Vision, and its processor.

New beside SmolLM2 are the layers that look at the image, behind gates that start closed, so that
the untrained model writes what SmolLM2's layers alone would write; and the vision tower.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import (
    MllamaConfig,
    MllamaForConditionalGeneration,
    MllamaImageProcessor,
    MllamaProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.mllama.image_processing_mllama import get_all_supported_aspect_ratios

from recipes.small_mllama.config import CutConfig
from recipes.small_mllama.source import LlamaShape
from recipes.small_mllama.vocabulary import CHAT_TEMPLATE, IMAGE

_COPIED = (
    ("self_attn.q_proj", "cross_attn.q_proj"),
    ("self_attn.o_proj", "cross_attn.o_proj"),
    ("input_layernorm", "input_layernorm"),
    ("post_attention_layernorm", "post_attention_layernorm"),
    ("mlp.gate_proj", "mlp.gate_proj"),
    ("mlp.up_proj", "mlp.up_proj"),
    ("mlp.down_proj", "mlp.down_proj"),
)
"""What a layer that looks at the image starts from: its neighbour that does not."""


def make_processor(tokenizer: PreTrainedTokenizerFast, config: CutConfig) -> MllamaProcessor:
    images = MllamaImageProcessor(
        size={"height": config.tile, "width": config.tile}, max_image_tiles=config.tiles
    )
    return MllamaProcessor(  # type: ignore[no-untyped-call]
        image_processor=images, tokenizer=tokenizer, chat_template=CHAT_TEMPLATE
    )


def model_config(
    shape: LlamaShape, layers: int, tokenizer: PreTrainedTokenizerFast, config: CutConfig
) -> MllamaConfig:
    """The architecture with ``layers`` of SmolLM2's layers."""
    image: Any = tokenizer.convert_tokens_to_ids(IMAGE)
    taps = [config.vision_layers // 3, 2 * config.vision_layers // 3]
    return MllamaConfig(  # type: ignore[call-arg]
        vision_config={
            "hidden_size": config.vision_width,
            "intermediate_size": 4 * config.vision_width,
            "num_hidden_layers": config.vision_layers,
            "num_global_layers": config.global_layers,
            "attention_heads": config.vision_heads,
            "image_size": config.tile,
            "patch_size": config.patch,
            "max_num_tiles": config.tiles,
            "intermediate_layers_indices": taps,
            "vision_output_dim": config.vision_width * (1 + len(taps)),
            "supported_aspect_ratios": [
                list(ratio) for ratio in get_all_supported_aspect_ratios(config.tiles)
            ],
        },
        text_config={
            "vocab_size": image,
            "hidden_size": shape.width,
            "intermediate_size": shape.mlp_width,
            "num_hidden_layers": layers + config.cross_layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.key_heads,
            "cross_attention_layers": config.cross_positions(layers),
            "rms_norm_eps": shape.norm_eps,
            "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
            "max_position_embeddings": shape.positions,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            "tie_word_embeddings": False,
        },
        image_token_index=image,
        tie_word_embeddings=False,
    )


def build_model(
    config: MllamaConfig,
    layers: Sequence[Mapping[str, Tensor]],
    embeddings: Tensor,
    norm: Tensor,
    *,
    seed: int,
) -> MllamaForConditionalGeneration:
    """The untrained model in float32.

    ``layers`` are SmolLM2's by the names inside a layer, ``embeddings`` (tokens, width) those of
    every token in the tokenizer's order, the image's last.
    """
    torch.manual_seed(seed)
    model = MllamaForConditionalGeneration(config)
    model.float()  # type: ignore[no-untyped-call]
    text: Any = config.text_config
    language: Any = model.model.language_model
    cross = set(text.cross_attention_layers)
    own = [layer for number, layer in enumerate(language.layers) if number not in cross]
    with torch.no_grad():
        for layer, state in zip(own, layers, strict=True):
            layer.load_state_dict(dict(state))
        language.embed_tokens.weight[: len(embeddings)] = embeddings
        model.lm_head.weight.copy_(embeddings[: text.vocab_size])
        language.norm.weight.copy_(norm)
        for number in sorted(cross):
            neighbour = language.layers[min(number + 1, len(language.layers) - 1)]
            if number + 1 >= len(language.layers) or number + 1 in cross:
                neighbour = own[-1]
            for source, target in _COPIED:
                weight = neighbour.get_submodule(source).weight
                language.layers[number].get_submodule(target).weight.copy_(weight)
        for layer in model.model.vision_model.global_transformer.layers:
            # Nearly closed in a fresh model of transformers, which would be slow to open.
            layer.gate_attn.fill_(math.pi / 4)
            layer.gate_ffn.fill_(math.pi / 4)
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        setattr(model.generation_config, name, getattr(text, name))
    return model
