"""Settings of encoder training. The defaults are those that val preferred last."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from db.errors import UserError
from finetune.training.settings import check_finite, read_settings

TOWER = "tf_efficientnet_lite2"


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Every setting that affects the result: runs with equal configs are equal."""

    seed: int = 0
    members: int = 12
    """Runs, equal but for their random draws, whose weights are averaged at the end; every second
    one has ``second_shared_weight``.
    """
    member: int = 0
    epochs: int = 10
    batch: int = 96
    """Studies a step; two images of each."""
    size: int = 256
    """Side of the square the network sees in training, pixels."""
    tower: str = TOWER
    """A timm name; any tower but the default starts from random weights (for rehearsals)."""
    dim: int = 384
    """Of the embedding."""
    lr: float = 1e-3
    head_lr: float = 3e-3
    weight_decay: float = 0.1
    warmup: float = 0.1
    """Share of all steps in which the learning rate rises."""
    drop_path: float = 0.3
    dropout: float = 0.5
    ema: float = 0.99
    """Decay a step of the averaged weights, which are the ones kept."""
    rotate: float = 12.0
    """Degrees, at most."""
    scale: float = 0.18
    shift: float = 0.06
    contrast: float = 0.35
    erase: float = 0.5
    """Probability that a rectangle is blanked."""
    mixup: float = 0.0
    """Share of the steps in which images and targets of two studies are mixed."""
    one_view: float = 0.25
    """Probability that a study is shown by one of its two views."""
    uncertain: float = 0.7
    """Target of an observation that the report calls uncertain."""
    label_weight: float = 1.0
    single_image_weight: float = 0.5
    """Of the same label loss for each image alone."""
    term_weight: float = 3.0
    view_weight: float = 0.1
    text_weight: float = 1.0
    image_weight: float = 1.0
    temperature: float = 0.07
    """Of the similarities of images with images."""
    target_temperature: float = 0.15
    choice_weight: float = 0.5
    """Of the expected worth of the report that would be copied."""
    choice_temperature: float = 0.03
    similarity_by_terms: float = 1.0
    similarity_by_words: float = 0.5
    similarity_by_meaning: float = 0.5
    identity: float = 0.3
    """Weight of a study's own report in the targets of the image-report loss."""
    coarse: float = 0.3
    """Probability that an image is blurred to half its size."""
    labelled_coarse: float = 0.5
    """The same of those labelled images that are stored at full size."""
    labelled_batch: int = 96
    """Images a step that come with labels and no report, where the pack has such."""
    labelled_weight: float = 1.5
    """Of the sum of their losses."""
    labelled_mixup: float = 1.0
    """Both parameters of the Beta distribution of the share of the second image."""
    observations_weight: float = 0.5
    """Of their observations by a head of their own, beside their labels."""
    shared_weight: float = 0.5
    """Of their observations by the label head."""
    second_shared_weight: float = 1.5
    """The same in every second run: an average over both kinds reads either collection better."""
    extra_weight: float = 0.5
    """Of the findings beside the observations."""
    start_steps: int = 300
    """Of the stage before the runs, on labelled images alone; 0 leaves it out."""
    start_batch: int = 288
    unlisted: bool = True
    """Also train on studies that stand in no list of the split."""
    report_weight: float = 3.0
    """Length of a report's embedding where it is added to the unit sum of its study's images; the
    sum is what an index holds of a case."""
    fit_steps: int = 300
    """Of the last stage, in which the projections alone are fitted; 0 leaves it out."""
    fit_batch: int = 256
    fit_lr: float = 1e-3
    fit_dropout: float = 0.8
    fit_choice: float = 5.0
    """Of the expected worth of the case that is found."""
    fit_labels: float = 1.0
    """Of the findings that a case shares with the query, in that worth."""
    fit_sentences: float = 3.0
    """Of the loss of sentences that find what they are true of."""
    folds: int = 0
    """Above 1: leave out the studies of one fold of that many."""
    fold: int = 0

    def __post_init__(self) -> None:
        check_finite(self)
        if self.epochs < 1 or self.batch < 2:
            raise UserError(f"{self.epochs} epochs of {self.batch} studies a step: use 1 and 2 up")
        if self.folds > 1 and not 0 <= self.fold < self.folds:
            raise UserError(f"fold {self.fold} of {self.folds} does not exist: count from 0")

    def parts(self, folds: int = 0) -> dict[str, Self]:
        """The runs behind one encoder by name, and with ``folds`` one more for each fold."""
        if folds == 1 or folds < 0:
            raise UserError(f"{folds} folds leave nothing to train on: use 2 or more, or none")
        weights = (self.shared_weight, self.second_shared_weight)
        runs = {
            f"member-{n}": replace(self, member=n, shared_weight=weights[n % 2])
            for n in range(self.members)
        }
        return runs | {f"fold-{n}": replace(self, folds=folds, fold=n) for n in range(folds)}

    def of_runs(self) -> dict[str, Any]:
        """Return the settings of a single run: neither their number nor those of the last stage."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name != "members" and not name.startswith("fit_")
        }

    @classmethod
    def of(cls, settings: Sequence[str]) -> Self:
        """From ``name=value`` texts; what is not named keeps its default.

        Raises UserError for an unknown name or a value of another type.
        """
        return read_settings(cls, settings)
