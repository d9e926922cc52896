"""Carry-over: an edited config pays for the columns that changed and for those that read them, and for nothing else."""

import asyncio
import datetime
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_core import api
from sdg_core.execution.carry_over import same
from sdg_core.store.metadata import read_metadata
from sdg_core.testing import Fault, ModelServer, status
from tests.support.requirements import LONG
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    open_dataset,
    snapshot,
    stored_records,
    structured,
    uuid,
)

BASE = (
    uuid(),
    category("plan", "free", "pro"),
    llm("question", "question: ask about {{ id }} on {{ plan }}", drop=True),
    llm("answer", "answer: say {{ question }}"),
    llm("title", "title: of {{ id }}"),
)


def column_of(prompt: str) -> str:
    """Which column asked: prompts of these tests begin with its name."""
    return prompt.partition(":")[0]


def edited(
    columns: tuple[dict[str, Any], ...], name: str, **changes: Any
) -> tuple[dict[str, Any], ...]:
    return tuple(
        {**column, **changes} if column["name"] == name else column
        for column in columns
    )


class Project:
    """A dataset file that is edited, its root, and what each run asked of the server."""

    def __init__(
        self, directory: Path, server: ModelServer, root: str = "root"
    ) -> None:
        self.directory, self.server, self.root = directory, server, root
        self.asked: Counter[str] = Counter()

    def open(
        self, *columns: dict[str, Any], functions: Any = None, **top: Any
    ) -> api.Dataset:
        config = dataset_config(*columns, endpoint=self.server.url, **top)
        return open_dataset(
            self.directory / "tickets.yaml",
            config,
            root=self.directory / self.root,
            functions=functions,
        )

    async def generate(
        self, *columns: dict[str, Any], resume: Any = None, **top: Any
    ) -> api.RunSummary:
        before = len(self.server.prompts)
        summary = await api.agenerate(self.open(*columns, **top), resume=resume)
        self.asked = Counter(map(column_of, self.server.prompts[before:]))
        return summary

    async def without_reuse(
        self, *columns: dict[str, Any], **top: Any
    ) -> dict[int, dict[str, Any]]:
        """What the same config gives in a root of its own."""
        name = f"fresh-{len(list(self.directory.iterdir()))}"
        return stored_records(
            (
                await Project(self.directory, self.server, name).generate(
                    *columns, **top
                )
            ).version
        )


async def test_an_edited_prompt_pays_for_its_column_and_those_that_read_it(
    tmp_path: Path,
) -> None:
    async with ModelServer() as server:
        project = Project(tmp_path, server)
        old = await project.generate(*BASE)
        before = snapshot(old.version.directory)

        columns = edited(BASE, "answer", prompt="answer: reply to {{ question }}")
        plan = api.plan(project.open(*columns, num_records=30))
        assert plan.records == 30 and not any(
            "seed" in reason for reason in plan.reasons
        )
        summary = await project.generate(*columns)
        assert project.asked == {"answer": 25}
        assert (summary.generated, summary.carried) == (25, 50)
        assert stored_records(summary.version) == await project.without_reuse(*columns)

        columns = edited(columns, "question", prompt="question: now about {{ id }}")
        summary = await project.generate(*columns)
        assert project.asked == {"question": 25, "answer": 25}
        assert stored_records(summary.version) == await project.without_reuse(*columns)
        assert snapshot(old.version.directory) == before


async def test_added_removed_and_moved_columns_and_other_sizes_pay_for_what_is_new_alone(
    tmp_path: Path,
) -> None:
    async with ModelServer() as server:
        project = Project(tmp_path, server)
        await project.generate(*BASE)
        added = (*BASE, llm("summary", "summary: of {{ answer }} and {{ question }}"))
        for columns, top, expected in (
            (added, {}, {"summary": 25}),
            (BASE[:4], {}, {}),
            ((*BASE[:2], *reversed(BASE[2:])), {}, {}),
            (edited(BASE, "question", drop=False), {"row_group_size": 7}, {}),
            (
                (*added, expression("n", "{{ summary | length }}")),
                {"num_records": 38, "row_group_size": 4},
                {"question": 13, "answer": 13, "title": 13, "summary": 13},
            ),
        ):
            summary = await project.generate(*columns, **top)
            assert project.asked == expected
            assert stored_records(summary.version) == await project.without_reuse(
                *columns, **top
            )


