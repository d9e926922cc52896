"""What the seed data of a version was, so that a later run can say which of its files changed: `seed_data.json`.

For messages only: what counts is the digest, which is part of the fingerprint. Versions without the file are as good as others.
"""

from collections.abc import Mapping, Sequence

import orjson

from sdg_core.counts import counted
from sdg_core.plan.dataset_plan import SeedContent
from sdg_core.store.atomic import write_atomic
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors

_NAMED = 5


def write_seed_content(path: StorePath, content: SeedContent) -> None:
    """Record the content of seed data. Raises StoreError."""
    write_atomic(path, orjson.dumps({"digest": content.digest, "files": dict(content.files)}))


def read_seed_content(path: StorePath) -> SeedContent | None:
    """What was recorded; None if nothing was, or somebody damaged it. Raises StoreError."""
    with store_errors("read", path):
        content = path.read_bytes() if path.exists() else None
    try:
        data = orjson.loads(content or b"null")
    except orjson.JSONDecodeError:
        return None
    files = data.get("files") if isinstance(data, dict) else None
    if not isinstance(files, dict) or not isinstance(data.get("digest"), str):
        return None
    return SeedContent(data["digest"], files)


def describe_seed_change(before: SeedContent | None, after: SeedContent | None) -> list[str]:
    """How seed data changed, in one line; none if it did not, or if there was or is none, which the config says."""
    if before is None or after is None or before.digest == after.digest:
        return []
    if not before.files or not after.files:
        return ["seed data: its content changed"]
    parts = list(
        filter(
            None, (_changed(before.files, after.files), *_come_and_gone(before.files, after.files))
        )
    )
    return ["seed data: " + ("; ".join(parts) or "its files come in another order")]


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> str | None:
    names = [name for name in before if name in after and before[name] != after[name]]
    return (
        f"{len(names)} of {counted(len(after), 'file')} changed ({_listed(names)})"
        if names
        else None
    )


def _come_and_gone(
    before: Mapping[str, str], after: Mapping[str, str]
) -> tuple[str | None, str | None]:
    added = [name for name in after if name not in before]
    removed = [name for name in before if name not in after]
    return (
        f"{len(added)} added ({_listed(added)})" if added else None,
        f"{len(removed)} removed ({_listed(removed)})" if removed else None,
    )


def _listed(names: Sequence[str]) -> str:
    more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join([*names[:_NAMED], *more])
