"""Samples of previews and estimates: paid for once, and taken by the run where the cell is the same. They start no dataset."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from sdg_core import api
from sdg_core.testing import ModelServer
from tests.support.sdg import (
    ServerProcess,
    dataset_config,
    llm,
    open_dataset,
    sdg,
    uuid,
    write_config,
)

PRICES = {"prompt_tokens": 1000.0, "completion_tokens": 2000.0}


def config(
    url: str, second: str = "second {{ first }} {{ id }}", **more: Any
) -> dict[str, Any]:
    columns = (uuid(), llm("first", "first {{ id }}"), llm("second", second))
    made = dataset_config(
        *columns, endpoint=url, **{"num_records": 12, "row_group_size": 5, **more}
    )
    made["model_configs"][0]["prices"] = PRICES
    return made


def test_replies_of_previews_and_estimates_are_not_paid_again(tmp_path: Path) -> None:
    with ServerProcess() as server:
        file, root = (
            write_config(tmp_path / "t.yaml", config(server.url)),
            tmp_path / "root",
        )
        assert sdg("preview", file, "-n", "3", "--root", root).returncode == 0
        assert sdg("preview", file, "-n", "2", "--root", root).returncode == 0
        assert len(server.prompts()) == 6 and not (root / "tickets").exists()
        dataset = api.open_dataset(file, root=str(root))
        before = api.status(dataset)
        assert (
            not before.exists
            and before.usage == {}
            and before.versions == ()
            and before.spending.total["USD"] > 0
        )
        first = api.estimate(dataset, sample=4)
        assert (
            first.reused == 6 and first.kept and len(server.prompts()) == 6 + 2 * 4 - 2
        )
        assert {column.journaled for column in api.plan(dataset).columns} == {6}
        done = sdg("generate", file, "--root", root)
        assert "12 replies were reused from previews and estimates" in done.stdout
        assert (
            len(server.prompts()) == 24 and max(Counter(server.prompts()).values()) == 1
        )
        after = api.status(dataset)
        assert after.usage["writer"]["requests"] == 24 and after.spending.total == {
            "USD": after.cost["writer"].amount
        }
        assert (
            api.generate(dataset, resume="never").sampled == 0
            and len(server.prompts()) == 48
        )


def test_only_the_same_cells_are_taken(tmp_path: Path) -> None:
    async def main() -> None:
        async with ModelServer() as server:
            root = tmp_path / "root"
            await asyncio.to_thread(
                api.preview,
                write_config(tmp_path / "t.yaml", config(server.url)),
                num_records=3,
                root=str(root),
            )
            edited = open_dataset(
                tmp_path / "t.yaml",
                config(server.url, second="other {{ first }} {{ id }}"),
                root=root,
            )
            summary = await api.agenerate(edited)
            assert (summary.sampled, summary.replayed) == (3, 3)
            assert len(server.prompts) == 6 + 24 - 3
            fresh = open_dataset(
                tmp_path / "t.yaml", config(server.url), root=tmp_path / "other"
            )
            await api.agenerate(fresh)
            again = open_dataset(tmp_path / "t.yaml", config(server.url), root=root)
            summary = await api.agenerate(
                again
            )  # the other half of the preview is still there for its own config
            assert (summary.sampled, summary.carried) == (3, 12)

    asyncio.run(main())


def test_a_run_on_samples_makes_what_a_run_without_makes(tmp_path: Path) -> None:
    with ServerProcess() as server:
        tables = []
        for name, sampled in (("with", True), ("without", False)):
            dataset = open_dataset(
                tmp_path / f"{name}.yaml", config(server.url), root=tmp_path / name
            )
            if sampled:
                api.estimate(dataset, sample=5)
            version = api.generate(dataset).version
            tables.append(
                [
                    api.read_rows(version.row_group(index)).to_pylist()
                    for index in range(3)
                ]
            )
        assert tables[0] == tables[1]


def test_rehearsals_and_previews_without_models_write_nothing(tmp_path: Path) -> None:
    for made in (
        dataset_config(uuid()),
        dataset_config(uuid(), llm("text", "{{ id }}")),
    ):
        api.preview(
            write_config(tmp_path / "t.yaml", made), root=str(tmp_path / "root")
        )
        assert not (tmp_path / "root").exists()


def test_a_root_that_cannot_be_written_is_no_reason_to_show_nothing(
    tmp_path: Path,
) -> None:
    with ServerProcess() as server:
        (tmp_path / "root").write_text("a file")
        shown = api.preview(
            write_config(tmp_path / "t.yaml", config(server.url)),
            num_records=2,
            root=str(tmp_path / "root"),
        )
        assert shown.table.num_rows == 2 and not shown.kept


def test_json_says_what_was_kept(tmp_path: Path) -> None:
    with ServerProcess() as server:
        file = write_config(tmp_path / "t.yaml", config(server.url))
        data = orjson.loads(
            sdg(
                "estimate", file, "-n", "2", "--root", tmp_path / "root", "--json"
            ).stdout
        )
        assert (
            data["kept"]
            and data["replayed"] == 0
            and data["used"]["writer"]["requests"] == 4
        )
