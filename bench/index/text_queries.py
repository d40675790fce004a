"""Measure whether a search by words finds cases that say them: sign and side of the first ten hits.

    python -m bench.index.text_queries --index data/index

For 14 one-word queries: how many indexed reports name the finding, and how many of the first ten
hits do, ranked by the embedding alone and as the search ranks them. Then queries with a denial or a
side. A report names a finding where the labeller reads it as positive, not as uncertain. Exit code
1 where fewer than 90 % of the first ten hits name the finding, over the queries that at least ten
reports could answer.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from db.errors import UserError
from db.index.store import Case
from indexer.reports.labeller import mentions
from retriever.query import read_query
from retriever.ranking.words import Ask, read_asks
from retriever.search import Retriever

WORDS = (
    *("pneumothorax", "effusion", "cardiomegaly", "edema", "consolidation", "atelectasis"),
    *("pneumonia", "opacity", "nodule", "fracture", "emphysema", "granuloma", "scoliosis"),
    "hernia",
)
PHRASES = (
    *("no effusion", "no pneumothorax", "left effusion", "right effusion"),
    *("no left effusion", "small right effusion"),
)
HITS = 10
LEAST = 0.9


def says(case: Case, ask: Ask) -> bool:
    """Whether a report says what is asked: with its sign, and of one of its sides."""
    found = [
        one
        for sentence in case.sentences
        for one in mentions(sentence.text)
        if ask.matches(one.finding)
    ]
    if ask.denied:  # a denial without a side denies both
        states = {one.state for one in found if not one.sides or one.sides & ask.sides}
        states |= {one.state for one in found if not ask.sides}
        return states == {"negative"}
    here = [one for one in found if not ask.sides or ask.sides & one.sides]
    return any(one.state == "positive" for one in here)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--index", type=Path, required=True)
    arguments = parser.parse_args(argv)
    try:
        return measure(Retriever.open(arguments.index))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def measure(retriever: Retriever) -> int:
    cases = {case.case_id: case for case in retriever.index.cases}
    print(f"{len(cases)} reports; of the first {HITS} hits say it: by embedding alone, as ranked")
    shares = []
    for text in (*WORDS, *PHRASES):
        (ask,) = read_asks(text)
        saying = {case_id for case_id, case in cases.items() if says(case, ask)}
        vector = read_query(retriever.encoder, text=text).vector
        alone = [int(one) for one in retriever.index.vectors.search(vector, HITS)[0]]
        ranked = [hit.case.case_id for hit in retriever.search(text=text, k=HITS).hits]
        before, after = (np.mean([one in saying for one in some]) for some in (alone, ranked))
        print(f"  {text:22} {len(saying):5} reports   {before:4.0%}   {after:4.0%}")
        if text in WORDS and len(saying) >= HITS:
            shares.append(after)
    share = float(np.mean(shares))
    print(f"mean of the {len(shares)} words that {HITS} or more reports name: {share:.1%}")
    return 0 if share >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
