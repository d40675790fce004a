"""Tiny Mllama checkpoints with random weights, complete with processor and chat template.

write_mllama(folder)                       # MllamaForConditionalGeneration, about 100k parameters
write_adapter(folder / "adapter", base)    # LoRA whose weights change what the model says
prompt = film_prompt("Describe this image.", tiles=2)
"""

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    BitsAndBytesConfig,
    MllamaConfig,
    MllamaForConditionalGeneration,
    MllamaImageProcessor,
    MllamaProcessor,
    PreTrainedTokenizerFast,
)

from generator.mllama.checkpoint import UNQUANTIZED_MODULES
from generator.prompts import Prompt, Task
from tests.support.radiographs import draw_radiograph

TILE = 28
"""Pixels of a tile's side; four patches."""

SENTENCES = (
    "Prior cases:\n[1] (Cardiomegaly, Pleural Effusion) Findings: The heart is enlarged.",
    "Film: Cardiomegaly, Pleural Effusion\nIndication: dyspnea",
    "Small left pleural effusion. Heart size is normal. [1][2] The lungs are clear.",
    "Findings: No pneumothorax. Impression: No acute cardiopulmonary disease.",
    "Write the findings and impression of this film. Cite the prior cases that support each.",
    "Answer yes or no. Is there edema? Is there consolidation? Is the film normal?",
)
SPECIAL = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|finetune_right_pad_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
)
CITATIONS = tuple(f"[{number}]" for number in range(1, 10))
CHAT_TEMPLATE = (
    "{{- bos_token }}{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
    "{%- for part in message['content'] %}"
    "{%- if part['type'] == 'image' %}{{- '<|image|>' }}{%- else %}{{- part['text'] }}{%- endif %}"
    "{%- endfor %}{{- '<|eot_id|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)


def write_mllama(
    folder: Path,
    *,
    seed: int = 0,
    nf4: bool = False,
    mlp: int = 128,
    chat_template: str = CHAT_TEMPLATE,
) -> Path:
    """As ``save_pretrained`` writes it: float32, or NF4 through bitsandbytes."""
    processor = _processor(chat_template)
    model = MllamaForConditionalGeneration(_config(processor.tokenizer, mlp))
    _randomise(model, seed)
    model.generation_config.eos_token_id = model.config.text_config.eos_token_id
    model.generation_config.pad_token_id = model.config.text_config.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    if nf4:
        stored = MllamaForConditionalGeneration.from_pretrained(
            folder,
            dtype=torch.float32,
            quantization_config=BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_compute_dtype=torch.float32,
                llm_int8_skip_modules=list(UNQUANTIZED_MODULES),
            ),
        )
        stored.save_pretrained(folder)
    return folder


def write_adapter(
    folder: Path, base: Path, *, seed: int = 1, record: dict[str, Any] | None = None
) -> Path:
    """LoRA of rank 4 on every linear layer of the text model, with ``adapter_record.json``."""
    model = MllamaForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=r".*language_model.*_proj")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        wrapped = get_peft_model(model, lora)
    generator = torch.Generator().manual_seed(seed)
    for name, weight in wrapped.named_parameters():
        if "lora_" in name:
            weight.data.normal_(0, 0.3, generator=generator)
    wrapped.save_pretrained(folder)
    if record is not None:
        (folder / "adapter_record.json").write_text(json.dumps(record))
    return folder


def drawn_canvas(tiles: int = 1, seed: int = 0) -> Image.Image:
    """RGB canvas of square images side by side."""
    canvas = Image.new("RGB", (TILE * tiles, TILE))
    for tile in range(tiles):
        image = Image.fromarray(draw_radiograph(seed + tile)).resize((TILE, TILE))
        canvas.paste(image.convert("RGB"), (tile * TILE, 0))
    return canvas


def image_prompt(text: str, *, tiles: int = 1, seed: int = 0, task: Task = "report") -> Prompt:
    """A prompt with a drawn image, or with none where ``tiles`` is 0."""
    return Prompt(task=task, text=text, image=drawn_canvas(tiles, seed) if tiles else None)


def _processor(chat_template: str) -> MllamaProcessor:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(SENTENCES, trainer)
    bpe.add_special_tokens(list(SPECIAL))
    bpe.add_tokens([AddedToken(token, normalized=False) for token in CITATIONS])
    bpe.add_special_tokens(["<|image|>"])  # last: beyond the output head, as in Llama 3.2 Vision
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=SPECIAL[0],
        eos_token="<|eot_id|>",
        pad_token=SPECIAL[2],
        padding_side="left",
    )
    images = MllamaImageProcessor(size={"height": TILE, "width": TILE}, max_image_tiles=2)
    return MllamaProcessor(image_processor=images, tokenizer=tokenizer, chat_template=chat_template)


def _config(tokenizer: PreTrainedTokenizerFast, mlp: int) -> MllamaConfig:
    def token(name: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(name))

    return MllamaConfig(
        vision_config={
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_global_layers": 1,
            "attention_heads": 4,
            "intermediate_size": 64,
            "image_size": TILE,
            "patch_size": 14,
            "max_num_tiles": 2,
            "intermediate_layers_indices": [0],
            "vision_output_dim": 128,
            "supported_aspect_ratios": [[1, 1], [1, 2], [2, 1]],
        },
        text_config={
            "vocab_size": len(tokenizer) - 1,
            "hidden_size": 64,
            "intermediate_size": mlp,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "cross_attention_layers": [1, 3],
            "max_position_embeddings": 1024,
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 128,
            },
            "bos_token_id": token("<|begin_of_text|>"),
            "eos_token_id": [token("<|end_of_text|>"), token("<|eom_id|>"), token("<|eot_id|>")],
            "pad_token_id": token("<|finetune_right_pad_id|>"),
        },
        image_token_index=token("<|image|>"),
    )


def _randomise(model: MllamaForConditionalGeneration, seed: int) -> None:
    """Large enough, gates open, that every token and every tile has a say in what comes next."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if name.endswith(("gate", "gate_attn", "gate_ffn")):
            weight.data.fill_(0.8)
        elif "norm" in name:
            weight.data.normal_(1, 0.1, generator=generator)
        elif "embed" in name or "lm_head" in name:
            weight.data.normal_(0, 1, generator=generator)
        else:
            weight.data.normal_(0, 2 * weight.shape[-1] ** -0.5, generator=generator)
