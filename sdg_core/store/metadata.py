"""`metadata.json`, the truth for run configuration and post-generation state, and `current.json`.

Both are replaced atomically. Every way of not being readable has its own error, because the remedies differ and a file that
cannot be trusted must stop a run rather than be overwritten.
"""

import platform
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any, Literal

import orjson
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from sdg_core.errors import (
    MetadataCorruptError,
    MetadataError,
    MetadataFieldError,
    MetadataMissingError,
    MetadataVersionError,
)
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.hashed_fields import CONFIG_HASH_ALGO, CONFIG_HASH_VERSION
from sdg_core.plan.usage import UsageByModel, add_usage
from sdg_core.store.atomic import read_modify_write, read_or_none, write_atomic
from sdg_core.store.layout import VersionLayout
from sdg_core.store.objects import StorePath
from sdg_core.system.failpoints import failpoint

SCHEMA_VERSION = 1
PostGenerationState = Literal["none", "started", "complete"]
_RECORDED_LIBRARIES = (
    "sdg-dagster",
    "dagster",
    "polars",
    "pyarrow",
    "numpy",
    "scipy",
    "minijinja",
    "faker",
    "ruff",
    "sqlglot",
    "jsonschema-rs",
)


class Metadata(BaseModel):
    """The content of `metadata.json`. Times are ISO 8601 in UTC; `usage` is per model alias.

    forced: started beside existing data by `resume: never`, so nothing is carried over. created_by_run: the run, or the backfill,
    that created it by `never` and may resume it by `never`. config_column_hashes: fingerprints of columns without the seed data's
    content, by which carry-over finds what was made from seed rows that are still the same. kept_by_processor,
    removed_by_processor: records of each processor, in order; processor_marks: what each was asked for; processor_methods: by
    which algorithm, with its version; removal_examples: why the first record of each was removed.
    earlier_versions: usage and cost of the versions that cells were carried over from, by name. retry_reasons: how often
    requests were sent again, by model alias and reason. abandoned_usage: of cells under way when a run ended, which neither
    files nor the journal count. estimate: what was expected before a run, last."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", strict=True, defer_build=True
    )

    schema_version: int
    dataset_name: str
    config_hash: str
    config_hash_algo: str
    config_hash_version: int
    seed: int
    simulated: bool
    target_num_records: int
    original_target_num_records: int
    actual_num_records: int
    buffer_size: int
    total_num_batches: int
    num_completed_batches: int
    post_generation_state: PostGenerationState
    post_generation_processed: bool
    usage: UsageByModel
    created_at: str
    updated_at: str
    library_versions: dict[str, str]
    forced: bool = False
    created_by_run: str | None = Field(
        default=None,
        validation_alias=AliasChoices("created_by_run", "begun_by"),  # until 0.3
    )
    config_column_hashes: dict[str, str] = {}
    kept_by_processor: dict[str, int] = {}
    removed_by_processor: dict[str, int] = {}
    processor_marks: dict[str, str] = {}
    processor_methods: dict[str, str] = {}
    removal_examples: dict[str, str] = {}
    earlier_versions: dict[str, dict[str, Any]] = {}
    retry_reasons: dict[str, dict[str, int]] = {}
    abandoned_usage: UsageByModel = {}
    estimate: dict[str, Any] | None = None

    @property
    def sealed(self) -> bool:
        """Whether post-generation processing has been applied or has started."""
        return self.post_generation_state != "none"


def new_metadata(
    plan: DatasetPlan, *, forced: bool = False, created_by_run: str | None = None
) -> Metadata:
    """The metadata of a version that has no row group yet."""
    now = utc_now()
    return Metadata(
        schema_version=SCHEMA_VERSION,
        dataset_name=plan.config.name,
        config_hash=plan.fingerprint.config_hash,
        config_hash_algo=CONFIG_HASH_ALGO,
        config_hash_version=CONFIG_HASH_VERSION,
        seed=plan.config.seed,
        simulated=plan.simulated,
        target_num_records=plan.num_records,
        original_target_num_records=plan.num_records,
        actual_num_records=0,
        buffer_size=plan.config.row_group_size,
        total_num_batches=len(plan.row_groups),
        num_completed_batches=0,
        post_generation_state="none",
        post_generation_processed=False,
        usage={},
        created_at=now,
        updated_at=now,
        library_versions=_library_versions(),
        forced=forced,
        created_by_run=created_by_run,
        config_column_hashes=dict(plan.fingerprint.config_column_hashes),
    )


def _library_versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _RECORDED_LIBRARIES:
        with suppress(PackageNotFoundError):
            versions[name] = _stated_version(name)
    return versions


def _stated_version(library: str) -> str:
    """The version of an installed library, without parsing all that it says of itself, as `importlib.metadata.version` does."""
    found = distribution(library)
    stated = re.search(
        r"^Version: (\S+)$", found.read_text("METADATA") or "", re.MULTILINE
    )
    return stated[1] if stated is not None else found.version


def create_metadata(path: StorePath, make: Callable[[], Metadata]) -> None:
    """Make `metadata.json` if there is none yet; of two processes that try at once, one does."""
    read_modify_write(path, lambda content: _dump(make()) if content is None else None)
    failpoint("metadata.after_write")


def change_metadata(path: StorePath, **changes: Any) -> Metadata:
    """Read, change and replace `metadata.json` with no other process in between. Raises what `read_metadata` raises."""

    def changed(old: bytes | None) -> bytes:
        metadata = parse_metadata(path, old)
        return _dump(metadata.model_copy(update=changes))

    content = read_modify_write(path, changed)
    failpoint("metadata.after_write")
    return parse_metadata(path, content)


def count_run(
    path: StorePath,
    *,
    retry_reasons: Mapping[str, Mapping[str, int]],
    abandoned: Mapping[str, Mapping[str, int]],
) -> Metadata:
    """Add what only the run itself knows when it ends. Raises what `read_metadata` raises."""

    def counted(old: bytes | None) -> bytes:
        metadata = parse_metadata(path, old)
        changes = {
            "retry_reasons": add_usage(metadata.retry_reasons, retry_reasons),
            "abandoned_usage": add_usage(metadata.abandoned_usage, abandoned),
        }
        return _dump(metadata.model_copy(update=changes))

    content = read_modify_write(path, counted)
    return parse_metadata(path, content)


def note_earlier_versions(
    path: StorePath, spent: Mapping[str, Mapping[str, Any]]
) -> Metadata:
    """Write down what earlier versions have cost, before one of them goes. Nothing was generated, so the time stays."""

    def noted(old: bytes | None) -> bytes:
        metadata = parse_metadata(path, old)
        kept = metadata.model_copy(
            update={"earlier_versions": {**metadata.earlier_versions, **spent}}
        )
        return orjson.dumps(kept.model_dump(), option=orjson.OPT_INDENT_2)

    content = read_modify_write(path, noted)
    failpoint("metadata.after_write")
    return parse_metadata(path, content)


def _dump(metadata: Metadata) -> bytes:
    # Finer than a second: of two versions, the one that was changed last must be told apart.
    content = metadata.model_copy(
        update={"updated_at": datetime.now(UTC).isoformat(timespec="microseconds")}
    ).model_dump()
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)


def read_metadata(path: StorePath) -> Metadata:
    """Read `metadata.json`. Raises one of the MetadataError classes, or StoreError if it cannot be read at all."""
    return parse_metadata(path, read_or_none(path))


def metadata_or_none(version: VersionLayout) -> Metadata | None:
    """What `metadata.json` says, or None where it is absent or cannot be trusted."""
    try:
        return read_metadata(version.metadata)
    except MetadataError:
        return None


def parse_metadata(path: StorePath, content: bytes | None) -> Metadata:
    """Understand `metadata.json`; None stands for a file that is not there. Raises one of the MetadataError classes."""
    remedy = "restore it, or generate with --resume never to start a new version; nothing was changed"
    if content is None:
        raise MetadataMissingError(
            f"{path} does not exist, though its version directory does", remedy=remedy
        )
    data = _json_object(path, content, remedy)
    found = data.get("schema_version")
    if isinstance(found, int) and found > SCHEMA_VERSION:
        raise MetadataVersionError(
            f"{path} has schema_version {found}; this release reads up to {SCHEMA_VERSION}",
            remedy="use a newer release of sdg-dagster; nothing was changed",
        )
    try:
        return Metadata.model_validate(data)
    except ValidationError as error:
        faults = []
        for fault in error.errors():
            field = ".".join(map(str, fault["loc"]))
            faults.append(f"{field}: {fault['msg'].lower()}")
        raise MetadataFieldError(
            f"{path}: {'; '.join(faults)}", remedy=remedy
        ) from error


def write_current(path: StorePath, version: str) -> None:
    """Record the version last generated into."""
    write_atomic(path, orjson.dumps({"version": version}))


def read_current(path: StorePath) -> str | None:
    """The version last generated into, None if there is none yet. Raises MetadataCorruptError or MetadataFieldError."""
    content = read_or_none(path)
    if content is None:
        return None
    remedy = 'write {"version": "<directory name>"} into it, or generate with --resume never; nothing was changed'
    version = _json_object(path, content, remedy).get("version")
    if not isinstance(version, str):
        raise MetadataFieldError(
            f"{path}: version: required, but not given as text", remedy=remedy
        )
    if "/" in version or "\x00" in version or version in ("", ".", ".."):
        raise MetadataFieldError(
            f"{path}: version: {version!r} does not name a directory next to it",
            remedy=remedy,
        )
    return version


def utc_now() -> str:
    """The time now, ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def to_the_second(time: str) -> str:
    """An ISO 8601 time to the second, for display."""
    return re.sub(r"\.\d+", "", time)


def _json_object(path: StorePath, content: bytes, remedy: str) -> dict[str, Any]:
    try:
        data = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        what = (
            "is empty"
            if not content.strip()
            else f"is not JSON (truncated or overwritten): {error}"
        )
        raise MetadataCorruptError(f"{path} {what}", remedy=remedy) from error
    if not isinstance(data, dict):
        raise MetadataCorruptError(f"{path} holds no JSON object", remedy=remedy)
    return data
