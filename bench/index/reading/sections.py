"""Sections of a report: the writer's against the parser's."""

from collections import Counter
from dataclasses import dataclass, field

from bench.index.reading.counts import share, words_of
from bench.index.reading.labels import Row
from indexer.reports.sections.parse import SECTIONS, ParsedReport


@dataclass
class SectionScore:
    """Texts and words of the sections."""

    sections: int = 0
    """That the writer or the parser has text for."""
    equal: int = 0
    """Sections with the same text, white space and the form of quotation marks apart."""
    words: int = 0
    """Of the writer's sections."""
    lost: int = 0
    """Words of the writer's that stand in no section of ours."""
    left_out: int = 0
    """Those of them that the parser left out and says why."""
    misplaced: int = 0
    """Words of the writer's that stand in another section of ours."""
    added: int = 0
    """Words of our sections that stand in none of the writer's."""
    errors: list[str] = field(default_factory=list)

    def add(self, row: Row, parsed: ParsedReport) -> None:
        """Compare the sections of one report."""
        wanted = {name: _plain(row["sections"].get(name) or "") for name in SECTIONS}
        found = {name: _plain(getattr(parsed, name)) for name in SECTIONS}
        theirs = {name: words_of(text) for name, text in wanted.items()}
        ours = {name: words_of(text) for name, text in found.items()}
        all_theirs = sum(theirs.values(), Counter[str]())
        all_ours = sum(ours.values(), Counter[str]())
        lost = all_theirs - all_ours
        elsewhere = sum((theirs[name] - ours[name] for name in SECTIONS), Counter[str]())
        self.words += all_theirs.total()
        self.lost += lost.total()
        left_out = words_of(" ".join(one.text for one in parsed.left_out))
        self.left_out += (lost & left_out).total()
        self.misplaced += (elsewhere - lost).total()
        self.added += (all_ours - all_theirs).total()
        kind = row.get("kind", "")
        for name in SECTIONS:
            same = wanted[name] == found[name]
            self.sections += bool(wanted[name] or found[name])
            self.equal += same and bool(wanted[name])
            if not same:
                self.errors.append(f"{name}: {found[name]!r}, writer {wanted[name]!r} | {kind}")
        if lost:
            self.errors.append(f"lost: {' '.join(lost.elements())} | {kind}")

    @property
    def lost_share(self) -> float:
        """Share of the writer's words."""
        return share(self.lost, self.words)


def _plain(text: str) -> str:
    return " ".join(text.replace("’", "'").split())
