"""``build`` and ``add``: read a source into an index, under a bar that counts images."""

import argparse
import json
from dataclasses import asdict
from typing import Any

from db.engines.location import Location, shown
from indexer.build import BuildResult, add, build
from indexer.cli.output import Printed, built_lines
from indexer.cli.progress import ImageBar
from indexer.cli.verbs.engine import engine_named, local_engine
from indexer.cli.verbs.opening import encoder_named, opened
from indexer.encoder.spec import Encoder, EncoderSpec
from indexer.images.radiograph import Limits
from indexer.manifest import Manifest
from indexer.published.publish import MIN_RECALL, PublishOptions
from indexer.published.working_copy import check_encoder, working_copy
from indexer.sources.arguments import options_of
from indexer.sources.openi import OpenI
from indexer.sources.records import Source
from indexer.vectors.options import VectorOptions


def build_index(arguments: argparse.Namespace, bar: ImageBar) -> Printed:
    """Build; what is to print comes back, for when the bar is closed."""
    source = opened(arguments.source, options_of(arguments))
    encoder, options = _encoder(arguments, source), publish_options(arguments)
    spec = encoder if isinstance(encoder, EncoderSpec) else encoder.spec
    engine = engine_named(arguments, encoder)
    check_encoder(arguments.out, spec, options)
    with working_copy(arguments.out, options, empty=True, folder=arguments.work) as index_dir:
        built = build(
            source,
            encoder,
            index_dir,
            progress=bar.start,
            engine=engine,
            **_settings(arguments),
        )
    return _printed(built, arguments.out, as_json=arguments.json)


def add_to_index(arguments: argparse.Namespace, bar: ImageBar) -> Printed:
    """Add, as `build_index` builds."""
    options = publish_options(arguments)
    with working_copy(arguments.index, options, folder=arguments.work) as index_dir:
        manifest = Manifest.read(index_dir)
        arguments.encoder = arguments.encoder or manifest.encoder.name
        source = opened(arguments.source, options_of(arguments))
        encoder = _encoder(arguments, source)
        built = add(
            source,
            encoder,
            index_dir,
            progress=bar.start,
            engine=local_engine(arguments.device, encoder),
            **_settings(arguments),
        )
    return _printed(built, arguments.index, as_json=arguments.json)


def publish_options(arguments: argparse.Namespace) -> PublishOptions:
    """Return how a verb publishes an index that is on a server."""
    return PublishOptions(
        keep=arguments.keep,
        min_recall=MIN_RECALL if arguments.min_recall is None else arguments.min_recall,
        replace_encoder=getattr(arguments, "replace_encoder", False),
    )


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What ``build`` and ``add`` are told alike."""
    return {
        "options": vector_options(arguments),
        "keep": arguments.keep,
        "any_language": arguments.language == "any",
        "keep_identifiers": arguments.keep_identifiers,
        "limits": Limits(accept_as_chest=arguments.accept_as_chest),
    }


def vector_options(arguments: argparse.Namespace) -> VectorOptions | None:
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
    in_ray = getattr(arguments, "engine", "local") == "ray"
    return encoder_named(arguments.encoder, "cpu" if in_ray else arguments.device)


def _printed(built: BuildResult, out: Location, *, as_json: bool) -> Printed:
    if not as_json:
        return Printed(built_lines(built, shown(out)))
    skipped = [asdict(study) for study in built.skipped]
    parts = {**asdict(built.manifest), "added": built.added, "skipped_studies": skipped}
    parts["summary"] = built.not_indexed.summary()
    parts["dropped_images"] = [asdict(image) for image in built.not_indexed.dropped]
    parts["identifiers"] = dict(built.identifiers)
    parts["notes"] = {note: list(studies) for note, studies in built.notes.items()}
    return Printed([json.dumps(parts, indent=2)])
