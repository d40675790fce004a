"""What stands before a word with a capital: a title, a role, the label of a field, "signed by"."""

import re
from enum import IntEnum

from indexer.reports.identifiers.fields import explicit, label_before
from indexer.reports.identifiers.people.cues import (
    BY,
    BY_VERBS,
    DIRECT,
    FROM,
    GROUPS,
    LINKS,
    PATIENTS,
    RELATIVES,
    ROLES,
    SALUTATIONS,
    SIGNED,
    SUBJECTS,
    TELL,
    TITLES,
    WEAK_TITLES,
)

_LOOK = 90
"""Characters before a name that are looked at."""


class Before(IntEnum):
    """What stands before a run, from nothing to what makes a name of any word."""

    NONE = 0
    PATIENT = 1
    SUBJECT = 2
    STAFF = 3
    DIRECT = 4
    TOLD = 5
    RELATIVE = 6
    ROLE = 7
    FIELD = 8
    TITLE = 9


_ON_DUTY = re.compile(
    r"(?i)\b(?:nurse|sister|matron|registrar|doctor|resident|intern|officer|consultant|physician"
    r"|midwife|therapist|physio|clerk|radiographer|technologist|surgeon|fellow|colleague"
    r"|anaesthetist"
    r"|anesthesiologist|paramedic|pfleger|schwester|infirmière|interne|enfermera|infermiera)"
    r" (?:in charge|on(?: the)? [\w-]+|for the [\w-]+|from [\w-]+|looking after (?:him|her)"
    r"|at the bedside|of the [\w-]+|de garde|de guardia|di turno|vom dienst|today|tonight),$"
)
"""A member of the staff, with a word or two before the comma."""
_TITLES_IN_BRACKETS = TITLES | WEAK_TITLES
ABBREVIATIONS = frozenset(
    "mo rmo jmo smo cmo dmo ho rn srn sn lpn lvn cna hca en msn mta mtr".split()
)
"""Members of the staff that are written in capitals."""
_MIXED = ("Mr", "Ms", "Mr.", "Ms.", "Mrs", "Mrs.")
"""Titles that in capitals are also abbreviations."""
_NUMBERED = ("[**number**]", "[**date of birth**]")
"""A number of the patient, beside which a name stands."""
_BY_OR_WITH = re.compile(r"\b(?:by|with|to|from|per) $", re.IGNORECASE)
_PROFESSION = tuple(
    "ologist aesthetist ethetist therapist iatrist iatrician ician usionist nutritionist hygienist"
    " pharmacist chiropodist woman worker teacher driver guard keeper adviser advisor coordinator"
    " manager".split()
)
"""How the words for a profession end."""
_THANKED = re.compile(r"\b(?:thank you|thanks|grateful to you) (?:\w+ ){0,4}$", re.IGNORECASE)
_FACULTIES = ("med", "univ", "habil", "nat", "rer", "phil", "dent", "ssa")
_DOCTOR = re.compile(r"(?i)\b(?:dr|prof|priv-doz|pd|lek|dott)\b\.?(?: ?(?:med|rer|habil)\.)? ?$")


def cue_before(text: str, start: int) -> Before:
    """Return what stands before a place."""
    head = text[max(0, start - _LOOK) : start]
    stripped = head.rstrip(' \t\n("“„')
    if not stripped:
        return Before.NONE
    gap = head[len(stripped) :]
    last = stripped.rpartition(" ")[2].rpartition("\n")[2]
    key = last.lstrip("([-–—/*").casefold().replace(".", "")
    if "\n" in gap and not (last.endswith((":", ",")) and gap.count("\n") == 1):
        return Before.NONE
    if stripped.endswith((":", "：", "=", "|")) or (gap.count(" ") and last in ("-", "–", "—")):
        end = max(0, start - _LOOK) + len(stripped) - len(last if last in "-–—" else last[-1])
        label, kinds = label_before(text, end)
        if "name" in kinds:
            return Before.TITLE if label in explicit() else Before.FIELD
        return Before.NONE
    if key in ("/sgd/", "/s/", "//", "//signed//", "sgd/", "s/", "/es/", "es/") or last in (
        "/sgd/", "/s/", "/es/", "//", "//signed//", "/Sgd/",
    ):  # fmt: skip
        return Before.TITLE
    return _word_cue(text, head, stripped, key, last)


