"""Open a source by its name on the command line.

source = open_source("mimic-cxr", SourceOptions(data_dir=Path("mimic-cxr-jpg"), split="train"))
"""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

from db.errors import UserError
from indexer.sources.chestxray14 import ChestXray14
from indexer.sources.chexpert import CheXpert
from indexer.sources.chexpert_plus import CheXpertPlus
from indexer.sources.dicom_folder import DicomFolder
from indexer.sources.drawn_split import DrawnSplit
from indexer.sources.hold_out import HoldOut
from indexer.sources.hub import HubDataset
from indexer.sources.jsonl import JsonLines, has_our_keys, read_json_table
from indexer.sources.llava import LlavaConversations
from indexer.sources.mimic_cxr import MimicCxr
from indexer.sources.openi import OpenI
from indexer.sources.own_table import OwnTable, TableReader
from indexer.sources.padchest import PadChest
from indexer.sources.r2gen import R2GenAnnotations
from indexer.sources.records import Source, check_file, read_split
from indexer.sources.source_options import SOURCES, SourceOptions
from indexer.sources.split_choice import UNLISTED, SplitChoice
from indexer.sources.tables import read_table
from indexer.sources.vindr_cxr import VinDrCxr
from indexer.vectors.stored import StoredVectors

_SPLITS = frozenset({"train", "val", "test", UNLISTED})


def open_source(name: str, options: SourceOptions) -> Source:
    """Open the source called ``name``.

    Raises UserError for an unknown or missing option, and NotFoundError, which names the expected
    files, for a data set with another layout.
    """
    if name not in _SOURCES:
        raise UserError(f"unknown source '{name}': use one of {', '.join(SOURCES)}")
    open_it, takes = _SOURCES[name]
    for option in fields(SourceOptions):
        if getattr(options, option.name) and option.name not in _ALWAYS | takes:
            flag = option.name.replace("_", "-")
            fitting = [other for other, (_, taken) in _SOURCES.items() if option.name in taken]
            raise UserError(
                f"source {name} has no option --{flag}: it is for {', '.join(fitting) or 'none'}"
            )
    if options.data_dir is None and not (name == "openi" and options.vectors):
        raise UserError(f"source {name} needs --data-dir: {_DATA_DIR.get(name, 'its folder')}")
    return open_it(options) if options.split_by is None else _drawn(name, options)


def _drawn(name: str, options: SourceOptions) -> Source:
    """The part that ``--split`` names of a split drawn by patient."""
    if options.split_file is not None or options.vectors is not None:
        raise UserError("--split-by draws a split: leave out --split-file and --vectors")
    keep = options.split.split(",") if options.split else []
    hold_out = HoldOut.of(options.split_by or "", "--split-by")
    return DrawnSplit(
        open_source(name, replace(options, split=None, split_by=None)), hold_out, keep
    )


def _choice(options: SourceOptions, own: bool = False) -> SplitChoice:
    """Read the split options; with ``own``, the user's own data may use any names of splits."""
    keep = frozenset(options.split.split(",")) if options.split else frozenset[str]()
    unknown = sorted(keep - _SPLITS)
    if unknown and not own:
        raise UserError(f"unknown split '{unknown[0]}': use train, val, test or {UNLISTED}")
    listed = None if options.split_file is None else read_split(options.split_file)
    return SplitChoice(keep=keep, listed=listed)


def _data_dir(options: SourceOptions) -> Path:
    assert options.data_dir is not None  # checked by open_source
    return options.data_dir


def _openi(options: SourceOptions) -> Source:
    choice = _choice(options)
    choice.require_file("openi")
    return OpenI(
        data_dir=options.data_dir,
        reports_path=options.reports,
        vectors=None if options.vectors is None else StoredVectors.read(options.vectors),
        splits=choice.listed,
        keep=choice.keep,
    )


def _mimic_cxr(options: SourceOptions) -> Source:
    return MimicCxr(_data_dir(options), reports_path=options.reports, choice=_choice(options))


def _json(options: SourceOptions) -> Source:
    path = _data_dir(options)
    check_file(path, "--data-dir must name a JSON Lines file")
    if options.columns or options.images_dir or not has_our_keys(path):
        return _table(options, read_json_table)
    listed = _choice(options, own=True).listed
    name = options.name or "local"
    return JsonLines(path, name=name, split=options.split, listed=listed)


def _entries(kind: type[R2GenAnnotations | LlavaConversations], options: SourceOptions) -> Source:
    return kind(
        _data_dir(options),
        name=options.name or "local",
        images_dir=options.images_dir,
        choice=_choice(options, own=True),
    )


def _table(options: SourceOptions, reader: TableReader = read_table) -> Source:
    return OwnTable(
        _data_dir(options),
        name=options.name or "local",
        columns=options.columns,
        images_dir=options.images_dir,
        choice=_choice(options, own=True),
        reader=reader,
    )


def _dicom(options: SourceOptions) -> Source:
    return DicomFolder(
        _data_dir(options),
        name=options.name or "local",
        reports_path=options.reports,
        columns=options.columns,
        choice=_choice(options),
        accept_as_chest=options.accept_as_chest,
    )


def _hub(options: SourceOptions) -> Source:
    return HubDataset(
        str(options.data_dir),
        name=options.name or "hub",
        columns=options.columns,
        images_dir=options.images_dir,
        choice=_choice(options, own=True),
    )


_ALWAYS = frozenset({"data_dir", "split_file", "split_by", "split"})
_TABLE_OPTIONS = frozenset({"name", "columns", "images_dir"})
_SOURCES: dict[str, tuple[Callable[[SourceOptions], Source], frozenset[str]]] = {
    "openi": (_openi, frozenset({"vectors", "reports"})),
    "mimic-cxr": (_mimic_cxr, frozenset({"reports"})),
    "chexpert": (lambda o: CheXpert(_data_dir(o), choice=_choice(o)), frozenset()),
    "chexpert-plus": (lambda o: CheXpertPlus(_data_dir(o), choice=_choice(o)), frozenset()),
    "chestxray14": (lambda o: ChestXray14(_data_dir(o), choice=_choice(o)), frozenset()),
    "padchest": (lambda o: PadChest(_data_dir(o), choice=_choice(o)), frozenset()),
    "vindr-cxr": (lambda o: VinDrCxr(_data_dir(o), choice=_choice(o)), frozenset()),
    "dicom": (_dicom, frozenset({"name", "reports", "columns"})),
    "csv": (_table, _TABLE_OPTIONS),
    "parquet": (_table, _TABLE_OPTIONS),
    "json": (_json, _TABLE_OPTIONS),
    "jsonl": (_json, _TABLE_OPTIONS),
    "r2gen": (lambda o: _entries(R2GenAnnotations, o), frozenset({"name", "images_dir"})),
    "llava": (lambda o: _entries(LlavaConversations, o), frozenset({"name", "images_dir"})),
    "hub": (_hub, _TABLE_OPTIONS),
}
_DATA_DIR = {
    "openi": "a folder with images/, or give --vectors",
    "csv": "the CSV file",
    "parquet": "the Parquet file or a folder of them",
    "json": "the JSON file",
    "jsonl": "the JSON Lines file",
    "r2gen": "annotation.json",
    "llava": "the JSON file",
    "hub": "a folder, or owner/name on the Hub",
}
