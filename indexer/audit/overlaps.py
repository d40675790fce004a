"""Find what occurs more than once: repeated texts, and what splits or data sets share."""

from collections.abc import Iterator

from indexer.audit.collect import file_name, first_examples
from indexer.audit.result import AuditPart, Count
from indexer.audit.scratch import ScratchDatabase
from indexer.audit.similarity import NearIdenticalPair, pair_name, sides_of, splits_of

_Side = tuple[str, str | None]
"""A side of the scratch database and one of its splits, or None for all of them."""
_HERE = "SELECT count(*) FROM studies WHERE side = 'audited'"


def texts_part(scratch: ScratchDatabase) -> AuditPart:
    """Count reports that repeat another report word for word."""
    return AuditPart(
        name="repeated texts",
        counts=tuple(
            count
            for what in ("findings", "report")
            for count in (
                _distinct(scratch, what, f"distinct {what}", ""),
                _distinct(scratch, what, f"distinct {what} of frontal studies", "AND frontal = 1"),
                _repeated(scratch, what),
            )
        ),
        note="Differences in white space are ignored.",
    )


def splits_part(scratch: ScratchDatabase, near: list[NearIdenticalPair]) -> AuditPart:
    splits = [
        row[0]
        for row in scratch.rows(
            "SELECT DISTINCT split FROM studies WHERE side = 'audited'"
            " AND split NOT NULL ORDER BY 1"
        )
    ]
    if len(splits) < 2:
        return AuditPart(name="splits", counts=(), note="There is only one split.")
    both = list(
        scratch.rows(
            "SELECT patient FROM studies WHERE side = 'audited' AND patient NOT NULL"
            " AND split NOT NULL GROUP BY patient HAVING count(DISTINCT split) > 1 ORDER BY patient"
        )
    )
    crossing = [pair for pair in near if len({*splits_of(scratch, pair)} - {None}) > 1]
    equal = list(
        scratch.rows(
            "SELECT min(s.study) FROM images f JOIN studies s ON s.id = f.study"
            " WHERE f.side = 'audited' GROUP BY f.pixels HAVING count(DISTINCT s.split) > 1"
        )
    )
    return AuditPart(
        name="splits",
        counts=(
            Count(
                name="patients in more than one split",
                count=len(both),
                examples=tuple(first_examples(row[0] for row in both)),
            ),
            Count(
                name="studies without a patient id",
                count=scratch.number(f"{_HERE} AND patient IS NULL"),
                note="cannot be checked",
            ),
            Count(
                name="images of equal pixels in more than one split",
                count=len(equal),
                examples=tuple(first_examples(row[0] for row in equal)),
            ),
            Count(
                name="near-identical pairs across splits",
                count=len(crossing),
                examples=tuple(first_examples(pair_name(scratch, pair) for pair in crossing)),
            ),
            *_texts_across(scratch, splits),
        ),
        note="Word for word: the same words, ignoring case and punctuation.",
    )


def against_part(
    scratch: ScratchDatabase, near: list[NearIdenticalPair], same_source: bool
) -> AuditPart:
    """Count what both sides have in common."""
    counts = []
    for name, column in (("patients", "patient"), ("studies", "study")):
        found = list(
            scratch.rows(
                f"SELECT DISTINCT h.{column} FROM studies h JOIN studies t"
                f" ON t.{column} = h.{column} WHERE h.side = 'audited' AND t.side = 'compared'"
                f" ORDER BY h.{column}"
            )
        )
        note = "" if same_source else "ids of two sources may coincide by chance"
        counts.append(
            Count(
                name=f"{name} in both",
                count=len(found),
                note=note,
                examples=tuple(first_examples(row[0] for row in found)),
            )
        )
    equal = list(
        scratch.rows(
            "SELECT DISTINCT h.path FROM images h JOIN images t ON t.pixels = h.pixels"
            " WHERE h.side = 'audited' AND t.side = 'compared' ORDER BY h.path"
        )
    )
    counts.append(
        Count(
            name="images of equal pixels in both",
            count=len(equal),
            examples=tuple(first_examples(file_name(row[0]) for row in equal)),
        )
    )
    crossing = [pair for pair in near if len(set(sides_of(scratch, pair))) > 1]
    if scratch.number("SELECT count(thumbnail) FROM images WHERE side = 'compared'"):
        counts.append(
            Count(
                name="near-identical pairs between both",
                count=len(crossing),
                examples=tuple(first_examples(pair_name(scratch, pair) for pair in crossing)),
            )
        )
    for what in ("findings", "report"):
        name = "word for word in both"
        counts.append(
            _texts_in(scratch, what, name, here=("audited", None), there=("compared", None))
        )
    return AuditPart(name="against", counts=tuple(counts))


def _distinct(scratch: ScratchDatabase, what: str, name: str, where: str) -> Count:
    query = f"FROM studies WHERE side = 'audited' {where}"
    return Count(
        name=name,
        count=scratch.number(f"SELECT count(DISTINCT {what}) {query}"),
        of=scratch.number(f"SELECT count({what}) {query}"),
    )


def _repeated(scratch: ScratchDatabase, what: str) -> Count:
    rows = list(
        scratch.rows(
            f"SELECT count(*), min(study) FROM studies WHERE side = 'audited' AND {what} NOT NULL"
            f" GROUP BY {what} HAVING count(*) > 1 ORDER BY count(*) DESC, min(id)"
        )
    )
    return Count(
        name=f"studies that share their {what} with another study",
        count=sum(row[0] for row in rows),
        of=scratch.number(f"SELECT count({what}) FROM studies WHERE side = 'audited'"),
        examples=tuple(first_examples(f"{size} studies like {study}" for size, study in rows)),
    )


def _texts_across(scratch: ScratchDatabase, splits: list[str]) -> Iterator[Count]:
    """Compare each split with train or, without a split of that name, with every other split."""
    for split in splits:
        for other in splits:
            if split != other and (other == "train" or "train" not in splits):
                for what in ("findings", "report"):
                    yield _texts_in(
                        scratch,
                        what,
                        f"of {split} word for word in {other}",
                        here=("audited", split),
                        there=("audited", other),
                    )


def _texts_in(
    scratch: ScratchDatabase, what: str, name: str, *, here: _Side, there: _Side
) -> Count:
    """Count the studies on one side whose words are those of a study on the other."""
    where = "h.side = ? AND (? IS NULL OR h.split = ?)"
    query = (
        f"FROM studies h WHERE {where} AND h.{what}_words NOT NULL AND EXISTS (SELECT 1 FROM"
        f" studies t WHERE t.{what}_words = h.{what}_words AND {where.replace('h.', 't.')})"
    )
    of, values = (*here, here[1]), (*here, here[1], *there, there[1])
    return Count(
        name=f"{what} {name}",
        count=scratch.number(f"SELECT count(*) {query}", *values),
        of=scratch.number(f"SELECT count(*) FROM studies h WHERE {where}", *of),
        examples=tuple(row[0] for row in scratch.rows(f"SELECT h.study {query} LIMIT 20", *values)),
    )
