"""ClinicalBERT similarity of written findings to the reference, where its weights are given.

each = similarity(Path("Bio_ClinicalBERT"), references, candidates)      # (n,), cosine

Texts are embedded as the mean of the last hidden states of their tokens, cut at what the model
reads. Any encoder folder of transformers works; the table names the folder, for the figure is its
own.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from db.errors import UserError

_BATCH = 32


def similarity(folder: Path, references: Sequence[str], candidates: Sequence[str]) -> np.ndarray:
    """Cosine of each pair. Raises UserError for a folder that holds no such model."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model: Any = AutoModel.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{folder} holds no text encoder of transformers: check the path"
        ) from error
    model.train(False)
    most = min(model.config.max_position_embeddings, 512)
    texts = list(dict.fromkeys([*references, *candidates]))
    vectors: dict[str, np.ndarray] = {}
    with torch.inference_mode():
        for start in range(0, len(texts), _BATCH):
            some = texts[start : start + _BATCH]
            read = tokenizer(
                some, return_tensors="pt", padding=True, truncation=True, max_length=most
            )
            hidden = model(**read).last_hidden_state.float()
            mask = read["attention_mask"][..., None].float()
            means = ((hidden * mask).sum(dim=1) / mask.sum(dim=1)).numpy()
            means /= np.linalg.norm(means, axis=1, keepdims=True)
            vectors |= dict(zip(some, means, strict=True))
    pairs = zip(references, candidates, strict=True)
    return np.array([float(vectors[one] @ vectors[other]) for one, other in pairs])
