"""A bucket of an object store: whole objects are put, read, listed, copied and deleted; faults become OSErrors with a remedy.

Endpoint and credentials come from the standard environment (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ALLOW_HTTP and
so on). Throttled requests, server errors and broken connections are tried again, AWS_MAX_ATTEMPTS times in all. Messages are made
of known words only: what a server answers may quote a key.
"""

import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import IO, Any

from sdg_core.errors import StoreError

SCHEMES = ("s3", "memory")
MAX_ATTEMPTS = 9
"""Attempts of a request, unless AWS_MAX_ATTEMPTS says otherwise: about half a minute, with growing pauses."""
ONE_PUT = 16 * 2**20
"""Bytes up to which a file is one request; a larger one goes in parts, and still appears at once."""
_SWITCHES = ("allow_http", "allow_invalid_certificates")
_DENIED = (
    "check the credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN) and what they may do in this bucket: "
    "s3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject"
)
_REMEDIES = {
    "NoSuchBucket": "create the bucket, or use another root (--root, or SDG_ROOT)",
    "PermanentRedirect": "the bucket is in another region: set AWS_REGION",
    "AuthorizationHeaderMalformed": "the bucket is in another region: set AWS_REGION",
    "SlowDown": "the store is throttling requests: rerun the same command later; finished files are kept",
    "RequestTimeTooSkewed": "set the clock of this machine",
}


class ObjectStoreError(OSError):
    """An object store refused or could not be asked. `remedy` says what to do."""

    def __init__(self, number: int, reason: str, remedy: str | None) -> None:
        super().__init__(number, reason)
        self.remedy = remedy


@dataclass(frozen=True)
class Listed:
    """An object of a listing. `etag` changes whenever the content does; None where a store has none."""

    key: str
    size: int
    etag: str | None


class Bucket:
    """An open bucket. Methods raise FileNotFoundError, FileExistsError (a condition on a put failed) or ObjectStoreError."""

    def __init__(self, url: str, store: Any) -> None:
        """`url` is what messages call it, `s3://name`; `store` is an obstore store."""
        self.url = url
        self._store = store

    def get(self, key: str) -> tuple[bytes, str | None]:
        """The content of an object, and its etag."""
        import obstore

        with self._faults():
            found = obstore.get(self._store, key)
            return found.bytes().to_bytes(), found.meta["e_tag"]

    def get_end(self, key: str, count: int) -> tuple[bytes, int]:
        """The last `count` bytes of an object (all, if it has fewer), and its size."""
        import obstore

        with self._faults():
            try:
                found = obstore.get(
                    self._store, key, options={"range": {"suffix": count}}
                )
            except obstore.exceptions.BaseError as error:
                if "NotPartial" not in str(error) and "status code: 416" not in str(
                    error
                ):
                    raise
                # stores refuse a range of an empty object
                found = obstore.get(self._store, key)
            return found.bytes().to_bytes(), found.meta["size"]

    def get_range(self, key: str, start: int, stop: int, *, etag: str | None) -> bytes:
        """Bytes of an object that is still the one with this etag; another one is a FileNotFoundError."""
        import obstore

        options: Any = {"range": (start, stop)}
        if etag:
            options["if_match"] = etag
        with self._faults():
            try:
                found = obstore.get(self._store, key, options=options)
            except obstore.exceptions.PreconditionError as error:
                raise FileNotFoundError(
                    errno.ENOENT, "another process replaced it", key
                ) from error
            return found.bytes().to_bytes()

    def put(self, key: str, content: bytes | IO[bytes]) -> None:
        """Make or replace an object, all or nothing."""
        import obstore

        parts = not isinstance(content, bytes) or len(content) > ONE_PUT
        with self._faults():
            obstore.put(
                self._store, key, content, use_multipart=parts, chunk_size=ONE_PUT
            )

    def put_if(self, key: str, content: bytes, *, etag: str | None) -> None:
        """Replace the object that has this etag, or make it where None; FileExistsError if it is not so (any more)."""
        import obstore

        with self._faults():
            try:
                if etag is None:
                    obstore.put(
                        self._store, key, content, mode="create", use_multipart=False
                    )
                else:
                    mode: Any = {"e_tag": etag}
                    obstore.put(
                        self._store, key, content, mode=mode, use_multipart=False
                    )
            except (
                obstore.exceptions.PreconditionError,
                obstore.exceptions.AlreadyExistsError,
            ) as error:
                raise FileExistsError(
                    errno.EEXIST, "another process has written it", key
                ) from error

    def find(self, key: str) -> Listed | None:
        """What is known of an object; None if there is none. A bucket that is not there has none, either."""
        import obstore

        try:
            with self._faults():
                return _listed(obstore.head(self._store, key))
        except FileNotFoundError:
            return None

    def walk(self, prefix: str, *, after: str | None = None) -> Iterator[Listed]:
        """Every object below `prefix/`, in the order of keys; with `after`, only those whose key sorts after it."""
        import obstore

        with self._faults():
            for chunk in obstore.list(
                self._store, prefix or None, offset=after, chunk_size=1000
            ):
                yield from map(_listed, chunk)

    def children(self, prefix: str) -> tuple[list[str], list[Listed]]:
        """The prefixes right below `prefix/` (without a slash at the end), and the objects right below it."""
        import obstore

        with self._faults():
            found = obstore.list_with_delimiter(self._store, prefix or None)
            prefixes = [str(name).rstrip("/") for name in found["common_prefixes"]]
            objects = [_listed(each) for each in found["objects"]]
            return prefixes, objects

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there do not matter."""
        import obstore

        names = list(keys)
        with self._faults():
            try:
                if names:
                    obstore.delete(self._store, names)
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the bucket, on the server."""
        import obstore

        with self._faults():
            obstore.copy(self._store, source, target)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        import obstore

        try:
            yield
        except ObjectStoreError:
            raise
        except (obstore.exceptions.BaseError, OSError) as error:
            text = str(error)
            if isinstance(error, FileExistsError):
                raise
            if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in text:
                raise FileNotFoundError(
                    errno.ENOENT, os.strerror(errno.ENOENT)
                ) from None
            # what the store says may quote credentials
            raise _fault(text, url=self.url) from None


