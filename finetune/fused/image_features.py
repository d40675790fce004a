"""Image features for cross-attention: from the vision encoder, or kept where it is not trained.

features = ImageFeatures(model, tiles="real", trained=False, autocast=trainable.autocast)
found = features(batch)                     # found.states (rows, patches, width of the text model)

With ``tiles="all"`` they are what transformers computes, padding tiles included; with ``"real"``
only tiles that hold a part of the image are computed. The features of an image never change where
the vision encoder is frozen, so they are kept in main memory and the encoder runs once per image.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.checkpoint import checkpoint

from finetune.fused.recorded import RecordedPasses
from generator.mllama.adapter_record import TileUse
from generator.mllama.vision.tower import VisionTower
from indexer.encoder.cuda_graph import RecordedCalls

NUMBERS = "image_numbers"
"""The key of a batch, (rows,): which image of the data each row has."""

_SHARE = 0.5
"""Of the free main memory that kept features may fill."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The features of the images of a batch."""

    states: Tensor
    patches: list[int]
    """Of each row, those of tiles with a part of the image; they come first."""


class ImageFeatures:
    """Computes or finds the features of a batch."""

    def __init__(
        self,
        model: Any,
        *,
        tiles: TileUse,
        trained: bool,
        checkpointing: bool,
        autocast: Callable[[], AbstractContextManager[Any]],
        limit: int | None = None,
        passes: RecordedPasses | None = None,
    ) -> None:
        """``model`` is an ``MllamaForConditionalGeneration``, with LoRA or without; ``limit`` is
        how many bytes of features are kept, by default a share of the free memory. A frozen
        encoder is recorded too, and shares the memory of ``passes``."""
        self._model = model
        self._tiles, self._trained, self._autocast = tiles, trained, autocast
        self._checkpointing = checkpointing
        self._tower = VisionTower(model.model.vision_model, model.config.vision_config)
        self._passes = passes
        self._recorded: Callable[..., Tensor] | None = None
        device = model.model.language_model.embed_tokens.weight.device
        if passes is not None and not trained and device.type == "cuda":
            self._recorded = RecordedCalls(
                self._real, what="the vision encoder", where=passes.where(device)
            )
        vision = model.model.vision_model
        kinds = {w.dtype for w in vision.parameters() if w.is_floating_point()}
        self._mixed = trained or tiles == "all" or len(kinds) > 1
        """Whether precisions differ, or the result is to be that of transformers in autocast."""
        self._kept = _Kept(free_bytes() * _SHARE if limit is None else limit)

    def __call__(self, batch: Mapping[str, Tensor]) -> Found:
        counts: list[int] = batch["aspect_ratio_mask"].flatten(1).sum(dim=1).tolist()
        numbers = batch[NUMBERS].tolist() if NUMBERS in batch and not self._trained else None
        if numbers is None:
            with torch.set_grad_enabled(self._trained and torch.is_grad_enabled()):
                return self._found(self._compute(batch, counts, range(len(counts))), counts)
        missing = [row for row, number in enumerate(numbers) if number not in self._kept]
        made: dict[int, Tensor] = {}
        with torch.no_grad():
            for row in missing:  # alone, so that they are the same bytes in a run that is resumed
                made |= self._compute(batch, counts, [row])
        device = batch["pixel_values"].device
        for row, number in enumerate(numbers):
            if row in made:
                self._kept.put(number, made[row])
            else:
                made[row] = self._kept.get(number).to(device, non_blocking=True)
        return self._found(made, counts)

    def _found(self, made: Mapping[int, Tensor], counts: list[int]) -> Found:
        """Tiles behind each other, rows padded to the one with most."""
        most = max(len(states) for states in made.values())
        whole = torch.stack(
            [pad(made[row], (0, 0, 0, 0, 0, most - len(made[row]))) for row in range(len(counts))]
        )
        return Found(
            states=whole.flatten(1, 2), patches=[count * whole.shape[2] for count in counts]
        )

    def _compute(
        self, batch: Mapping[str, Tensor], counts: list[int], rows: "range | list[int]"
    ) -> dict[int, Tensor]:
        """(tiles, patches, width) of each of some rows; rows with as many tiles together."""
        found: dict[int, Tensor] = {}
        kinds = sorted({counts[row] for row in rows}) if self._tiles == "real" else [0]
        for kind in kinds:
            some = [row for row in rows if not kind or counts[row] == kind]
            with self._autocast() if self._mixed else nullcontext():
                states = self._encode(batch, some, kind)
                projected = self._model.model.multi_modal_projector(states)
            found |= dict(zip(some, projected.to(states.dtype), strict=True))
        return found

    def _encode(self, batch: Mapping[str, Tensor], rows: list[int], tiles: int) -> Tensor:
        """(rows, tiles, patches, features); all tiles if 0."""
        values, ratios = batch["pixel_values"], batch["aspect_ratio_ids"]
        masks = batch["aspect_ratio_mask"]
        if rows != list(range(len(values))):
            values, ratios, masks = values[rows], ratios[rows], masks[rows]
        if not tiles:
            encoder = self._model.model.vision_model
            with self._memory(values.device):
                states: Tensor = encoder(
                    pixel_values=values, aspect_ratio_ids=ratios, aspect_ratio_mask=masks
                ).last_hidden_state
            return states[:, 0]
        if self._recorded is not None:
            return self._recorded(values[:, 0, :tiles], ratios[:, 0])
        return self._real(values[:, 0, :tiles], ratios[:, 0])

    def _real(self, values: Tensor, ratios: Tensor) -> Tensor:
        """Of images whose tiles are all in use."""
        run = None
        if self._checkpointing and torch.is_grad_enabled():
            run = partial(checkpoint, use_reentrant=False)
        with self._memory(values.device):
            return self._tower.states(values, ratios, None, run)

    def _memory(self, device: torch.device) -> AbstractContextManager[None]:
        if self._passes is None or self._trained:
            return nullcontext()
        return self._passes.memory(device)


class _Kept:
    """Features by image, in main memory, the least recently used removed first."""

    def __init__(self, limit: float) -> None:
        self._limit, self._bytes = limit, 0
        self._held: OrderedDict[int, Tensor] = OrderedDict()

    def __contains__(self, number: int) -> bool:
        return number in self._held

    def get(self, number: int) -> Tensor:
        self._held.move_to_end(number)
        return self._held[number]

    def put(self, number: int, states: Tensor) -> None:
        if number in self._held or states.nbytes > self._limit:
            return
        copy = torch.empty(states.shape, dtype=states.dtype, pin_memory=states.is_cuda)
        self._held[number] = copy.copy_(states, non_blocking=True)
        self._bytes += states.nbytes
        while self._bytes > self._limit:
            self._bytes -= self._held.popitem(last=False)[1].nbytes


def free_bytes() -> int:
    """Of main memory; 4 GB where the system does not say."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 4 << 30
