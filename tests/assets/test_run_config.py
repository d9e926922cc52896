"""Run config as Dagster takes it: the resume modes, subsets of a run's partitions, the settings of one run, and wrong values."""

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sdg_assets.assets.sealed_guard import REJECTED_TAG
from sdg_assets.automation.incomplete import RANGE_END, RANGE_START
from sdg_core import api
from sdg_core.ledger.claims import Claims
from sdg_core.ledger.database import open_ledger
from sdg_core.store.row_group_state import RowGroupState
from sdg_core.testing import ModelServer
from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    snapshot,
    uuid,
    wait_until,
)

pytestmark = DAGSTER_WARNINGS

ASSET, KEY = "tickets/row_groups", dg.AssetKey(["tickets", "row_groups"])
KEYS = ["00000", "00001", "00002"]
ALL = {RANGE_START: KEYS[0], RANGE_END: KEYS[-1]}
CONFIG = dataset_config(uuid(), category("plan", "free", "pro"))
CHANGED = {**CONFIG, "seed": 8}
Success, Failure, Canceled = (
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
)

STARTS, RESUMES, NEW, FORCED, ERROR, REJECTED = (
    "starts",
    "resumes",
    "new version",
    "forced",
    "error",
    "rejected",
)
TABLE = {
    "if_possible": {
        "no data": STARTS,
        "same": RESUMES,
        "changed": NEW,
        "sealed": REJECTED,
    },
    "always": {
        "no data": STARTS,
        "same": RESUMES,
        "changed": ERROR,
        "sealed": REJECTED,
    },
    "never": {"no data": STARTS, "same": FORCED, "changed": NEW, "sealed": FORCED},
}


class Launches:
    """A code location with one dataset, and an instance that runs are launched on."""

    def __init__(self, directory: Path, instance: dg.DagsterInstance) -> None:
        self.location, self.instance = CodeLocation(directory), instance
        self.location.write(CONFIG)

    @property
    def files(self) -> dict[str, str]:
        directory = self.location.root / "tickets"
        return snapshot(directory) if directory.exists() else {}

    def launch(
        self,
        *assets: str,
        tags: Mapping[str, str] = ALL,
        partition: str | None = None,
        **settings: Any,
    ) -> dg.DagsterRun:
        """Run the row groups (and more assets) under this config to whatever end."""
        try:
            self.location.materialize(
                self.instance,
                ASSET,
                *assets,
                tags={} if partition is not None and tags is ALL else tags,
                partition=partition,
                config={"ops": {"tickets__row_groups": {"config": settings}}},
                raise_on_error=False,
            )
        except dg.DagsterExecutionInterruptedError:
            pass  # how Dagster ends a canceled run
        return self.instance.get_runs(limit=1)[0]

    def recorded(self, run: dg.DagsterRun) -> dict[str | None, dict[str, Any]]:
        """The metadata of what a run materialized, by partition."""
        found = {}
        for entry in self.instance.all_logs(
            run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
        ):
            event = entry.asset_materialization
            assert event is not None and event.partition not in found
            found[event.partition] = {
                name: value.value for name, value in event.metadata.items()
            }
        return found

    def why(self, run: dg.DagsterRun) -> str:
        """What a run that failed, or was refused, says."""
        if run.status is Canceled:
            [entry] = self.instance.all_logs(
                run.run_id, of_type=dg.DagsterEventType.RUN_CANCELING
            )
            assert (
                entry.dagster_event is not None
                and entry.dagster_event.message is not None
            )
            return entry.dagster_event.message.removeprefix("Run rejected: ")
        [entry] = self.instance.all_logs(
            run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE
        )
        assert entry.dagster_event is not None
        data = entry.dagster_event.step_failure_data
        assert data.user_failure_data is not None, data.error
        return str(data.user_failure_data.description)


@pytest.fixture
def launches(tmp_path: Path) -> Iterator[Launches]:
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path / "instance")) as instance:
        yield Launches(tmp_path, instance)


