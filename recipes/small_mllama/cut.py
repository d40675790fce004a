"""The part of SmolLM2 that the small base model starts from, in one small folder.

cut(source, pack, config, out_dir)          # where SmolLM2 is
model, processor = load_cut(out_dir)        # anywhere: 4 bits a weight, without loss

The folder holds kept layers as SmolLM2's file has them, embeddings of kept tokens in float16, and
the processor. What is new in the model is drawn from the seed.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import MllamaForConditionalGeneration, MllamaProcessor

from db.errors import NotFoundError, UserError
from db.files import replacing, write_text
from recipes.small_mllama.config import CutConfig
from recipes.small_mllama.model import build_model, make_processor, model_config
from recipes.small_mllama.source import (
    LlamaShape,
    SourceWeights,
    Stored,
    layer_state,
    layer_tensors,
)
from recipes.small_mllama.vocabulary import Vocabulary, prune

CUT = "cut.json"
WEIGHTS = "cut.safetensors"


def cut(
    source: SourceWeights,
    corpus: Iterable[str],
    config: CutConfig,
    out_dir: Path,
    *,
    origin: Any = None,
) -> Vocabulary:
    """Write the folder. ``origin`` is kept with it: what the source and the corpus were.

    Raises UserError where the source has too few layers.
    """
    if config.layers > source.shape.layers:
        raise UserError(f"the source has {source.shape.layers} layers, not {config.layers}")
    dropped = source.shape.layers - config.layers
    if config.dropped_from > config.layers:
        raise UserError(
            f"a block of {dropped} layers cannot start at {config.dropped_from}: "
            f"use {config.layers} at most"
        )
    vocabulary = prune(
        source.tokens,
        source.merges,
        source.control,
        corpus,
        ranks=config.ranks,
        uses=config.uses,
    )
    block = range(config.dropped_from, config.dropped_from + dropped)
    kept = [layer for layer in range(source.shape.layers) if layer not in block]
    tensors: dict[str, Tensor] = {}
    kinds: dict[str, str] = {}
    for place, layer in enumerate(kept):
        for name, stored in layer_tensors(source, layer).items():
            tensors[f"{place}.{name}"] = torch.from_numpy(np.array(stored.values))
            kinds[f"{place}.{name}"] = stored.kind
    old = source.tensors["token_embd.weight"].floats()
    tensors["embeddings"] = torch.stack(
        [old[list(ids)].mean(dim=0) if ids else old.mean(dim=0) for ids in vocabulary.origins]
    ).half()
    tensors["norm"] = source.tensors["output_norm.weight"].floats()
    out_dir.mkdir(parents=True, exist_ok=True)
    make_processor(vocabulary.tokenizer(), config).save_pretrained(out_dir)
    _save(tensors, out_dir / WEIGHTS)
    stated = {
        "config": asdict(config),
        "shape": asdict(source.shape),
        "layers": kept,
        "kinds": kinds,
        "origin": origin,
    }
    write_text(out_dir / CUT, json.dumps(stated, indent=1) + "\n")
    return vocabulary


def load_cut(folder: Path) -> tuple[MllamaForConditionalGeneration, MllamaProcessor]:
    """The untrained model in float32, and its processor.

    Raises NotFoundError without the folder's files, UserError for files that are no such folder.
    """
    for name in (CUT, WEIGHTS):
        if not (folder / name).is_file():
            raise NotFoundError(
                f"{folder} has no {name}: make it with 'python -m recipes.small_mllama --cut'"
            )
    try:
        stated = json.loads((folder / CUT).read_text(encoding="utf-8"))
        config = CutConfig(**stated["config"])
        shape = LlamaShape(**{f.name: stated["shape"][f.name] for f in fields(LlamaShape)})
        kinds: dict[str, str] = stated["kinds"]
        count = len(stated["layers"])
        with safe_open(folder / WEIGHTS, framework="numpy") as stored:
            layers = [_layer(stored, kinds, place, shape) for place in range(count)]
            embeddings = torch.from_numpy(stored.get_tensor("embeddings")).float()
            norm = torch.from_numpy(stored.get_tensor("norm")).float()
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise UserError(f"{folder} holds no cut model ({error}): make it again") from error
    processor = MllamaProcessor.from_pretrained(folder)
    model = build_model(
        model_config(shape, count, processor.tokenizer, config),
        layers,
        embeddings,
        norm,
        seed=config.seed,
    )
    return model, processor


def _layer(stored: Any, kinds: dict[str, str], place: int, shape: LlamaShape) -> dict[str, Tensor]:
    names: Sequence[str] = [name for name in kinds if name.startswith(f"{place}.")]
    return layer_state(
        {
            name.partition(".")[2]: Stored(kind=kinds[name], values=stored.get_tensor(name))
            for name in names
        },
        shape,
    )


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    with replacing(path) as fresh:
        save_file(tensors, fresh)
        fresh.chmod(0o644)  # safetensors leaves it to the owner alone
