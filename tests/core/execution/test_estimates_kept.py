"""Estimates count what is skipped, say between which ends they lie, and are compared with what happened."""

import asyncio
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core import api
from sdg_core.execution.extrapolation import scaled
from sdg_core.execution.predicted_skips import PredictedSkips
from sdg_core.testing import ModelServer
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    open_dataset,
    sdg,
    uuid,
    write_config,
)

SKIPPING = [
    {
        **category("plan", "free", "pro"),
        "params": {"values": ["free", "pro"], "weights": [49, 1]},
    },
    expression("paying", "{{ 'yes' if plan == 'pro' else '' }}"),
    llm("ticket", "A {{ plan }} customer complains."),
    {**llm("answer", "Answer {{ ticket }}"), "skip": {"when": "{{ plan == 'free' }}"}},
    {**llm("thanks", "Thank for {{ answer }}")},
    {
        **llm("offer", "Offer for {{ ticket }}"),
        "skip": {"when": "{{ paying }}", "value": "none"},
    },
]


def config(*columns: dict[str, Any], records: int = 400, **more: Any) -> dict[str, Any]:
    made = dataset_config(*columns, num_records=records, row_group_size=100, **more)
    made["model_configs"][0]["prices"] = {
        "prompt_tokens": 1000.0,
        "completion_tokens": 2000.0,
    }
    return made


def test_skips_are_counted_by_what_they_read_and_each_column_is_tried(
    tmp_path: Path,
) -> None:
    dataset = open_dataset(
        tmp_path / "t.yaml", config(*SKIPPING), root=tmp_path / "root"
    )
    expected = api.estimate(dataset, sample=3)
    api.generate(dataset)
    status = api.status(dataset)
    made = {
        name: usage["writer"]["requests"]
        for name, usage in status.usage_by_column.items()
    }
    assert (
        0 < made["answer"] == made["thanks"] < 20
        and made["answer"] + made["offer"] == 400
    )
    assert expected.skipped == {
        "answer": 400 - made["answer"],
        "thanks": 400 - made["thanks"],
        "offer": made["answer"],
    }
    assert expected.usage["writer"]["requests"] == status.usage["writer"]["requests"]
    assert expected.sampled == 4, (
        "one record more, because none of the three asks for an answer"
    )


def test_a_condition_on_what_a_model_writes_is_judged_by_the_sample(
    tmp_path: Path,
) -> None:
    columns = [
        llm("ticket", "Complain."),
        {**llm("answer", "Answer"), "skip": {"when": "{{ 'e' in ticket }}"}},
    ]
    expected = api.estimate(
        open_dataset(tmp_path / "t.yaml", config(*columns), root=tmp_path / "root"),
        sample=4,
    )
    assert expected.skipped == {} and 400 <= expected.usage["writer"]["requests"] <= 800


def test_the_range_holds_what_happens_and_is_compared_with_it(tmp_path: Path) -> None:
    async def main() -> tuple[api.Estimate, api.Dataset]:
        async with ModelServer(
            answer=lambda prompt: "word " * (5 + crc32(prompt.encode()) % 40)
        ) as server:
            made = config(uuid("n"), llm("a", "{{ n }}"), endpoint=server.url)
            dataset = open_dataset(tmp_path / "t.yaml", made, root=tmp_path / "root")
            expected = await asyncio.to_thread(api.estimate, dataset, sample=8)
            await api.agenerate(dataset)
            await asyncio.to_thread(api.process, dataset)
            return expected, dataset

    expected, dataset = asyncio.run(main())
    low, high = expected.cost_range["USD"]
    status = api.status(dataset)
    paid = status.spending.total["USD"]
    assert low < expected.total_cost["USD"] < high and low * 0.9 < paid < high * 1.1
    compared = status.estimate
    assert compared is not None and (compared.records, compared.made) == (400, 400)
    assert (
        compared.used_cost == {"USD": pytest.approx(paid)}
        and compared.cost == expected.total_cost
    )
    assert compared.used["writer"]["requests"] == 400
    shown = sdg("status", tmp_path / "t.yaml", "--root", tmp_path / "root").stdout
    assert (
        "400 records were estimated to cost" in shown
        and "the 400 generated since cost" in shown
    )
    version = api.measured_version(dataset)[0]
    assert "400 records were estimated to cost" in version.report_html.read_text(
        encoding="utf-8"
    )
    assert orjson.loads(version.report_json.read_bytes())["estimate"]["made"] == 400
    assert not list((tmp_path / "root" / ".sdg" / "estimates").iterdir()), (
        "it is stored with the version"
    )


def test_only_what_came_after_the_estimate_is_compared(tmp_path: Path) -> None:
    file = write_config(
        tmp_path / "t.yaml",
        config(llm("a", "Say {{ n }}"), category("n", 1, 2), records=200),
    )
    root = ("--root", tmp_path / "root")
    assert sdg("generate", file, "--row-groups", "0", *root).returncode == 0
    assert "would cost between" in sdg("estimate", file, *root).stdout
    assert sdg("generate", file, *root).returncode == 0
    found = orjson.loads(sdg("status", file, "--json", *root).stdout)["estimate"]
    assert (found["records"], found["made"], found["used"]["writer"]["requests"]) == (
        100,
        100,
        100,
    )


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30), st.integers(0, 10_000))
def test_ends_enclose_what_is_expected(tokens: list[int], cells: int) -> None:
    used = {
        "c": {
            record: {"m": {"prompt_tokens": count}}
            for record, count in enumerate(tokens)
        }
    }
    found = scaled(used, {"c": cells}, PredictedSkips(), chosen=range(len(tokens)))
    if cells:
        values = [
            usage["m"]["prompt_tokens"]
            for usage in (found.low, found.usage, found.high)
        ]
        assert 0 <= values[0] <= values[1] <= values[2]
        assert values[1] == pytest.approx(sum(tokens) / len(tokens) * cells, abs=1)
    else:
        assert found.usage == {}
