"""python -m indexer: build an index, say what one is, pass on its vectors.

python -m indexer build --source openi --vectors pretrained/openi --out data/index
python -m indexer build --source openi --data-dir DIR --split-file FILE --split train --out INDEX
python -m indexer build --source jsonl --data-dir studies.jsonl --out INDEX
python -m indexer info INDEX
python -m indexer export-vectors INDEX --out DIR
"""

import argparse
import json
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from db.errors import UserError
from indexer.build import Built, build
from indexer.encoder import DEFAULT_ENCODER, Encoder, EncoderSpec, load_encoder
from indexer.index import Index
from indexer.sources.jsonl import JsonLines
from indexer.sources.openi import UNLISTED, OpenI
from indexer.sources.records import Source, read_split
from indexer.stored_vectors import StoredVectors


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        exit_code: int = arguments.run(arguments)
        return exit_code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _build(arguments: argparse.Namespace) -> int:
    source, encoder = _source(arguments)
    built = build(source, encoder, arguments.out, progress=_progress)
    if arguments.json:
        skipped = [asdict(study) for study in built.skipped]
        print(json.dumps({**asdict(built.manifest), "skipped_studies": skipped}, indent=2))
    else:
        _print_built(built, arguments.out)
    return 0


def _source(arguments: argparse.Namespace) -> tuple[Source, Encoder | EncoderSpec]:
    keep = tuple(arguments.split.split(",")) if arguments.split else ()
    if arguments.source == "jsonl":
        if arguments.data_dir is None:
            raise UserError("source jsonl needs --data-dir with the JSON Lines file")
        source = JsonLines(arguments.data_dir, name=arguments.name, split=arguments.split)
        return source, load_encoder(arguments.encoder)
    if keep and arguments.split_file is None:
        raise UserError("--split needs --split-file, which says which study is in which split")
    splits = None if arguments.split_file is None else read_split(arguments.split_file)
    unknown = sorted(set(keep) - {"train", "val", "test", UNLISTED})
    if unknown:
        raise UserError(f"unknown split '{unknown[0]}': use train, val, test or {UNLISTED}")
    vectors = None if arguments.vectors is None else StoredVectors.read(arguments.vectors)
    openi = OpenI(
        data_dir=arguments.data_dir,
        reports_path=arguments.reports,
        vectors=vectors,
        splits=splits,
        keep=keep,
    )
    return openi, load_encoder(arguments.encoder) if vectors is None else vectors.encoder


def _progress(batches: Iterable[int], total: int) -> Iterable[int]:
    numbers = list(batches)
    return tqdm(numbers, total=total, initial=total - len(numbers), unit="batch", file=sys.stderr)


def _print_built(built: Built, out: Path) -> None:
    manifest = built.manifest
    print(f"{manifest.studies} studies with {manifest.images} images indexed in {out}")
    if built.resumed_batches:
        print(f"  {built.resumed_batches} batches were taken over from an interrupted build")
    for reason, count in sorted(manifest.skipped.items()):
        print(f"  {count} skipped: {reason}")
        studies = [study for study in built.skipped if study.reason == reason]
        plain = [study.study_id for study in studies if not study.detail]
        if plain:
            print(
                textwrap.fill(", ".join(plain), 96, initial_indent="    ", subsequent_indent="    ")
            )
        for study in studies:
            if study.detail:
                print(f"    {study.study_id}: {study.detail}")


def _info(arguments: argparse.Namespace) -> int:
    index = Index.open(arguments.index)
    manifest = index.manifest
    if arguments.json:
        print(json.dumps(asdict(manifest), indent=2))
        return 0
    encoder = manifest.encoder
    skipped = ", ".join(f"{count} {reason}" for reason, count in sorted(manifest.skipped.items()))
    print(f"index        {arguments.index}")
    print(f"fingerprint  {manifest.fingerprint}")
    print(f"built        {manifest.created_at}, format {manifest.format_version}")
    print(f"source       {manifest.source}, split {manifest.split}")
    print(f"licence      {manifest.licence}")
    print(f"studies      {manifest.studies} with {manifest.images} images")
    print(f"skipped      {skipped or 'none'}")
    print(f"encoder      {encoder.name}, {encoder.dim} numbers, {manifest.metric}")
    print(f"weights      sha256 {encoder.weights_sha256}")
    print(f"labeller     {manifest.labeller_version}")
    return 0


def _export_vectors(arguments: argparse.Namespace) -> int:
    index = Index.open(arguments.index)
    StoredVectors.write(arguments.out, index)
    print(f"{index.manifest.studies} vectors and study ids written to {arguments.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m indexer", description="Case indexes.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser("build", help="embed a data set and write an index directory")
    verb.add_argument("--source", required=True, choices=("openi", "jsonl"))
    verb.add_argument("--data-dir", type=Path, metavar="PATH", help="data set folder or JSONL file")
    verb.add_argument("--vectors", type=Path, metavar="DIR", help="stored vectors, not images")
    verb.add_argument("--reports", type=Path, metavar="FILE", help="Open-I report archive")
    verb.add_argument("--split-file", type=Path, metavar="FILE", help="JSON: split to study ids")
    verb.add_argument("--split", help=f"train, val, test, {UNLISTED}; several with commas")
    verb.add_argument("--name", default="local", help="source name that cases are cited by (jsonl)")
    verb.add_argument("--encoder", default=DEFAULT_ENCODER, help="default: %(default)s")
    verb.add_argument("--out", type=Path, required=True, metavar="INDEX")
    verb.add_argument("--json", action="store_true", help="print the manifest as JSON")
    verb.set_defaults(run=_build)

    verb = verbs.add_parser("info", help="say what an index is")
    verb.add_argument("index", type=Path, metavar="INDEX")
    verb.add_argument("--json", action="store_true", help="print the manifest as JSON")
    verb.set_defaults(run=_info)

    verb = verbs.add_parser("export-vectors", help="write vectors and study ids, nothing else")
    verb.add_argument("index", type=Path, metavar="INDEX")
    verb.add_argument("--out", type=Path, required=True, metavar="DIR")
    verb.set_defaults(run=_export_vectors)
    return parser


if __name__ == "__main__":
    sys.exit(main())