def _word_cue(text: str, head: str, stripped: str, key: str, last: str) -> Before:
    bare = key.strip(",")
    if "]" in last and stripped.rstrip(",;:)|/").endswith(_NUMBERED):
        return Before.PATIENT
    if head.endswith("(") and stripped.endswith("[**name**]"):
        return Before.SUBJECT
    if head.endswith("(") and bare in GROUPS:
        return Before.ROLE
    before = stripped[: len(stripped) - len(last)]
    if last.startswith("(") and last.endswith(")") and bare.strip(")") in _TITLES_IN_BRACKETS:
        return Before.TITLE
    if key.endswith(",") and _ON_DUTY.search(stripped):
        return Before.ROLE
    if key.endswith(",") and (
        bare in ("nurse", "matron", "doctor", "professor") and last[:1].islower()
    ):
        return Before.ROLE
    if bare in TITLES and not key.endswith(","):
        return Before.TITLE if last[:1].isupper() or bare in ("dr", "dra", "prof") else Before.ROLE
    if bare in SALUTATIONS:
        return Before.ROLE
    if last.lstrip("([-–—/*") in _MIXED or (key in _FACULTIES and _DOCTOR.search(before)):
        return Before.TITLE
    if key in WEAK_TITLES and (last.endswith(".") or last[:1].isupper()):
        return Before.TOLD if last.endswith(".") or key in ("mr", "ms") else Before.PATIENT
    if key in ("i,", "me,", "i") and (key != "i" or head.endswith("(")):
        return Before.ROLE
    if bare == "rt" and _BY_OR_WITH.search(before):
        return Before.ROLE
    if bare == "cc" and not before.rpartition("\n")[2].strip(" "):
        return Before.TOLD
    if key in ("referring", "seeing", "see") and _THANKED.search(before):
        return Before.TOLD
    if bare in RELATIVES:
        return Before.RELATIVE
    if bare in ABBREVIATIONS and _BY_OR_WITH.search(before) and not key.endswith(","):
        return Before.TITLE
    if bare in ABBREVIATIONS:
        return Before.ROLE if last.strip("([,").isupper() and not key.endswith(",") else Before.NONE
    if bare in ROLES or bare.partition("-")[0] in ROLES:
        return Before.ROLE if not key.endswith(",") or bare not in ("pa", "np") else Before.PATIENT
    if bare.endswith(_PROFESSION) and not key.endswith(","):
        return Before.ROLE
    if key in BY and BY_VERBS.search(before):
        return Before.ROLE
    if (key in LINKS and TELL.search(before)) or key in ("d/w", "dw"):
        return Before.TOLD
    if key == "from" and FROM.search(before):
        return Before.RELATIVE
    if bare in DIRECT:
        return Before.DIRECT if bare == "called" else Before.TOLD
    if key in ("pa", "np", "pa-c") and last.isupper():
        return Before.STAFF
    if key in SIGNED:
        return Before.STAFF
    if bare in ("boy", "girl", "baby", "infant", "newborn") and (
        last[:1].isupper() or before.rstrip(" ").casefold().endswith(("baby", "infant", "newborn"))
    ):
        return Before.RELATIVE
    if bare in SUBJECTS or last in ("Name", "NAME"):
        return Before.SUBJECT
    if bare in PATIENTS or key in BY:
        return Before.PATIENT
    return Before.NONE


def title_before(text: str, start: int) -> Before:
    """Return TITLE behind a title, FIELD behind the label of a field for persons."""
    head = text[max(0, start - 40) : start]
    stripped = head.rstrip(" ")
    if stripped.endswith((":", "：", "=")):
        _, kinds = label_before(text, max(0, start - 40) + len(stripped) - 1)
        return Before.FIELD if "name" in kinds else Before.NONE
    if stripped.endswith("\n") or head == stripped:
        return Before.NONE
    last = stripped.rpartition(" ")[2].rpartition("\n")[2].lstrip("([-–—/*")
    if last in _MIXED:
        return Before.TITLE
    key = last.casefold().replace(".", "")
    return Before.TITLE if key in TITLES and last[:1] != last[:1].casefold() else Before.NONE
