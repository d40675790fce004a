"""Names of the systems, conditions and tasks, as files, tables and the command line show them.

The language model is evaluated under several conditions, each of which gives it less: with the
retrieved cases, without them, and with the image alone, even without the encoder's label scores.
"""

WITH_RETRIEVAL, WITHOUT_RETRIEVAL, IMAGE_ONLY = "with retrieval", "without retrieval", "image alone"
WITH_INDICATION = "with retrieval and indication"
CONDITIONS = (WITH_RETRIEVAL, WITHOUT_RETRIEVAL, IMAGE_ONLY, WITH_INDICATION)
"""Of the language model; the others are compared with the first."""

IMAGE_FINDINGS_WITHHELD = "what the image shows withheld"
"""Only studies in which the encoder sees a finding, with the retrieved cases that name none of
these findings: shows whether the model writes what only the image has. Reported in one table."""

SERVED = "with retrieval, as served"
"""The first condition as a user gets it: citations checked, omitted findings added by rule."""

WITHOUT_MODEL = "without a language model"
"""Answers that the assessment gives, and what similar cases say."""

EXTRACTIVE, NEAREST, RANDOM = "extractive", "nearest case", "random case"
MOST_FREQUENT, NORMAL = "constant, most frequent", "constant, normal"
BASELINES = (EXTRACTIVE, NEAREST, MOST_FREQUENT, NORMAL, RANDOM)
"""Systems that write reports without a language model."""

HEAD, VOTE = "label head of the encoder", "vote of the nearest cases"

REPORT_QUESTIONS, VQA_RAD = "made from reports", "VQA-RAD"
"""Question sets."""

TASKS = ("report", "classify", "ask")
