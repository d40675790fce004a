"""python -m indexer: build an index, keep it up to date, say what one is, pass on its vectors.

python -m indexer build --source openi --vectors pretrained/openi --out data/index
python -m indexer build --source openi --data-dir DIR --split-file FILE --split train --out INDEX
python -m indexer build --source jsonl --data-dir studies.jsonl --out INDEX
python -m indexer add INDEX --source jsonl --data-dir more.jsonl
python -m indexer remove INDEX --patient p17 --db data/app.sqlite3
python -m indexer merge INDEX INDEX --out INDEX
python -m indexer verify INDEX
python -m indexer upgrade INDEX
python -m indexer relocate INDEX --root DIR
python -m indexer audit --source openi --data-dir DIR --split-file FILE --out audit
python -m indexer info INDEX
python -m indexer export-vectors INDEX --out DIR
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

from tqdm import tqdm

from db.app.erasure import erase
from db.errors import NotFoundError, UserError
from db.index.store import Case
from indexer.audit.result import audit_lines
from indexer.audit.run import audit, write_audit
from indexer.build import BuildResult, add, build
from indexer.cli.arguments import parser
from indexer.cli.output import (
    built_lines,
    info_lines,
    merged_lines,
    problem_lines,
    relocated_lines,
    removed_lines,
)
from indexer.cli.parser import run
from indexer.cli.progress import progress_bar
from indexer.encoder.load import load_encoder
from indexer.encoder.spec import Encoder, EncoderSpec
from indexer.erasure import find_remaining_files
from indexer.images.radiograph import Limits
from indexer.index import Index
from indexer.ingest.assembly import utc_now
from indexer.manifest import Manifest
from indexer.merge import merge
from indexer.relocate import relocate
from indexer.remove import RemovalTarget, find, remove
from indexer.sources.arguments import options_of
from indexer.sources.catalogue import open_source
from indexer.sources.openi import OpenI
from indexer.sources.records import Record, Source
from indexer.sources.source_options import SourceOptions
from indexer.upgrade import upgrade
from indexer.vectors.options import VectorOptions
from indexer.vectors.stored import StoredVectors
from indexer.verify import verify
from indexer.versions import Versions


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m indexer") -> int:
    arguments = parser(prog).parse_args(argv)
    try:
        return _VERBS[arguments.verb](arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _build(arguments: argparse.Namespace) -> int:
    source = _opened(arguments.source, options_of(arguments))
    with _ImageBar() as bar:
        built = build(
            source,
            _encoder(arguments, source),
            arguments.out,
            progress=bar,
            **_build_settings(arguments),
        )
    return _show_built(built, arguments.out, as_json=arguments.json)


def _build_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What ``build`` and ``add`` are told alike."""
    return {
        "options": _vector_options(arguments),
        "keep": arguments.keep,
        "any_language": arguments.language == "any",
        "keep_identifiers": arguments.keep_identifiers,
        "limits": Limits(accept_as_chest=arguments.accept_as_chest),
    }


def _show_built(built: BuildResult, out: Path, *, as_json: bool) -> int:
    if as_json:
        skipped = [asdict(study) for study in built.skipped]
        parts = {**asdict(built.manifest), "added": built.added, "skipped_studies": skipped}
        parts["summary"] = built.not_indexed.summary()
        parts["dropped_images"] = [asdict(image) for image in built.not_indexed.dropped]
        parts["identifiers"] = dict(built.identifiers)
        parts["notes"] = {note: list(studies) for note, studies in built.notes.items()}
        print(json.dumps(parts, indent=2))
    else:
        _print(built_lines(built, out))
    return 0


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _vector_options(arguments: argparse.Namespace) -> VectorOptions | None:
    """Return the options given on the command line; None if there are none."""
    given = {
        "type": arguments.index_type,
        "memory_bytes": None if arguments.memory is None else arguments.memory * 1_000_000,
        "min_recall": arguments.min_recall,
    }
    said = {name: value for name, value in given.items() if value is not None}
    return VectorOptions(**said) if said else None


def _encoder(arguments: argparse.Namespace, source: Source) -> Encoder | EncoderSpec:
    if isinstance(source, OpenI) and source.embedded_by is not None:
        return source.embedded_by
    return load_encoder(arguments.encoder, device=arguments.device)


def _opened(name: str, options: SourceOptions) -> Source:
    """Open a source and say what it guessed."""
    source = open_source(name, options)
    for line in getattr(source, "remarks", ()):
        print(line, file=sys.stderr)
    return source


class _ImageBar:
    """A bar that counts images; it shows before the encoder is loaded and the source is read."""

    def __init__(self) -> None:
        self._bar = progress_bar(unit="image")

    def __call__(self, total: int, done: int) -> "tqdm[Any]":
        self._bar.total, self._bar.n, self._bar.initial = total, done, done
        return self._bar

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def _case_progress(cases: Iterable[Case], total: int) -> Iterable[Case]:
    return progress_bar(cases, total=total, unit="case")


