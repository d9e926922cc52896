"""Bad input, end to end: one readable block on stderr, exit status 2, and whatever was there before is still there."""

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from sdg_core import api
from sdg_core.testing import ModelServer, status
from tests.support.ports import free_port
from tests.support.requirements import PATIENCE, require
from tests.support.sdg import (
    PROJECT,
    SDG,
    category,
    dataset_config,
    environment,
    expression,
    fill_disk,
    llm,
    only_version,
    open_to_everyone,
    remount_read_only,
    sdg,
    small_disk,
    snapshot,
    stored_records,
    uuid,
    write_config,
)

COLUMNS = (
    uuid(),
    category("plan", "free", "pro"),
    expression("title", "{{ plan }} {{ id }}"),
)
CONFIG = dataset_config(*COLUMNS)


class Place:
    """A dataset file and a root."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.file, self.root = (
            directory,
            directory / "tickets.yaml",
            directory / "root",
        )

    def write(self, config: dict[str, Any]) -> None:
        write_config(self.file, config)

    def made(self, *row_groups: int) -> None:
        """Generate (these row groups, or all), without the command."""
        api.generate(
            api.open_dataset(self.file, root=str(self.root)),
            row_groups=row_groups or None,
        )

    def run(
        self, command: str, *options: str, **env: str
    ) -> subprocess.CompletedProcess[str]:
        return sdg(command, self.file, "--root", self.root, *options, env=env)

    def refused(
        self, command: str, *options: str, says: tuple[str, ...], **env: str
    ) -> str:
        """Run a command that must be refused, and touch nothing; returns what it says."""
        before = self._data()
        outcome = self.run(command, *options, **env)
        check_block(outcome, says)
        assert self._data() == before
        return outcome.stderr

    def _data(self) -> dict[str, str]:
        """Every file but the ledger, in which claims come and go."""
        return {
            path: content
            for path, content in snapshot(self.directory).items()
            if ".sdg/" not in path
        }


def check_block(
    outcome: subprocess.CompletedProcess[str], says: tuple[str, ...]
) -> None:
    assert outcome.returncode == 2, outcome.stderr
    assert outcome.stdout == ""
    errors = [
        line for line in outcome.stderr.splitlines() if line.startswith("error: ")
    ]
    assert len(errors) == 1, outcome.stderr
    for text in (
        "Traceback",
        "internal error",
        "pydantic",
        "Errno",
        "Exception ignored",
    ):
        assert text not in outcome.stderr, outcome.stderr
    for text in says:
        assert text in outcome.stderr, outcome.stderr


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write(CONFIG)
    return place


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for command in ("validate", "generate", "process"):
        check_block(
            sdg(command, tmp_path / "absent.yaml"), (str(tmp_path / "absent.yaml"),)
        )


def test_a_file_that_is_not_yaml(place: Place) -> None:
    place.file.write_text("name: tickets\ncolumns: [\n")
    place.refused("generate", says=("tickets.yaml: 1 problem", "line 3", "YAML"))


def test_unknown_keys_and_references_are_listed_all_at_once(place: Place) -> None:
    columns = [
        *COLUMNS,
        expression("greeting", "{{ plam }}"),
        {**uuid("other"), "drpo": True},
        llm("text", "{{ id }}"),
    ]
    place.write({**CONFIG, "num_record": 9, "columns": columns})
    for command in ("validate", "generate"):
        says = place.refused(
            command,
            says=(
                f"{place.file}: 4 problems",
                "num_record: unknown key 'num_record'; did you mean 'num_records'?",
                "columns[3].expr: unknown column 'plam'; did you mean 'plan'?",
                "columns[4].drpo: unknown key 'drpo'; did you mean 'drop'?",
                "columns[5].model_alias: no model has the alias 'writer'",
            ),
        )
        assert says.count("\n  line ") == 4, "each with its line"


def test_unknown_keys_do_not_stop_what_exists(place: Place) -> None:
    place.made()
    place.write({**CONFIG, "surprise": 1})
    place.refused("generate", says=("unknown key 'surprise'",))


def seeded(path: str, *columns: dict[str, Any]) -> dict[str, Any]:
    return dataset_config(
        *columns, seed_config={"source": {"seed_type": "local", "path": path}}
    )


def test_a_missing_seed_file(place: Place) -> None:
    place.write(seeded("products.csv", expression("title", "{{ product }}")))
    says = (
        f"seed file {place.directory / 'products.csv'} does not exist",
        "seed_config.source.path; a relative path",
    )
    for command in ("validate", "generate"):
        place.refused(command, says=says)


def test_a_missing_seed_column(place: Place) -> None:
    (place.directory / "products.csv").write_text("produkt,price\nlamp,3\n")
    place.write(
        seeded(
            "products.csv",
            expression("title", "{{ product }}"),
            {"column_type": "seed-dataset", "name": "cost"},
        )
    )
    place.refused(
        "generate",
        says=(
            "2 problems",
            "columns[0].expr: unknown column 'product'; did you mean 'produkt'?",
            "columns[1].name: the seed data has no column 'cost'; it has 'produkt', 'price'",
        ),
    )


def test_a_seed_file_that_cannot_be_read(place: Place) -> None:
    (place.directory / "products.parquet").write_text("not parquet")
    place.write(seeded("products.parquet", expression("title", "{{ product }}")))
    place.refused("generate", says=("products.parquet cannot be read as parquet",))


def with_model(
    endpoint: str, *, provider: dict[str, Any] | None = None, **top: Any
) -> dict[str, Any]:
    config = dataset_config(
        uuid(), llm("text", "about {{ id }}"), endpoint=endpoint, **top
    )
    config["model_providers"][0].update(provider or {})
    return config


def test_an_api_key_variable_that_is_not_set(place: Place) -> None:
    place.write(
        with_model("http://127.0.0.1:9/v1", provider={"api_key": "TICKETS_KEY"})
    )
    says = (
        "provider 'p'",
        "environment variable TICKETS_KEY, which is not set",
        "export TICKETS_KEY=...",
    )
    place.refused("generate", says=says)
    place.refused("preview", says=says, TICKETS_KEY="  ")


def test_an_api_key_that_is_not_accepted_is_not_shown(place: Place) -> None:
    async def run() -> None:
        async with ModelServer(api_key="right") as server:
            place.write(with_model(server.url, provider={"api_key": "TICKETS_KEY"}))
            says = (
                server.url,
                "answered 401: the API key was rejected",
                "TICKETS_KEY",
            )
            text = await asyncio.to_thread(
                place.refused, "generate", says=says, TICKETS_KEY="sk-quite-wrong"
            )
            assert "sk-quite-wrong" not in text and server.requests == []

    asyncio.run(run())


def test_a_dead_endpoint(place: Place) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    place.write(with_model(url))
    for command in ("generate", "preview"):
        place.refused(
            command,
            says=(
                f"the endpoint {url} of provider 'p' cannot be reached",
                "start the server",
                "[p].endpoint",
            ),
        )


def test_a_dead_endpoint_leaves_earlier_row_groups_alone(place: Place) -> None:
    async def half() -> None:
        async with ModelServer() as server:
            place.write(with_model(server.url))
            await api.agenerate(
                api.open_dataset(place.file, root=str(place.root)), row_groups=[0, 1]
            )

    asyncio.run(half())
    place.refused("generate", says=("cannot be reached",))
    assert len(stored_records(only_version(place.root))) == 20


def test_a_model_that_does_not_exist_stops_the_run_with_the_first_error(
    place: Place,
) -> None:
    async def run() -> None:
        async with ModelServer(
            rates=[(status(404, message="model m not found"), 1.0)]
        ) as server:
            place.write(with_model(server.url, num_records=1000, row_group_size=100))
            outcome = await asyncio.to_thread(place.run, "generate")
            check_block(
                outcome,
                (
                    "stopped: ",
                    "run.max_failure_rate",
                    "model m not found",
                    "column 'text'",
                ),
            )
            assert len(server.requests) < 40

    asyncio.run(run())


@pytest.mark.parametrize(
    ("listing", "says"),
    [
        ("3", "row group 3 does not exist\n  -> this dataset has 0 to 2"),
        ("2-1", "is reversed"),
        ("one", "cannot read 'one'\n  -> write indices and ranges, as in 0-9,12"),
        ("-1", "cannot read '-1'"),
    ],
)
def test_a_row_group_that_does_not_exist(place: Place, listing: str, says: str) -> None:
    place.refused(
        "generate", f"--row-groups={listing}", says=(f"row groups {listing!r}", says)
    )
    assert not place.root.exists()


def test_num_records_below_one_or_below_what_exists(place: Place) -> None:
    place.refused(
        "generate", "--num-records", "0", says=("num_records is 0", "at least 1 record")
    )
    place.made()
    place.refused(
        "generate",
        "--num-records",
        "24",
        says=("num_records is 24", "records up to 24", "25 or more"),
    )


def test_drift_under_always(place: Place) -> None:
    place.made()
    place.write({**CONFIG, "seed": 8})
    place.refused(
        "generate",
        "--resume",
        "always",
        says=("the config differs from version", "seed: 7 is now 8"),
    )


def test_a_root_that_is_a_file(place: Place) -> None:
    place.root.write_text("mine")
    place.refused(
        "generate",
        says=(str(place.root / "tickets"), "a file is in the place of a directory"),
    )


def test_a_root_that_is_a_url(place: Place) -> None:
    check_block(
        sdg("generate", place.file, "--root", "ftp://host/x"),
        ("ftp://host/x", "give a directory or s3://"),
    )


def test_a_root_on_a_read_only_disk(place: Place) -> None:
    with small_disk(place.root):
        place.made(0)
        remount_read_only(place.root)
        place.refused(
            "generate",
            says=(
                f"{place.root / 'tickets'}",
                "Read-only file system",
                "choose another root",
            ),
        )
        place.refused("process", says=("row groups are incomplete",))
        assert place.run("status").returncode == 0


def test_a_root_without_permission(place: Place) -> None:
    open_to_everyone(place.directory)
    place.root.mkdir(mode=0o755)
    before = snapshot(place.directory)
    for mode, says in ((0o755, "cannot write to"), (0o700, "")):
        place.root.chmod(mode)
        outcome = as_somebody_else("generate", place.file, "--root", place.root)
        check_block(
            outcome,
            (
                says,
                str(place.root),
                "Permission denied",
                "grant write permission",
            ),
        )
    assert snapshot(place.directory) == before


def test_a_dataset_file_without_permission(place: Place) -> None:
    open_to_everyone(place.directory)
    place.directory.chmod(0o700)
    outcome = as_somebody_else("generate", place.file)
    assert outcome.returncode == 2, outcome.stderr
    assert (
        "tickets.yaml" in outcome.stderr
        and "cannot be read: Permission denied" in outcome.stderr
    )


def as_somebody_else(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `sdg` as a user who owns nothing."""
    require(os.getuid() == 0, "root, to become another user")
    return subprocess.run(
        [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            *SDG,
            *map(str, command),
        ],
        cwd=PROJECT,
        env=environment(HOME="/tmp"),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_root_on_a_full_disk(place: Place) -> None:
    with small_disk(place.root):
        filler = fill_disk(place.root)
        outcome = place.run("generate")
        check_block(
            outcome,
            (str(place.root / "tickets"), "No space left on device", "free some space"),
        )
        filler.unlink()
        place.made()


def test_a_disk_that_fills_up_during_a_run_keeps_finished_row_groups(
    place: Place,
) -> None:
    place.write({**CONFIG, "num_records": 3000, "row_group_size": 200})
    with small_disk(place.root):
        # the ledger takes more than half of it
        filler = fill_disk(place.root, leave=300_000)
        outcome = place.run("generate")
        check_block(
            outcome,
            ("cannot write", "No space left on device", "finished files are kept"),
        )
        version = only_version(place.root)
        kept = snapshot(version.row_groups)
        assert 0 < len(kept) < 15 and not any(name.startswith(".tmp") for name in kept)
        filler.unlink()
        place.made()
        assert kept.items() <= snapshot(version.row_groups).items()
        assert sorted(stored_records(version)) == list(range(3000))


def test_a_foreign_file_in_the_place_of_a_row_group(place: Place) -> None:
    place.write({**CONFIG, "num_records": 45})
    place.made(0, 1)
    foreign = only_version(place.root).row_group(3)
    assert foreign.name == "batch_00003.parquet"
    pq.write_table(pa.table({"mine": [1, 2]}), foreign)
    for options in ((), ("--row-groups", "3")):
        place.refused(
            "generate",
            *options,
            says=(
                f"{foreign} was not written by sdg",
                "move it out of this directory",
            ),
        )
    place.refused(
        "process", says=("3 of 5 row groups are incomplete (corrupt, missing): 2-4",)
    )
    assert f"{foreign} was not written" in place.run("status").stdout
    place.made(2, 4)
    foreign.rename(place.directory / "mine.parquet")
    place.made()


def test_a_directory_in_the_place_of_a_row_group(place: Place) -> None:
    place.made(0)
    only_version(place.root).row_group(1).mkdir()
    place.refused("generate", says=("batch_00001.parquet is a directory",))


def test_a_version_whose_metadata_is_damaged(place: Place) -> None:
    place.made()
    version = only_version(place.root)
    version.metadata.write_bytes(version.metadata.read_bytes()[:100])
    for command in ("generate", "status"):
        place.refused(
            command,
            says=(str(version.metadata), "truncated or overwritten", "--resume never"),
        )
    assert place.run("generate", "--resume", "never").returncode == 0


def test_processing_without_data(place: Place) -> None:
    for command in ("process", "reopen"):
        place.refused(
            command, says=("holds no data of this config", "generate it first")
        )


def test_a_literal_api_key_is_refused_and_not_repeated(place: Place) -> None:
    key = "sk-" + "0123456789abcdef" * 2
    place.write(with_model("http://127.0.0.1:9/v1", provider={"api_key": key}))
    assert key not in place.refused(
        "generate", says=("model_providers[0].api_key", "environment variable")
    )


def test_a_good_file_is_good(place: Place) -> None:
    """So that the refusals above are for the reason they name."""
    assert yaml.safe_load(place.file.read_text()) == CONFIG
    assert place.run("generate").returncode == 0


def test_an_impossible_constraint(place: Place) -> None:
    columns = [sampler_column("a", 0, 1), sampler_column("b", 2, 3)]
    place.write(
        dataset_config(
            *columns, constraints=[{"target_column": "a", "operator": "gt", "rhs": "b"}]
        )
    )
    says = (
        "constraint a > b was not satisfied",
        "acceptance rate 0 (0 of ",
        "relax the constraint",
    )
    place.refused("validate", says=says)
    check_block(place.run("generate"), says)


def sampler_column(name: str, low: float, high: float) -> dict[str, Any]:
    params = {"low": low, "high": high}
    return {
        "column_type": "sampler",
        "name": name,
        "sampler_type": "uniform",
        "params": params,
    }
