"""python -m grounded_cxr.pacs: find a study in a PACS, report on it, and send the report back.

python -m grounded_cxr.pacs search URL --date 20260101-20260131 --modality DX,CR
python -m grounded_cxr.pacs report URL STUDY_UID INDEX
python -m grounded_cxr.pacs report URL STUDY_UID INDEX --send-back

URL is the address of a DICOMweb service. Nothing is sent to it without ``--send-back``, and then
only a preliminary, unverified DICOM SR whose first line says that it is for research use only.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

import anyio
import msgspec

from api.export.dicom_sr import to_dicom_sr
from api.export.study_header import StudyHeader
from api.pacs.address import PASSWORD, TOKEN, USER, credentials
from api.pacs.client import Pacs, check_images
from api.pacs.connection import PacsConnection
from api.pacs.studies import MODALITIES, PacsStudies, StudyQuery
from db.app.database import AppDatabase
from db.app.generation import NOTICE, Generation
from db.app.generations import generation_entry
from db.errors import MismatchError, UserError
from generator import output
from generator.engines.arguments import add_remote_model
from generator.load import MODEL_HELP
from generator.vision_language import DEFAULT_MODEL, NO_MODEL
from grounded_cxr.generators import Generator, load_generator
from indexer.cli.arguments import add_model_device, encoder_device
from indexer.cli.options import location
from indexer.cli.parser import Parser, run
from indexer.images.dicom import read_study_attributes
from indexer.images.radiograph import Limits, Radiograph
from indexer.images.reader import read_radiograph
from retriever.arguments import add_search_arguments
from retriever.search import Retriever


def main(argv: Sequence[str] | None = None, *, prog: str = "python -m grounded_cxr.pacs") -> int:
    arguments = parser(prog).parse_args(argv)
    try:
        exit_code: int = arguments.run(arguments)
        return exit_code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _open(url: str) -> Pacs:
    return Pacs(PacsConnection(url, auth=credentials(url, os.environ)))


def _search(arguments: argparse.Namespace) -> int:
    query = StudyQuery(
        date=arguments.date,
        modalities=tuple(arguments.modality.split(",")),
        patient_id=arguments.patient,
    )
    found = anyio.run(_open(arguments.url).search, query)
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        print("\n".join(_lines(found)))
    return 0


def _lines(found: PacsStudies) -> Iterator[str]:
    for one in found.studies:
        images = "" if one.instances is None else f"{one.instances} instances"
        yield "\t".join(
            (one.uid, one.date, ",".join(one.modalities), one.patient_id, images, one.description)
        )
    count = len(found.studies)
    yield f"{count} {'study' if count == 1 else 'studies'} on {found.target}"
    if not found.complete:
        yield "There are more: name fewer days with --date."


def _report(arguments: argparse.Namespace) -> int:
    pacs = _open(arguments.url)
    retriever = Retriever.open(arguments.index, device=encoder_device(arguments.device))
    files = anyio.run(pacs.fetch, arguments.study)
    limits = Limits(accept_as_chest=arguments.accept_as_chest)
    images = [
        read_radiograph(file, name=f"image {number} of the study", limits=limits)
        for number, file in enumerate(files, start=1)
    ]
    check_images(images, arguments.study, pacs.url)
    generation = replace(_write(arguments, retriever, images), created_by="command line")
    if arguments.db is not None:
        with AppDatabase.open(arguments.db) as opened:
            opened.generations.add(generation, audit=generation_entry(generation))
    print(output.as_json(generation) if arguments.json else output.page(generation))
    if arguments.send_back:
        _send_back(pacs, generation, files[0], arguments.study)
    return 0


def _write(
    arguments: argparse.Namespace, retriever: Retriever, images: Sequence[Radiograph]
) -> Generation:
    """Write with the model asked for; where none was, the default gives way if it does not fit."""

    def write(generator: Generator) -> Generation:
        return generator.report(
            retriever,
            images,
            indication=arguments.indication,
            k=arguments.k,
            exclude_patient_ids=arguments.exclude_patient,
            exclude_study_ids=arguments.exclude_study,
        ).generation

    model = arguments.model or "auto"
    try:
        return write(
            load_generator(
                model,
                arguments.adapter,
                device=arguments.device,
                allow_remote=arguments.allow_remote_model,
                send_indication=arguments.send_indication,
            )
        )
    except MismatchError as error:
        if arguments.model is not None or arguments.adapter is not None:
            raise
        print(f"note: {error}; written without a language model", file=sys.stderr)
        return write(load_generator(NO_MODEL))


def _send_back(pacs: Pacs, generation: Generation, image: bytes, study_uid: str) -> None:
    """Say where the report goes, then send it."""
    study = StudyHeader.of(read_study_attributes(image, "the image", Limits()))
    study.check_patient()
    sr = to_dicom_sr(generation, study)
    print(
        f"Sending to {pacs.url}, study {study_uid}: a preliminary, unverified DICOM SR. {NOTICE}",
        file=sys.stderr,
        flush=True,
    )
    print(f"stored as instance {anyio.run(pacs.store, sr)}", file=sys.stderr)


def parser(prog: str = "python -m grounded_cxr.pacs") -> argparse.ArgumentParser:
    """Every verb with its options."""
    url = "https://pacs.example/dicom-web"
    whole = Parser(
        prog=prog,
        description="Reports on studies of a PACS, by DICOMweb. Credentials are taken from "
        f"{TOKEN}, or {USER} and {PASSWORD}, or ~/.netrc.",
        examples=[f"search {url} --date 20260131"],
    )
    verbs = whole.add_subparsers(required=True, metavar="VERB")

    verb = verbs.add_parser(
        "search",
        help="list studies, newest first",
        examples=[f"{url} --date 20260101-20260131 --modality DX,CR"],
    )
    _add_url(verb)
    verb.add_argument(
        "--date", default="", metavar="DAYS", help="20260131, or 20260101-20260131 (default: any)"
    )
    verb.add_argument(
        "--modality",
        default=",".join(MODALITIES),
        metavar="LIST",
        help="of the study, separated by commas (default: %(default)s)",
    )
    verb.add_argument("--patient", default="", metavar="ID", help="only this patient's studies")
    verb.add_argument("--json", action="store_true", help="print one JSON object")
    verb.set_defaults(run=_search)

    verb = verbs.add_parser(
        "report",
        help="fetch the radiographs of a study and report on them",
        examples=[
            f"{url} 1.2.840.99.1 data/index",
            f"{url} 1.2.840.99.1 data/index --model none --send-back",
        ],
    )
    _add_url(verb)
    verb.add_argument("study", metavar="STUDY_UID", help="a StudyInstanceUID, as search lists it")
    verb.add_argument("index", type=location, metavar="INDEX", help="an index: directory or URL")
    verb.add_argument(
        "--send-back",
        action="store_true",
        help="store the report in the study on the PACS, as a preliminary, unverified DICOM SR",
    )
    verb.add_argument(
        "--model",
        metavar="MODEL",
        help=f"{MODEL_HELP}, or {NO_MODEL} to compose reports from sentences of the cases "
        f"(default: {DEFAULT_MODEL} where its weights are)",
    )
    add_remote_model(verb)
    verb.add_argument("--adapter", metavar="DIR", help="of finetune train (default: the model's)")
    add_model_device(verb)
    verb.add_argument("--indication", default="", metavar="TEXT", help="why the image was taken")
    add_search_arguments(
        verb,
        only=["k", "strategy", "exclude_patient_ids", "exclude_study_ids", "accept_as_chest"],
        k=10,
    )
    verb.add_argument("--json", action="store_true", help="print one JSON object")
    verb.add_argument(
        "--db",
        type=location,
        metavar="DATABASE",
        help="also store it in this application database: file or URL",
    )
    verb.set_defaults(run=_report)
    return whole


def _add_url(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("url", metavar="URL", help="the address of the PACS's DICOMweb service")


if __name__ == "__main__":
    run(main)
