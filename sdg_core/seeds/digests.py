"""Content digests that outlive the process: a large seed file is read for its digest once, not by every run, sensor and command.

`<cache>/sdg-dagster/digests/<key>` holds one digest; the key is made of the file's place and stamp, so another content has
another key. The cache is `XDG_CACHE_HOME`, else `~/.cache`; losing it costs reading the files again.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

LARGE = 16 * 2**20
"""Bytes from which on a digest is kept; smaller files are read as fast as they are looked up."""
SETTLED = 2.0
"""Seconds for which a file must have been left alone: until then a change may leave its times as they are."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def kept_digest(
    place: str,
    stamp: tuple[object, ...],
    compute: Callable[[], tuple[str, bool]],
    *,
    changed_at: float = 0.0,
    env: Mapping[str, str] | None = None,
) -> str:
    """The digest of a file's content, computed only if it is not kept.

    compute: gives the digest, and whether what was read is known to be what the stamp stands for; only then is it kept.
    stamp: the size in bytes, and what changes whenever the content does. changed_at: seconds since 1970 of the file's latest
    change, 0 where stamps tell any two contents apart.
    """
    size, *marks = stamp
    is_kept = isinstance(size, int) and size >= LARGE and None not in marks
    if not is_kept:
        return compute()[0]
    if env is None:
        env = os.environ
    directory = cache_directory(env)
    if directory is None:
        return compute()[0]
    described = repr((place, stamp)).encode("utf-8", "backslashreplace")
    path = directory / hashlib.sha256(described).hexdigest()
    with suppress(OSError, UnicodeDecodeError):
        found = path.read_text(encoding="ascii")
        if _DIGEST.fullmatch(found):
            return found
    settled = time.time() - changed_at >= SETTLED
    digest, is_sure = compute()
    if settled and is_sure:
        # where nothing can be kept, the file is read again the next time
        with suppress(OSError):
            _write(path, digest)
    return digest


def _write(path: Path, digest: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{uuid4().hex[:8]}")
    temporary.write_text(digest, encoding="ascii")
    os.replace(temporary, path)


def cache_directory(env: Mapping[str, str]) -> Path | None:
    """Where digests are kept; None for a user without a home."""
    try:
        cache = (
            Path(env["XDG_CACHE_HOME"])
            if env.get("XDG_CACHE_HOME")
            else Path.home() / ".cache"
        )
    except RuntimeError:
        return None
    return cache / "sdg-dagster" / "digests"
