"""From a ledger and its tally to the parts of an audit on the source itself."""

from collections import Counter
from collections.abc import Iterator

from db.labels import OBSERVATIONS, STATES
from indexer.audit.collect import Tally, first, name_of
from indexer.audit.ledger import Ledger
from indexer.audit.result import AuditSection, Count
from indexer.audit.similarity import NEAR, NearDuplicatePair, pair_name, sides_of, studies_of


def studies_part(tally: Tally, ledger: Ledger) -> AuditSection:
    usable = tally.counts["studies", "usable"]
    left_out = sum(tally.counts["left out", reason] for reason in tally.names("left out"))
    patients = ledger.number("SELECT count(DISTINCT patient) FROM studies WHERE side = 'here'")
    return AuditSection(
        name="studies",
        counts=(
            Count(name="usable", count=usable, of=usable + left_out),
            *(
                tally.count("left out", reason, usable + left_out)
                for reason in tally.names("left out")
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


def sections_part(tally: Tally) -> AuditSection:
    usable = tally.counts["studies", "usable"]
    counts = [tally.count("sections", name, usable) for name in tally.names("sections")]
    if tally.words:
        counts.append(Count(name="median words of findings", count=_median(tally.words)))
    return AuditSection(name="sections", counts=tuple(counts))


def labels_part(tally: Tally) -> AuditSection:
    usable = tally.counts["studies", "usable"]
    by = [name for name in tally.names("labels") if name.startswith("labelled by")]
    counts = [tally.count("labels", name, usable) for name in by]
    for name in OBSERVATIONS:
        found = [tally.count("labels", f"{name}: {state}", usable) for state in STATES]
        unmentioned = usable - sum(count.count for count in found)
        counts += [*found, Count(name=f"{name}: unmentioned", count=unmentioned, of=usable)]
    return AuditSection(name="labels", counts=tuple(counts))


def images_part(tally: Tally, ledger: Ledger, near: list[NearDuplicatePair]) -> AuditSection:
    images = ledger.number("SELECT count(*) FROM images WHERE side = 'here'")
    views = [tally.count("views", name, images) for name in tally.names("views")]
    return AuditSection(
        name="images",
        counts=(
            Count(name="read", count=images),
            tally.count("images", "that cannot be read", note="its study would be left out"),
            *views,
            tally.count("images", "with boxes", images),
            _equal(ledger, "byte-identical pairs", "file", "the same file"),
            _equal(ledger, "pairs of equal pixels", "pixels", "whatever file they are in"),
            *_near_duplicates(ledger, near),
        ),
    )


def comparisons_part(tally: Tally) -> AuditSection:
    usable = tally.counts["studies", "usable"]
    frontal = tally.counts["studies", "with a frontal image and a report"]
    sentences = tally.counts["comparisons", "sentences"]
    part = "comparisons"
    return AuditSection(
        name=part,
        counts=(
            tally.count(
                part,
                "studies with a comparison to an earlier image",
                usable,
                'a comparison section that says other than "none" or "no prior"',
            ),
            tally.count(part, "of these with a frontal image and a report", frontal),
            tally.count(part, "studies with such a sentence", usable, "see the next"),
            tally.count(part, "sentences that refer to an earlier image", sentences),
        ),
        note="The earlier image is not in the data set, or not known to be.",
    )


def residue_part(tally: Tally) -> AuditSection:
    usable = tally.counts["studies", "usable"]
    frontal = tally.counts["studies", "with a frontal image and a report"]
    marks = tally.counts["residue of frontal studies", "mark of a de-identifier"]
    return AuditSection(
        name="de-identification",
        counts=(
            *(tally.count("residue", name, usable) for name in tally.names("residue")),
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
        note="Study ids only: what was found is not quoted. Patterns find what is plain; that "
        "nothing was found proves nothing.",
    )


def _median(words: Counter[int]) -> int:
    half = sum(words.values()) / 2
    reached = 0
    for length in sorted(words):
        reached += words[length]
        if reached >= half:
            return length
    return 0


def _equal(ledger: Ledger, name: str, column: str, note: str) -> Count:
    """Pairs within groups of equal values: of three alike there are three."""
    groups = list(
        ledger.rows(
            f"SELECT count(*), group_concat(path, '|') FROM images WHERE side = 'here'"
            f" GROUP BY {column} HAVING count(*) > 1 ORDER BY min(id)"
        )
    )
    return Count(
        name=name,
        count=sum(size * (size - 1) // 2 for size, _ in groups),
        note=note,
        examples=tuple(
            first(" = ".join(name_of(path) for path in paths.split("|")) for _, paths in groups)
        ),
    )


def _near_duplicates(ledger: Ledger, near: list[NearDuplicatePair]) -> Iterator[Count]:
    within = [pair for pair in near if sides_of(ledger, pair) == ("here", "here")]
    across = [pair for pair in within if len(set(studies_of(ledger, pair))) > 1]
    yield Count(
        name="near-identical pairs",
        count=len(within),
        note=f"16 x 16 thumbnails correlate above {NEAR}, pixels differ",
        examples=tuple(first(pair_name(ledger, pair) for pair in within)),
    )
    yield Count(
        name="near-identical pairs of two studies",
        count=len(across),
        examples=tuple(first(pair_name(ledger, pair) for pair in across)),
    )
