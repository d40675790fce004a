"""Several examinations in one report: those of the chest count, the others are left out."""

import re
from dataclasses import replace

from indexer.reports.sections import statements as wording
from indexer.reports.sections.labels import body_parts, is_examination
from indexer.reports.sections.particulars import particulars_of
from indexer.reports.sections.reading import SENTENCE, Placed
from indexer.reports.sections.words import anatomy
from indexer.reports.sections.words.phrases import plain_label

OTHER_EXAMINATION = "other examination"
_KEPT = ("indication", "comparison", "findings", "impression")
_PART = re.compile(
    rf"\b(?:{'|'.join(sorted(anatomy.OTHER_PARTS - {'rib', 'ribs', 'aorta', 'bone'}))}|tibial"
    r"|femoral|bowel gas|pubic|ramus|ilia[cl]|acetabul\w+|metacarpal|metatarsal|colon)\b"
)
_CHEST = re.compile(
    r"\b(?:chest|thorax|lungs?|pulmonary|heart|cardi\w+|pleural?|pneum\w+|effusion|mediastin\w+|edema"
    r"|consolidation|atelectasis|opacit\w+|opacification|infiltrat\w+)\b"
)


def choose(placed: list[Placed]) -> tuple[list[Placed], str]:
    """What belongs to the chest, the rest marked as another examination.

    The second value: ``all`` where nothing had to be left out, ``some`` where it had, ``none``
    where no examination of the chest is named, so that everything stays.
    """
    named = {one.examination: one.parts for one in placed if one.parts}
    wanted = {number for number, parts in named.items() if "chest" in parts}
    if not wanted:
        wanted = {number for number, parts in named.items() if "chest by another modality" in parts}
    if not wanted:
        return placed, "none" if named else "all"
    others = named.keys() - wanted
    if not others:
        return placed, "all"
    has = {
        section: any(one.section == section and one.examination not in others for one in placed)
        for section in ("indication", "impression")
    }
    last = max(
        (
            one.examination
            for one in placed
            if one.examination in others and one.section == "impression"
        ),
        default=-1,
    )
    result, dropped = [], False
    for one in placed:
        if one.examination in others and one.section in _KEPT:
            shared = one.section == "indication" and not has["indication"]
            if one.section == "impression" and not has["impression"] and one.examination == last:
                shared = _speaks_of_chest(one.said)
            if not shared:
                dropped = True
                one = replace(one, section=OTHER_EXAMINATION)
        elif one.section == "impression" and last < 0 and not _speaks_of_chest(one.said):
            dropped = True  # one impression for all examinations
            one = replace(one, section=OTHER_EXAMINATION)
        result.append(one)
    return result, "some" if dropped else "all"


def _speaks_of_chest(said: str) -> bool:
    text = said.lower()
    return _CHEST.search(text) is not None or _PART.search(text) is None


def title_and_rest(body: str) -> tuple[str, str]:
    """What stands behind a title in words ("PORTABLE CHEST: ..."): a date, or what is said."""
    plain = plain_label(body)
    return (body, "") if particulars_of(body) or is_examination(plain) else ("", body)


def body_and_rest(body: str) -> tuple[str, str]:
    """What stands behind the name of an examination: more of the title, then what is said."""
    if not body:
        return "", ""
    sentences = SENTENCE.split(body)
    for number, sentence in enumerate(sentences):
        plain = plain_label(sentence)
        titled = is_examination(plain) or (
            bool(body_parts(plain))
            and len(plain.split()) < 5
            and not wording.states_finding(sentence)
        )
        said = (
            number > 0
            and not particulars_of(sentence)
            and not wording.describes_technique(sentence)
        )
        if not titled and said and len(sentence.split()) > 3:
            return " ".join(sentences[:number]), " ".join(sentences[number:])
        if not titled and (
            wording.states_finding(sentence)
            or (
                number == 0
                and wording.names_finding(sentence)
                and not wording.describes_technique(sentence)
            )
        ):
            return " ".join(sentences[:number]), " ".join(sentences[number:])
    return body, ""
