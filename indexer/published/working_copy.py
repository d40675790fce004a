"""Change an index on a server: in a directory, whose new version is published when that is done.

    with working_copy(url) as index_dir:      # holds the current version
        add(source, encoder, index_dir)
                                              # published: current from one moment to the next

A directory is its own working copy. What a block that failed has left is found again by the next
one, so a killed build resumes; once it is published, only ``build.log`` stays.
"""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from db.engines.location import DatabaseUrl, Location, shown
from db.errors import NotFoundError, UserError
from db.files import locked
from db.index.published import PublishedVersion, version_numbers
from db.index.publishing import check_server, publishing
from indexer.encoder.spec import EncoderSpec
from indexer.ingest.build_log import BUILD_LOG
from indexer.manifest import Manifest
from indexer.published.opening import read_manifests
from indexer.published.publish import PublishOptions, publish, require_encoder, write_version
from indexer.versions import changing

UNPUBLISHED = Path("data/unpublished")
"""The folder of working copies."""
_CURE = "make room or choose another place, then run the same command again"


@contextmanager
def working_copy(
    location: Location,
    options: PublishOptions | None = None,
    *,
    empty: bool = False,
    every_version: bool = False,
    folder: Path = UNPUBLISHED,
) -> Iterator[Path]:
    """Yield a directory with the current version of an index; publish what the block makes of it.

    With ``empty`` the directory has only the manifest, for a build that starts anew after it; with
    ``every_version`` it has all that the server keeps. Raises UserError before the block if the
    server cannot be used, and after it as `publish` does.
    """
    if isinstance(location, Path):
        yield location
        return
    options = options or PublishOptions()
    check_server(location)
    place = folder / _name(location)
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(place / ".lock", f"changing {shown(location)}"):
        index_dir = place / "index"
        before = _fill(location, index_dir, empty=empty, every_version=every_version)
        yield index_dir
        if _state(index_dir) != before:
            _publish(index_dir, location, options)
        elif options.keep < len(version_numbers(location)):
            with publishing(location, keep=options.keep):
                pass
        for path in index_dir.iterdir():  # all but the list of what was left out
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != BUILD_LOG:
                path.unlink()


@contextmanager
def local_indexes(locations: Sequence[Location]) -> Iterator[list[Path]]:
    """Yield directories with the current version of each index, for a merge to read."""
    with ExitStack() as stack:
        found = []
        for location in locations:
            if isinstance(location, Path):
                found.append(location)
                continue
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="grounded-cxr-index-")))
            _fill(location, folder / "index")
            found.append(folder / "index")
        yield found


def check_encoder(location: Location, encoder: EncoderSpec, options: PublishOptions) -> None:
    """Raise MismatchError if a new version on a server would be of another encoder than the current
    one, before anything is embedded."""
    if isinstance(location, Path):
        return
    current = read_manifest(location)
    if current is not None and not options.replace_encoder:
        require_encoder(current.encoder, encoder, shown(location))


def read_manifest(url: DatabaseUrl) -> Manifest | None:
    """Return the manifest of the current version on a server; None if there is no index."""
    return next(iter(read_manifests(url)), None) if version_numbers(url) else None


def _name(url: DatabaseUrl) -> str:
    """Return the name of a working copy, which does not depend on the password."""
    address = url.set(password=None).render_as_string()
    return f"{url.database}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"


def _state(index_dir: Path) -> tuple[int, str] | None:
    try:
        manifest = Manifest.read(index_dir)
    except NotFoundError:
        return None
    return manifest.version, manifest.fingerprint


def _fill(
    url: DatabaseUrl, index_dir: Path, *, empty: bool = False, every_version: bool = False
) -> tuple[int, str] | None:
    """Write versions of a server into a directory, unless they are there already; return number
    and fingerprint of the current one."""
    current, have = read_manifest(url), _state(index_dir)
    if current is None and not empty:
        PublishedVersion.open(url).close()  # raises NotFoundError
    state = None if current is None else (current.version, current.fingerprint)
    if have is not None and (state is None or have[0] > state[0]):
        raise UserError(
            f"{index_dir} holds version {have[0]}, which was not published: run 'python -m indexer "
            f"publish {index_dir} {shown(url)}', or delete {index_dir.parent}"
        )
    mark = index_dir / (".manifest-only" if empty else ".whole")
    if current is None or (have == state and mark.exists() and not every_version):
        return state
    shutil.rmtree(index_dir, ignore_errors=True)
    numbers = version_numbers(url) if every_version else [current.version]
    with changing(index_dir, "copying into", cure=_CURE) as versions:
        for number in sorted(numbers):
            with closing(PublishedVersion.open(url, number)) as version:
                write_version(version, versions, keep=len(numbers), files=not empty)
    mark.touch()
    return state


def _publish(index_dir: Path, url: DatabaseUrl, options: PublishOptions) -> None:
    try:
        publish(index_dir, url, options)
    except UserError as error:
        raise UserError(f"{error} (what was made is kept in {index_dir})") from error
