"""`seed_type: hf`: files of a dataset on the Hugging Face hub, read where they lie.

Parquet is read in ranges, as local parquet is. The hub knows the sha256 of large files, so a digest needs no download of
those. The revision is the one that the path names (`datasets/user/name@revision/...`), else the newest; a file that changes
during a run is an error, as with local files.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import IO, Any, cast

from sdg_core.config.seeds import HuggingFaceSeedSource
from sdg_core.errors import SeedError
from sdg_core.redaction import Redaction
from sdg_core.seeds.base import SeedReader
from sdg_core.seeds.concat import open_files, text_options
from sdg_core.seeds.files import SeedFile, Stamp

FileSystem = Any
"""An fsspec file system."""
_FACTS = ("size", "blob_id", "xet_hash", "mtime", "created")
"""What tells one content from another: the first three on the hub, the others on other file systems."""
_BLOCK = 2**16
RECHECK_SECONDS = 30.0
"""How old the hub's listing may be when a file is checked for changes: a request per read and file would be many."""
_PREFIX = "hf://"


def hub(source: HuggingFaceSeedSource, token: str | None) -> FileSystem:
    """The hub as a file system. Raises SeedError if its library is not installed."""
    try:
        from huggingface_hub import HfFileSystem
    except ImportError as error:
        raise SeedError(
            "seed_type hf requires the library huggingface_hub",
            remedy="pip install 'sdg-dagster[hf]'",
        ) from error
    # False keeps a token that happens to lie on this machine out of it: access is what the dataset file says.
    return HfFileSystem(
        endpoint=source.endpoint, token=token or False, skip_instance_cache=True
    )


def open_hugging_face(
    source: HuggingFaceSeedSource,
    *,
    env: Mapping[str, str],
    connect: Callable[[HuggingFaceSeedSource, str | None], FileSystem] = hub,
    recheck: float = RECHECK_SECONDS,
) -> SeedReader:
    """Open the files that `path` matches, sorted. Raises SeedError if there are none, or the hub refuses."""
    found, find = find_files(source, env=env, connect=connect, recheck=recheck)
    if not found:
        raise SeedError(
            f"no file matches hf://{source.path.removeprefix(_PREFIX)} at {source.endpoint}",
            remedy="use a pattern such as datasets/user/name/**/*.parquet; a private dataset also needs "
            "`token`, the name of an environment variable",
        )
    return open_files([find(name) for name in found], options=text_options(source))


def find_files(
    source: HuggingFaceSeedSource,
    *,
    env: Mapping[str, str],
    connect: Callable[[HuggingFaceSeedSource, str | None], FileSystem] = hub,
    recheck: float = RECHECK_SECONDS,
    where: str = "seed_config.source",
) -> tuple[list[str], Callable[[str], "HubFile"]]:
    """The paths that match, sorted, and what opens one of them. where: the place of `source` in the file, for messages.

    Raises SeedError if the hub refuses, or the token's variable is not set.
    """
    token = env.get(source.token) if source.token is not None else None
    if source.token is not None and not token:
        raise SeedError(
            f"environment variable {source.token} is not set",
            remedy=f"set it to a token, or correct {where}.token, which names it",
        )
    files = _Hub(connect(source, token), token=token, recheck=recheck)
    path = source.path.removeprefix(_PREFIX)
    try:
        found = sorted(str(name) for name in files.system.glob(path))
    except Exception as error:  # noqa: BLE001 - the library and its HTTP client raise errors of a dozen unrelated classes
        raise SeedError(
            f"{where}.path hf://{path} at {source.endpoint}: {files.reason(error)}"
        ) from None
    return found, lambda name: HubFile(name, files)


class _Hub:
    """A file system whose listings are asked for again now and then."""

    def __init__(
        self, system: FileSystem, *, token: str | None, recheck: float
    ) -> None:
        self.system = system
        self._redaction = Redaction({token: "[token]"} if token else {})
        self._recheck = recheck
        self._listed = time.monotonic()

    def facts(self, path: str) -> dict[str, Any]:
        """What is known of a file."""
        if time.monotonic() - self._listed >= self._recheck:
            self.system.invalidate_cache()
            self._listed = time.monotonic()
        return cast(dict[str, Any], self.system.info(path))

    def reason(self, error: Exception) -> str:
        """What the hub says, without the token, which it may repeat. Causes are not chained for that reason."""
        return self._redaction.text(_first_line(error))


class HubFile(SeedFile):
    """A file on the hub."""

    def __init__(self, path: str, files: _Hub) -> None:
        self._path = path
        self._files = files
        super().__init__(f"{_PREFIX}{path}")

    def stamp(self) -> Stamp:
        """What the hub says of the file."""
        facts = self._facts()
        marks = [facts.get(name) for name in _FACTS]
        return tuple(map(str, marks))

    def open(self) -> IO[bytes]:
        """Open for reading in ranges."""
        return cast(
            IO[bytes], self._asked(lambda: self._files.system.open(self._path, "rb"))
        )

    def content_digest(self, stamp: Stamp) -> str:
        """sha256 of the bytes, as the hub knows it, else by reading them."""
        large = self._facts().get("lfs")
        known = (
            large.get("sha256")
            if isinstance(large, dict)
            else getattr(large, "sha256", None)
        )
        if known:
            return f"sha256:{known}"
        state = hashlib.sha256()
        with self.open() as file:
            while block := self._asked(lambda: file.read(_BLOCK)):
                state.update(block)
        return f"sha256:{state.hexdigest()}"

    def read_bytes(self) -> bytes:
        """The whole content."""
        with self.open() as file:
            return cast(bytes, self._asked(file.read))

    def _facts(self) -> dict[str, Any]:
        return cast(dict[str, Any], self._asked(lambda: self._files.facts(self._path)))

    def _asked(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except Exception as error:
            reason = self._files.reason(error)
            if isinstance(error, OSError) and reason == _first_line(error):
                raise
            raise OSError(reason) from None


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]
