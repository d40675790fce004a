"""The loss of preference training, by TRL's ``DPOTrainer``.

    loss = PreferenceLoss(trainable, processor, run_dir)     # the weights of now are the reference
    value, measured = loss(batch)                            # mean over the pairs of a batch

A batch holds the chosen answers of some pairs, then the rejected ones, as `PairCollator` makes it.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import MethodType, SimpleNamespace
from typing import Any, cast

from datasets import Dataset
from torch import Tensor
from torch.nn import functional
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer

from finetune.adapter.backends import IGNORED, Trainable
from finetune.preferences.config import PreferenceConfig

MEASURES = {"margin": "rewards/margins", "accuracy": "rewards/accuracies"}
"""What is logged beside the loss, under TRL's names: the mean difference of the implicit rewards of
both answers, and the share of pairs in which the chosen one has the higher reward."""


class PreferenceLoss(DPOTrainer):
    """TRL's losses, reference adapter and measures, without its loop, collator and kernels.

    Three parts of ``DPOTrainer`` are replaced, each because Mllama or this project needs it:

    - **log-probabilities**: TRL 1.15 computes them in Triton kernels, which a CPU lacks, and passes
      on an attention mask, which right-padded rows do not need. Here they are computed as in
      `finetune.adapter.backends.answer_loss`, at the tokens of the answers alone.
    - **batches**: TRL's vision collator moves padded prompts and answers together, but not Mllama's
      cross-attention mask, which then covers the prompt alone and at another place. Batches come
      from the collator of plain training, which writes the mask for the whole text.
    - **loop**: ``transformers.Trainer`` gives every process batches of its own and steps on NaN
      (`finetune.training.loop`). The project's loop runs it, so each process keeps its own sums.
    """

    def __init__(self, trainable: Trainable, processor: Any, run_dir: Path) -> None:
        """Copies the adapter as it is now: the reference that answers are compared with."""
        assert isinstance(trainable.config, PreferenceConfig)
        config = trainable.config
        model: Any = trainable.model
        unused: Any = list
        weights = {name: weight.detach().clone() for name, weight in trainable.weights.items()}
        with _quiet():
            args = DPOConfig(
                output_dir=str(run_dir),
                beta=config.beta,
                loss_type=[config.loss],
                label_smoothing=config.label_smoothing,
                seed=config.seed,
                bf16=False,  # autocast is the caller's
                use_cpu=trainable.device.type == "cpu",
                report_to="none",
                disable_tqdm=True,
                gradient_checkpointing_kwargs={"use_reentrant": False},
            )
            if args.n_gpu > 1:
                args._n_gpu = 1  # Trainer would spread one process over all that it sees
            super().__init__(
                model=model,
                args=args,
                data_collator=unused,
                train_dataset=Dataset.from_dict({"image": [None]}),
                processing_class=processor,
            )
        for name, weight in trainable.weights.items():  # TRL rounds those of a quantized base
            weight.data = weights[name]
        self._trainable = trainable
        for name in ("gather", "gather_for_metrics"):
            setattr(self.accelerator, name, _own)
        base = model.get_base_model()
        base.forward = MethodType(_with_log_probs(base.forward, type(base).forward), base)

    def __call__(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and it with `MEASURES`, each a mean over the pairs."""
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        inputs["completion_mask"] = (batch["labels"] != IGNORED).long()
        model, compute_loss = self._trainable.model, cast(Any, self.compute_loss)
        with self._trainable.autocast(), _quiet():
            loss = compute_loss(model, inputs)
        mode = "train" if model.training else "eval"
        found = {ours: self._metrics[mode][theirs][-1] for ours, theirs in MEASURES.items()}
        self._metrics[mode].clear()
        measured = {name: loss.new_tensor(value) for name, value in found.items()}
        return loss, {"loss": loss.detach(), **measured}

    def _send_telemetry(self) -> None:
        """Send nothing."""


def _own(value: Any) -> Any:
    """The values of this process: its passes are added to those of others later."""
    return value


def _with_log_probs(original: Callable[..., Any], documented: Callable[..., Any]) -> Any:
    """A ``forward`` that answers TRL's ``fused_lm_head`` with log-probabilities of the labels, and
    everything else as before. ``documented`` has the signature that ``generate`` looks at."""

    @wraps(documented)
    def forward(base: Any, *given: Any, fused_lm_head: bool = False, **named: Any) -> Any:
        if not fused_lm_head:
            return original(*given, **named)
        labels = named.pop("labels")[:, 1:]
        del named["attention_mask"]
        counted = labels != IGNORED
        hidden = base.model(**named).last_hidden_state[:, :-1]
        logits = base.lm_head(hidden[counted]).float()  # (tokens of all answers, vocabulary)
        log_probs = functional.log_softmax(logits, dim=-1)
        wanted = labels[counted][:, None]
        found = {
            "log_probs": log_probs.gather(1, wanted)[:, 0],
            "entropy": -(log_probs.exp() * log_probs).sum(dim=1).detach(),
            "mean_logits": logits.mean(dim=1).detach(),
            "is_top1": logits.argmax(dim=1) == wanted[:, 0],
        }
        return SimpleNamespace(
            **{
                name: value.new_zeros(labels.shape).masked_scatter(counted, value)
                for name, value in found.items()
            }
        )

    return forward


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings of what transformers renamed after the versions that TRL supports."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*gradient_checkpointing", FutureWarning)
        # transformers 5.17 calls its own layers by the name that it gives up
        warnings.filterwarnings("ignore", "`hidden_state` is deprecated", FutureWarning)
        yield
