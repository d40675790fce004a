"""Samples a model's answers for the studies of an index, and writes the pairs made of them.

maker = PairMaker(model, gather_indexes(...), PairOptions(), out)
maker.write_prompts(out / "prompts"); maker.answer(out / "prompts", answers, computed="cpu")
maker.write_pairs(answers, held_out={"studies": [...], "patients": [...]})

Prompts and answers are those of `evaluation.outputs.prompts`: a run that was cut goes on where it
was, and the answers can come from another machine.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from db.errors import UserError
from evaluation.outputs.prompts import answer_prompts, read_prompts
from evaluation.outputs.replay import AnswerReplayer, PromptRecorder
from finetune.dataset.splits import SplitName
from finetune.examples.indexes import GatheredStudies
from finetune.examples.studies import TrainingStudy
from finetune.preferences.options import PairOptions
from finetune.preferences.pair_file import write_pairs
from finetune.preferences.pairs import PreferencePair, make_pair
from finetune.preferences.prompts import AskedStudy, prompts_of
from generator.prompts import PROMPT_VERSION
from generator.vision_language import DecodingOptions, VisionLanguageModel
from indexer.cli.progress import progress_bar
from indexer.reports.labeller import LABELLER_VERSION


class PairMaker:
    """One model over the studies of an index."""

    def __init__(
        self,
        model: VisionLanguageModel,
        found: GatheredStudies,
        options: PairOptions,
        out: Path,
    ) -> None:
        """Raises UserError where no study can be asked about."""
        self._model, self._found, self._options, self._out = model, found, options, out
        self._asked: dict[SplitName, list[AskedStudy]] = {
            "train": self._prompts_of(found.train),
            "val": self._prompts_of(found.val),
        }
        if not self._asked["train"]:
            raise UserError("no study to train on has findings in its report: index such studies")

    def _prompts_of(self, studies: Sequence[TrainingStudy]) -> list[AskedStudy]:
        return list(prompts_of(studies, self._options, count_tokens=self._model.count_tokens))

    def _drawn(self) -> Iterator[DecodingOptions]:
        """How each sample of a prompt is drawn."""
        for number in range(self._options.samples):
            yield DecodingOptions(
                max_new_tokens=self._options.max_new_tokens,
                temperature=self._options.temperature,
                seed=self._options.seed + number,
            )

    def write_prompts(self, directory: Path) -> int:
        """Write all prompts; returns how many."""
        recorder = PromptRecorder(self._model, directory)
        prompts = [one.prompt for some in self._asked.values() for one in some]
        for drawn in self._drawn():
            recorder.generate(prompts, drawn)
        return recorder.save()

    def answer(self, directory: Path, answers: Path, *, computed: str) -> None:
        """Answer them here; an interrupted run continues."""
        with progress_bar(total=len(read_prompts(directory)), unit="prompt") as bar:
            answer_prompts(self._model, directory, answers, computed=computed, progress=bar.update)

    def write_pairs(self, answers: Path, *, held_out: Mapping[str, Sequence[str]]) -> str:
        """Write the pairs and say how many. Raises UserError where there are none."""
        player = AnswerReplayer(self._model, answers)
        pairs = {split: self._pairs(some, player) for split, some in self._asked.items()}
        if not pairs["train"]:
            raise UserError(
                "no two answers to a prompt differ by --least-margin: lower it, or draw more "
                "--samples at a higher --temperature"
            )
        path = write_pairs(
            self._out,
            pairs,
            {s.case.study_id: s.canvas for s in (*self._found.train, *self._found.val)},
            {
                **self._found.about,
                "prompt_version": PROMPT_VERSION,
                "labeller": LABELLER_VERSION,
                "model": self._model.name,
                "adapter": self._model.adapter,
                "weights_sha256": self._model.weights_sha256,
                "computed": player.computed,
                "options": asdict(self._options),
                "held_out": held_out,
            },
        )
        return f"{_counts(pairs, self._asked)}, written to {path}"

    def _pairs(self, some: Sequence[AskedStudy], player: AnswerReplayer) -> list[PreferencePair]:
        prompts = [one.prompt for one in some]
        columns = [player.generate(prompts, drawn) for drawn in self._drawn()]
        rows = zip(*columns, strict=True)
        made = (make_pair(one, texts, self._options) for one, texts in zip(some, rows, strict=True))
        return [pair for pair in made if pair is not None]


def _counts(
    pairs: Mapping[SplitName, Sequence[PreferencePair]],
    asked: Mapping[SplitName, Sequence[AskedStudy]],
) -> str:
    parts = []
    for split, some in pairs.items():
        kinds = Counter(one.kind for one in some)
        prompts = Counter(one.kind for one in asked[split])
        counted = ", ".join(
            f"{kinds[kind]} {kind} pairs of {count} prompts" for kind, count in prompts.items()
        )
        parts.append(f"{split}: {counted or 'no pair'}")
    return "; ".join(parts)
