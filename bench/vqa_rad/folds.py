"""Folds of VQA-RAD by image: prompts of the held-out questions, and examples of the others.

``questions.jsonl`` says first what the rest depends on, then a question a line with its fold and
the digests of its two prompts, under which the answers come back. ``fold-N/prompts`` is what
``evaluation answer`` reads, ``fold-N/pack`` what ``finetune train --examples`` reads.
"""

import argparse
import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from bench.vqa_rad.questions import CONDITIONS, FOLDS, QUESTIONS, Asked
from db.errors import UserError
from evaluation.answers.questions import Question, vqa_rad_questions
from evaluation.answers.scores import SEED, by_group
from evaluation.outputs.conditions import case_names, shown
from evaluation.outputs.names import WITH_RETRIEVAL
from evaluation.outputs.prompts import prompt_sha256
from evaluation.outputs.replay import PromptRecorder
from finetune.examples.folder import Example, ExampleFolder, encode_canvas
from generator.grounding.answers import is_yes
from generator.prompts import PROMPT_VERSION, Prompt, ask_prompt
from generator.retrieved_study import RetrievedStudy
from generator.tasks import TaskRunner
from generator.vision_language import DecodingOptions
from retriever.search import Retriever

OPTIONS = DecodingOptions(max_new_tokens=48)
VALIDATING = 8
"""Of so many training images one is validated with."""
CHEST = "CHEST"


@dataclass(frozen=True, kw_only=True)
class PromptMaker:
    """Stands in for a model whose weights are elsewhere: prompts need its tokens and tile alone."""

    name: str
    tile_size: int
    context_tokens: int
    count_tokens: Callable[[str], int]
    adapter: str | None = None
    weights_sha256: str = ""
    base_sha256: str = ""
    adapter_sha256: str | None = None

    @classmethod
    def of(cls, model: str) -> Self:
        """Raises UserError for a folder that is no Llama 3.2 Vision model."""
        from finetune.adapter.backends import load_processor
        from generator.mllama.checkpoint import find_folder, read_config

        config: Any = read_config(find_folder(model))
        tokenizer = load_processor(str(find_folder(model))).tokenizer
        return cls(
            name=model,
            tile_size=config.vision_config.image_size,
            context_tokens=config.text_config.max_position_embeddings,
            count_tokens=lambda text: len(tokenizer.encode(text, add_special_tokens=False)),
        )


