"""Settings of preference training: those of an adapter, and how strongly answers are preferred."""

from dataclasses import dataclass

from db.errors import UserError
from finetune.adapter.config import TrainConfig

LOSSES = ("sigmoid", "ipo", "hinge", "robust")


@dataclass(frozen=True, kw_only=True)
class PreferenceConfig(TrainConfig):
    """Other defaults than those of plain training: the model can write already."""

    lr: float = 1e-5
    epochs: int = 1
    warmup: float = 0.1
    beta: float = 0.1
    """How closely the model stays to the one it starts from: the weight of the KL divergence."""
    loss: str = "sigmoid"
    """``sigmoid``: DPO (Rafailov et al., "Direct Preference Optimization", NeurIPS 2023); ``ipo``
    (Azar et al., 2023), ``hinge`` (SLiC) and ``robust`` (Chowdhury et al., 2024) as in TRL."""
    label_smoothing: float = 0.0
    """Of ``robust``: the share of pairs whose answers are taken to be exchanged, below 0.5."""

    def _unfused(self) -> str | None:
        return super()._unfused() or "preference training"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss not in LOSSES:
            raise UserError(f"loss cannot be '{self.loss}': use {', '.join(LOSSES)}")
        if self.beta <= 0:
            raise UserError(f"beta cannot be {self.beta}: use a number above 0, such as 0.1")
        if not 0 <= self.label_smoothing < 0.5:
            raise UserError(
                f"label_smoothing is a share of pairs below 0.5, not {self.label_smoothing}"
            )
        if self.label_smoothing and self.loss != "robust":
            raise UserError("label_smoothing belongs to loss=robust: set that loss, or leave it 0")
        if self.dropout:
            raise UserError(
                "preference training compares the model with the one it starts from, and dropout "
                "would blur both: leave dropout at 0"
            )
