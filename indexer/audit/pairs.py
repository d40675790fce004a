"""Two images that are near duplicates: what the ledger knows of them."""

from collections.abc import Iterable
from typing import Any

from indexer.audit.collect import name_of
from indexer.audit.ledger import Ledger
from indexer.audit.similarity import NearDuplicatePair


def unequal(ledger: Ledger, pairs: Iterable[NearDuplicatePair]) -> list[NearDuplicatePair]:
    """Without those whose pixels are the very same, which are counted as such."""
    return [pair for pair in pairs if len(set(_of_pair(ledger, pair, "f.pixels"))) == 2]


def splits_of(ledger: Ledger, pair: NearDuplicatePair) -> tuple[str | None, str | None]:
    return _of_pair(ledger, pair, "s.split")


def sides_of(ledger: Ledger, pair: NearDuplicatePair) -> tuple[str, str]:
    return _of_pair(ledger, pair, "f.side")


def studies_of(ledger: Ledger, pair: NearDuplicatePair) -> tuple[int, int]:
    return _of_pair(ledger, pair, "s.id")


def pair_name(ledger: Ledger, pair: NearDuplicatePair) -> str:
    """Both file names, for people."""
    return " ~ ".join(name_of(path) for path in _of_pair(ledger, pair, "f.path"))


def _of_pair(ledger: Ledger, pair: NearDuplicatePair, column: str) -> tuple[Any, Any]:
    query = f"SELECT {column} FROM images f JOIN studies s ON s.id = f.study WHERE f.id = ?"
    one, other = (next(ledger.rows(query, image))[0] for image in (pair.one, pair.other))
    return one, other
