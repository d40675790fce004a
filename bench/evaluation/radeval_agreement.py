"""BLEU-4 and ROUGE-L of radeval beside this project's, on the same reports.

python -m bench.evaluation.radeval_agreement --python radeval/bin/python --index data/index \\
    --outputs runs/val/outputs.jsonl --data-dir OPENI --split-file r2gen_split.json --split val

Both get the same cleaned texts. BLEU is the same by study; radeval's ROUGE-L stems words and is an
F1, this project's is that of pycocoevalcap, with a beta of 1.2 and no stemming.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from db.errors import UserError
from db.files import write_text
from evaluation.metrics.radeval import radeval_scores
from evaluation.metrics.text import bleu_counts, bleu_of_sums, clean_r2gen, rouge_l_each
from evaluation.outputs.names import EXTRACTIVE, NEAREST, NORMAL
from evaluation.outputs.rows import Outputs
from evaluation.reports.references import References
from evaluation.reports.systems import findings_text, rows_of
from indexer.cli.parser import Parser, run
from indexer.index import Index
from indexer.sources.arguments import add_split_arguments, options_of
from indexer.sources.catalogue import open_source


def parser() -> Parser:
    whole = Parser(prog="python -m bench.evaluation.radeval_agreement", description=__doc__)
    whole.add_argument("--python", type=Path, required=True, help="of an environment with radeval")
    whole.add_argument("--index", type=Path, required=True, help="the index of the outputs")
    whole.add_argument("--outputs", type=Path, required=True, help="of 'evaluate model'")
    add_split_arguments(whole)
    whole.add_argument("--split", choices=("val",), required=True, help="the held-out part")
    whole.add_argument("--out", type=Path, help="JSON file for the figures")
    return whole


def compare(arguments: argparse.Namespace) -> dict[str, object]:
    """Means of both and the largest difference of a study, by system and metric."""
    outputs = Outputs.read(arguments.outputs)
    source = open_source(arguments.source, options_of(arguments))
    references = References.read(source, Index.open(arguments.index), outputs)
    wanted = [clean_r2gen(study.findings) for study in references.studies]
    texts = {
        name: [
            clean_r2gen(findings_text(row)) for row in rows_of(outputs, name, references.studies)
        ]
        for name in (EXTRACTIVE, NEAREST, NORMAL)
    }
    theirs = radeval_scores(arguments.python, wanted, texts, ["bleu", "rouge"])
    systems = {}
    for name, written in texts.items():
        ours = {
            "bleu": bleu_of_sums(bleu_counts(wanted, written).astype(float))[:, 3],
            "rougeL": rouge_l_each(wanted, written),
        }
        systems[name] = {
            key: {
                "ours": round(float(each.mean()), 6),
                "radeval": round(float(theirs.scores[key][name].mean()), 6),
                "largest difference": round(
                    float(np.abs(each - theirs.scores[key][name]).max()), 6
                ),
            }
            for key, each in ours.items()
        }
    return {
        "radeval": theirs.version,
        "studies": len(wanted),
        "split": f"{source.split} of {source.name}",
        "means over studies": systems,
        "missing": dict(theirs.missing),
    }


def main() -> int:
    arguments = parser().parse_args()
    try:
        document = json.dumps(compare(arguments), indent=1)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if arguments.out is not None:
        write_text(arguments.out, document + "\n")
    print(document)
    return 0


if __name__ == "__main__":
    run(main)
