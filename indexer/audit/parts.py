"""Turn the collected facts and counts into the parts of an audit that concern the source alone."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from db.labels import OBSERVATIONS, STATES
from indexer.audit.collect import Tally, file_name, first_examples
from indexer.audit.result import AuditPart, Count
from indexer.audit.scratch import ScratchDatabase
from indexer.audit.similarity import (
    NEAR_IDENTICAL,
    NearIdenticalPair,
    pair_name,
    sides_of,
    studies_of,
)

_WITHOUT = "left out of an index; a study is skipped if it has no other"


def studies_part(tally: Tally, scratch: ScratchDatabase) -> AuditPart:
    usable = tally.counts["studies", "usable"]
    left_out = sum(tally.counts["skipped", reason] for reason in tally.names("skipped"))
    patients = scratch.number("SELECT count(DISTINCT patient) FROM studies WHERE side = 'audited'")
    return AuditPart(
        name="studies",
        counts=(
            Count(name="usable", count=usable, of=usable + left_out),
            *(
                tally.count("skipped", reason, usable + left_out)
                for reason in tally.names("skipped")
            ),
            Count(name="patients", count=patients),
            *(
                tally.count("studies", name, usable)
                for name in tally.names("studies")
                if name != "usable"
            ),
            *(
                Count(
                    name=f"with {number} image{'' if number == '1' else 's'}",
                    count=tally.counts["images a study", number],
                    of=usable,
                )
                for number in sorted(tally.names("images a study"), key=int)
            ),
        ),
    )


def sections_part(tally: Tally) -> AuditPart:
    usable = tally.counts["studies", "usable"]
    counts = [tally.count("sections", name, usable) for name in tally.names("sections")]
    if tally.words:
        counts.append(Count(name="median words of findings", count=_median(tally.words)))
    return AuditPart(name="sections", counts=tuple(counts))


def reading_part(tally: Tally) -> AuditPart:
    usable = tally.counts["studies", "usable"]
    return AuditPart(
        name="reading of reports",
        counts=tuple(tally.count("reading", name, usable) for name in tally.names("reading")),
        note="How reports were split into sections, what of them is left out, and their language. "
        "An index has no labels for reports in another language than English.",
    )


def labels_part(tally: Tally) -> AuditPart:
    usable = tally.counts["studies", "usable"]
    by = [name for name in tally.names("labels") if name.startswith("labelled by")]
    counts = [tally.count("labels", name, usable) for name in by]
    for name in OBSERVATIONS:
        found = [tally.count("labels", f"{name}: {state}", usable) for state in STATES]
        unmentioned = usable - sum(count.count for count in found)
        counts += [*found, Count(name=f"{name}: unmentioned", count=unmentioned, of=usable)]
    return AuditPart(name="labels", counts=tuple(counts))


def images_part(tally: Tally, scratch: ScratchDatabase, near: list[NearIdenticalPair]) -> AuditPart:
    images = scratch.number("SELECT count(*) FROM images WHERE side = 'audited'")
    views = [tally.count("views", name, images) for name in tally.names("views")]
    return AuditPart(
        name="images",
        counts=(
            Count(name="read", count=images),
            tally.count("images", "missing", note=_WITHOUT),
            tally.count("images", "that cannot be read", note=_WITHOUT),
            *views,
            tally.count("images", "with boxes", images),
            _equal(scratch, "byte-identical pairs", "file", "files with the same bytes"),
            _equal(scratch, "pairs of equal pixels", "pixels", "in files of any format"),
            *_near_identical(scratch, near),
        ),
    )


def comparisons_part(tally: Tally) -> AuditPart:
    usable = tally.counts["studies", "usable"]
    frontal = tally.counts["studies", "with a frontal image and a report"]
    sentences = tally.counts["comparisons", "sentences"]
    part = "comparisons"
    return AuditPart(
        name=part,
        counts=(
            tally.count(
                part,
                "studies with a comparison to an earlier image",
                usable,
                'a comparison section other than "none" or "no prior"',
            ),
            tally.count(part, "of these with a frontal image and a report", frontal),
            tally.count(part, "studies with such a sentence", usable, "see the next line"),
            tally.count(part, "sentences that refer to an earlier image", sentences),
        ),
        note="The earlier image is not in the data set, or not linked to the study.",
    )


def identifiers_part(tally: Tally) -> AuditPart:
    usable = tally.counts["studies", "usable"]
    frontal = tally.counts["studies", "with a frontal image and a report"]
    marks = tally.counts["identifiers of frontal studies", "mark of a de-identifier"]
    return AuditPart(
        name="de-identification",
        counts=(
            *(tally.count("identifiers", name, usable) for name in tally.names("identifiers")),
            *(
                replace(
                    tally.count("replaced identifiers", name),
                    name=f"{name} that a build replaces by a mark",
                )
                for name in tally.names("replaced identifiers")
            ),
            Count(
                name="mark of a de-identifier in findings or impression, frontal studies",
                count=marks,
                of=frontal,
            ),
            *(
                Count(
                    name=f"DICOM header: {name}",
                    count=tally.counts["headers", name],
                    examples=tuple(tally.examples["headers", name]),
                )
                for name in tally.names("headers")
            ),
        ),
        note="Only study ids are listed; matches are not quoted. The patterns find obvious cases, "
        "so no match does not prove that a text is de-identified.",
    )


def _median(words: Counter[int]) -> int:
    half = sum(words.values()) / 2
    reached = 0
    for length in sorted(words):
        reached += words[length]
        if reached >= half:
            return length
    return 0


def _equal(scratch: ScratchDatabase, name: str, column: str, note: str) -> Count:
    """Count the pairs within groups of equal values; a group of three has three pairs."""
    groups = list(
        scratch.rows(
            f"SELECT count(*), group_concat(path, '|') FROM images WHERE side = 'audited'"
            f" GROUP BY {column} HAVING count(*) > 1 ORDER BY min(id)"
        )
    )
    return Count(
        name=name,
        count=sum(size * (size - 1) // 2 for size, _ in groups),
        note=note,
        examples=tuple(
            first_examples(
                " = ".join(file_name(path) for path in paths.split("|")) for _, paths in groups
            )
        ),
    )


def _near_identical(scratch: ScratchDatabase, near: list[NearIdenticalPair]) -> Iterator[Count]:
    within = [pair for pair in near if sides_of(scratch, pair) == ("audited", "audited")]
    across = [pair for pair in within if len(set(studies_of(scratch, pair))) > 1]
    yield Count(
        name="near-identical pairs",
        count=len(within),
        note=f"16 x 16 thumbnails correlate above {NEAR_IDENTICAL}, pixels differ",
        examples=tuple(first_examples(pair_name(scratch, pair) for pair in within)),
    )
    yield Count(
        name="near-identical pairs of two studies",
        count=len(across),
        examples=tuple(first_examples(pair_name(scratch, pair) for pair in across)),
    )
