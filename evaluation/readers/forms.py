"""Forms for readers: sentences with the report they cite, and reports beside the radiologist's.

    forms = draw_forms(references, {AS_WRITTEN: (rows, checked)}, reports, about={...})
    write_forms(forms, Path("forms"))

Two hundred pairs and a hundred reports, in random order. Pairs are drawn from what the model wrote,
from what is served of it, and with another case that was shown. A form tells neither how a pair was
drawn, nor which system wrote a report, nor what the citation check says; ``key.json`` does, and is
not for readers. A person fills a form in a spreadsheet, a language model as text: both get the same
rules, and their forms are scored alike (`evaluation.readers.ratings`). The forms hold sentences of
the data set: keep them where the data set is.
"""

import csv
import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from db.errors import UserError
from db.files import replacing, write_json, write_text
from db.labels import named
from evaluation.grounding.citations import CheckedReport
from evaluation.grounding.judge import Pair, draw_pairs, pairs_of
from evaluation.outputs.rows import ReportRow
from evaluation.reports.references import References
from evaluation.reports.systems import findings_text

PAIRS, REPORTS, RULES, KEY = "pairs.csv", "reports.csv", "rules.txt", "key.json"

AS_WRITTEN, AS_SERVED, ANOTHER_CASE = "as written", "as served", "another case"
CITED, OTHERS = 140, 60
"""Pairs as they are cited, as many written as served, and with another case that was shown: nearly
all of the first may hold, and then agreement says little."""

READ_REPORTS = 100
"""Reports, of as many studies from every system."""

SEED = 0

ERRORS: Mapping[str, str] = {
    "false_finding": "a finding that the radiologist's findings do not have",
    "missed_finding": "a finding of theirs that is not there",
    "wrong_place": "a finding at another side or place",
    "wrong_severity": "a finding of another degree or size",
    "false_comparison": "a comparison with an earlier image that they do not make",
    "missed_comparison": "a comparison of theirs, with a change, that is not there",
}
"""The categories of Yu et al., Patterns 2023;4(9):100802."""

PAIR_COLUMNS = ("item", "sentence", "cited_report", "holds", "why_not")
REPORT_COLUMNS = ("item", "radiologist", "report", *ERRORS, "harmless")
WHY_NOT = ("finding", "side", "place", "degree", "certainty", "time", "other")

RULES_TEXT = f"""Rules for readers

Read each item by itself, in the order of the form, and change nothing but the empty columns. Do not
look at the images, the data set, or what another reader wrote.

{PAIRS}: a sentence of a report, and another patient's report that it cites.
  holds    yes, if the cited report says all that the sentence says: each finding, present or
           absent alike, at that side and place, in that degree or size, no less certain, and as
           new, old or changed as the sentence has it. What the report says beyond that does not
           matter, nor do other words for the same. Otherwise no. A sentence that says nothing of
           findings holds if the report says the same.
  why_not  where it does not hold, the first of these that differs:
           {", ".join(WHY_NOT)}.

{REPORTS}: the findings that a radiologist wrote for a study, and other findings for the same
study. Count the errors of the latter that could change what is done for the patient:
{chr(10).join(f"  {name:<19}{what}" for name, what in ERRORS.items())}
  {"harmless":<19}all errors that could not, together
Write 0 where there is none. What neither mentions, or only one calls normal, is no error.

XXXX stands for words that were taken out so that nobody can be identified: let it say nothing.
"""


@dataclass(frozen=True, kw_only=True)
class DrawnPair:
    """A pair and where it comes from."""

    how: str
    """`AS_WRITTEN`, `AS_SERVED` or `ANOTHER_CASE`."""
    pair: Pair
    case: str
    """``source/study_id`` of the cited report."""
    cited: str
    """Its words."""


@dataclass(frozen=True, kw_only=True)
class Forms:
    """What is drawn, in the order of the forms."""

    about: Mapping[str, Any]
    pairs: Sequence[DrawnPair]
    reports: Sequence[tuple[str, str, str, str]]
    """System, study, the radiologist's findings, and the system's."""
    patients: Mapping[str, str | None]
    """Study to patient."""