def _audit(arguments: argparse.Namespace) -> int:
    options = options_of(arguments)
    source = _opened(arguments.source, options)
    other: Source | Index | None = None
    if arguments.against is not None:
        try:
            other = Index.open(arguments.against)
        except NotFoundError:
            other = open_source(arguments.source, replace(options, data_dir=arguments.against))
    encoder = None
    if arguments.encoder != "none":
        encoder = load_encoder(arguments.encoder, device=arguments.device)
    found = audit(source, against=other, encoder=encoder, progress=_record_progress)
    write_audit(found, arguments.out)
    if arguments.json:
        print(json.dumps(found.to_json(), indent=2))
    else:
        _print(audit_lines(found, arguments.out))
    return 0


def _record_progress(records: Iterable[Record]) -> Iterable[Record]:
    return progress_bar(records, unit="study")


def _info(arguments: argparse.Namespace) -> int:
    index = Index.open(arguments.index)
    if arguments.json:
        print(json.dumps(asdict(index.manifest), indent=2))
        return 0
    kept = list(Versions(arguments.index).kept().values())
    _print(info_lines(index.manifest, arguments.index, kept))
    return 0


def _add(arguments: argparse.Namespace) -> int:
    manifest = Manifest.read(arguments.index)
    arguments.encoder = arguments.encoder or manifest.encoder.name
    source = _opened(arguments.source, options_of(arguments))
    with _ImageBar() as bar:
        built = add(
            source,
            _encoder(arguments, source),
            arguments.index,
            progress=bar,
            **_build_settings(arguments),
        )
    return _show_built(built, arguments.index, as_json=arguments.json)


def _remove(arguments: argparse.Namespace) -> int:
    target = RemovalTarget(
        patient_id=arguments.patient,
        study_ids=tuple(arguments.study or ()),
        source=arguments.source,
    )
    everywhere = arguments.everywhere or arguments.patient is not None
    if everywhere and arguments.db is None and not arguments.no_db:
        raise UserError(
            "name the application database with --db, or say --no-db where none quotes this index: "
            "once the studies are removed, their quotes can no longer be found"
        )
    found = find(arguments.index, target)
    withdrawn = None
    if arguments.db is not None:  # first, while the index still knows what to look for
        withdrawn = erase(arguments.db, found.cases, at=utc_now())
    removed = remove(arguments.index, target, everywhere=everywhere, keep=arguments.keep)
    remaining = []
    if everywhere:
        folders = [arguments.index.absolute().parent, *map(Path, arguments.look_in)]
        cleaned = [arguments.index, *([] if arguments.db is None else [arguments.db])]
        remaining = find_remaining_files(folders, found.cases, found.fingerprints, exclude=cleaned)
    if arguments.json:
        parts = {
            "removed": asdict(removed),
            "withdrawn": None if withdrawn is None else asdict(withdrawn),
            "remaining_files": [asdict(file) for file in remaining],
        }
        print(json.dumps(parts, indent=2, default=str))
    else:
        _print(removed_lines(removed, target, withdrawn, remaining, everywhere=everywhere))
    return 0


def _merge(arguments: argparse.Namespace) -> int:
    options = _vector_options(arguments)
    merged = merge(arguments.indexes, arguments.out, options=options, keep=arguments.keep)
    if arguments.json:
        print(json.dumps(asdict(merged), indent=2))
    else:
        _print(merged_lines(merged, arguments.out))
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    problems = verify(arguments.index, pixels=arguments.pixels, progress=_case_progress)
    if arguments.json:
        print(json.dumps([asdict(problem) for problem in problems], indent=2))
    else:
        _print(problem_lines(problems, arguments.index))
    return 1 if problems else 0


def _upgrade(arguments: argparse.Namespace) -> int:
    manifest = upgrade(arguments.index, keep=arguments.keep)
    if manifest is None:
        print(f"{arguments.index} has the present format already")
    else:
        print(f"{arguments.index} has the present format as version {manifest.version}")
    return 0


def _relocate(arguments: argparse.Namespace) -> int:
    relocated = relocate(arguments.index, arguments.root)
    if arguments.json:
        print(json.dumps(asdict(relocated), indent=2, default=str))
    else:
        _print(relocated_lines(relocated, arguments.index))
    return 0


def _export_vectors(arguments: argparse.Namespace) -> int:
    index = Index.open(arguments.index)
    StoredVectors.write(arguments.out, index)
    print(f"{index.manifest.studies} vectors and study ids written to {arguments.out}")
    return 0


_VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "build": _build,
    "add": _add,
    "remove": _remove,
    "merge": _merge,
    "verify": _verify,
    "upgrade": _upgrade,
    "relocate": _relocate,
    "audit": _audit,
    "info": _info,
    "export-vectors": _export_vectors,
}


if __name__ == "__main__":
    run(main)
