"""Validation that shows nothing of training: studies held out, or a val split that is checked.

    held = hold_out(members, HoldOut.of("patient:0.1"), likeness)     # places in members
    check_apart(members, likeness, name="pairs.csv")                  # raises UserError

Examples belong together if they are of one patient, or if they have an image in common: the same
pixels, or a near duplicate by `retriever.near_duplicates`.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from db.errors import UserError
from finetune.dataset.splits import SplitName
from finetune.dataset.store import StudyImages
from finetune.examples.folder import Example
from indexer.encoder.spec import Encoder
from indexer.sources.hold_out import HoldOut
from retriever.case_filter import normalise_report
from retriever.near_duplicates import near_pairs

_log = logging.getLogger(__name__)

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Member:
    """An example with what it must not share with one of the other split."""

    split: SplitName
    example: Example
    images: tuple[int, ...]
    patient: str | None


class Likeness:
    """Which images are the same, and which nearly so."""

    def __init__(self, images: StudyImages, load_encoder: Callable[[], Encoder]) -> None:
        self._images, self._load = images, load_encoder
        self._encoder: Encoder | None = None
        self._vectors: dict[int, npt.NDArray[np.float32]] = {}

    def same(self, image: int) -> str:
        """Equal for images of equal pixels."""
        return self._images.files[image].pixels_sha256

    def name(self, image: int) -> str:
        return self._images.files[image].name

    def near(self, some: Sequence[int], others: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Pairs of near duplicates, images by number."""
        ours, theirs = ([self._images.files[one].dhash for one in side] for side in (some, others))

        def embed(side: Sequence[int]) -> Callable[[npt.NDArray[np.intp]], npt.NDArray[np.float32]]:
            return lambda places: self._embedded([side[place] for place in places])

        try:
            for one, other in near_pairs(ours, theirs, embed(some), embed(others)):
                yield some[one], others[other]
        except (UserError, ImportError) as error:
            _log.warning("near duplicates of val images are not looked for: %s", error)

    def _embedded(self, numbers: Sequence[int]) -> npt.NDArray[np.float32]:
        missing = [number for number in numbers if number not in self._vectors]
        if missing:
            self._encoder = self._encoder or self._load()
            rows = self._images.embed(self._encoder, missing)
            self._vectors.update(zip(missing, rows, strict=True))
        return np.stack([self._vectors[number] for number in numbers])


def hold_out(
    members: Sequence[Member], drawn: HoldOut, likeness: Likeness, *, at_least: int = 1
) -> frozenset[int]:
    """Places of the members to validate with: whole groups, however the examples are split."""
    groups = _Groups()
    for place, member in enumerate(members):
        for key in _keys(member, drawn, likeness):
            groups.join(f"example {place}", key)
    by_group: dict[str, list[int]] = defaultdict(list)
    for place in range(len(members)):
        by_group[groups.name(f"example {place}")].append(place)
    held = set(drawn.draw(by_group, at_least=at_least))
    group_of = {
        image: group
        for group, places in by_group.items()
        for place in places
        for image in members[place].images
    }
    while held:
        inside = [image for image, group in group_of.items() if group in held]
        outside = [image for image, group in group_of.items() if group not in held]
        alike = {group_of[other] for _, other in likeness.near(inside, outside)}
        if not alike or len(held | alike) == len(by_group):
            break
        held |= alike
    return frozenset(place for group in held for place in by_group[group])


def _keys(member: Member, drawn: HoldOut, likeness: Likeness) -> Iterator[str]:
    """What an example must stay together with; patients first, to be named after them."""
    if drawn.unit == "patient" and member.patient is not None:
        yield f"patient {member.patient}"
    for image in member.images:
        yield f"image {likeness.same(image)}"


def _images(members: Iterator[Member]) -> list[int]:
    return list(dict.fromkeys(image for member in members for image in member.images))


class _Groups:
    """Names joined into groups, each called after its least name."""

    def __init__(self) -> None:
        self._over: dict[str, str] = {}

    def name(self, one: str) -> str:
        while (over := self._over.get(one, one)) != one:
            self._over[one] = self._over.get(over, over)
            one = over
        return one

    def join(self, one: str, other: str) -> None:
        first, second = self.name(one), self.name(other)
        # "example ..." gives way to "image ..." or "patient ...", which do not depend on the order
        low, high = sorted((first, second), key=lambda name: (name.startswith("example"), name))
        if low != high:
            self._over[high] = low


def check_apart(members: Sequence[Member], likeness: Likeness, *, name: str) -> None:
    """Raise UserError where a val split shares patients or images with train."""
    train = [member for member in members if member.split == "train"]
    val = [member for member in members if member.split == "val"]
    patients = {member.patient for member in train} - {None}
    shared = sorted({m.patient for m in val if m.patient is not None and m.patient in patients})
    if shared:
        _refuse(name, "patients", shared, len({member.patient for member in val} - {None}))
    ours, theirs = _images(iter(val)), _images(iter(train))
    known = {likeness.same(image) for image in theirs}
    equal = [likeness.name(image) for image in ours if likeness.same(image) in known]
    if equal:
        _refuse(name, "images", equal, len(ours))
    near = dict(likeness.near(ours, theirs))
    if near:
        pairs = [f"{likeness.name(a)} like {likeness.name(b)}" for a, b in near.items()]
        _refuse(name, "images", pairs, len(ours), ", as near duplicates,")


def _refuse(name: str, what: str, shared: Sequence[str], of: int, how: str = "") -> None:
    some = ", ".join(shared[:_SHOWN]) + (", ..." if len(shared) > _SHOWN else "")
    raise UserError(
        f"{len(shared)} of {of} {what} of the val split of {name} are{how} also in train ({some}): "
        "take them out of one, or draw the val split anew with --hold-out patient:0.1 or image:0.1"
    )


def warn_of_texts(train: Sequence[Example], val: Sequence[Example]) -> None:
    """Log how many val reports are in train word for word, as those of normal studies often are."""
    known = {normalise_report(one.answer) for one in train if one.task == "report"}
    reports = [one for one in val if one.task == "report"]
    equal = [one for one in reports if normalise_report(one.answer) in known]
    if equal:
        _log.warning(
            "%d of %d val texts are also in train, word for word: the validation loss is lower "
            "for them (%s)",
            len(equal),
            len(reports),
            ", ".join(one.study_id for one in equal[:_SHOWN]),
        )
