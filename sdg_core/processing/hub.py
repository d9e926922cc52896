"""Uploading a finished dataset to the Hugging Face Hub: what would change there, and then the change.

The card goes first, in a commit of its own; files then go to the hub's storage one after the other, and one last commit makes all
of them visible and removes what an earlier upload left there. So a reader sees the old files or the new ones, never some of each,
and an upload that was interrupted goes on: files whose content the hub has are not sent again.

Images go there once, inside of the rows that the card names; the same rows with paths in their place, and the files that those
paths name, stay at home.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from sdg_core.errors import HubError
from sdg_core.plan.checks.processors import FINISHED, REMOVED
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.processing.images import image_columns
from sdg_core.processing.process import output_names
from sdg_core.redaction import Redaction
from sdg_core.store.layout import VersionLayout, part_files
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors

HUB = "https://huggingface.co"
CARD = "README.md"
EARLIER = (f"processed/{FINISHED}/", "images/")
"""Where uploads of earlier releases put images and their paths besides."""
FILES_PER_COMMIT = 5_000
_KIND = "dataset"
_BLOCK = 2**20
_MAY_WRITE = (
    "use a token with write access: --token-env names the variable that holds it"
)
_GO_ON = "rerun the same command to resume; uploaded files are not sent again"


@dataclass(frozen=True)
class HubFile:
    """A file to upload: its path in the repository, where it lies, and its size in bytes."""

    name: str
    path: StorePath
    size: int

    def open(self) -> IO[bytes]:
        """Open it for reading."""
        return (
            self.path.open("rb")
            if isinstance(self.path, Path)
            else self.path.open_reader()
        )

    @property
    def source(self) -> Any:
        """What the Hub's library reads it from: a path or a file."""
        return (
            str(self.path) if isinstance(self.path, Path) else self.path.open_reader()
        )


@dataclass(frozen=True)
class PushPlan:
    """The plan of an upload. creates: the repository does not exist yet. unchanged: files that are already up to date.

    stale: files of an earlier upload that are no longer part of the dataset and are removed. simulated: some replies
    come from the simulated provider.
    """

    repo: str
    endpoint: str
    creates: bool
    files: tuple[HubFile, ...]
    unchanged: int
    stale: tuple[str, ...]
    simulated: bool = False

    @property
    def size(self) -> int:
        """Maximum number of bytes to upload."""
        return sum(file.size for file in self.files)

    @property
    def nothing_to_do(self) -> bool:
        """Whether the repository is up to date."""
        return not self.files and not self.stale