def prepare(
    arguments: argparse.Namespace,
    *,
    open_retriever: Callable[[Path], Retriever] = Retriever.open,
) -> None:
    """Raises UserError for data, an index or a place that does not fit."""
    work: Path = arguments.work
    if work.exists() and not (work / QUESTIONS).is_file():
        raise UserError(f"{work} exists and holds no questions: name another place with --work")
    questions, others = chest_questions(arguments.data)
    folds = by_group(questions, FOLDS)
    retriever = open_retriever(arguments.index)
    maker: Any = PromptMaker.of(arguments.model)
    runner = TaskRunner(retriever, maker)
    seen: dict[str, dict[str, RetrievedStudy]] = {}
    unlike = 0
    for image in folds:
        study = runner.retrieve([arguments.data / "images" / image])
        ood = study.retrieval.ood
        unlike += ood is not None and not ood.in_distribution
        seen[image] = {
            condition: runner.assemble(study.image, shown(condition, study.retrieval), study.votes)
            for condition in CONDITIONS
        }
    waiting = work.with_name(work.name + ".tmp")
    shutil.rmtree(waiting, ignore_errors=True)
    manifest = retriever.index.manifest
    about = {
        "prompt_version": PROMPT_VERSION,
        "index_fingerprint": manifest.fingerprint,
        "encoder_sha256": manifest.encoder.weights_sha256,
        "source": "VQA-RAD",
        "seed": SEED,
        "max_new_tokens": OPTIONS.max_new_tokens,
        "images": len(folds),
        "other_organs": dict(others),
        "flagged": unlike,
    }
    asked: list[Asked] = []
    for fold in range(FOLDS):
        held = [question for question in questions if folds[question.group] == fold]
        asked += _record(held, fold, seen, runner, waiting / f"fold-{fold}" / "prompts")
        rest = [question for question in questions if folds[question.group] != fold]
        pack_of(rest, fold, seen, about).save(waiting / f"fold-{fold}" / "pack")
    lines = [json.dumps(one) for one in (about, *map(asdict, asked))]
    (waiting / QUESTIONS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    shutil.rmtree(work, ignore_errors=True)
    waiting.rename(work)
    size = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
    left = ", ".join(f"{count} on {organ}" for organ, count in others.items()) or "none"
    print(
        f"{len(questions)} questions on {len(folds)} chest images ({unlike} of them flagged as "
        f"unlike those of the index); questions left out: {left}\n"
        f"{PROMPT_VERSION}, {FOLDS} folds in {work}: {size / 1e6:.1f} MB"
    )


def chest_questions(folder: Path) -> tuple[list[Question], Counter[str]]:
    """Questions on chest images, and how many there are on what else; a file that names no organ is
    taken to be on chests alone. Raises UserError."""
    questions = vqa_rad_questions(folder)
    rows = json.loads((folder / "train.json").read_text(encoding="utf-8"))
    organs = {str(row["qid"]): str(row.get("image_organ", CHEST)).strip().upper() for row in rows}
    chest = [one for one in questions if organs[one.question_id] == CHEST]
    return chest, Counter(organ for organ in organs.values() if organ != CHEST)


def pack_of(
    questions: Sequence[Question],
    fold: int,
    seen: Mapping[str, Mapping[str, RetrievedStudy]],
    about: Mapping[str, Any],
) -> ExampleFolder:
    """Every question with and without cases; one image in `VALIDATING` is for validation."""
    images = sorted({question.group for question in questions})
    count = max(1, len(images) // VALIDATING)
    held = set(random.Random(f"{SEED}:{fold}").sample(images, count))
    numbers = {image: number for number, image in enumerate(images)}
    parts: dict[bool, list[Example]] = {False: [], True: []}
    for question in questions:
        for condition in CONDITIONS:
            parts[question.group in held].append(
                Example(
                    task="ask",
                    study_id=question.group,
                    prompt=_prompt(question, seen[question.group][condition]).text,
                    answer=taught(question),
                    canvas=numbers[question.group],
                )
            )
    files = [
        np.frombuffer(encode_canvas(image), np.uint8)
        for name in images
        if (image := seen[name][WITH_RETRIEVAL].image) is not None
    ]
    return ExampleFolder(
        train=parts[False],
        val=parts[True],
        about={**about, "fold": fold},
        canvas_data=np.concatenate(files),
        canvas_ends=np.cumsum([len(file) for file in files]),
    )


def taught(question: Question) -> str:
    """The answer as it stands in the data, yes and no in lower case."""
    answer = " ".join(question.answer.split())
    return answer.lower() if question.closed and is_yes(answer) is not None else answer


def _record(
    questions: Sequence[Question],
    fold: int,
    seen: Mapping[str, Mapping[str, RetrievedStudy]],
    runner: TaskRunner,
    folder: Path,
) -> list[Asked]:
    recorder = PromptRecorder(runner.model, folder)
    asked = []
    for question in questions:
        studies = seen[question.group]
        prompts = {condition: _prompt(question, studies[condition]) for condition in CONDITIONS}
        recorder.generate(list(prompts.values()), OPTIONS)
        asked.append(
            Asked(
                question_id=question.question_id,
                group=question.group,
                fold=fold,
                text=question.text,
                answer=question.answer,
                closed=question.closed,
                keys={condition: prompt_sha256(prompt) for condition, prompt in prompts.items()},
                cases=case_names(studies[WITH_RETRIEVAL].short_context.hits),
            )
        )
    recorder.save()
    return asked


def _prompt(question: Question, study: RetrievedStudy) -> Prompt:
    return ask_prompt(study.short_context, question.text, study.image)
