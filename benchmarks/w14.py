"""W14: what a code location costs that has many datasets, and a tick of its sensors over many partitions.

    python -m benchmarks.w14 [DATASETS] [ROW_GROUPS]

CPU seconds, because they say the same on a busy machine. `ours` is what a project pays for this package beyond Dagster's own:
imports, and the components less what the same assets, checks and schedules cost that are written by hand.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

CONFIG = """
name: {name}
num_records: {records}
row_group_size: 1
columns:
  - {{column_type: sampler, name: plan, sampler_type: category, params: {{values: [free, pro]}}}}
  - {{column_type: expression, name: text, expr: "{{{{ plan }}}}!"}}
"""
COMPONENT = "type: sdg_assets.Dataset\nattributes: {config: dataset.yaml, automation: stale_or_missing, schedule: '0 2 * * *'}\n"


def clocked(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    found = call()
    return time.process_time() - start, found


def write(package: Path, *, datasets: int, row_groups: int) -> None:
    package.mkdir()
    (package / "__init__.py").touch()
    for number in range(datasets):
        folder = package / f"reviews_{number:04d}"
        folder.mkdir()
        records = row_groups if number == 0 else 1000
        (folder / "dataset.yaml").write_text(
            CONFIG.format(name=folder.name, records=records), encoding="utf-8"
        )
        (folder / "defs.yaml").write_text(COMPONENT, encoding="utf-8")


def main(datasets: int, row_groups: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as directory:
        write(Path(directory) / "many", datasets=datasets, row_groups=row_groups)
        sys.path.insert(0, directory)
        measure(Path(directory), datasets=datasets, row_groups=row_groups)


def measure(directory: Path, *, datasets: int, row_groups: int) -> None:
    dagsters, dg = clocked(lambda: __import__("dagster"))
    imports, sdg_assets = clocked(lambda: __import__("sdg_assets"))
    from sdg_assets.components.file_component import FileComponent

    inside = 0.0
    build = FileComponent.build_defs

    def timed(self: FileComponent, context: Any) -> Any:
        nonlocal inside
        took, made = clocked(lambda: build(self, context))
        inside += took
        return made

    FileComponent.build_defs = timed  # type: ignore[method-assign]
    tree, loaded = clocked(lambda: sdg_assets.load_defs(__import__("many")))
    store = sdg_assets.resources.StoreResource(root=str(directory / "data"))
    operations, defs = clocked(lambda: sdg_assets.with_operations(loaded, store=store))

    def load() -> Any:
        repository = defs.get_repository_def()
        repository.load_all_definitions()
        return repository

    rest, repository = clocked(load)
    print(
        f"{datasets} datasets: import dagster {dagsters:.2f}, sdg_assets {imports:.2f} more; component tree {tree:.2f},"
    )
    print(
        f"  of which components {inside:.2f}; with_operations {operations:.2f}; repository {rest:.2f}"
    )
    hand, _ = clocked(
        lambda: [by_hand(dg, f"reviews_{number:04d}") for number in range(datasets)]
    )
    print(
        f"  by hand in Dagster {hand:.2f}; ours beyond that {imports + inside - hand + operations:.2f} CPU-s"
    )
    ticks(dg, repository, directory, row_groups=row_groups)


def by_hand(dg: Any, name: str) -> Any:
    """What a component makes of a dataset, without reading its file: the same definitions, one decorator each."""
    from sdg_assets.assets.finished import ProcessConfig
    from sdg_assets.assets.run_config import GenerateConfig

    def row_groups(context, config):  # type: ignore[no-untyped-def]
        yield dg.Output(None)

    def dataset(context, config):  # type: ignore[no-untyped-def]
        return dg.MaterializeResult()

    def checks(context):  # type: ignore[no-untyped-def]
        yield from ()

    row_groups.__annotations__["config"] = GenerateConfig
    dataset.__annotations__["config"] = ProcessConfig
    shared = {
        "group_name": name,
        "automation_condition": dg.AutomationCondition.eager(),
        "owners": [],
        "tags": {},
    }
    keys = [f"{number:05d}" for number in range(1000)]
    made = dg.asset(
        key=[name, "row_groups"],
        partitions_def=dg.StaticPartitionsDefinition(keys),
        backfill_policy=dg.BackfillPolicy.single_run(),
        output_required=False,
        dagster_type=dg.Nothing,
        check_specs=[dg.AssetCheckSpec("records", asset=[name, "row_groups"])],
        kinds={"parquet", "polars"},
        **shared,
    )(row_groups)
    finished = dg.asset(
        key=[name, "dataset"], deps=[made], kinds={"parquet"}, **shared
    )(dataset)
    specs = [
        dg.AssetCheckSpec(check, asset=[name, "dataset"])
        for check in ("complete", "count")
    ]
    checked = dg.multi_asset_check(
        name=f"{name}__checks", specs=specs, can_subset=True
    )(checks)
    schedule = dg.ScheduleDefinition(
        name=f"{name}_schedule", cron_schedule="0 2 * * *", target=made
    )
    return dg.Definitions(
        assets=[made, finished], asset_checks=[checked], schedules=[schedule]
    )


def ticks(dg: Any, repository: Any, directory: Path, *, row_groups: int) -> None:
    """The resume sensor, where one dataset has many row groups: nothing made, half made, all made."""
    from sdg_core import api

    file = directory / "many" / "reviews_0000" / "dataset.yaml"
    dataset = api.open_dataset(file, root=str(directory / "data"))
    sensor = repository.get_sensor_def("resume_row_groups")
    with dg.DagsterInstance.ephemeral() as instance:
        for made in (0, row_groups // 2, row_groups):
            if made:
                api.generate(dataset, row_groups=range(made))
            for again in ("", " again"):
                with dg.build_sensor_context(
                    instance=instance, repository_def=repository
                ) as context:
                    took, found = clocked(partial(sensor.evaluate_tick, context))
                asked = len(found.run_requests or ())
                print(
                    f"tick with {made:,} of {row_groups:,} made{again}: {took:.2f} CPU-s, {asked} requests"
                )


if __name__ == "__main__":
    main(*(int(text) for text in (sys.argv[1:] or ["200", "10000"])))
