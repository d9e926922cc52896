"""The schedule of a dataset, evaluated as Dagster evaluates it, over real files in a temporary root."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from sdg_assets.assets.row_groups import build_row_groups
from sdg_assets.assets.spec import DatasetSpec, Schedule, load_spec
from sdg_assets.automation.schedules import build_schedule
from sdg_assets.resources import StoreResource
from sdg_core import api
from tests.support.dagster_process import DAGSTER_WARNINGS, RANGE_END, RANGE_START

pytestmark = DAGSTER_WARNINGS

TICK = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
COLUMNS = """
columns:
  - {column_type: sampler, name: id, sampler_type: uuid, params: {}}
  - {column_type: sampler, name: score, sampler_type: uniform, params: {low: 0, high: 1}}
"""
DATASET = f"name: scores\nnum_records: 95\nrow_group_size: 10\n{COLUMNS}"
SEEDED = f"""
name: scores
num_records: 95
row_group_size: 10
seed_config: {{source: {{seed_type: local, path: "{{root}}/made/elsewhere.parquet", upstream_asset: made/elsewhere}}}}
{COLUMNS}"""


def make_spec(
    directory: Path, text: str = DATASET, *, at_most: int = 1000
) -> DatasetSpec:
    path = directory / "dataset.yaml"
    path.write_text(text)
    return load_spec(path, schedule=Schedule("0 2 * * *"), max_per_run=at_most)


def evaluate(spec: DatasetSpec, root: Path) -> Sequence[dg.RunRequest] | str:
    """The tick's run requests, or why it was skipped."""
    definitions = dg.Definitions(
        assets=[build_row_groups(spec)],
        schedules=[build_schedule(spec)],
        resources={"store": StoreResource(root=str(root))},
    )
    schedule = definitions.resolve_schedule_def("scores_schedule")
    with (
        dg.instance_for_test() as instance,
        dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=TICK,
            repository_def=definitions.get_repository_def(),
            resources={"store": StoreResource(root=str(root))},
        ) as context,
    ):
        tick = schedule.evaluate_tick(context)
    return (
        tick.skip_message
        if tick.skip_message is not None
        else list(tick.run_requests or ())
    )


def ranges(requests: Sequence[dg.RunRequest] | str) -> list[tuple[str, str]]:
    assert not isinstance(requests, str), requests
    return [
        (request.tags[RANGE_START], request.tags[RANGE_END]) for request in requests
    ]


def test_nothing_there_asks_for_everything_in_one_range(tmp_path: Path) -> None:
    requests = evaluate(make_spec(tmp_path), tmp_path / "data")
    assert ranges(requests) == [("00000", "00009")]
    assert not isinstance(requests, str)
    assert requests[0].asset_selection == [dg.AssetKey(["scores", "row_groups"])]


def test_ranges_are_contiguous_and_capped(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, at_most=3)
    dataset = api.open_dataset(spec.path, root=str(tmp_path / "data"))
    api.generate(dataset, row_groups=[4, 8])
    requests = evaluate(spec, tmp_path / "data")
    assert ranges(requests) == [
        ("00000", "00002"),
        ("00003", "00003"),
        ("00005", "00007"),
        ("00009", "00009"),
    ]
    assert not isinstance(requests, str)
    keys = [request.run_key for request in requests]
    assert len(set(keys)) == 4 and all(key and TICK.isoformat() in key for key in keys)


def test_corrupt_and_extended_row_groups_are_asked_for_again(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    summary = api.generate(api.open_dataset(spec.path, root=str(tmp_path / "data")))
    summary.version.row_group(2).write_bytes(b"PAR1 not really")
    extended = make_spec(tmp_path, DATASET.replace("95", "120"))
    assert ranges(evaluate(extended, tmp_path / "data")) == [
        ("00002", "00002"),
        ("00009", "00011"),
    ]


def test_changed_config_asks_for_everything(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    api.generate(api.open_dataset(spec.path, root=str(tmp_path / "data")))
    changed = make_spec(tmp_path, DATASET.replace("high: 1", "high: 2"))
    assert ranges(evaluate(changed, tmp_path / "data")) == [("00000", "00009")]


def test_complete_is_a_skip_that_says_so(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    api.generate(api.open_dataset(spec.path, root=str(tmp_path / "data")))
    assert (
        evaluate(spec, tmp_path / "data") == "all 10 row groups of scores are complete"
    )


def test_sealed_is_a_skip_that_says_so(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    dataset = api.open_dataset(spec.path, root=str(tmp_path / "data"))
    api.generate(dataset)
    api.process(dataset)
    reason = evaluate(spec, tmp_path / "data")
    assert isinstance(reason, str) and reason.startswith("scores is sealed")
    assert api.reopen(dataset)
    assert (
        evaluate(spec, tmp_path / "data") == "all 10 row groups of scores are complete"
    )


def test_missing_seed_is_a_skip_that_names_the_upstream_asset(tmp_path: Path) -> None:
    reason = evaluate(make_spec(tmp_path, SEEDED), tmp_path / "data")
    assert isinstance(reason, str)
    assert "materialize its upstream asset made/elsewhere first" in reason
    assert not (tmp_path / "data").exists()


def test_unreadable_metadata_is_a_skip_that_names_the_file(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    summary = api.generate(api.open_dataset(spec.path, root=str(tmp_path / "data")))
    summary.version.metadata.write_text("{")
    reason = evaluate(spec, tmp_path / "data")
    assert isinstance(reason, str) and str(summary.version.metadata) in reason


@pytest.mark.parametrize("at_most", [4, 1000])
def test_its_run_requests_complete_the_dataset(tmp_path: Path, at_most: int) -> None:
    spec = make_spec(tmp_path, at_most=at_most)
    root = tmp_path / "data"
    store = {"store": StoreResource(root=str(root))}
    asset = build_row_groups(spec)
    requests = evaluate(spec, root)
    assert not isinstance(requests, str)
    with dg.instance_for_test() as instance:
        for request in requests:
            result = dg.materialize(
                [asset], instance=instance, resources=store, tags=request.tags
            )
            assert result.success
        assert len(instance.get_materialized_partitions(spec.partitioned_key)) == 10
    assert evaluate(spec, root) == "all 10 row groups of scores are complete"