@pytest.mark.parametrize("case", ["no data", "same", "changed", "sealed"])
@pytest.mark.parametrize("mode", ["if_possible", "always", "never"])
def test_the_table_of_modes(launches: Launches, mode: str, case: str) -> None:
    location, base = (
        launches.location,
        launches.location.open("tickets").plan.fingerprint.version,
    )
    if case != "no data":
        api.generate(
            location.open("tickets"), row_groups=None if case == "sealed" else [0]
        )
    if case == "sealed":
        api.process(location.open("tickets"))
    if case == "changed":
        location.write(CHANGED)
    before, expected = launches.files, TABLE[mode][case]

    run = launches.launch(resume=mode)

    recorded = launches.recorded(run)
    if expected in (ERROR, REJECTED):
        assert run.status is Canceled
        assert recorded == {} and launches.files == before
        if expected == ERROR:
            assert f"the config differs from version {base}" in launches.why(run)
        else:
            assert run.tags[REJECTED_TAG] == "post-processed"
        return
    now = location.open("tickets").plan.fingerprint.version
    made = {STARTS: base, RESUMES: base, NEW: now, FORCED: f"{base}-2"}[expected]
    assert run.status is Success and sorted(map(str, recorded)) == KEYS
    assert all(
        f"/tickets/{made}/row_groups/" in found["dagster/uri"]
        for found in recorded.values()
    )
    adopted = [key for key, found in recorded.items() if found["adopted"]]
    assert adopted == (["00000"] if expected == RESUMES else [])
    if expected in (NEW, FORCED):
        after = launches.files
        kept = {
            path: mark for path, mark in before.items() if path.startswith(f"{base}/")
        }
        assert (
            made != base
            and kept
            and all(after[path] == mark for path, mark in kept.items())
        )


def test_a_subset_is_made_and_the_rest_is_neither_touched_nor_recorded(
    launches: Launches,
) -> None:
    run = launches.launch(subset="0,2")
    assert run.status is Success and sorted(map(str, launches.recorded(run))) == [
        "00000",
        "00002",
    ]
    plan = api.plan(launches.location.open("tickets"))
    assert plan.states[RowGroupState.MISSING] == ("00001",)
    partitions = dg.StaticPartitionsDefinition(KEYS)
    shown = launches.instance.get_status_by_partition(KEY, KEYS, partitions) or {}
    assert [status.value if (status := shown.get(key)) else None for key in KEYS] == [
        "MATERIALIZED",
        None,
        "MATERIALIZED",
    ]
    run = launches.launch(subset="1-1")
    assert list(launches.recorded(run)) == ["00001"]
    assert api.plan(launches.location.open("tickets")).nothing_to_do


@pytest.mark.parametrize(
    ("subset", "said"),
    [
        (
            "0-2",
            "'0-2' names row groups 0, 2, which are not partitions of this run; it has 1",
        ),
        ("1,7", "row group 7 does not exist"),
        ("1;2", "cannot read '1;2'"),
        ("", "cannot read ''"),
    ],
)
def test_a_subset_that_cannot_be_is_an_error_before_anything_is_made(
    launches: Launches, subset: str, said: str
) -> None:
    run = launches.launch(partition="00001", subset=subset)
    assert (
        run.status is Canceled and launches.recorded(run) == {} and launches.files == {}
    )
    why = launches.why(run)
    assert why.startswith("run config, subset: ") and said in why and "->" in why


def test_a_subset_does_not_go_with_what_is_made_of_all_row_groups(
    launches: Launches,
) -> None:
    run = launches.launch("tickets/dataset", subset="0")
    assert run.status is Canceled and launches.files == {}
    assert "tickets/dataset" in launches.why(run) and "remove subset" in launches.why(
        run
    )


def test_wrong_values_are_named_with_their_place_and_a_remedy(
    launches: Launches,
) -> None:
    run = launches.launch(num_retries=-1, max_parallel_requests=0, max_failure_rate=1.5)
    assert run.status is Canceled and launches.files == {}
    why = launches.why(run)
    for said in (
        "num_retries is -1",
        "max_parallel_requests is 0",
        "max_failure_rate is 1.5",
        "-> correct it",
    ):
        assert said in why


@pytest.mark.parametrize(
    "settings",
    [{"when_claimed": "later"}, {"resume": "sometimes"}, {"max_parallel": 3}],
)
def test_what_the_launchpad_does_not_offer_starts_no_run(
    launches: Launches, settings: dict[str, Any]
) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match=str(next(iter(settings)))):
        launches.launch(**settings)
    assert launches.files == {}


def test_when_claimed_refuse_names_the_holder(launches: Launches) -> None:
    version = api.generate(launches.location.open("tickets"), row_groups=[0]).version
    ledger = open_ledger(None, root=launches.location.root)
    claims = Claims(ledger, dataset="tickets", version=version.name, run_id="another")
    claim = claims.acquire("00001")
    run = launches.launch(when_claimed="refuse")
    assert run.status is Canceled and "held by run another" in launches.why(run)
    assert not version.row_group(2).exists()
    claims.release(claim)
    assert launches.launch(when_claimed="refuse").status is Success
    ledger.close()


