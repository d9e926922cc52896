"""What the seed data of a version was, so that a later run can say which of its files changed: `seed_data.json`.

For messages only: what counts is the digest, which is part of the fingerprint. Versions without the file are as good as others.
"""

from collections.abc import Sequence

import orjson

from sdg_core.counts import counted
from sdg_core.plan.dataset_plan import SeedContent
from sdg_core.store.atomic import write_atomic
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors

_NAMED = 5


def write_seed_content(path: StorePath, content: SeedContent) -> None:
    """Record the content of seed data. Raises StoreError."""
    described = {"digest": content.digest, "files": dict(content.files)}
    write_atomic(path, orjson.dumps(described))


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


def describe_seed_change(
    before: SeedContent | None, after: SeedContent | None
) -> list[str]:
    """How seed data changed, in one line; none if it did not, or if there was or is none, which the config says."""
    if before is None or after is None or before.digest == after.digest:
        return []
    if not before.files or not after.files:
        return ["seed data: its content changed"]
    shared = [name for name in before.files if name in after.files]
    changed = [name for name in shared if before.files[name] != after.files[name]]
    added = [name for name in after.files if name not in before.files]
    removed = [name for name in before.files if name not in after.files]
    parts = []
    if changed:
        files = counted(len(after.files), "file")
        parts.append(f"{len(changed)} of {files} changed ({_listed(changed)})")
    if added:
        parts.append(f"{len(added)} added ({_listed(added)})")
    if removed:
        parts.append(f"{len(removed)} removed ({_listed(removed)})")
    what = "; ".join(parts) or "the order of its files changed"
    return [f"seed data: {what}"]


def _listed(names: Sequence[str]) -> str:
    more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join([*names[:_NAMED], *more])
