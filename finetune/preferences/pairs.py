"""From the answers to a prompt to a pair: one to prefer, one to reject.

pair = make_pair(asked, ["Findings: ...", ...], options)     # None where no two differ enough
pair.answer, pair.rejected, pair.scores
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from db.labels import named
from finetune.examples.folder import Example
from finetune.examples.targets import report_answer
from finetune.preferences.options import PairOptions
from finetune.preferences.prompts import AskedStudy, Kind
from finetune.preferences.rewards import Score, score_report
from generator.prompts import Task

_ENDS = (".", "]", "!", "?")
"""How a whole answer ends; one cut off at the most tokens is never preferred."""


@dataclass(frozen=True, kw_only=True)
class PreferencePair(Example):
    """A prompt with the answer to prefer, and with one to reject."""

    task: Task = "report"
    kind: Kind
    patient_id: str | None
    rejected: str
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of ``chosen`` and ``rejected``: the parts of their rewards, and who wrote them."""


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    text: str
    origin: str
    score: Score

    def stated(self) -> dict[str, Any]:
        return {"origin": self.origin, **asdict(self.score)}


def make_pair(
    asked: AskedStudy, answers: Sequence[str], options: PairOptions
) -> PreferencePair | None:
    """The pair of a prompt and its sampled answers.

    With a study's own cases: the answers of the highest and of the lowest reward. With those of
    another image: the best answer that copies no foreign finding against the worst that does; where
    the model wrote none of one kind, the answer that plain training would teach, or the case that
    brings the finding, as it is shown. The rewards differ by ``least_margin``.
    """
    written = {text: f"sample {number}" for number, text in enumerate(answers) if text.strip()}
    candidates = _scored(asked, written, options)
    better = [one for one in candidates if one.text.rstrip().endswith(_ENDS)]
    worse: Sequence[_Candidate] = candidates
    if asked.kind == "over-reliance":
        better, worse = _by_copying(asked, better, candidates, options)
    if not better or not worse:
        return None
    chosen = max(better, key=lambda one: one.score.reward)
    rejected = min(worse, key=lambda one: one.score.reward)
    if chosen.text == rejected.text:
        return None
    if chosen.score.reward - rejected.score.reward < options.least_margin:
        return None
    return _pair(asked, chosen, rejected)


def _by_copying(
    asked: AskedStudy,
    whole: Sequence[_Candidate],
    candidates: Sequence[_Candidate],
    options: PairOptions,
) -> tuple[list[_Candidate], list[_Candidate]]:
    """Whole answers that copy no foreign finding, and answers that do."""
    own = [one for one in whole if not one.score.copied]
    copying = [one for one in candidates if one.score.copied]
    if not own:
        target = report_answer(asked.study.case, asked.context, asked.retrieval)
        taught = _scored(asked, {target: "target"} if target else {}, options)
        own = [one for one in taught if not one.score.copied]
    if not copying:
        shown = _scored(asked, {_copy_of_context(asked): "copied case"}, options)
        copying = [one for one in shown if one.score.copied]
    return own, copying


def _copy_of_context(asked: AskedStudy) -> str:
    """The shown case with the most foreign findings, its number behind each sentence."""
    lines = {line.partition(" ")[0]: line for line in asked.context.text.splitlines()}
    hit = max(
        asked.context.hits,
        key=lambda hit: (len(asked.foreign & named(hit.case.labels)), -hit.rank),
    )
    return lines[f"[{hit.rank}]"].partition(") ")[2]


def _scored(asked: AskedStudy, texts: Mapping[str, str], options: PairOptions) -> list[_Candidate]:
    return [
        _Candidate(
            text=text,
            origin=origin,
            score=score_report(
                text, asked.study.case, asked.check, options.weights, foreign=asked.foreign
            ),
        )
        for text, origin in texts.items()
    ]


def _pair(asked: AskedStudy, chosen: _Candidate, rejected: _Candidate) -> PreferencePair:
    return PreferencePair(
        kind=asked.kind,
        study_id=asked.study.case.study_id,
        patient_id=asked.study.case.patient_id,
        prompt=asked.prompt.text,
        answer=chosen.text,
        rejected=rejected.text,
        scores={"chosen": chosen.stated(), "rejected": rejected.stated()},
    )