def draw_forms(
    references: References,
    cited: Mapping[str, tuple[Sequence[ReportRow], Sequence[CheckedReport]]],
    reports: Mapping[str, Sequence[ReportRow]],
    *,
    about: Mapping[str, Any],
) -> Forms:
    """Draw pairs of the ``cited`` reports, by how they are cited, and ``reports`` of each system.

    Pairs with another case are of the first. Raises UserError where there is nothing to draw from.
    """
    if not reports:
        raise UserError("the outputs have no reports to read: write them with 'evaluate model'")
    draw = random.Random(SEED)
    pairs = _drawn_pairs(references, cited)
    draw.shuffle(pairs)
    studies = references.studies
    wanted = min(READ_REPORTS // len(reports), len(studies))
    finding = [place for place, one in enumerate(studies) if named(one.labels)]
    rest = [place for place, one in enumerate(studies) if not named(one.labels)]
    most = max(-(-wanted * 2 // 3), wanted - len(rest))  # two thirds name a finding
    some = draw.sample(finding, min(most, len(finding)))
    some += draw.sample(rest, wanted - len(some))
    drawn = [
        (name, studies[place].study_id, studies[place].findings, findings_text(each[place]))
        for name, each in reports.items()
        for place in some
    ]
    draw.shuffle(drawn)
    return Forms(
        about=about,
        pairs=pairs,
        reports=[(n, study, _line(theirs), _line(ours)) for n, study, theirs, ours in drawn],
        patients={one.study_id: one.patient_id for one in studies},
    )


def _drawn_pairs(
    references: References,
    cited: Mapping[str, tuple[Sequence[ReportRow], Sequence[CheckedReport]]],
) -> list[DrawnPair]:
    """Pairs of each way of citing, none with the sentence and case of another."""
    found: dict[tuple[str, str, str], DrawnPair] = {}
    for place, (how, (rows, checked)) in enumerate(cited.items()):
        contexts = {row.study_id: row.context for row in rows}
        fresh = {}
        for pair in pairs_of(checked):
            study, _, sentence, number = pair.key
            key = (study, sentence, contexts[study][number - 1])
            if key not in found:
                fresh[pair] = key
        for pair in draw_pairs(
            list(fresh), written=CITED // len(cited), others=0 if place else OTHERS
        ):
            found[fresh[pair]] = DrawnPair(
                how=how if pair.written else ANOTHER_CASE,
                pair=pair,
                case=fresh[pair][-1],
                cited=_line(references.indexed[fresh[pair][-1]].report),
            )
    return list(found.values())


def write_forms(forms: Forms, folder: Path) -> None:
    """Write rules, both forms and their key. Raises UserError for a folder that has some."""
    for name in (PAIRS, REPORTS, KEY):
        if (folder / name).exists():
            raise UserError(f"{folder / name} is there: it may be filled in, so name another --out")
    write_text(folder / RULES, RULES_TEXT)
    _write(
        folder / PAIRS,
        PAIR_COLUMNS,
        [(one.pair.key[2], one.cited, "", "") for one in forms.pairs],
    )
    empty = ("",) * (len(ERRORS) + 1)
    _write(
        folder / REPORTS,
        REPORT_COLUMNS,
        [(theirs, ours, *empty) for _, _, theirs, ours in forms.reports],
    )
    write_json(
        folder / KEY,
        {
            "about": dict(forms.about),
            "pairs": [
                {
                    "study": one.pair.key[0],
                    "patient": forms.patients.get(one.pair.key[0]),
                    "case": one.case,
                    "sentence_sha256": hashlib.sha256(one.pair.key[2].encode()).hexdigest(),
                    "check": one.pair.stands,
                    "drawn": one.how,
                    "finds": one.pair.finds,
                }
                for one in forms.pairs
            ],
            "reports": [
                {"study": study, "patient": forms.patients.get(study), "system": system}
                for system, study, _, _ in forms.reports
            ],
        },
    )


def _line(text: str) -> str:
    return " ".join(text.split())


def _write(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with replacing(path) as fresh, fresh.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(columns)
        table.writerows([number, *row] for number, row in enumerate(rows, start=1))


def read_key(folder: Path) -> dict[str, Any]:
    """The key of forms. Raises UserError for a folder without one."""
    path = folder / KEY
    try:
        key: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = key["about"], [one["drawn"] for one in key["pairs"]], key["reports"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is no key of forms: name the folder that 'evaluate forms' wrote"
        ) from error
    return key