@lru_cache(maxsize=16)
def _open(url: str, settings: tuple[tuple[str, str], ...]) -> Bucket:
    """One bucket per URL and environment, so that connections are shared."""
    try:
        from obstore.store import MemoryStore, S3Store
    except ImportError as error:
        raise StoreError(
            f"root {url}: object stores require a library that is not installed",
            remedy="pip install 'sdg-dagster[s3]'",
        ) from error
    scheme, _, name = url.partition("://")
    if scheme == "memory":
        return Bucket(url, MemoryStore())
    given = dict(settings)
    options: Any = {
        "timeout": timedelta(minutes=5),
        "connect_timeout": timedelta(seconds=10),
    }
    for switch in _SWITCHES:
        value = given.get(f"AWS_{switch.upper()}", "")
        options[switch] = value.lower() in ("true", "1")
    attempts = MAX_ATTEMPTS
    if given.get("AWS_MAX_ATTEMPTS", "").isdecimal():
        attempts = int(given["AWS_MAX_ATTEMPTS"])
    store = S3Store(
        name,
        retry_config={
            "max_retries": max(0, attempts - 1),
            "backoff": {"max_backoff": timedelta(seconds=8)},
        },
        client_options=options,
    )
    return Bucket(url, store)


def open_bucket(url: str) -> Bucket:
    """The bucket `s3://name`, by the environment of this process. Raises StoreError where the library is not installed."""
    scheme = url.partition("://")[0]
    if scheme == "memory":
        return _open(url, ())
    settings = [
        (name, value) for name, value in os.environ.items() if name.startswith("AWS_")
    ]
    return _open(url, tuple(sorted(settings)))


def _listed(meta: Any) -> Listed:
    return Listed(str(meta["path"]), int(meta["size"]), meta["e_tag"])


def _fault(text: str, *, url: str) -> ObjectStoreError:
    """What went wrong, in words that hold no secret."""
    code_found = re.search(r"<Code>(\w+)</Code>", text)
    status_found = re.search(r"status code: (\d{3})", text)
    code = code_found[1] if code_found is not None else None
    status = status_found[1] if status_found is not None else None
    if code is not None and code in _REMEDIES:
        reason = {
            "NoSuchBucket": "the bucket does not exist",
            "SlowDown": "the store is throttling",
        }.get(code, code)
        return ObjectStoreError(errno.EIO, reason, _REMEDIES[code])
    if status in ("429", "503"):
        return ObjectStoreError(
            errno.EIO,
            f"the store is throttling (status {status})",
            _REMEDIES["SlowDown"],
        )
    if "169.254." in text or (status is None and "credential" in text.lower()):
        return ObjectStoreError(errno.EACCES, "no credentials were found", _DENIED)
    if status in ("401", "403"):
        return ObjectStoreError(
            errno.EACCES, f"access is denied ({code or f'status {status}'})", _DENIED
        )
    if "Received redirect" in text:
        return ObjectStoreError(
            errno.EIO,
            "the store redirects requests",
            _REMEDIES["PermanentRedirect"],
        )
    if "BadScheme" in text:
        return ObjectStoreError(
            errno.EIO,
            "the endpoint is not https",
            "set AWS_ALLOW_HTTP=true to allow http",
        )
    if status is not None:
        reason = f"the store answered {code or ''} (status {status})".replace("  ", " ")
        return ObjectStoreError(
            errno.EIO, reason, "run the same command again; finished files are kept"
        )
    if "HTTP error" in text or "error sending request" in text:
        endpoint = (
            os.environ.get("AWS_ENDPOINT_URL_S3")
            or os.environ.get("AWS_ENDPOINT_URL")
            or "the AWS endpoint"
        )
        place = re.sub(r"//[^/@]*@", "//", endpoint)
        what = (
            "did not answer in time" if "kind: Timeout" in text else "cannot be reached"
        )
        return ObjectStoreError(
            errno.EIO,
            f"{place} {what}",
            "check the network, AWS_ENDPOINT_URL and AWS_REGION, then run the same command again",
        )
    first_line = text.splitlines()[0] if text else "unknown fault"
    without_login = re.sub(r"//[^/@\s]*@", "//", first_line)
    reason = without_login.partition("<")[0].strip()
    return ObjectStoreError(
        errno.EIO,
        reason,
        f"check the root {url} and the AWS_* environment variables",
    )
