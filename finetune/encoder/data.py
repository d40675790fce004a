"""Open-I as a pack to train the encoder from.

pack_openi(data_dir, split_file, ...).save(path)
"""

import csv
import gzip
import json
import tarfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
from PIL import Image

from db.labels import OBSERVATIONS, Labels
from evaluation.metrics.text import clean_r2gen
from finetune.encoder.labelled.images import LabelledImages
from finetune.encoder.pack import (
    NEGATIVE,
    POSITIVE,
    TRAIN,
    UNCERTAIN,
    UNLISTED,
    UNMENTIONED,
    VAL,
    Pack,
)
from finetune.encoder.projections.packing import pack_sentences
from finetune.encoder.stored_images import encode_image
from finetune.examples.text_similarity import cider_matrix, text_similarity
from indexer.images.reader import read_radiograph, restore_size

_STATES = {"positive": POSITIVE, "negative": NEGATIVE, "uncertain": UNCERTAIN}

EmbedTexts = Callable[[Sequence[str]], npt.NDArray[np.float32]]
LabelReport = Callable[[str], Labels]


@dataclass(frozen=True, kw_only=True)
class _Study:
    study_id: str
    split: int
    findings: str
    impression: str
    terms: tuple[str, ...]
    images: tuple[tuple[Path, bool], ...]


def pack_openi(
    data_dir: Path,
    split_file: Path,
    *,
    embed_texts: EmbedTexts,
    label_report: LabelReport,
    labeller_version: str,
    labelled: LabelledImages | None = None,
    quality: int = 80,
) -> Pack:
    """Pack Open-I without its test studies, beside images that have labels and no report.

    ``label_report`` is given findings and impression as one text.
    """
    studies = _read_studies(data_dir, split_file)
    sizes = _original_sizes(data_dir / "nlmcxr_dicom_metadata.csv.gz")
    counts = Counter(term for s in studies if s.split != VAL for term in s.terms)
    names = sorted(term for term, count in counts.items() if count >= 8)
    column = {name: number for number, name in enumerate(names)}
    n = len(studies)
    terms = np.zeros((n, len(names)), np.uint8)
    labels = np.full((n, len(OBSERVATIONS)), UNMENTIONED, np.int8)
    for row, study in enumerate(studies):
        terms[row, [column[term] for term in study.terms if term in column]] = 1
        report = "\n\n".join(part for part in (study.findings, study.impression) if part)
        for name, state in label_report(report).items():
            labels[row, OBSERVATIONS.index(name)] = _STATES[state]
    images: list[tuple[Path, tuple[int, int] | None, int, bool]] = [
        (path, sizes.get("CXR" + path.name.removesuffix(".dcm.jpg")), row, frontal)
        for row, study in enumerate(studies)
        for path, frontal in study.images
    ]
    split = [study.split for study in studies]
    ids = [study.study_id for study in studies]
    findings = [clean_r2gen(s.findings) if s.findings else "" for s in studies]
    texts = _embed(studies, embed_texts)
    val = [row for row, part in enumerate(split) if part == VAL]
    with ThreadPoolExecutor() as pool:
        encoded = list(pool.map(lambda image: _small_image(image[0], image[1], quality), images))
    return Pack(
        image_data=np.frombuffer(b"".join(encoded), np.uint8),
        image_ends=np.cumsum([len(data) for data in encoded], dtype=np.int64),
        image_study=np.array([row for _, _, row, _ in images], np.int32),
        image_frontal=np.array([frontal for *_, frontal in images], np.uint8),
        study_ids=np.array(ids),
        split=np.array(split, np.uint8),
        texts=texts,
        labels=labels,
        terms=terms,
        term_names=np.array(names),
        similarity=np.rint(255 * text_similarity(findings)).astype(np.uint8),
        cider=cider_matrix([findings[row] for row in val], findings).astype(np.float16),
        labeller_version=labeller_version,
        labelled=labelled,
        sentences=pack_sentences(
            [f"{s.findings}\n\n{s.impression}" for s in studies],
            [s.split == VAL for s in studies],
            embed_texts,
        ),
    )


