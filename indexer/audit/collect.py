"""Records of a source -> a ledger of studies and images, and counts of what they hold.

Images are decoded by two threads, a few studies at a time; nothing is kept of them but their facts.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from db.errors import UserError
from db.index.store import Case
from indexer.audit.images import ImageFacts, read_facts
from indexer.audit.ledger import Ledger, Side
from indexer.audit.result import MOST_EXAMPLES, Count
from indexer.audit.text import exact_digest, names_comparison, residue, words_digest
from indexer.images.radiograph import Limits
from indexer.index import Index
from indexer.ingest.studies import to_case
from indexer.sources.records import ImageRecord, Record, SkippedStudy, Source, StudyRecord

_FRONTAL = ("PA", "AP", "FRONTAL")
_STUDIES_AT_ONCE = 16
_THREADS = 2

Progress = Callable[[Iterable[Record]], Iterable[Record]]


@dataclass(kw_only=True)
class Tally:
    """Counts by part and name, with a few examples of each."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    words: Counter[int] = field(default_factory=Counter)
    """Length of FINDINGS in words to number of studies."""

    def add(self, part: str, name: str, example: str | None = None, times: int = 1) -> None:
        self.counts[part, name] += times
        kept = self.examples.setdefault((part, name), [])
        if example is not None and len(kept) < MOST_EXAMPLES and example not in kept:
            kept.append(example)

    def count(self, part: str, name: str, of: int | None = None, note: str = "") -> Count:
        """0 for what never came up."""
        return Count(
            name=name,
            count=self.counts[part, name],
            of=of,
            note=note,
            examples=tuple(self.examples.get((part, name), ())),
        )

    def names(self, part: str) -> list[str]:
        """By falling count."""
        found = [(count, name) for (own, name), count in self.counts.items() if own == part]
        return [name for _, name in sorted(found, key=lambda pair: (-pair[0], pair[1]))]


def collect(
    source: Source,
    ledger: Ledger,
    side: Side,
    limits: Limits,
    *,
    progress: Progress = lambda records: records,
) -> Tally:
    """Read the whole source once.

    Raises UserError where the source does; an image that cannot be read is counted.
    """
    tally = Tally()
    records = iter(progress(source.records()))
    with ThreadPoolExecutor(_THREADS) as threads:
        while some := list(islice(records, _STUDIES_AT_ONCE)):
            images = [
                image for record in some if isinstance(record, StudyRecord)
                for image in record.images
            ]  # fmt: skip
            facts = iter(list(threads.map(lambda image: _facts(image, limits), images)))
            for record in some:
                if isinstance(record, SkippedStudy):
                    tally.add("left out", record.reason, record.study_id)
                else:
                    radiographs = list(islice(facts, len(record.images)))
                    _add(record, radiographs, source.name, ledger, side, tally)
    return tally


def collect_index(index: Index, ledger: Ledger) -> None:
    """What an index remembers of its cases: patients, texts, and images by their digest."""
    for case in index.cases:
        study = ledger.add_study(
            "there",
            study=case.study_id,
            patient=case.patient_id,
            split=index.manifest.split,
            **_digests(case.findings, case.impression),
        )
        for image in case.images:
            ledger.add_pixels("there", study, image.path or case.study_id, image.pixels_sha256)


def _facts(image: ImageRecord, limits: Limits) -> ImageFacts | str:
    """The facts, or the sentence that says why there are none."""
    try:
        return read_facts(image, limits)
    except UserError as error:
        return str(error)


def _add(
    record: StudyRecord,
    radiographs: list[ImageFacts | str],
    source: str,
    ledger: Ledger,
    side: Side,
    tally: Tally,
) -> None:
    read = [radiograph for radiograph in radiographs if not isinstance(radiograph, str)]
    views = [image.view_position for image in record.images]
    views += [radiograph.view_position for radiograph in read]
    frontal = any(view in _FRONTAL for view in views)
    study = ledger.add_study(
        side,
        study=record.study_id,
        patient=record.patient_id,
        split=record.split,
        frontal=int(frontal),
        **_digests(record.findings, record.impression),
    )
    for image, radiograph in zip(record.images, radiographs, strict=True):
        if isinstance(radiograph, str):
            tally.add("images", "that cannot be read", f"{record.study_id}: {radiograph}")
            continue
        ledger.add_image(side, study, radiograph)
        for attribute in radiograph.identifying:
            tally.add("headers", attribute, record.study_id)
        tally.add("views", radiograph.view_position or "without a stated view", image.path.name)
        if image.boxes:
            tally.add("images", "with boxes", image.path.name)
    case = to_case(record, source, 0, images=())
    _count_study(record, frontal, tally)
    _count_labels(record, case, tally)
    _count_texts(record, case, frontal, tally)


def _count_study(record: StudyRecord, frontal: bool, tally: Tally) -> None:
    written = bool(record.findings or record.impression)
    tally.add("studies", "usable")
    tally.add("studies", f"in split {record.split}" if record.split else "in no split")
    tally.add("studies", "with a report" if written else "with labels and no report")
    if frontal and written:
        tally.add("studies", "with a frontal image and a report")
    if not frontal:
        tally.add("studies", "without a frontal image", record.study_id)
    if record.patient_id is None:
        tally.add("studies", "without a patient id", record.study_id)
    tally.add("images a study", str(len(record.images)))


def _count_labels(record: StudyRecord, case: Case, tally: Tally) -> None:
    given = "the data set" if record.labels is not None else "the labeller"
    tally.add("labels", f"labelled by {given}")
    for name, state in case.labels.items():
        tally.add("labels", f"{name}: {state}")


def _count_texts(record: StudyRecord, case: Case, frontal: bool, tally: Tally) -> None:
    texts = {
        "indication": record.indication,
        "comparison": record.comparison,
        "findings": record.findings,
        "impression": record.impression,
    }
    for name, text in texts.items():
        if text:
            tally.add("sections", name)
    if record.findings:
        tally.words[len(record.findings.split())] += 1
    for kind in set(residue(f"{record.findings}\n{record.impression}")):
        tally.add("residue", f"{kind} in findings or impression", record.study_id)
        if frontal:
            tally.add("residue of frontal studies", kind)
    for kind in set(residue(f"{record.indication}\n{record.comparison}")):
        tally.add("residue", f"{kind} in indication or comparison", record.study_id)
    if names_comparison(record.comparison):
        tally.add("comparisons", "studies with a comparison to an earlier image", record.study_id)
        if frontal and (record.findings or record.impression):
            tally.add("comparisons", "of these with a frontal image and a report")
    prior = [sentence for sentence in case.sentences if sentence.refers_to_prior]
    tally.add("comparisons", "sentences that refer to an earlier image", times=len(prior))
    tally.add("comparisons", "sentences", times=len(case.sentences))
    if prior:
        tally.add("comparisons", "studies with such a sentence", record.study_id)


def _digests(findings: str, impression: str) -> dict[str, bytes | None]:
    report = f"{findings}\n{impression}".strip()
    return {
        "findings": exact_digest(findings) if findings else None,
        "findings_words": words_digest(findings) if findings else None,
        "report": exact_digest(report) if report else None,
        "report_words": words_digest(report) if report else None,
    }


def name_of(path: str) -> str:
    """An image for people: its file name."""
    return Path(path).name


def first(names: Iterable[str]) -> Iterator[str]:
    """As many as are shown."""
    return islice(names, MOST_EXAMPLES)
