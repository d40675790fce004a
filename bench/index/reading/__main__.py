"""Findings, attributes, sections and citations on texts whose labels a person wrote.

    python -m bench.index.reading
    python -m bench.index.reading sentences.jsonl reports.jsonl pairs.jsonl --errors

Without files, it reads the sets of tests/data/reading. A file holds sentences (`text`), reports
(`report`) or citation pairs (`sentence`, `case`), one JSON object per line; the keys tell which.
docs/reading.md says what a writer labels, and how.

F1 of a state (positive, negative, uncertain) is told in two ways. *pooled* is one F1 over all pairs
of text and finding: a pair is right where the writer and the rules both give it this state, a false
alarm where only the rules do, a miss where only the writer does. *mean* is that F1 for each finding
alone, averaged over the findings to which the writer or the rules give the state at all. Macro F1
is the mean of the pooled F1 of the three states. A label that the writer left open (null) is
skipped.

Labels of a report are those of its findings and impression as the section parser finds them. The 14
observations are the roll-up of the writer's findings against the labeller's own.
"""

import argparse
import sys
from pathlib import Path

from bench.index.reading.counts import share
from bench.index.reading.labels import ATTRIBUTES, STATES, AttributeScore, LabelScore
from bench.index.reading.pairs import PairScore
from bench.index.reading.score import ReadingScore, read_rows, score
from bench.index.reading.sections import SectionScore
from db.errors import UserError
from indexer.reports.labeller import LABELLER_VERSION

SETS = Path(__file__).parents[3] / "tests" / "data" / "reading"


def print_labels(title: str, labels: LabelScore) -> None:
    """Print F1 of each state, pooled and as a mean over names."""
    print(f"{title:<16}{'F1 pooled':>10}{'F1 mean':>9}{'right':>7}{'ours':>6}{'writer':>8}")
    for state in STATES:
        counts = [states[state] for states in labels.counts.values()]
        right, ours, theirs = (
            sum(one[key] for one in counts) for key in ("right", "ours", "theirs")
        )
        print(
            f"  {state:<14}{labels.pooled(state):>10.3f}{labels.mean(state):>9.3f}"
            f"{right:>7}{ours:>6}{theirs:>8}"
        )
    print(f"  {'macro F1':<14}{labels.macro:>10.3f}")


def print_attributes(attributes: AttributeScore) -> None:
    """Print how often each attribute has the writer's values."""
    right, named = attributes.right.total(), attributes.named.total()
    print(f"attributes      {attributes.accuracy:.3f} equal ({right} of {named})")
    for name in ATTRIBUTES:
        right, named, added = (
            one[name] for one in (attributes.right, attributes.named, attributes.added)
        )
        print(f"  {name:<14}{share(right, named):.3f} ({right} of {named}), {added} more of ours")


def print_sections(title: str, sections: SectionScore) -> None:
    """Print equal sections and the words that are lost or misplaced."""
    equal = share(sections.equal, sections.sections)
    print(
        f"{title}: {equal:.3f} equal ({sections.equal} of {sections.sections}); "
        f"of {sections.words} words {sections.lost} lost ({sections.lost_share:.2%}; "
        f"{sections.left_out} of them left out with a reason), "
        f"{sections.misplaced} in another section; {sections.added} added"
    )


def print_pairs(pairs: PairScore) -> None:
    """Print the wrong decisions of the citation check, by what makes a pair false."""
    false, accepted = pairs.false.total(), pairs.accepted.total()
    print(f"citation pairs  false accepted {pairs.accepted_share:.1%} ({accepted} of {false})")
    for cause, count in sorted(pairs.false.items()):
        print(f"  {cause:<14}{pairs.accepted[cause]} of {count}")
    print(f"  true refused  {pairs.refused_share:.1%} ({pairs.refused} of {pairs.true})")


def print_score(found: ReadingScore) -> None:
    """Print what the files hold."""
    print(f"{LABELLER_VERSION}: {found.sentences} sentences, {found.reports} reports")
    if found.findings.counts:
        print_labels("58 findings", found.findings)
        print_labels("14 observations", found.observations)
    if found.attributes.named:
        print_attributes(found.attributes)
    if found.sections.words:
        print_sections("sections", found.sections)
    if found.noted_sections.words:
        print_sections("sections with a note", found.noted_sections)
    if found.languages:
        print(f"language right: {found.right_languages} of {found.languages}")
    if found.pairs.true or found.pairs.false:
        print_pairs(found.pairs)


def print_errors(found: ReadingScore) -> None:
    """Print each disagreement with its text."""
    for title, part in (
        ("findings", found.findings),
        ("observations", found.observations),
        ("attributes", found.attributes),
        ("sections", found.sections),
        ("sections with a note", found.noted_sections),
        ("citation pairs", found.pairs),
    ):
        print(f"\n# {title}: {len(part.errors)}")
        print("\n".join(part.errors))


def main(argv: list[str] | None = None) -> int:
    """Score the files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE", help="JSON Lines")
    parser.add_argument("--errors", action="store_true", help="print every disagreement")
    options = parser.parse_args(argv)
    try:
        rows = [
            row for path in options.files or sorted(SETS.glob("*.jsonl")) for row in read_rows(path)
        ]
    except UserError as error:
        parser.error(str(error))
    found = score(rows)
    print_score(found)
    if options.errors:
        print_errors(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
