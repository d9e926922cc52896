"""Assets of one's own downstream of a dataset: as arguments by `DatasetIOManager`, and as `deps` by `scan`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pyarrow as pa
import pytest

import sdg_assets
from sdg_assets import DatasetIOManager, SourcePipeline, with_operations
from sdg_core import api
from sdg_core.api import pipelines
from sdg_core.errors import IncompleteError
from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import category, dataset_config, expression

pytestmark = DAGSTER_WARNINGS
ROW_GROUPS, FINISHED = (
    dg.AssetKey(["reviews", "row_groups"]),
    dg.AssetKey(["reviews", "dataset"]),
)
CONFIG = dataset_config(
    category("stars", 1, 2, 3),
    expression("index", "{{ stars }}!"),
    name="reviews",
    num_records=25,
)


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> CodeLocation:
    """A dataset of three row groups, finished."""
    location = CodeLocation(tmp_path_factory.mktemp("own"))
    location.write(CONFIG)
    dataset = location.open("reviews")
    api.generate(dataset)
    api.process(dataset)
    return location


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def made(
    location: CodeLocation,
    instance: dg.DagsterInstance,
    *assets: dg.AssetsDefinition,
    partition: str | None = None,
) -> dg.ExecuteInProcessResult:
    """Materialize assets of one's own beside the dataset."""
    built = dg.Definitions.merge(
        location.definitions(),
        dg.Definitions(
            assets=assets,
            resources={"io_manager": DatasetIOManager(root=str(location.root))},
        ),
    )
    return built.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        asset_selection=[key for asset in assets for key in asset.keys],
        partition_key=partition,
        raise_on_error=False,
    )


