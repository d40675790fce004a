"""What an audit finds in two places: texts that are another's, and what splits or sets share."""

from collections.abc import Iterator

from indexer.audit.collect import first, name_of
from indexer.audit.ledger import Ledger
from indexer.audit.result import AuditSection, Count
from indexer.audit.similarity import NearDuplicatePair, pair_name, sides_of, splits_of

_Side = tuple[str, str | None]
"""A side of the ledger and one of its splits, or all."""
_HERE = "SELECT count(*) FROM studies WHERE side = 'here'"


def texts_part(ledger: Ledger) -> AuditSection:
    """Reports that are word for word another's."""
    return AuditSection(
        name="repeated texts",
        counts=tuple(
            count
            for what in ("findings", "report")
            for count in (
                _distinct(ledger, what, f"distinct {what}", ""),
                _distinct(ledger, what, f"distinct {what} of frontal studies", "AND frontal = 1"),
                _repeated(ledger, what),
            )
        ),
        note="Equal but for white space.",
    )


def splits_part(ledger: Ledger, near: list[NearDuplicatePair]) -> AuditSection:
    splits = [
        row[0]
        for row in ledger.rows(
            "SELECT DISTINCT split FROM studies WHERE side = 'here' AND split NOT NULL ORDER BY 1"
        )
    ]
    if len(splits) < 2:
        return AuditSection(name="splits", counts=(), note="There is only one split.")
    both = list(
        ledger.rows(
            "SELECT patient FROM studies WHERE side = 'here' AND patient NOT NULL"
            " AND split NOT NULL GROUP BY patient HAVING count(DISTINCT split) > 1 ORDER BY patient"
        )
    )
    crossing = [pair for pair in near if len({*splits_of(ledger, pair)} - {None}) > 1]
    equal = list(
        ledger.rows(
            "SELECT min(s.study) FROM images f JOIN studies s ON s.id = f.study"
            " WHERE f.side = 'here' GROUP BY f.pixels HAVING count(DISTINCT s.split) > 1"
        )
    )
    return AuditSection(
        name="splits",
        counts=(
            Count(
                name="patients on both sides of a split",
                count=len(both),
                examples=tuple(first(row[0] for row in both)),
            ),
            Count(
                name="studies without a patient id",
                count=ledger.number(f"{_HERE} AND patient IS NULL"),
                note="whose patients cannot be checked",
            ),
            Count(
                name="equal images in two splits",
                count=len(equal),
                examples=tuple(first(row[0] for row in equal)),
            ),
            Count(
                name="near duplicates across splits",
                count=len(crossing),
                examples=tuple(first(pair_name(ledger, pair) for pair in crossing)),
            ),
            *_texts_across(ledger, splits),
        ),
        note="Word for word: the same words, whatever case and punctuation.",
    )


def against_part(ledger: Ledger, near: list[NearDuplicatePair], same_source: bool) -> AuditSection:
    """What both sides have in common."""
    counts = []
    for name, column in (("patients", "patient"), ("studies", "study")):
        found = list(
            ledger.rows(
                f"SELECT DISTINCT h.{column} FROM studies h JOIN studies t"
                f" ON t.{column} = h.{column} WHERE h.side = 'here' AND t.side = 'there'"
                f" ORDER BY h.{column}"
            )
        )
        note = "" if same_source else "ids of two sources may be equal by chance"
        counts.append(
            Count(
                name=f"{name} in both",
                count=len(found),
                note=note,
                examples=tuple(first(row[0] for row in found)),
            )
        )
    equal = list(
        ledger.rows(
            "SELECT DISTINCT h.path FROM images h JOIN images t ON t.pixels = h.pixels"
            " WHERE h.side = 'here' AND t.side = 'there' ORDER BY h.path"
        )
    )
    counts.append(
        Count(
            name="images of equal pixels in both",
            count=len(equal),
            examples=tuple(first(name_of(row[0]) for row in equal)),
        )
    )
    crossing = [pair for pair in near if len(set(sides_of(ledger, pair))) > 1]
    if ledger.number("SELECT count(thumbnail) FROM images WHERE side = 'there'"):
        counts.append(
            Count(
                name="near duplicates in both",
                count=len(crossing),
                examples=tuple(first(pair_name(ledger, pair) for pair in crossing)),
            )
        )
    for what in ("findings", "report"):
        name = "word for word in both"
        counts.append(_texts_in(ledger, what, name, here=("here", None), there=("there", None)))
    return AuditSection(name="against", counts=tuple(counts))


def _distinct(ledger: Ledger, what: str, name: str, where: str) -> Count:
    query = f"FROM studies WHERE side = 'here' {where}"
    return Count(
        name=name,
        count=ledger.number(f"SELECT count(DISTINCT {what}) {query}"),
        of=ledger.number(f"SELECT count({what}) {query}"),
    )


def _repeated(ledger: Ledger, what: str) -> Count:
    rows = list(
        ledger.rows(
            f"SELECT count(*), min(study) FROM studies WHERE side = 'here' AND {what} NOT NULL"
            f" GROUP BY {what} HAVING count(*) > 1 ORDER BY count(*) DESC, min(id)"
        )
    )
    return Count(
        name=f"studies whose {what} another study has as well",
        count=sum(row[0] for row in rows),
        of=ledger.number(f"SELECT count({what}) FROM studies WHERE side = 'here'"),
        examples=tuple(first(f"{size} like {study}" for size, study in rows)),
    )


def _texts_across(ledger: Ledger, splits: list[str]) -> Iterator[Count]:
    """Of every split in train or, where there is none, of every one in every other."""
    for split in splits:
        for other in splits:
            if split != other and (other == "train" or "train" not in splits):
                for what in ("findings", "report"):
                    yield _texts_in(
                        ledger,
                        what,
                        f"of {split} word for word in {other}",
                        here=("here", split),
                        there=("here", other),
                    )


def _texts_in(ledger: Ledger, what: str, name: str, *, here: _Side, there: _Side) -> Count:
    """How many studies of one side say, in the same words, what a study of the other says."""
    where = "h.side = ? AND (? IS NULL OR h.split = ?)"
    query = (
        f"FROM studies h WHERE {where} AND h.{what}_words NOT NULL AND EXISTS (SELECT 1 FROM"
        f" studies t WHERE t.{what}_words = h.{what}_words AND {where.replace('h.', 't.')})"
    )
    of, values = (*here, here[1]), (*here, here[1], *there, there[1])
    return Count(
        name=f"{what} {name}",
        count=ledger.number(f"SELECT count(*) {query}", *values),
        of=ledger.number(f"SELECT count(*) FROM studies h WHERE {where}", *of),
        examples=tuple(row[0] for row in ledger.rows(f"SELECT h.study {query} LIMIT 20", *values)),
    )