@st.composite
def configs(draw: st.DrawFn) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """Chains and branches of columns, whose prompts have versions, whose order changes, some of which may be missing."""
    reads = {
        "a": "{{ id }}",
        "b": "{{ a }}",
        "c": "{{ plan }} {{ id }}",
        "d": "{{ b }} {{ c }}",
        "e": "{{ c }}",
    }
    kept = {name for name in reads if draw(st.integers(0, 4)) > 0}
    kept -= {"b"} if "a" not in kept else set()
    kept -= {"d"} if not {"b", "c"} <= kept else set()
    kept -= {"e"} if "c" not in kept else set()
    columns = [
        llm(
            name,
            f"{name}: {draw(st.sampled_from(['one', 'two']))} {text}",
            drop=draw(st.booleans()),
        )
        for name, text in reads.items()
        if name in kept
    ]
    columns += (
        [expression("size", "{{ a | length }}", dtype="int")]
        if "a" in kept and draw(st.booleans())
        else []
    )
    columns = [uuid(), category("plan", "free", "pro"), *draw(st.permutations(columns))]
    skip = {"skip": {"when": "{{ plan == 'free' }}", "value": "none"}}
    columns = [
        column | skip if column["name"] == "c" and draw(st.booleans()) else column
        for column in columns
    ]
    return tuple(columns), {"row_group_size": draw(st.integers(1, 9))}


@settings(max_examples=15 if LONG else 8)
@given(
    steps=st.lists(st.tuples(configs(), st.booleans()), min_size=2, max_size=4),
    growth=st.lists(st.integers(0, 5), min_size=4, max_size=4),
)
def test_any_edits_give_what_a_fresh_root_gives_and_pay_for_nothing_twice(
    steps: list[tuple[tuple[tuple[dict[str, Any], ...], dict[str, Any]], bool]],
    growth: list[int],
) -> None:
    async def main(directory: Path) -> None:
        async with ModelServer() as server:
            project = Project(directory, server)
            paid: set[tuple[str, int]] = set()
            sizes: dict[str, int] = {}
            records = 6
            for ((columns, top), partly), more in zip(steps, growth, strict=False):
                records += more
                dataset = project.open(*columns, num_records=records, **top)
                top["row_group_size"] = sizes.setdefault(
                    dataset.plan.fingerprint.version, top["row_group_size"]
                )
                dataset = project.open(*columns, num_records=records, **top)
                before = len(server.prompts)
                groups = [0] if partly else None
                version = (await api.agenerate(dataset, row_groups=groups)).version
                made = stored_records(version)
                asked = Counter(map(column_of, server.prompts[before:]))
                hashes = dataset.plan.fingerprint.column_hashes
                skipping = {column["name"] for column in columns if "skip" in column}
                expected: Counter[str] = Counter()
                for record, name in itertools.product(made, hashes):
                    skipped = (
                        skipping
                        and made[record]["plan"] == "free"
                        and name in {*skipping, "d", "e"}
                    )
                    if (
                        dataset.plan.schema.field(name).type == "string"
                        and len(name) == 1
                        and not skipped
                    ):
                        expected[name] += (hashes[name], record) not in paid
                        paid.add((hashes[name], record))
                assert asked == +expected
                whole = await project.without_reuse(
                    *columns, num_records=records, **top
                )
                assert made == {record: whole[record] for record in made}

    with TemporaryDirectory() as directory:
        asyncio.run(main(Path(directory)))


async def test_a_column_that_was_changed_back_is_found_in_any_earlier_version(
    tmp_path: Path,
) -> None:
    async with ModelServer() as server:
        project = Project(tmp_path, server)
        await project.generate(*BASE)
        other = edited(BASE, "answer", prompt="answer: other {{ question }}")
        await project.generate(*other)
        await project.generate(*other[:3])
        summary = await project.generate(*BASE[:4])
        assert project.asked == {}
        assert stored_records(summary.version) == await project.without_reuse(*BASE[:4])


