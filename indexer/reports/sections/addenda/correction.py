"""Addenda: what they correct or withdraw leaves the report.

    correct({"findings": "Right pneumothorax.", ...}, [("impression", "There is no pneumothorax.")])

A finding is withdrawn where the addendum says the opposite of it, gives it another side, or names
it as an error; other findings of the same statement stay. What the addendum says instead joins the
section.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from db.labels import State
from indexer.reports.labeller import mentions
from indexer.reports.sections.addenda.opposition import (
    any_mention,
    mentions_of,
    observations_in,
    opposes,
    sides_in,
    sides_of,
)
from indexer.reports.sections.addenda.withdrawal import Chosen, without_findings
from indexer.reports.sentences import split_sentences

_REPORT = r"(?:report|dictation|study|exam\w*|interpretation|stud(?:y|ies)|text|results?)"
_WHOLE = re.compile(
    rf"\b(?:disregard|retract\w*|withdraw\w*|withdrawn|void(?:ed)?|cancel(?:led|ed)?)\b.{{0,60}}\b{_REPORT}\b"
    rf"|\b{_REPORT}\b.{{0,60}}\b(?:disregard\w*|retracted|withdrawn|void(?:ed)?|in error"
    rf"|cancel(?:led|ed))\b"
    r"|\b(?:wrong|different|another|incorrect) patient\b",
    re.IGNORECASE,
)
_ERROR = re.compile(
    r"\b(?:erroneous\w*|mistaken\w*|incorrect\w*|in error|wrong(?:ly)?|disregard\w*|retract\w*"
    r"|typographical|dictation error|transcription error|misidentified|misinterpreted"
    r"|inadvertent\w*"
    r"|should not (?:be|have)|not accurate|inaccurate|was an? (?:error|artifact|artefact))\b",
    re.IGNORECASE,
)
_CORRECTS = re.compile(
    r"\b(?:correct\w*|should|review|re-?review|retrospect|actual\w*|instead|rather|not|amend\w*|revis\w*"
    r"|clarif\w*|discrepan\w*|laterality|side|changed|error|in fact|updated?|now|reconsider\w*)\b",
    re.IGNORECASE,
)
_ANNOUNCES = re.compile(
    r"\b(?:correct(?:ion|ed|s)|laterality|error|amend\w+|should (?:read|be|say)|revised|wrong"
    r" side)\b",
    re.IGNORECASE,
)
_ADDS = re.compile(
    r"\b(?:also|additional(?:ly)?|in addition|as well|further(?:more)?|second)\b", re.IGNORECASE
)
_LATER = re.compile(
    r"\b(?:subsequent|later|follow-?up|interval|today'?s?)\s+(?:chest )?(?:ct|mri?|stud\w+"
    r"|exam\w*|radiograph|film)",
    re.IGNORECASE,
)
_SHOULD = re.compile(
    r"\bshould (?:instead |now |have |correctly )*(?:read|be|say|state|been|stated|said)\b"
    r"(?: as follows| as| that)?[:,]?\s*",
    re.IGNORECASE,
)
_INSTEAD = re.compile(
    r"[,;]?\s*(?:\b(?:instead of|rather than|in place of)\b|(?:,|\band)\s*not (?=(?:on |in |at "
    r"|of )?(?:the |a )?"
    r"[\w-]+(?: [\w-]+){0,3}[\"'.]*$))",
    re.IGNORECASE,
)
_SECTION = re.compile(r"\b(impression|conclusion|findings)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Correction:
    """The sections after all addenda."""

    bodies: dict[str, str]
    withdrawn: tuple[str, ...]
    """Statements that are no longer the report's."""
    whole: bool
    """Whether any_mention before an addendum was withdrawn."""


def correct(bodies: Mapping[str, str], addenda: Iterable[tuple[str, str]]) -> Correction:
    """Apply the addenda (section, text) in order."""
    reader = _Reader(dict(bodies))
    for section, text in addenda:
        reader.corrects = _ANNOUNCES.search(text) is not None
        added = [part for one in _statements(text) if (part := reader.read(one, section))]
        reader.add(section, "\n".join(added))
    return Correction(bodies=reader.bodies, withdrawn=tuple(reader.withdrawn), whole=reader.whole)


def _statements(text: str) -> Iterator[str]:
    """The sentences of unwrapped text, and lines that hold nothing but a number."""
    for line in text.split("\n"):
        if any(char.isalnum() for char in line):
            yield from split_sentences(line) or [line]


