"""Asset checks of a finished dataset: that it is whole and good enough."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import orjson

from sdg_assets.assets.catalog import DatasetRef, Ref
from sdg_assets.assets.spec import FileSpec
from sdg_assets.checks.rules import Rule, RuleResult
from sdg_assets.opened.base import Opened
from sdg_assets.opened.files import open_file
from sdg_assets.resources import store_of_run
from sdg_assets.wording import in_dagster
from sdg_core import api
from sdg_core.counts import counted
from sdg_core.errors import SdgError

if TYPE_CHECKING:
    import polars as pl

    from sdg_core.api import StoredPartition

ALL_CURRENT = "row_groups_complete_and_current"
SOURCES_CURRENT = "sources_complete_and_current"
ROW_COUNT = "row_count_matches_plan"


def all_current(ref: Ref) -> str:
    """The name of the check that every partition is made of what holds now."""
    return ALL_CURRENT if isinstance(ref, DatasetRef) else SOURCES_CURRENT


def build_dataset_checks(spec: FileSpec) -> dg.AssetChecksDefinition:
    """The checks of the finished dataset: whole, and by the rules that its component declares."""
    rules = dict(spec.checks.rules()) if spec.checks is not None else {}
    key = spec.dataset_key
    specs = [
        dg.AssetCheckSpec(
            all_current(spec.ref),
            asset=key,
            description=f"All {spec.ref.PARTITIONS} exist and match the current config, seed data and sources.",
        ),
        dg.AssetCheckSpec(
            ROW_COUNT,
            asset=key,
            description="One row for everything generated, except what is listed as failed or was "
            "removed by a processor.",
        ),
        *(
            dg.AssetCheckSpec(
                name, asset=key, description=_describe(rule), blocking=rule.blocking
            )
            for name, rule in rules.items()
        ),
    ]

    @dg.multi_asset_check(
        name=f"{spec.ref.identifier}__dataset_checks", specs=specs, can_subset=True
    )
    def dataset_checks(
        context: dg.AssetCheckExecutionContext,
    ) -> Iterator[dg.AssetCheckResult]:
        chosen = {key.name for key in context.selected_asset_check_keys}
        root = store_of_run(context).root_of(spec)
        try:
            found = dict(check_dataset(spec.ref, rules=rules, chosen=chosen, root=root))
        except SdgError as error:
            raise dg.Failure(
                description=in_dagster(error), allow_retries=False
            ) from None
        for name, measured in found.items():
            metadata: dict[str, Any] = {}
            if measured.value is not None:
                metadata["measured"] = measured.value
            if measured.bound:
                metadata["bound"] = measured.bound
            yield dg.AssetCheckResult(
                asset_key=spec.dataset_key,
                check_name=name,
                passed=measured.passed,
                description=measured.description,
                metadata={**metadata, **measured.details},
            )

    return dataset_checks


def check_dataset(
    ref: Ref, *, rules: dict[str, Rule], chosen: set[str], root: str | None
) -> Iterator[tuple[str, RuleResult]]:
    """The chosen checks of a dataset or pipeline, measured. Raises SdgError if it cannot be opened."""
    from sdg_assets.checks.rule_evaluation import evaluate_rule

    opened = open_file(ref.path, root=root)
    if all_current(ref) in chosen:
        yield all_current(ref), _all_current(opened.partitions, ref.PARTITIONS)
    declared = [(name, rule) for name, rule in rules.items() if name in chosen]
    if not declared and ROW_COUNT not in chosen:
        return
    with api.scan_parts(opened.finished_files()) as frame:
        if ROW_COUNT in chosen:
            yield ROW_COUNT, _row_count(opened, frame)
        for name, rule in declared:
            yield name, evaluate_rule(rule, frame)


def _all_current(partitions: "Sequence[StoredPartition]", what: str) -> RuleResult:
    """What failed is not at fault here: the row count judges that."""
    others = [partition for partition in partitions if not partition.is_current]
    description = "all exist"
    if others:
        states = sorted({str(partition.state) for partition in others})
        indices = api.format_ranges([partition.index for partition in others])
        description = f"{', '.join(states)}: {indices}"
    return RuleResult(
        passed=not others,
        value=len(partitions) - len(others),
        bound=f"{len(partitions)} {what}",
        description=description,
    )


def _row_count(opened: Opened, frame: "pl.LazyFrame") -> RuleResult:
    import polars as pl

    length = frame.select(pl.len()).collect(engine="streaming")
    rows = int(length.item())
    counts = opened.row_counts()
    return RuleResult(
        passed=rows == counts.expected and not counts.unlisted,
        value=rows,
        bound=f"exactly {counts.expected}",
        description=f"{counted(rows, 'row')}; {counts.words}",
        details=dict(counts.details),
    )


def _describe(rule: Rule) -> str:
    """A rule as its file says it: `category shares: column stars, shares {"5": {"at_least": 0.2}}`."""
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", type(rule).__name__).lower()
    settings = rule.model_dump(exclude_none=True, exclude_defaults=True)
    said = []
    for name, value in settings.items():
        text = value
        if not isinstance(value, str):
            text = orjson.dumps(value, default=str).decode()
        said.append(f"{name} {text}")
    return f"{words}: {', '.join(said)}"
