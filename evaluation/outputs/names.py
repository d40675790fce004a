"""What the systems and tasks of an evaluation are called, in files, tables and on the command line.

A language model is asked several times, each time with less: with the retrieved cases, without
them, and with the image alone, without so much as the encoder's hint.
"""

WITH, WITHOUT, IMAGE_ALONE = "with retrieval", "without retrieval", "film alone"
WITH_INDICATION = "with retrieval and indication"
CONDITIONS = (WITH, WITHOUT, IMAGE_ALONE, WITH_INDICATION)
"""Of the language model; the first is what all others are compared with."""

WITHHELD = "what the film shows withheld"
"""Only where the encoder sees a finding: with the retrieved cases that name none of these. Tells
whether the model writes what it sees where no case has it; no other table has this arm."""

SERVED = "with retrieval, as served"
"""The first arm as a user gets it: checked, and with what the model left out added by rule."""

EXTRACTIVE, NEAREST, RANDOM = "extractive", "nearest case", "random case"
MOST_FREQUENT, NORMAL = "constant, most frequent", "constant, normal"
BASELINES = (EXTRACTIVE, NEAREST, MOST_FREQUENT, NORMAL, RANDOM)
"""What writes without a language model."""

HEAD, VOTE = "label head of the encoder", "vote of the nearest cases"

MADE, VQA_RAD = "made from reports", "VQA-RAD"
"""Sets of questions."""

TASKS = ("report", "classify", "ask")