async def test_a_run_may_lower_how_much_is_asked_at_once(launches: Launches) -> None:
    async with ModelServer(latency=0.02) as server:
        config = dataset_config(
            uuid(), llm("text", "{{ id }}"), endpoint=server.url, parallel=16
        )
        launches.location.write(config)
        version = launches.location.open("tickets").plan.fingerprint.version
        run = await asyncio.to_thread(launches.launch, max_parallel_requests=2)
        assert run.status is Success and len(server.requests) == 25 and server.peak <= 2
        uris = {found["dagster/uri"] for found in launches.recorded(run).values()}
        assert len(uris) == 3 and all(f"/{version}/" in uri for uri in uris)


def test_runs_of_a_backfill_and_their_retries_share_the_version_that_never_begins(
    launches: Launches,
) -> None:
    base = api.generate(launches.location.open("tickets")).version.name
    tags = [{"dagster/backfill": "b"}, {"dagster/backfill": "b"}, {}]
    runs = [
        launches.launch(partition=KEYS[0], resume="never", tags=more) for more in tags
    ]
    runs.append(
        launches.launch(
            partition=KEYS[1],
            resume="never",
            tags={"dagster/root_run_id": runs[-1].run_id},
        )
    )
    made = [next(iter(launches.recorded(run).values()))["dagster/uri"] for run in runs]
    assert [uri.split("/tickets/")[1].partition("/")[0] for uri in made] == [
        f"{base}-{n}" for n in (2, 2, 3, 3)
    ]


def test_a_row_group_of_which_no_record_could_be_made_is_failed_not_green(
    launches: Launches,
) -> None:
    seed = launches.location.root.parent / "seed.csv"
    seed.write_text("n\n" + "x\n" * 10 + "1\n" * 15, encoding="utf-8")
    columns = [expression("next", "{{ (n | int) + 1 }}")]
    launches.location.write(
        dataset_config(
            *columns,
            num_records=25,
            seed_config={"source": {"seed_type": "local", "path": "seed.csv"}},
        )
    )
    run = launches.launch(max_failure_rate=1.0)
    assert (
        run.status is Failure and sorted(map(str, launches.recorded(run))) == KEYS[1:]
    )
    for said in (
        "no record of row groups 0",
        "record 0, column 'next'",
        "-> fix the cause",
    ):
        assert said in launches.why(run)

    seed.write_text("n\n" + "2\n" * 10 + "1\n" * 15, encoding="utf-8")
    assert launches.launch().status is Success


def test_where_records_may_be_missing_a_row_group_without_any_is_made(
    launches: Launches,
) -> None:
    (launches.location.root.parent / "seed.csv").write_text(
        "n\n" + "1\n" * 20 + "x\n", encoding="utf-8"
    )
    launches.location.write(
        dataset_config(
            expression("next", "{{ (n | int) + 1 }}"),
            num_records=21,
            seed_config={"source": {"seed_type": "local", "path": "seed.csv"}},
            run={"max_missing_rate": 0.1},
        )
    )
    run = launches.launch("tickets/dataset")
    assert run.status is Success
    assert launches.instance.get_materialized_partitions(KEY) == {*KEYS}
    finished = launches.instance.get_latest_materialization_event(
        dg.AssetKey(["tickets", "dataset"])
    )
    assert finished is not None and finished.asset_materialization is not None
    assert finished.asset_materialization.metadata["dagster/row_count"].value == 20


def test_when_claimed_wait_makes_the_rest_and_then_waits_for_the_holder(
    launches: Launches,
) -> None:
    version = api.generate(launches.location.open("tickets"), row_groups=[2]).version
    ledger = open_ledger(None, root=launches.location.root)
    claims = Claims(ledger, dataset="tickets", version=version.name, run_id="another")
    claim = claims.acquire("00000")
    made_meanwhile = []

    def give_back_once_the_rest_is_made() -> None:
        wait_until(version.row_group(1).exists, "row group 1 is made")
        made_meanwhile.append(version.row_group(0).exists())
        claims.release(claim)

    with ThreadPoolExecutor(1) as threads:
        holder = threads.submit(give_back_once_the_rest_is_made)
        run = launches.launch(when_claimed="wait")
        holder.result()
    assert made_meanwhile == [False]
    assert run.status is Success and sorted(map(str, launches.recorded(run))) == KEYS
    ledger.close()