def failure(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    error = event.step_failure_data.error
    assert error is not None
    return str(error.cause or error)


def test_the_finished_dataset_as_each_type(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    @dg.asset(ins={"reviews": dg.AssetIn(FINISHED)})
    def lazy(reviews: pl.LazyFrame) -> int:
        assert isinstance(reviews, pl.LazyFrame)
        return reviews.collect().height

    @dg.asset(ins={"reviews": dg.AssetIn(FINISHED)})
    def eager(reviews: pl.DataFrame) -> int:
        assert isinstance(reviews, pl.DataFrame)
        return reviews.height

    @dg.asset(ins={"reviews": dg.AssetIn(FINISHED)})
    def arrow(reviews: pa.Table) -> int:
        assert reviews.schema.field("index").type == pa.string()
        return int(reviews.num_rows)

    @dg.asset(ins={"reviews": dg.AssetIn(FINISHED)})
    def unsaid(reviews) -> int:  # type: ignore[no-untyped-def]
        assert isinstance(reviews, pl.LazyFrame)
        return reviews.collect().height

    result = made(location, instance, lazy, eager, arrow, unsaid)
    assert result.success
    assert {
        name: result.output_for_node(name)
        for name in ("lazy", "eager", "arrow", "unsaid")
    } == dict.fromkeys(("lazy", "eager", "arrow", "unsaid"), 25)


def test_one_partition_each_and_all_of_them(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    keys = ["00000", "00001", "00002"]

    @dg.asset(
        ins={"reviews": dg.AssetIn(ROW_GROUPS)},
        partitions_def=dg.StaticPartitionsDefinition(keys),
    )
    def each(reviews: pl.DataFrame) -> int:
        return reviews.height

    @dg.asset(ins={"reviews": dg.AssetIn(ROW_GROUPS)})
    def whole(reviews: pl.LazyFrame) -> int:
        return reviews.collect().height

    @dg.asset(ins={"reviews": dg.AssetIn(ROW_GROUPS)})
    def apart(reviews: dict[str, pl.DataFrame]) -> dict[str, int]:
        return {key: frame.height for key, frame in reviews.items()}

    assert (
        made(location, instance, each, partition="00002").output_for_node("each") == 5
    )
    result = made(location, instance, whole, apart)
    assert result.output_for_node("whole") == 25
    assert result.output_for_node("apart") == {"00000": 10, "00001": 10, "00002": 5}


def test_scan_finds_the_dataset_of_the_same_code_location(
    location: CodeLocation,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("SDG_ROOT", str(location.root))

    @dg.asset(deps=[FINISHED])
    def finished() -> int:
        return sdg_assets.scan("reviews").collect().height

    @dg.asset(
        deps=[ROW_GROUPS],
        partitions_def=dg.StaticPartitionsDefinition(["00000", "00001", "00002"]),
    )
    def each(context: dg.AssetExecutionContext) -> int:
        return (
            sdg_assets.scan("reviews", partitions=context.partition_keys)
            .collect()
            .height
        )

    assert made(location, instance, finished).output_for_node("finished") == 25
    assert (
        made(location, instance, each, partition="00001").output_for_node("each") == 10
    )
    assert sdg_assets.scan("reviews", partitions="all").collect().height == 25


def test_outputs_of_ones_own_are_stored_as_ever(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    @dg.asset(ins={"reviews": dg.AssetIn(FINISHED)})
    def stats(reviews: pl.LazyFrame) -> dict[str, int]:
        return {"rows": reviews.collect().height}

    @dg.asset
    def after(stats: dict[str, int]) -> int:
        return stats["rows"]

    assert made(location, instance, stats, after).output_for_node("after") == 25


def test_another_name_and_partitions_that_are_missing(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    location = CodeLocation(tmp_path)
    location.write(CONFIG)
    api.generate(location.open("reviews"), row_groups=[0, 2])

    def own(**more: Any) -> dg.AssetsDefinition:
        @dg.asset(ins={"reviews": dg.AssetIn(ROW_GROUPS, **more)})
        def whole(reviews: pl.LazyFrame) -> int:
            return reviews.collect().height

        return whole

    assert "has no file of partitions 00001" in failure(made(location, instance, own()))
    allowed = own(metadata={"allow_missing_partitions": True})
    assert made(location, instance, allowed).output_for_node("whole") == 15

    @dg.asset(ins={"reviews": dg.AssetIn(FINISHED)})
    def early(reviews: pl.LazyFrame) -> int:
        return reviews.collect().height

    assert "materialize reviews/dataset" in failure(made(location, instance, early))
    with pytest.raises(IncompleteError, match="is not finished"):
        sdg_assets.scan("reviews", root=str(location.root))
    with pytest.raises(IncompleteError, match="holds no data"):
        sdg_assets.scan("review", root=str(location.root))


def test_a_type_that_cannot_be_loaded_is_named_with_those_that_can(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    @dg.asset(ins={"reviews": dg.AssetIn(FINISHED)})
    def wrong(reviews: list[int]) -> int:
        return len(reviews)

    found = failure(made(location, instance, wrong))
    assert "argument reviews" in found
    assert "polars.LazyFrame, polars.DataFrame, pyarrow.Table" in found


def test_an_input_chooses_the_manager_by_name(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    @dg.asset(ins={"reviews": dg.AssetIn(FINISHED, input_manager_key="datasets")})
    def stats(reviews: pl.LazyFrame) -> int:
        return reviews.collect().height

    resources = {"datasets": DatasetIOManager(root=str(location.root))}
    built = dg.Definitions.merge(
        location.definitions(), dg.Definitions(assets=[stats], resources=resources)
    )
    job = built.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(instance=instance, asset_selection=[stats.key])
    assert result.output_for_node("stats") == 25


def test_a_dataset_of_another_code_location_is_found_by_its_key(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    @dg.asset(ins={"reviews": dg.AssetIn(FINISHED)})
    def stats(reviews: pl.LazyFrame) -> int:
        return reviews.collect().height

    resources = {"io_manager": DatasetIOManager(root=str(location.root))}
    alone = dg.Definitions(assets=[stats, dg.AssetSpec(FINISHED)], resources=resources)
    result = alone.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance
    )
    assert result.output_for_node("stats") == 25


def test_a_pipeline_is_loaded_by_its_partitions_and_finished(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = api.make_project(tmp_path / "pages", template="pipeline")
    pipeline = pipelines.open_pipeline(project.file)
    pipelines.generate(pipeline)
    rows = pipelines.process(pipeline).num_rows
    assert api.scan(project.file).collect().height == rows
    monkeypatch.chdir(project.folder)
    assert sdg_assets.scan("handbook_qa", partitions="all").collect().height == rows

    @dg.asset(ins={"pages": dg.AssetIn(["handbook_qa", "sources"])})
    def apart(pages: dict[str, pl.DataFrame]) -> int:
        return sum(frame.height for frame in pages.values())

    component = SourcePipeline(config=str(project.file))
    built = dg.Definitions.merge(
        with_operations(component.build_defs(dg.ComponentTree.for_test().load_context)),
        dg.Definitions(assets=[apart], resources={"io_manager": DatasetIOManager()}),
    )
    instance.add_dynamic_partitions("handbook_qa_sources", ["00000", "00001"])
    job = built.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(instance=instance, asset_selection=[apart.key])
    assert result.output_for_node("apart") == rows
