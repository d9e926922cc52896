"""`seed_type: local`: files of this machine, one, a list, or a glob."""

import difflib
import glob
from collections.abc import Callable
from pathlib import Path

from sdg_core.config.seeds import LocalSeedSource
from sdg_core.errors import SeedError
from sdg_core.plan.file_patterns import matching
from sdg_core.seeds.base import SeedReader
from sdg_core.seeds.concat import open_files, text_options
from sdg_core.seeds.files import LocalFile, ObjectFile, SeedFile, StoredObject
from sdg_core.seeds.forbidden import check_readable

_WILDCARDS = frozenset("*?[")


def open_local(
    source: LocalSeedSource,
    *,
    base: Path,
    root: str,
    stored: Callable[[str], StoredObject] | None = None,
) -> SeedReader:
    """Open the files. Raises SeedError if one is missing, or a glob matches nothing.

    stored: finds a file of an object store by its URL; `{root}` may be one.
    """
    files: list[SeedFile] = []
    paths = [source.path] if isinstance(source.path, str) else source.path
    for path in paths:
        is_stored = path.startswith("{root}/") and "://" in root
        is_pattern = bool(_WILDCARDS & {*path})
        if stored is not None and is_stored and not is_pattern:
            files.append(_in_object_store(path.replace("{root}", root), source, stored))
        else:
            files += [
                LocalFile(found)
                for found in _matching(path, source, base=base, root=root)
            ]
    return open_files(files, options=text_options(source))


def _in_object_store(
    url: str, source: LocalSeedSource, stored: Callable[[str], StoredObject]
) -> SeedFile:
    try:
        return ObjectFile(stored(url))
    except SeedError as error:
        raise SeedError(error.message, remedy=_remedy(source)) from error


def resolve(path: str, *, base: Path, root: str) -> Path:
    """A path of a dataset file: relative ones start at `base`, `{root}` is the storage root. Raises SeedError if that is no
    directory of this machine."""
    if "{root}" in path and "://" in root:
        raise SeedError(
            f"seed path {path!r}: the storage root is {root}, which is not a directory",
            remedy="name each file as {root}/path, copy the files to this machine, or read a finished "
            "dataset of this root: "
            "{seed_type: dataset, dataset: NAME}",
        )
    absolute_root = str(Path(root).absolute())
    return base / path.replace("{root}", absolute_root)


def _matching(
    path: str, source: LocalSeedSource, *, base: Path, root: str
) -> list[Path]:
    plain = resolve(path, base=base, root=root)
    check_readable(plain)
    if plain.is_file():
        return [plain]
    if plain.is_dir():
        raise SeedError(
            f"seed file {plain} is a directory",
            remedy=f"name a file, or the files in it: {path.rstrip('/')}/*.parquet",
        )
    if not _WILDCARDS & {*path}:
        raise SeedError(
            f"seed file {plain} does not exist{_near(plain)}", remedy=_remedy(source)
        )
    literal_base = Path(glob.escape(str(base)))
    literal_root = glob.escape(str(Path(root).absolute()))
    pattern = resolve(path, base=literal_base, root=literal_root)
    matches = [Path(name) for name in matching(str(pattern))]
    found = sorted(match for match in matches if match.is_file())
    if not found:
        raise SeedError(f"no seed file matches {plain}", remedy=_remedy(source))
    return found


def _near(path: Path) -> str:
    """The file of the same folder that a path may mean."""
    try:
        names = [other.name for other in path.parent.iterdir() if other.is_file()]
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)
    return f"; did you mean {close[0]!r}?" if close else ""


def _remedy(source: LocalSeedSource) -> str:
    if source.upstream_asset is None:
        return "check seed_config.source.path; a relative path is relative to the dataset file"
    return (
        f"materialize its upstream asset {source.upstream_asset} first: "
        f'dagster asset materialize -m sdg_assets.definitions --select "{source.upstream_asset}"'
    )
