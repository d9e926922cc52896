"""Source pipelines keep the rules of datasets in Dagster: what refuses cancels, the seal is seen before a run starts."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from sdg_assets import SourcePipeline, with_operations
from sdg_assets.automation.sensors import why_rejected
from sdg_assets.resources import StoreResource
from sdg_core.api import pipelines
from tests.support.dagster_process import DAGSTER_WARNINGS

pytestmark = DAGSTER_WARNINGS

SOURCES, FINISHED = dg.AssetKey(["notes", "sources"]), dg.AssetKey(["notes", "dataset"])
PIPELINE = {
    "kind": "pipeline",
    "name": "notes",
    "sources": {"reader": "files", "path": "docs/*.txt"},
    "stages": [{"stage": "split", "column": "content", "unit": "words", "size": 2}],
}


@pytest.fixture
def definitions(tmp_path: Path) -> dg.Definitions:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("one two three four")
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump(PIPELINE))
    built = SourcePipeline(config=str(path)).build_defs(
        dg.ComponentTree.for_test().load_context
    )
    return with_operations(built, store=StoreResource(root=str(tmp_path / "data")))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        opened.add_dynamic_partitions("notes_sources", ["00000"])
        yield opened


def run(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    **config: object,
) -> dg.DagsterRun:
    job = definitions.resolve_implicit_global_asset_job_def()
    try:
        job.execute_in_process(
            instance=instance,
            asset_selection=[key],
            partition_key="00000" if key == SOURCES else None,
            run_config={"ops": {"__".join(key.path): {"config": config}}},
            raise_on_error=False,
        )
    except dg.DagsterExecutionInterruptedError:
        pass  # how Dagster ends a canceled run
    return instance.get_runs(limit=1)[0]


def versions(instance: dg.DagsterInstance, key: dg.AssetKey) -> list[str]:
    """The data versions of an asset's events, newest first."""
    events = [
        record.asset_materialization
        for record in instance.fetch_materializations(key, limit=10).records
    ]
    return [
        (event.tags or {})["dagster/data_version"]
        for event in events
        if event is not None
    ]


def test_a_wrong_setting_cancels(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    refused = run(definitions, instance, SOURCES, num_retries=-1)
    assert (
        refused.status is dg.DagsterRunStatus.CANCELED
        and refused.tags["sdg/rejected"] == "run config"
    )


def test_a_version_that_never_started_is_another_content(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    for settings in ({}, {}, {"resume": "never"}):
        assert (
            run(definitions, instance, SOURCES, **settings).status
            is dg.DagsterRunStatus.SUCCESS
        )
        assert (
            run(definitions, instance, FINISHED).status is dg.DagsterRunStatus.SUCCESS
        )
        if not settings:
            reopen(definitions)
    for key in (SOURCES, FINISHED):
        never, again, first = versions(instance, key)
        assert first == again != never


def reopen(definitions: dg.Definitions) -> None:
    """What `sdg reopen` does."""
    repository = definitions.get_repository_def()
    path = (
        repository.assets_defs_by_key[SOURCES]
        .specs_by_key[SOURCES]
        .metadata["sdg/pipeline"]
        .path
    )
    root = Path(str(path)).parent / "data"
    assert pipelines.reopen(pipelines.open_pipeline(str(path), root=str(root)))


def test_the_seal_is_seen_before_a_run_starts(
    definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    repository = definitions.get_repository_def()

    def why(**config: str) -> str | None:
        launched = {"ops": {"notes__sources": {"config": config}}}
        queued = dg.DagsterRun(
            "__ASSET_JOB", asset_selection=frozenset([SOURCES]), run_config=launched
        )
        return why_rejected(queued, repository, store=StoreResource())

    run(definitions, instance, SOURCES)
    assert why() is None
    run(definitions, instance, FINISHED)
    assert "was post-processed" in (why() or "")
    assert why(resume="never") is None
    assert run(definitions, instance, SOURCES).tags["sdg/rejected"] == "post-processed"
