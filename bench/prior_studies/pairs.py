"""Pairs of studies of which the labels say what changed: constructed ones, and real follow-ups."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from db.labels import FINDINGS, NO_FINDING
from generator.assessment.assess import Assessment
from indexer.sources.nih_folders import OBSERVED_BY, NihImage


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledStudy:
    """A study with its assessment, and what its labels say."""

    patient: str
    views: tuple[str, ...]
    labels: Mapping[str, bool]
    """Finding to whether it is there; a finding that the labels do not know is no key."""
    assessment: Assessment


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """Two studies, the second taken for the later one."""

    before: LabelledStudy
    now: LabelledStudy

    @property
    def changed(self) -> tuple[str, ...]:
        """The findings whose label differs."""
        labels = self.before.labels
        return tuple(name for name, there in self.now.labels.items() if labels[name] != there)

    def rises(self, name: str) -> bool:
        """Whether the label of a finding came."""
        return self.now.labels[name]


def constructed(studies: Sequence[LabelledStudy]) -> tuple[list[Pair], list[Pair]]:
    """Pairs of different patients with the same views: those that differ in exactly one label, with
    the study that has it as the later one, and those of one state.

    They are no follow-ups: everything but the labels is that of two people.
    """
    differing: list[Pair] = []
    alike: list[Pair] = []
    for one, other in combinations(studies, 2):
        if one.views != other.views or one.patient == other.patient:
            continue
        pair = Pair(before=one, now=other)
        changed = pair.changed
        if not changed:
            alike.append(pair)
        elif len(changed) == 1:
            swapped = not other.labels[changed[0]]
            differing.append(Pair(before=other, now=one) if swapped else pair)
    return differing, alike


def follow_ups(images: Sequence[NihImage], studies: Sequence[LabelledStudy]) -> Iterator[Pair]:
    """Consecutive images of one patient in one folder with the same view, by the number of the
    follow-up; ``studies`` are those of the images."""
    groups: dict[tuple[str, str, str], list[tuple[int, LabelledStudy]]] = defaultdict(list)
    for image, study in zip(images, studies, strict=True):
        key = (image.patient_id, image.folder, image.view_position)
        groups[key].append((image.follow_up, study))
    for some in groups.values():
        some.sort(key=lambda one: one[0])
        for (_, before), (_, now) in pairwise(some):
            yield Pair(before=before, now=now)


def nih_labels(labels: frozenset[str]) -> dict[str, bool]:
    """The findings that the labels of ChestX-ray14 say; two of the 13 they do not know."""
    return {
        name: any(label in labels for label in OBSERVED_BY[name])
        for name in FINDINGS
        if name in OBSERVED_BY and name != NO_FINDING
    }
