"""A Llama of a few thousand weights in a GGUF file, a pack of drawn images, and a small encoder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
import timm
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from finetune.examples.folder import Example, ExampleFolder, encode_canvas
from generator.study_canvas import study_canvas
from recipes.small_mllama.config import CutConfig
from tests.support.radiographs import draw_radiograph

SENTENCES = (
    "The heart is of normal size and the lungs are clear.",
    "A small effusion blunts the left costophrenic angle.",
    "The mediastinum is not widened; no pneumothorax is seen.",
    "There are 12 old rib fractures on the right side.",
    "Prior cases: Findings: Impression: Film: Indication: cough\n\nAnswer yes or no.",
)
WIDTH, MLP, HEADS, KEY_HEADS, LAYERS = 64, 128, 2, 1, 4
HALF = WIDTH // HEADS // 2

CUT = CutConfig(
    layers=3,
    dropped_from=1,
    cross_layers=1,
    ranks=280,
    uses=1,
    tile=32,
    patch=8,
    vision_width=64,
    vision_layers=2,
    global_layers=1,
    vision_heads=2,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class TinyLlama:
    path: Path
    model: LlamaForCausalLM
    """What the file holds, built without it being read."""
    tokens: Sequence[str]


def write_llama(path: Path) -> TinyLlama:
    """The file is written as llama.cpp's converter does: the rows of the halves that rotate are
    interleaved."""
    torch.manual_seed(0)
    tokens, merges = _byte_pairs()
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokens),
            hidden_size=WIDTH,
            intermediate_size=MLP,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=KEY_HEADS,
            rms_norm_eps=1e-5,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            initializer_range=0.2,
            rope_parameters={"rope_type": "default", "rope_theta": 1e4},
            bos_token_id=None,
            eos_token_id=None,
        )
    ).eval()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(MLP)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(1e4)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in tokens])
    writer.add_token_merges(merges)

    def add(name: str, weight: torch.Tensor, kind: gguf.GGMLQuantizationType) -> None:
        values = weight.detach().numpy()
        order = np.arange(len(values))
        if "attn_q" in name or "attn_k" in name:
            order = np.concatenate(
                [
                    [start + i + half * HALF for i in range(HALF) for half in (0, 1)]
                    for start in range(0, len(values), 2 * HALF)
                ]
            )
        stored = gguf.quants.quantize(values[order], kind)
        writer.add_tensor(name, stored, raw_dtype=kind)
        with torch.no_grad():
            weight[torch.from_numpy(order)] = torch.from_numpy(gguf.quants.dequantize(stored, kind))

    four, eight, plain = (gguf.GGMLQuantizationType[name] for name in ("Q4_1", "Q8_0", "F32"))
    with torch.no_grad():
        add("token_embd.weight", model.model.embed_tokens.weight, eight)
        model.model.embed_tokens.weight.copy_(model.model.embed_tokens.weight.half())
        add("output_norm.weight", model.model.norm.weight, plain)
        for number, layer in enumerate(model.model.layers):
            block, attention, mlp = f"blk.{number}.", layer.self_attn, layer.mlp
            add(block + "attn_norm.weight", layer.input_layernorm.weight, plain)
            add(block + "ffn_norm.weight", layer.post_attention_layernorm.weight, plain)
            add(block + "attn_q.weight", attention.q_proj.weight, four)
            add(block + "attn_k.weight", attention.k_proj.weight, four)
            add(block + "attn_v.weight", attention.v_proj.weight, four)
            add(block + "attn_output.weight", attention.o_proj.weight, four)
            add(block + "ffn_gate.weight", mlp.gate_proj.weight, four)
            add(block + "ffn_up.weight", mlp.up_proj.weight, four)
            add(block + "ffn_down.weight", mlp.down_proj.weight, four)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return TinyLlama(path=path, model=model, tokens=tokens)


def _byte_pairs() -> tuple[list[str], list[str]]:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    stored = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(stored["vocab"], key=stored["vocab"].get)
    return tokens, [" ".join(merge) for merge in stored["merges"]]


def draw_pack(studies: int = 6) -> ExampleFolder:
    """Two examples a study: every second one has two images, and one has none."""
    examples: list[Example] = []
    files: list[bytes] = []
    for number in range(studies):
        views = [draw_radiograph(number)] + [draw_radiograph(number, view="LATERAL")] * (number % 2)
        files.append(encode_canvas(study_canvas(views, CUT.tile)))
        context = f"Prior cases:\n[1] {SENTENCES[number % 4]}\n[2] {SENTENCES[(number + 1) % 4]}"
        for task, asked, answer in (
            ("report", "Findings:", f"{SENTENCES[number % 4]} [1]"),
            ("classify", "Answer yes or no.", "yes" if number % 2 else "no"),
        ):
            examples.append(
                Example(
                    task=task,
                    study_id=f"s{number}",
                    prompt=f"{context}\n\nFilm: clear\n\n{asked}",
                    answer=answer,
                    canvas=None if number == 2 else number,
                )
            )
    return ExampleFolder(
        train=examples[:-2],
        val=examples[-2:],
        about={"prompt_version": "prompts-4"},
        canvas_data=np.frombuffer(b"".join(files), np.uint8),
        canvas_ends=np.cumsum([len(file) for file in files]),
    )


def write_encoder(folder: Path) -> Path:
    """A folder of `finetune.encoder.export` around timm's smallest tower."""
    torch.manual_seed(0)
    trunk = timm.create_model("test_efficientnet", num_classes=0, global_pool="avg")
    weights = {f"visual.trunk.{name}": value for name, value in trunk.state_dict().items()}
    width = trunk.num_features
    weights["visual.head.proj.weight"] = torch.randn(24, width)
    weights["visual.head.proj.bias"] = torch.zeros(24)
    heads = {"labels.weight": torch.randn(14, width) / 16, "labels.bias": torch.zeros(14)}
    heads |= {"frontal.weight": torch.randn(1, width) / 16, "frontal.bias": torch.zeros(1)}
    folder.mkdir()
    save_file(weights, folder / "open_clip_model.safetensors")
    save_file(heads, folder / "heads.safetensors")
    stated = {
        "model_cfg": {"vision_cfg": {"timm_model_name": "test_efficientnet", "image_size": 64}},
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(stated))
    return folder
