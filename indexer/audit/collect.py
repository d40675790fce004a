"""Read a source once and collect the facts and counts that an audit needs.

Two threads decode the images, a few studies at a time; only the measurements are kept.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from db.errors import NotFoundError, UserError
from db.index.store import Case
from indexer.audit.images import ImageFacts, read_facts
from indexer.audit.result import MOST_EXAMPLES, Count
from indexer.audit.scratch import ScratchDatabase, Side
from indexer.audit.text import exact_digest, has_comparison, identifier_kinds, words_digest
from indexer.images.radiograph import Limits
from indexer.index import Index
from indexer.ingest.build_log import IMAGE_MISSING, IMAGE_UNREADABLE
from indexer.ingest.studies import foreign_language, to_case, without_identifiers
from indexer.sources.records import ImageRecord, Record, SkippedStudy, Source, StudyRecord

_FRONTAL = ("PA", "AP", "FRONTAL")
_STUDIES_AT_ONCE = 16
_THREADS = 2

Progress = Callable[[Iterable[Record]], Iterable[Record]]


@dataclass(kw_only=True)
class Tally:
    """Counts by part and name, each with a few examples."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    words: Counter[int] = field(default_factory=Counter)
    """Number of studies by length of FINDINGS in words."""

    def add(self, part: str, name: str, example: str | None = None, times: int = 1) -> None:
        self.counts[part, name] += times
        kept = self.examples.setdefault((part, name), [])
        if example is not None and len(kept) < MOST_EXAMPLES and example not in kept:
            kept.append(example)

    def count(self, part: str, name: str, of: int | None = None, note: str = "") -> Count:
        """Return a count; 0 for a name that never occurred."""
        return Count(
            name=name,
            count=self.counts[part, name],
            of=of,
            note=note,
            examples=tuple(self.examples.get((part, name), ())),
        )

    def names(self, part: str) -> list[str]:
        """List the names in a part, most frequent first."""
        found = [(count, name) for (own, name), count in self.counts.items() if own == part]
        return [name for _, name in sorted(found, key=lambda pair: (-pair[0], pair[1]))]


def collect(
    source: Source,
    scratch: ScratchDatabase,
    side: Side,
    limits: Limits,
    *,
    progress: Progress = lambda records: records,
) -> Tally:
    """Read the whole source once and fill ``scratch``.

    Images that cannot be read are counted. Raises UserError if the source itself cannot be read.
    """
    tally = Tally()
    records = iter(progress(source.records()))
    with ThreadPoolExecutor(_THREADS) as threads:
        while batch := list(islice(records, _STUDIES_AT_ONCE)):
            images = [
                image for record in batch if isinstance(record, StudyRecord)
                for image in record.images
            ]  # fmt: skip
            facts = iter(list(threads.map(lambda image: _facts(image, limits), images)))
            for record in batch:
                if isinstance(record, SkippedStudy):
                    tally.add("skipped", record.reason, record.study_id)
                else:
                    radiographs = list(islice(facts, len(record.images)))
                    _add(record, radiographs, source.name, scratch, side, tally)
    return tally


def collect_index(index: Index, scratch: ScratchDatabase) -> None:
    """Add the cases of an index to the ``compared`` side: patients, texts and digests of images."""
    for case in index.cases:
        study = scratch.add_study(
            "compared",
            study=case.study_id,
            patient=case.patient_id,
            split=index.manifest.split,
            **_digests(case.findings, case.impression),
        )
        for image in case.images:
            scratch.add_pixels("compared", study, image.path or case.study_id, image.pixels_sha256)


def _facts(image: ImageRecord, limits: Limits) -> ImageFacts | UserError:
    """Measure an image, or return the error that says why it cannot be read."""
    try:
        return read_facts(image, limits)
    except UserError as error:
        return error


def _add(
    record: StudyRecord,
    radiographs: list[ImageFacts | UserError],
    source: str,
    scratch: ScratchDatabase,
    side: Side,
    tally: Tally,
) -> None:
    for radiograph in radiographs:
        if isinstance(radiograph, UserError):
            missing = isinstance(radiograph, NotFoundError)
            name = "missing" if missing else "that cannot be read"
            tally.add("images", name, f"{record.study_id}: {radiograph}")
    read = [radiograph for radiograph in radiographs if isinstance(radiograph, ImageFacts)]
    if radiographs and not read:
        missing = all(isinstance(radiograph, NotFoundError) for radiograph in radiographs)
        tally.add("skipped", IMAGE_MISSING if missing else IMAGE_UNREADABLE, record.study_id)
        return
    views = [image.view_position for image in record.images]
    views += [radiograph.view_position for radiograph in read]
    frontal = any(view in _FRONTAL for view in views)
    study = scratch.add_study(
        side,
        study=record.study_id,
        patient=record.patient_id,
        split=record.split,
        frontal=int(frontal),
        **_digests(record.findings, record.impression),
    )
    for image, radiograph in zip(record.images, radiographs, strict=True):
        if isinstance(radiograph, UserError):
            continue
        scratch.add_image(side, study, radiograph)
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
    for note in record.notes:
        tally.add("reading", note, record.study_id)
    language = foreign_language(record)
    if language is not None:
        tally.add("reading", f"report in {language}", record.study_id)
    if record.findings:
        tally.words[len(record.findings.split())] += 1
    for kind in set(identifier_kinds(f"{record.findings}\n{record.impression}")):
        tally.add("identifiers", f"{kind} in findings or impression", record.study_id)
        if frontal:
            tally.add("identifiers of frontal studies", kind)
    for kind in set(identifier_kinds(f"{record.indication}\n{record.comparison}")):
        tally.add("identifiers", f"{kind} in indication or comparison", record.study_id)
    for kind, count in without_identifiers(record)[1].items():
        tally.add("replaced identifiers", kind, record.study_id, times=count)
    if has_comparison(record.comparison):
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


def file_name(path: str) -> str:
    """Return the file name of an image, as shown to people."""
    return Path(path).name


def first_examples(names: Iterable[str]) -> Iterator[str]:
    """Limit examples to the number that is shown."""
    return islice(names, MOST_EXAMPLES)
