"""A file that cannot be used leaves the rest of its code location loaded, and shows as one asset that says why.

Where nothing else is to be kept loaded (no other component in the project, `dg check defs`, a component that is built from
Python) the error is raised as it is: there it is the clearest message.
"""

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from sdg_assets.assets.catalog import FINISHED
from sdg_core.errors import SdgError

VALIDATING = "DAGSTER_IS_DEFS_VALIDATION_CLI"
"""Dagster sets it for `dg check defs` and `dagster definitions validate`."""
DEFS = "defs.yaml"
BROKEN_TAG = "sdg/broken"
_COMPONENT = re.compile(r"^type:", re.MULTILINE)
_LOG = logging.getLogger(__name__)


def broken(
    context: dg.ComponentLoadContext,
    file: Path,
    error: SdgError,
    *,
    prefix: Sequence[str],
    group: str | None,
    owners: Sequence[str],
    name: str,
) -> dg.Definitions:
    """One asset, `name`, in the place of what the file describes; materializing it fails with the error. Raises the error
    where it is to be seen at once."""
    if os.environ.get(VALIDATING) or not _has_neighbours(context):
        raise error
    reason = str(error)
    _LOG.error("%s cannot be used, so %s is not loaded: %s", file, name, reason)

    @dg.asset(
        key=[*prefix, name, FINISHED],
        description=f"This dataset is not loaded. Correct its file and reload the code location:\n\n"
        f"```\n{reason}\n```",
        group_name=group or name,
        owners=list(owners),
        tags={BROKEN_TAG: "true"},
        metadata={
            "error": dg.MetadataValue.text(reason),
            "file": dg.MetadataValue.path(str(file)),
        },
    )
    def broken_dataset() -> None:
        raise dg.Failure(
            description=f"{reason}\n  -> correct {file} and reload the code location",
            allow_retries=False,
        )

    return dg.Definitions(assets=[broken_dataset])


def _has_neighbours(context: dg.ComponentLoadContext) -> bool:
    """Whether the project that this component is loaded from has another one."""
    folder = context.defs_module_path
    if not (context.path / DEFS).is_file() or not context.path.is_relative_to(folder):
        return False
    components = 0
    for file in sorted(folder.rglob(DEFS)):
        text = file.read_text(encoding="utf-8")
        components += len(_COMPONENT.findall(text))
    return components > 1