class _Reader:
    def __init__(self, bodies: dict[str, str]) -> None:
        self.bodies = bodies
        self.withdrawn: list[str] = []
        self.whole = False
        self.corrects = False
        """Whether the addendum at hand announces a correction."""

    def add(self, section: str, text: str) -> None:
        self.bodies[section] = "\n".join(filter(None, (self.bodies.get(section, ""), text)))

    def read(self, sentence: str, section: str) -> str:
        """Withdraw what the sentence corrects; returns what of it is a statement of the report."""
        labels = observations_in(sentence)
        if _WHOLE.search(sentence) and not labels and not _SHOULD.search(sentence):
            named = [match[1].lower() for match in _SECTION.finditer(sentence)]
            targets = ["impression" if name == "conclusion" else name for name in named]
            self.whole = self.whole or not targets
            for target in targets or ["findings", "impression"]:
                self._drop_all(target)
            return self._aside(sentence)
        should = _SHOULD.search(sentence)
        if should:
            return self._replace(sentence, should, section)
        clauses = re.split(r"(?<=[;:])\s+|\s-{1,2}\s", sentence)
        wrong = [clause for clause in clauses if _ERROR.search(clause)]
        if wrong and _SIDES_ONLY.search(sentence) is None:
            stated = [clause for clause in clauses if clause not in wrong]
            names = {name for clause in wrong for name in observations_in(clause)}
            self._drop(lambda _: mentions_of(names))
            for clause in wrong:
                self._aside(clause)
            for clause in stated:
                self._contradict(clause, corrects=True, about=labels)
            return " ".join(stated)
        stated_text, old = sentence, ""
        instead = _INSTEAD.search(sentence)
        if instead:
            stated_text, old = sentence[: instead.start()].rstrip(), sentence[instead.end() :]
        corrects = instead or self.corrects or _CORRECTS.search(sentence)
        self._contradict(stated_text, corrects=bool(corrects), about=labels)
        if old:
            self._aside(old)
        return stated_text

    def _replace(self, sentence: str, should: re.Match[str], section: str) -> str:
        """ "The impression should read: ...", "'Right' should read 'left'"."""
        before, after = sentence[: should.start()], sentence[should.end() :]
        instead = _INSTEAD.search(after)
        if instead:
            after, before = after[: instead.start()], f"{before} {after[instead.end() :]}"
        after = after.replace('"', "").strip(" '")
        named = _SECTION.search(before)
        quoted = re.search(r"[\"'][^\"']+[\"']", before)
        topics = observations_in(before) or observations_in(after)
        if named and not observations_in(before) and not quoted and not sides_in(before):
            target = "findings" if named[1].lower() == "findings" else "impression"
            self._drop_all(target)
            self.add(target, after[:1].upper() + after[1:] if after else "")
            self._contradict(after, corrects=True, about=topics)
            self._aside(sentence[: should.end()])
            return ""
        sides = sides_in(before) - sides_in(after)
        names = set(observations_in(before))
        if names:
            self._drop(lambda old: mentions_of(names, sides, old))
        elif sides:
            self._drop(lambda old: mentions_of(topics, sides, old))
        self._contradict(after, corrects=True, about=topics)
        self._aside(sentence[: should.end()])
        return after if observations_in(after) else ""

    def _contradict(self, stated: str, *, corrects: bool, about: Mapping[str, State]) -> None:
        """Withdraw statements that the addendum's own contradicts."""
        new, sides = observations_in(stated), sides_in(stated)
        if _LATER.search(stated):
            return
        if not new and corrects and sides and not _ADDS.search(stated):
            wrong = {"left", "right"} - sides
            self._drop(lambda old: mentions_of(about, wrong, old))
            return
        named = {name for name, state in new.items() if state == "positive"} - {"Support Devices"}
        adds = _ADDS.search(stated) is not None

        def opposed(old: str) -> Chosen | None:
            labels = observations_in(old)
            if named and not labels and _NORMAL.search(old):
                return any_mention
            opposite = {
                name
                for name in labels.keys() & new.keys()
                if opposes(
                    {labels[name], new[name]},
                    is_doubted=labels[name] == "positive" and new[name] == "uncertain",
                    sides=sides,
                    old_sides=sides_of(name, old),
                    corrects=corrects,
                    adds=adds,
                )
            }
            return mentions_of(opposite) if opposite else None

        self._drop(opposed)

    def _drop(self, choose: Callable[[str], Chosen | None]) -> None:
        """Withdraw what ``choose`` returns for each statement; None leaves it as it is."""
        for section in ("findings", "impression"):
            body = self.bodies.get(section, "")
            for old in split_sentences(body):
                chosen = choose(old)
                if chosen is None or not (chosen is any_mention or any(map(chosen, mentions(old)))):
                    continue
                rest, taken = without_findings(old, chosen)
                self.withdrawn.append(taken)
                body = body.replace(old, rest, 1) if rest else _without(body, old)
            self.bodies[section] = body

    def _drop_all(self, section: str) -> None:
        if self.bodies.get(section):
            self.withdrawn.append(self.bodies[section])
        self.bodies[section] = ""

    def _aside(self, text: str) -> str:
        if any(char.isalnum() for char in text):
            self.withdrawn.append(text.strip())
        return ""


_SIDES_ONLY = re.compile(r"^\W*(?:laterality|side) (?:error|correction)\b", re.IGNORECASE)


_NORMAL = re.compile(
    r"^\W*(?:\d[.)]\s*)?normal\b(?! (?:heart|card|mediast))|\b(?:normal|unremarkable|negative"
    r"|clear) (?:\w+ )?"
    r"(?:chest|study|exam\w*|radiograph\w*|x-?ray|cxr)\b|\bno (?:radiographic "
    r"|significant )?abnormalit",
    re.IGNORECASE,
)
"""Calls the whole image normal, which no finding of an addendum lets stand."""


def _without(body: str, sentence: str) -> str:
    """The text without one of its sentences and the list mark before it."""
    at = body.index(sentence)
    before = re.sub(r"(?:^|(?<=\n))[ \t]*(?:\(?\d{1,2}[.)]|[-*•])[ \t]*$", "", body[:at])
    after = body[at + len(sentence) :]
    lines = [line.strip() for line in f"{before}{after}".split("\n")]
    return "\n".join(" ".join(line.split()) for line in lines if any(c.isalnum() for c in line))