def _read_studies(data_dir: Path, split_file: Path) -> list[_Study]:
    listed: Mapping[str, Sequence[int | str]] = json.loads(split_file.read_text(encoding="utf-8"))
    split = {str(s): TRAIN for s in listed["train"]} | {str(s): VAL for s in listed["val"]}
    hidden = {str(s) for s in listed["test"]}
    views: Mapping[str, str] = json.loads(
        (data_dir / "projections.json").read_text(encoding="utf-8")
    )
    images: dict[str, list[tuple[Path, bool]]] = {}
    for name, view in sorted(views.items()):
        path = data_dir / "images" / name
        if path.is_file():
            images.setdefault(name.split("_")[0], []).append(
                (path, view == "Frontal" or name.removesuffix(".dcm.jpg") in _MISNAMED_FRONTAL)
            )
    studies = []
    with tarfile.open(data_dir / "NLMCXR_reports.tgz") as archive:
        for member in archive:
            study_id = Path(member.name).stem
            stream = archive.extractfile(member) if member.name.endswith(".xml") else None
            if stream is None or study_id in hidden or study_id not in images:
                continue
            root = ElementTree.parse(stream).getroot()
            sections = {
                part.get("Label", "").lower(): (part.text or "").strip()
                for part in root.iter("AbstractText")
            }
            if not sections.get("findings") and not sections.get("impression"):
                continue
            studies.append(
                _Study(
                    study_id=study_id,
                    split=split.get(study_id, UNLISTED),
                    findings=sections.get("findings", ""),
                    impression=sections.get("impression", ""),
                    terms=_terms(root),
                    images=tuple(images[study_id]),
                )
            )
    return sorted(studies, key=lambda study: int(study.study_id))


_MISNAMED_FRONTAL = frozenset({"994_IM-2478-1001", "1945_IM-0614-9001", "3154_IM-1486-4004"})
"""Frontal or oblique images that projections.json calls lateral."""


def _terms(root: ElementTree.Element) -> tuple[str, ...]:
    """Indexing terms: each heading, each heading with one of its qualifiers, each automatic one."""
    found: dict[str, None] = {}
    for major in root.iter("major"):
        heading, *qualifiers = [part.strip().lower() for part in (major.text or "").split("/")]
        found[heading] = None
        found.update({f"{heading}/{qualifier}": None for qualifier in qualifiers})
    for automatic in root.iter("automatic"):
        found["auto:" + (automatic.text or "").strip().lower().removesuffix("s")] = None
    return tuple(found)


def _embed(studies: Sequence[_Study], embed_texts: EmbedTexts) -> npt.NDArray[np.float16]:
    texts = []
    for study in studies:
        headings = [t.replace("/", " ") for t in study.terms if not t.startswith("auto:")]
        report = f"{study.findings} {study.impression}".strip()
        texts += [report, study.impression, ", ".join(headings)]
    distinct = sorted({text for text in texts if text})
    vectors = dict(zip(distinct, embed_texts(distinct), strict=True))
    dim = len(next(iter(vectors.values())))
    rows = [vectors[text] if text else np.zeros(dim, np.float32) for text in texts]
    return np.stack(rows).reshape(len(studies), 3, dim).astype(np.float16)


def _original_sizes(path: Path) -> dict[str, tuple[int, int]]:
    """Image id to the (width, height) before the images were squashed."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        return {
            row["imageid"]: (int(row["Columns"]), int(row["Rows"]))
            for row in csv.DictReader(stream)
            if row["Columns"].isdigit() and row["Rows"].isdigit()
        }


def _small_image(path: Path, size: tuple[int, int] | None, quality: int) -> bytes:
    radiograph = read_radiograph(path).pixels
    if size is not None:
        radiograph = restore_size(radiograph, *size)
    return encode_image(Image.fromarray(radiograph), quality)