# --- every kind of cell -----------------------------------------------------------------------------------------------


def facts(row: dict[str, Any]) -> dict[str, Any]:
    odd = int(row["id"][0], 16) % 2
    when = datetime.datetime(2024, 5, 1, 12, 30, 0, 250_000)  # noqa: DTZ001 - datetime columns have no zone
    return {
        "facts": {
            "when": when,
            "score": float("nan") if odd else 1,
            "tags": [] if odd else ["x", None],
        },
        "day": None if odd else when.date(),
    }


def custom(calls: list[str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def counted(row: dict[str, Any]) -> dict[str, Any]:
        calls.append(row["id"])
        return facts(row)

    return counted


SCHEMA = {
    "type": "object",
    "properties": {
        "kind": {"type": "string", "enum": ["bug", "wish"]},
        "weight": {"type": "number"},
        "extra": {},
        "parts": {
            "type": "array",
            "items": {"type": "object", "properties": {"n": {"type": "integer"}}},
        },
    },
    "required": ["kind"],
}
JUDGED = [
    {
        "name": "tone",
        "description": "how it sounds",
        "options": {"1": "bad", "2": "good"},
    }
]
KINDS = (
    uuid(),
    category("plan", "free", "pro"),
    llm(
        "text",
        "text: {{ id }}",
        with_trace="all_messages",
        extract_reasoning_content=True,
        drop=True,
    ),
    structured("facts_of", "facts_of: {{ id }}", SCHEMA),
    {
        **llm("verdict", "verdict: {{ text }}"),
        "column_type": "llm-judge",
        "scores": JUDGED,
    },
    {
        "column_type": "embedding",
        "name": "vector",
        "target_column": "text",
        "model_alias": "vectors",
    },
    {
        "column_type": "image",
        "name": "image",
        "prompt": "image: {{ id }}",
        "model_alias": "painter",
    },
    {
        "column_type": "custom",
        "name": "facts",
        "generator_function": "facts",
        "version": 1,
        "required_columns": ["id"],
        "side_effect_columns": ["day"],
        "side_effect_types": {"day": "date"},
        "output_type": {"when": "datetime", "score": "float", "tags": ["str"]},
    },
    llm("maybe", "maybe: {{ text }}", skip={"when": "{{ plan == 'free' }}"}),
)
READS_ALL = (
    expression(
        "seen",
        "{{ facts }} {{ day }} {{ facts_of }} {{ verdict }} {{ maybe }} {{ image }} {{ text__trace }}",
    ),
    llm(
        "about",
        "about: {{ facts }} {{ day }} {{ facts_of }} {{ vector.dimension }} {{ text__reasoning_content }}",
    ),
    llm("after", "after: {{ maybe }}"),
)


def every_model(server: ModelServer) -> dict[str, Any]:
    def model(alias: str, kind: str) -> dict[str, Any]:
        parameters = {"generation_type": kind, "max_parallel_requests": 4}
        name = "dall-e-3" if kind == "image" else "m"
        return {
            "alias": alias,
            "model": name,
            "provider": "p",
            "inference_parameters": parameters,
        }

    kinds = {"writer": "chat-completion", "vectors": "embedding", "painter": "image"}
    return {
        "model_providers": [{"name": "p", "endpoint": server.url}],
        "model_configs": [model(alias, kind) for alias, kind in kinds.items()],
    }


async def test_every_kind_of_cell_is_carried_as_it_is(tmp_path: Path) -> None:
    async with ModelServer() as server:
        calls: list[str] = []
        more = {**every_model(server), "functions": {"facts": custom(calls)}}
        project = Project(tmp_path, server)
        old = await project.generate(*KINDS, **more)
        assert old.failed == 0
        assert len(calls) == 25
        columns = (*KINDS, *READS_ALL)
        summary = await project.generate(*columns, row_group_size=8, **more)
        skipped = sum(
            row["plan"] == "free" for row in stored_records(summary.version).values()
        )
        assert 0 < skipped < 25
        assert project.asked == {"about": 25, "after": 25 - skipped}
        assert len(calls) == 25
        fresh = await project.without_reuse(*columns, **more)
        made = stored_records(summary.version)
        assert made.keys() == fresh.keys()
        assert all(same(made[record], fresh[record]) for record in fresh)
        for row in made.values():
            for path in row["image"]:
                content = (summary.version.directory / path).read_bytes()
                assert content == (old.version.directory / path).read_bytes()


async def test_verdicts_of_endpoints_are_carried(tmp_path: Path) -> None:
    from aiohttp import web

    asked = 0

    async def judge(request: web.Request) -> web.Response:
        nonlocal asked
        rows = (await request.json())["data"]
        asked += len(rows)
        return web.json_response(
            {"data": [{"is_valid": len(row["id"]) % 2 == 0, "n": 1} for row in rows]}
        )

    app = web.Application()
    app.router.add_post("/", judge)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = "http://{}:{}/".format(*runner.addresses[0][:2])
    verdict = {
        "column_type": "validation",
        "name": "ok",
        "target_columns": ["id"],
        "validator_type": "remote",
        "validator_params": {"endpoint_url": url},
    }
    try:
        async with ModelServer() as server:
            project = Project(tmp_path, server)
            await project.generate(uuid(), verdict)
            columns = (uuid(), verdict, llm("why", "why: {{ ok }}"))
            summary = await project.generate(*columns)
            assert (asked, summary.carried) == (25, 25)
            assert stored_records(summary.version) == await project.without_reuse(
                *columns
            )
    finally:
        await runner.cleanup()


# --- what is not carried ----------------------------------------------------------------------------------------------


async def test_never_makes_everything_anew_also_when_it_is_taken_up_again(
    tmp_path: Path,
) -> None:
    async with ModelServer() as server:
        project = Project(tmp_path, server)
        await project.generate(*BASE)
        await api.agenerate(project.open(*BASE), resume="never", row_groups=[0])
        forced = await project.generate(*BASE)
        assert project.asked == {"question": 15, "answer": 15, "title": 15}
        assert (
            forced.carried == 0
            and forced.version.name.endswith("-2")
            and read_metadata(forced.version.metadata).forced
        )
        await project.generate(*BASE[:4], resume="never")
        assert project.asked == {"question": 25, "answer": 25}


async def test_cells_of_one_record_belong_together(tmp_path: Path) -> None:
    """A forced version answered differently under the same fingerprints."""
    numbers = itertools.count()
    async with ModelServer(
        answer=lambda prompt: f"{next(numbers)} <{prompt}>"
    ) as server:
        project = Project(tmp_path, server)
        old = stored_records((await project.generate(*BASE)).version)
        new = stored_records(
            (await project.generate(*BASE[:3], resume="never")).version
        )
        assert all(old[record]["question"] != new[record]["question"] for record in old)
        columns = (*BASE, expression("both", "{{ question }}"))
        made = stored_records((await project.generate(*columns)).version)
        for record, row in made.items():
            assert row["question"] == new[record]["question"], "the newest answer"
            assert row["question"] in row["answer"], (
                "made from the question that it stands beside"
            )
            assert row["title"] == old[record]["title"]
        assert project.asked == {"answer": 25}


async def test_records_that_failed_before_are_simply_made(tmp_path: Path) -> None:
    async with ModelServer(rates=[(status(400), 0.3)]) as server:
        project = Project(tmp_path, server)
        run = {"max_failure_rate": 1.0}
        old = await project.generate(*BASE, run=run)
        have = len(stored_records(old.version))
        assert 0 < have < 25
        server.rates = []
        columns = edited(BASE, "title", prompt="title: {{ id }}, in short")
        summary = await project.generate(*columns, run=run)
        assert summary.remaining == 0
        assert project.asked["title"] == 25
        assert project.asked["answer"] <= 25 - have, (
            "what the journal of the old version has is not paid for again"
        )
        assert stored_records(summary.version) == await project.without_reuse(*columns)


async def test_a_damaged_file_of_an_earlier_version_is_made_again(
    tmp_path: Path,
) -> None:
    async with ModelServer() as server:
        project = Project(tmp_path, server)
        old = (await project.generate(*BASE)).version
        old.row_group(0).write_bytes(old.row_group(0).read_bytes()[:-20])
        content = bytearray(old.dropped(1).read_bytes())
        content[8:40] = b"x" * 32
        old.dropped(1).write_bytes(content)
        old.metadata.write_bytes(b"{")
        columns = BASE[:4]
        summary = await project.generate(*columns)
        assert project.asked == {"question": 20, "answer": 20}
        assert stored_records(summary.version) == await project.without_reuse(*columns)


async def test_simulated_replies_never_stand_in_for_real_ones_nor_the_other_way_round(
    tmp_path: Path,
) -> None:
    async with ModelServer() as server:
        project = Project(tmp_path, server)
        simulated: Mapping[str, Any] = {
            "model_providers": [{"name": "p", "provider_type": "simulated"}]
        }
        rehearsal = await project.generate(*BASE, **simulated)
        real = await project.generate(*BASE)
        assert (real.carried, project.asked.total()) == (0, 75)
        again = await project.generate(
            *BASE, expression("x", "{{ title }}"), **simulated
        )
        assert again.carried == 75, "from the rehearsal"
        old, new = stored_records(rehearsal.version), stored_records(again.version)
        assert all(old[record]["title"] == new[record]["title"] for record in new)
        assert (
            read_metadata(rehearsal.version.metadata).simulated
            and not read_metadata(real.version.metadata).simulated
        )


async def test_whole_column_functions_are_called_again_and_what_reads_them_is_carried_if_they_agree(
    tmp_path: Path,
) -> None:
    def numbered(df: Any) -> Any:
        import polars as pl

        return df.with_columns(pl.Series("batch", [str(df.height)] * df.height))

    whole = {
        "column_type": "custom",
        "name": "batch",
        "generator_function": "numbered",
        "version": 1,
        "generation_strategy": "full_column",
        "required_columns": ["id"],
    }
    columns = (
        uuid(),
        whole,
        llm("text", "text: {{ batch }} {{ id }}"),
        llm("other", "other: {{ id }}"),
    )
    async with ModelServer() as server:
        project = Project(tmp_path, server)
        more = {"functions": {"numbered": numbered}}
        await project.generate(*columns, **more)
        changed = edited(columns, "other", prompt="other: again {{ id }}")
        summary = await project.generate(*changed, **more)
        assert project.asked == {"other": 25}
        longer = await project.generate(
            *edited(columns, "other", prompt="other: thrice"), num_records=28, **more
        )
        assert project.asked == {"other": 28, "text": 8}, (
            "the last row group had 5 records and has 8 now"
        )
        assert summary.carried == 25 and longer.carried == 20


# --- replies that never got into a file -------------------------------------------------------------------------------


async def test_replies_of_an_interrupted_run_serve_the_edited_config(
    tmp_path: Path,
) -> None:
    async with ModelServer(rates=[(Fault("hang"), 0.2)]) as server:
        project = Project(tmp_path, server)
        running = asyncio.create_task(project.generate(*BASE, parallel=40))
        await server.seen(60)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        before = Counter(map(column_of, server.prompts))
        server.rates = []
        columns = edited(BASE, "answer", prompt="answer: another {{ question }}")
        summary = await project.generate(*columns)
        hung = before["question"] + before["title"] - summary.carried
        assert summary.carried > 0 and hung > 0
        assert (
            project.asked["question"] + project.asked["title"] == 50 - summary.carried
        )
        assert stored_records(summary.version) == await project.without_reuse(*columns)


# --- seed data --------------------------------------------------------------------------------------------------------


async def test_cells_made_from_seed_values_of_any_type_are_carried(
    tmp_path: Path,
) -> None:
    import decimal

    import polars as pl

    moment = datetime.datetime(2024, 5, 1, 12, 30, 0, 250_001)  # noqa: DTZ001 - one of the types
    pl.DataFrame(
        {
            "when": [moment, None, moment],
            "zoned": pl.Series([moment] * 3).dt.replace_time_zone("Europe/Berlin"),
            "nanos": pl.Series([moment, moment, None]).dt.cast_time_unit("ns"),
            "day": [moment.date()] * 3,
            "hour": [moment.time()] * 3,
            "span": [datetime.timedelta(seconds=1.5)] * 3,
            "price": [decimal.Decimal("1.50"), None, decimal.Decimal("2")],
            "small": pl.Series([0.1, float("nan"), None], dtype=pl.Float32),
            "byte": pl.Series([1, 2, 255], dtype=pl.UInt8),
            "kind": pl.Series(["a", "b", "a"], dtype=pl.Categorical),
            "raw": [b"x", b"\x00", None],
            "tags": [["a", None], [], None],
            "nested": [{"a": 1, "b": [1.5]}, {"a": None, "b": None}, None],
        }
    ).write_parquet(tmp_path / "seeds.parquet")
    seeded = {
        "seed_config": {
            "source": {"seed_type": "local", "path": "seeds.parquet"},
            "sampling_strategy": "shuffle",
        }
    }
    names = (
        "when zoned nanos day hour span price small byte kind raw tags nested".split()
    )
    text = llm("text", "text: " + " ".join(f"{{{{ {name} }}}}" for name in names))
    async with ModelServer() as server:
        project = Project(tmp_path, server)
        old = await project.generate(text, **seeded)
        assert old.failed == 0
        summary = await project.generate(
            text, llm("more", "more: {{ text }}"), row_group_size=6, **seeded
        )
        assert project.asked == {"more": 25} and summary.carried == 25


async def test_changed_seed_rows_pay_for_the_records_made_from_them_alone(
    tmp_path: Path,
) -> None:
    """25 records of two seed rows in turn; the second changes, so 12 are made again, and then a third joins them."""
    seeds = tmp_path / "seeds.csv"
    seeds.write_text("word\none\ntwo\n")
    seeded = {"seed_config": {"source": {"seed_type": "local", "path": "seeds.csv"}}}
    columns = (
        uuid(),
        llm("text", "text: {{ word }} {{ id }}"),
        llm("free", "free: {{ id }}"),
    )
    async with ModelServer() as server:
        project = Project(tmp_path, server)
        await project.generate(*columns, **seeded)
        seeds.write_text("word\none\nthree\n")
        summary = await project.generate(*columns, **seeded)
        assert project.asked == {"text": 12} and summary.carried == 25 + 13
        assert stored_records(summary.version) == await project.without_reuse(
            *columns, **seeded
        )

        seeds.write_text("word\none\ntwo\nthree\n")
        plan = api.plan(project.open(*columns, **seeded))
        assert {column.column: column.to_make for column in plan.columns} == {
            "text": 25,
            "free": 0,
        }
        assert any(
            "cells of text whose seed rows are unchanged" in reason
            for reason in plan.reasons
        )
        summary = await project.generate(*columns, **seeded)
        words = ["one", "two", "three"]
        before = [
            {"one" if record % 2 == 0 else word for word in ("two", "three")}
            for record in range(25)
        ]
        made_before = sum(words[record % 3] in before[record] for record in range(25))
        assert (
            project.asked == {"text": 25 - made_before}
            and summary.carried == 25 + made_before
        )
        assert stored_records(summary.version) == await project.without_reuse(
            *columns, **seeded
        )


async def test_functions_are_called_again_when_seed_data_changed(
    tmp_path: Path,
) -> None:
    """A function may look at what no value shows, such as the content of a file that a seed row names."""
    documents = tmp_path / "documents"
    documents.mkdir()
    seeded = {
        "seed_config": {"source": {"seed_type": "directory", "path": "documents"}},
        "num_records": 2,
    }
    column = {
        "column_type": "custom",
        "name": "text",
        "generator_function": "text",
        "required_columns": ["source_path"],
    }

    def text(row: dict[str, Any]) -> str:
        return (tmp_path / row["source_path"]).read_text()

    found = []
    for content in ("old", "new"):
        for name in ("a.txt", "b.txt"):
            (documents / name).write_text(content if name == "a.txt" else "same")
        config = dataset_config(column, **seeded)
        dataset = open_dataset(
            tmp_path / "d.yaml",
            config,
            root=tmp_path / "root",
            functions={"text": text},
        )
        rows = stored_records((await api.agenerate(dataset)).version)
        found.append([row["text"] for row in rows.values()])
    assert found == [["old", "same"], ["new", "same"]]


async def test_what_depends_on_an_image_is_asked_again_when_seed_data_changed(
    tmp_path: Path,
) -> None:
    """An image is made again under its old path, so a column between would hide the change."""
    seeds = tmp_path / "seeds.csv"
    seeded = {
        "seed_config": {"source": {"seed_type": "local", "path": "seeds.csv"}},
        "num_records": 2,
    }
    columns = (
        {
            "column_type": "image",
            "name": "image",
            "model_alias": "painter",
            "prompt": "image: {{ word }}",
        },
        expression("shown", "{{ image[0] }}"),
        llm(
            "caption",
            "caption: this",
            multi_modal_context=[{"modality": "image", "column_name": "shown"}],
        ),
    )
    async with ModelServer() as server:
        project, more = Project(tmp_path, server), {**seeded, **every_model(server)}
        for content in ("word\none\ntwo\n", "word\none\nthree\n"):
            seeds.write_text(content)
            await project.generate(*columns, **more)
        assert project.asked == {"image": 1, "caption": 2}


@settings(max_examples=12)
@given(
    contents=st.lists(
        st.lists(st.sampled_from(["one", "two", "three"]), min_size=1, max_size=4),
        min_size=2,
        max_size=4,
    ),
    strategy=st.sampled_from(["ordered", "shuffle"]),
    value=st.sampled_from([None, "", "text: one"]),
)
def test_any_seed_rows_give_what_a_fresh_root_gives(
    contents: list[list[str]], strategy: str, value: str | None
) -> None:
    columns = (
        uuid(),
        llm(
            "text",
            "text: {{ word }}",
            skip={"when": "{{ word == 'two' }}", "value": value},
        ),
        llm("more", "more: {{ text }}"),
        llm("kept", "kept: {{ text }} {{ id }}", propagate_skip=False),
    )

    async def main(directory: Path) -> None:
        seeds = directory / "seeds.csv"
        seeded = {
            "seed_config": {
                "source": {"seed_type": "local", "path": "seeds.csv"},
                "sampling_strategy": strategy,
            },
            "num_records": 7,
        }
        async with ModelServer() as server:
            project = Project(directory, server)
            for words in contents:
                seeds.write_text("\n".join(["word", *words, ""]))
                summary = await project.generate(*columns, **seeded)
                assert stored_records(summary.version) == await project.without_reuse(
                    *columns, **seeded
                )

    with TemporaryDirectory() as directory:
        asyncio.run(main(Path(directory)))


async def test_what_reads_an_image_is_carried_only_with_that_very_image(
    tmp_path: Path,
) -> None:
    columns = (
        uuid(),
        {
            "column_type": "image",
            "name": "image",
            "prompt": "image: {{ id }}",
            "model_alias": "painter",
        },
        llm(
            "caption",
            "caption: {{ id }}",
            multi_modal_context=[{"modality": "image", "column_name": "image"}],
        ),
    )
    async with ModelServer() as server:
        more = every_model(server)
        project = Project(tmp_path, server)
        old = (await project.generate(*columns, **more)).version
        (old.images / "image" / "3.png").unlink()
        (old.images / "image" / "4.png").write_bytes(b"\x89PNG\r\n\x1a\n another")
        await project.generate(*columns, expression("x", "{{ id }}"), **more)
        assert project.asked == {"image": 1, "caption": 1}, (
            "the lost one is drawn again"
        )
