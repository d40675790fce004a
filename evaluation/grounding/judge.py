"""Sentence and citation pairs for a person to judge, and their agreement with the check.

write_pairs(checked, references, path)          # a TSV with an empty column "judgement"
table = agreement_table(read_pairs(path), checked)

A hundred pairs are as the model wrote them, half of them on sentences that name a finding. Nearly
all of these may hold, and then agreement says little; so fifty more name another shown case. The
file reveals neither the kind of a pair nor the result of the check. It contains sentences of the
data set: keep it out of the repository.
"""

import csv
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from db.errors import UserError
from db.files import replacing
from evaluation.grounding.citations import CheckedReport, CheckedSentence
from evaluation.metrics.agreement import kappa_statistic
from evaluation.metrics.bootstrap import RESAMPLES, Statistic
from evaluation.outputs.rows import ReportRow
from evaluation.reports.references import References
from evaluation.tables import Share, Table, tabulate

WRITTEN, OTHERS = 100, 50
SEED = 0

_COLUMNS = ("pair", "study", "section", "sentence", "number", "case", "report", "judgement")
_YES, _NO = ("yes", "y", "1"), ("no", "n", "0")

_Key = tuple[str, str, str, int]
"""Study, section, sentence, number."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A sentence and the number of a case that was shown."""

    key: _Key
    stands: bool
    """The result of the check."""
    written: bool
    """Whether the model wrote this number."""
    finds: bool
    """Whether the sentence names a finding."""


def write_pairs(
    checked: Sequence[CheckedReport],
    rows: Sequence[ReportRow],
    references: References,
    path: Path,
) -> int:
    """Draw pairs and write them in random order; return how many.

    Raises UserError where there are none.
    """
    chosen = draw_pairs(pairs_of(checked), written=WRITTEN, others=OTHERS)
    contexts = {row.study_id: row.context for row in rows}
    with replacing(path) as fresh, fresh.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, delimiter="\t", lineterminator="\n")
        table.writerow(_COLUMNS)
        for place, pair in enumerate(chosen, start=1):
            study, section, text, number = pair.key
            name = contexts[study][number - 1]
            report = " ".join(references.indexed[name].report.split())
            table.writerow([place, study, section, text, number, name, report, ""])
    return len(chosen)


def draw_pairs(pairs: Sequence[Pair], *, written: int, others: int) -> list[Pair]:
    """Pairs in random order: so many as ``written``, so many with another case that was shown.

    Half of each are of sentences that name a finding, where there are as many. Raises UserError
    where there is none.
    """
    draw = random.Random(SEED)
    chosen: list[Pair] = []
    for as_written, wanted in ((True, written), (False, others)):
        finding = [one for one in pairs if one.written == as_written and one.finds]
        rest = [one for one in pairs if one.written == as_written and not one.finds]
        some = draw.sample(finding, min(wanted // 2, len(finding)))
        chosen += some + draw.sample(rest, min(wanted - len(some), len(rest)))
    if not chosen:
        raise UserError("the reports cite nothing, so there is no pair to judge")
    draw.shuffle(chosen)
    return chosen


def read_pairs(path: Path) -> dict[_Key, bool]:
    """The pairs that have a judgement, yes or no. Raises UserError for anything else."""
    judged: dict[_Key, bool] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream, delimiter="\t")
        if tuple(rows.fieldnames or ()) != _COLUMNS:
            raise UserError(f"{path} must have the columns {', '.join(_COLUMNS)}")
        for line, row in enumerate(rows, start=2):
            said = (row["judgement"] or "").strip().lower()
            if not said:
                continue
            if said not in (*_YES, *_NO) or not row["number"].isdigit():
                raise UserError(f"{path}, line {line}: judge with yes or no, not {said!r}")
            key = (row["study"], row["section"], row["sentence"], int(row["number"]))
            judged[key] = said in _YES
    if not judged:
        raise UserError(f"{path} has no judgement yet: write yes or no into its last column")
    return judged


def agreement_table(
    judged: Mapping[_Key, bool],
    checked: Sequence[CheckedReport],
    *,
    patients: Mapping[str, str | None] | None = None,
    resamples: int = RESAMPLES,
) -> Table:
    """Compare the check with the judgements, resampling studies with all their pairs.

    ``patients`` maps a study to its patient, whose studies are then resampled together.

    Raises UserError for judgements of other outputs.
    """
    known = {pair.key: pair for pair in pairs_of(checked)}
    missing = [key for key in judged if key not in known]
    if missing:
        raise UserError(f"study {missing[0][0]} has no such pair: judge pairs of these outputs")
    pairs = [known[key] for key in judged]
    groups = {
        "as written": [one.written for one in pairs],
        "as written, findings": [one.written and one.finds for one in pairs],
        "all": [True for _ in pairs],
    }
    rows: dict[str, dict[str, Statistic | Share]] = {}
    check = np.array([one.stands for one in pairs])
    reader = np.array([judged[one.key] for one in pairs])
    for group, members in groups.items():
        some = np.array(members)
        for measure, hits in (
            ("the check agrees with the reading", check == reader),
            ("the check says that it stands", check),
            ("the reader says that it stands", reader),
        ):
            rows.setdefault(measure, {})[group] = Share(hits=hits & some, of=some)
        rows.setdefault("kappa", {})[group] = kappa_statistic(
            check, reader, categories=2, counted=some
        )
    studies = [pair.key[0] for pair in pairs]
    return tabulate(
        "Citations judged by reading",
        rows,
        patients=[(patients or {}).get(study) or study for study in studies],
        notes=(f"{len(pairs)} pairs of a sentence and a case, read without the check's result",),
        resamples=resamples,
    )


def pairs_of(checked: Sequence[CheckedReport]) -> list[Pair]:
    """Every sentence with every case that was shown, each once."""
    found: dict[_Key, Pair] = {}
    for report in checked:
        for one in report.sentences:
            for number in range(1, one.shown + 1):
                pair = _pair(report.study_id, one, number)
                known = found.get(pair.key)
                if known is None or pair.written:
                    found[pair.key] = pair
    return list(found.values())


def _pair(study_id: str, one: CheckedSentence, number: int) -> Pair:
    return Pair(
        key=(study_id, one.written.section, one.written.text, number),
        stands=number in one.supported,
        written=number in one.written.numbers,
        finds=one.finds,
    )