class Hub:
    """One dataset repository of a hub. `token`: what the hub knows the person by."""

    def __init__(self, repo: str, *, endpoint: str, token: str | None) -> None:
        try:
            from huggingface_hub import HfApi
        except ImportError as error:
            raise HubError(
                "the Hugging Face Hub requires the library huggingface_hub",
                remedy="pip install 'sdg-dagster[hf]'",
            ) from error
        self.repo = repo
        self.endpoint = endpoint
        self._api: Any = HfApi(endpoint=endpoint, token=token or False)
        self._redaction = Redaction({token: "[token]"} if token else {})

    def plan(self, version: VersionLayout, outputs: Sequence[str]) -> PushPlan:
        """Compare the finished dataset with the repository. outputs: names of directories in `processed/` that go there.

        Raises HubError if the hub refuses or cannot be reached, StoreError.
        """
        local = files_of(version, outputs)
        there: dict[str, Any] = {}
        with self._errors():
            creates = not self._api.repo_exists(self.repo, repo_type=_KIND)
            if not creates:
                tree = self._api.list_repo_tree(
                    self.repo, recursive=True, repo_type=_KIND
                )
                there = {
                    entry.path: entry for entry in tree if hasattr(entry, "blob_id")
                }
        changed = [file for file in local if not _is_same(file, there.get(file.name))]
        unchanged = len(local) - len(changed)
        names = {file.name for file in local}
        ours = [f"processed/{name}/" for name in outputs]
        written_by_us = (*ours, *EARLIER)
        gone = there.keys() - names
        stale = sorted(name for name in gone if name.startswith(written_by_us))
        return PushPlan(
            self.repo, self.endpoint, creates, tuple(changed), unchanged, tuple(stale)
        )

    def push(self, plan: PushPlan, *, private: bool, message: str) -> str:
        """Carry out a plan; returns the address of the dataset. Raises HubError; run again, it goes on."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        adds = {}
        for file in plan.files:
            with store_errors("read", file.path):
                adds[file.name] = CommitOperationAdd(file.name, file.source)
        deletes = [CommitOperationDelete(name) for name in plan.stale]
        with self._errors():
            if plan.creates:
                self._api.create_repo(
                    self.repo, repo_type=_KIND, private=private, exist_ok=True
                )
            if CARD in adds:
                self._commit([adds.pop(CARD)], f"{message}: card")
            for add in adds.values():
                self._api.preupload_lfs_files(self.repo, [add], repo_type=_KIND)
            chunks = _chunks([*adds.values(), *deletes])
            for chunk in chunks:
                self._commit(chunk, message)
        return f"{self.endpoint}/datasets/{self.repo}"

    def _commit(self, operations: Sequence[Any], message: str) -> None:
        self._api.create_commit(
            self.repo, [*operations], commit_message=message, repo_type=_KIND
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        try:
            yield
        except HFValidationError as error:
            raise HubError(
                f"{self.repo!r} is not a repository: {error}",
                remedy="write it as user/name",
            ) from error
        except HfHubHTTPError as error:
            status = error.response.status_code if error.response is not None else None
            remedy = _MAY_WRITE if status in (401, 403, 404) else _GO_ON
            raise HubError(
                f"{self.endpoint} refused {self.repo}: {self._reason(error)}",
                remedy=remedy,
            ) from None
        except Exception as error:  # noqa: BLE001 - the library and its HTTP client raise errors of a dozen unrelated classes
            raise HubError(
                f"{self.endpoint}, {self.repo}: {self._reason(error)}", remedy=_GO_ON
            ) from None

    def _reason(self, error: BaseException) -> str:
        """What the hub says, without the token, which it may repeat. Causes are not chained for that reason."""
        return self._redaction.text(_first_line(error))


def push_finished(
    plan: DatasetPlan,
    version: VersionLayout,
    repo: str,
    *,
    confirm: Callable[[PushPlan], bool],
    private: bool,
    endpoint: str | None,
    token: str | None,
) -> str | None:
    """Upload a finished version; see `sdg_core.api.push`. Returns its address, None if it was not confirmed."""
    hub = Hub(repo, endpoint=(endpoint or HUB).rstrip("/"), token=token)
    stay = {REMOVED, FINISHED} if image_columns(plan) else {REMOVED}
    outputs = [name for name in output_names(plan) if name not in stay]
    found = replace(hub.plan(version, outputs), simulated=plan.simulated)
    if not confirm(found):
        return None
    return hub.push(
        found, private=private, message=f"{plan.config.name} {version.name}"
    )


def files_of(version: VersionLayout, outputs: Sequence[str]) -> tuple[HubFile, ...]:
    """The card and the parts of each output. Raises StoreError."""
    names = [CARD]
    for output in outputs:
        for part in part_files(version.processed / output):
            names.append(f"{version.processed.name}/{output}/{part.name}")
    found = []
    for name in names:
        path = version.directory
        for directory in name.split("/"):
            path = path / directory
        with store_errors("read", path):
            size = path.stat().st_size if isinstance(path, Path) else path.size()
        found.append(HubFile(name, path, size))
    return tuple(found)


def _is_same(file: HubFile, entry: Any) -> bool:
    """Whether the hub has a file's content: by sha256 of large files, by git's own hash of others."""
    if entry is None or entry.size != file.size:
        return False
    if entry.lfs is not None:
        digest = _digest(file, hashlib.sha256())
        return bool(digest == entry.lfs.sha256)
    git_header = b"blob %d\0" % file.size
    digest = _digest(file, hashlib.sha1(git_header))
    return bool(digest == entry.blob_id)


def _digest(file: HubFile, digest: Any) -> str:
    with file.open() as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    return str(digest.hexdigest())


def _chunks(operations: Sequence[Any]) -> list[Sequence[Any]]:
    """As few commits as the hub takes."""
    return [
        operations[start : start + FILES_PER_COMMIT]
        for start in range(0, len(operations), FILES_PER_COMMIT)
    ]


def _first_line(error: BaseException) -> str:
    cause = error.__cause__ or error
    for line in str(cause).splitlines():
        if line.strip():
            return line.strip()
    return type(cause).__name__
