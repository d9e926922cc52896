"""Estimates of pipelines: what the remaining sources will ask for, without asking for anything."""

import json
from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.api import pipelines
from sdg_core.errors import ConfigDriftError, PlanError
from sdg_core.pipelines.estimate import PipelineEstimate, estimate_pipeline
from sdg_core.pipelines.generate import agenerate_pipeline
from sdg_core.plan.row_groups import Shard
from sdg_core.testing import ModelServer, status
from tests.support.pipelines import WORDS, Project, llm_stage, served_by
from tests.support.sdg import dataset_config, sdg, uuid

PRICED = {
    "prices": {
        "prompt_tokens": 2.0,
        "completion_tokens": 10.0,
        "requests": 0.5,
        "currency": "EUR",
    }
}
PAIRS = {
    "column_type": "llm-structured",
    "name": "qa",
    "model_alias": "m",
    "prompt": "Ask about {{ content }}",
    "drop": True,
    "output_format": {
        "type": "object",
        "required": ["pairs"],
        "properties": {
            "pairs": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "required": ["q"],
                    "properties": {"q": {"type": "string"}},
                },
            }
        },
    },
}


def simulated(tmp_path: Path, *stages: dict[str, Any], **more: Any) -> Project:
    project = Project(tmp_path, [*stages], **more)
    project.more = {
        "model_providers": [{"name": "r", "provider_type": "simulated"}],
        "model_configs": [{"alias": "m", "model": "any", "provider": "r", **PRICED}],
    }
    return project


def test_of_all_sources_of_a_rehearsal_it_is_exact(tmp_path: Path) -> None:
    fan_out = [
        WORDS,
        {"stage": "columns", "columns": [PAIRS]},
        {"stage": "explode", "column": "qa.pairs"},
    ]
    keep = {"stage": "filter", "keep": "{{ 'regular' not in q }}"}
    project = simulated(tmp_path, *fan_out, keep, llm_stage("a", "Answer {{ q }}"))
    project.write(a="one two three", b="four", c="five six")
    shown = sdg("estimate", project.file, "--root", project.root)
    assert shown.returncode == 0, shown.stderr
    for words in (
        "3 sources",
        "no model requests",
        "stages[1] columns: about 6",
        "EUR",
        "simulated",
    ):
        assert words in shown.stdout, shown.stdout
    expected = pipelines.estimate(project.open())
    assert not Path(project.root, "notes").exists()
    summary = project.generate()
    found = pipelines.status(project.open())
    assert expected.usage == expected.low == expected.high == found.usage
    assert expected.total_cost == found.spending.total and expected.rows == summary.rows
    assert expected.tasks["stages[1] columns"] == 6 and expected.tasks["read"] == 3
    after = pipelines.estimate(project.open())
    assert (after.remaining, after.sampled, after.usage, after.seconds) == (
        0,
        0,
        {},
        0.0,
    )
    said = sdg("estimate", project.file, "--root", project.root, "--json").stdout
    of_a_dataset = api.estimate(
        api.open_dataset(dataset_config(uuid()), root=tmp_path / "other")
    )
    assert json.loads(said).keys() > of_a_dataset.to_dict().keys()


async def test_no_model_is_asked_and_replies_are_as_long_as_before(
    tmp_path: Path,
) -> None:
    async with ModelServer() as server:
        project = Project(
            tmp_path,
            [WORDS, llm_stage("x", "x {{ content }}")],
            more=served_by(server.url, max_tokens=99),
        )
        project.more["model_configs"][0] |= PRICED
        project.write(**{name: f"{name}1 {name}2 {name}3" for name in "abcdef"})
        guessed = await estimate_pipeline(project.open(), sample=3)
        assert (guessed.remaining, guessed.sampled, guessed.measured) == (6, 3, ())
        assert (
            guessed.usage["m"]["requests"] == 18
            and guessed.simulated
            and guessed.speed_assumed
        )
        assert guessed.high["m"]["completion_tokens"] == 18 * 99
        assert not server.prompts
        await agenerate_pipeline(project.open(), shard=Shard(0, 2))
        so_far = pipelines.status(project.open()).usage["m"]["completion_tokens"]
        rest = await estimate_pipeline(project.open(), sample=3)
        assert (rest.remaining, rest.usage["m"]["requests"], rest.measured) == (
            3,
            9,
            ("m",),
        )
        assert rest.usage["m"]["completion_tokens"] == so_far == 3 * 3 * so_far / 9
        assert len(server.prompts) == 9


async def test_what_is_there_already_is_not_asked_for(tmp_path: Path) -> None:
    first = llm_stage("x", "x {{ content }}")
    async with ModelServer(faults=[None, None, status(400)]) as server:
        project = Project(
            tmp_path,
            [WORDS, first],
            more=served_by(server.url) | {"run": {"max_failure_rate": 1.0}},
        )
        project.write(a="a1 a2 a3", b="b1 b2")
        await agenerate_pipeline(project.open())
        await check_against_run(project, server, requests=1, reused=0)
        project.stages.append(llm_stage("y", "y {{ x }}"))
        await check_against_run(project.write(), server, requests=5, reused=5)
        await check_against_run(project.write(b="b1 b3"), server, requests=2, reused=2)


async def check_against_run(
    project: Project, server: ModelServer, *, requests: int, reused: int
) -> None:
    expected = await estimate_pipeline(project.open(), sample=20)
    before = len(server.prompts)
    await agenerate_pipeline(project.open())
    assert (expected.usage["m"]["requests"], expected.reused) == (requests, reused)
    assert len(server.prompts) - before == requests


def test_a_long_source_is_judged_by_its_first_records_and_counted(
    tmp_path: Path,
) -> None:
    project = simulated(
        tmp_path,
        llm_stage("x", "x {{ n }}"),
        sources={"reader": "jsonl", "path": "docs/*.jsonl"},
    )
    lines = [json.dumps({"n": number}) for number in range(1234)]
    project.write(long="\n".join([*lines, "not JSON"]), short="\n".join(lines[:3]))
    expected = pipelines.estimate(project.open())
    assert expected.tasks == {"read": 1238, "stages[0] columns": 1238}
    assert (expected.usage["m"]["requests"], expected.rows, expected.failed) == (
        1238,
        1238,
        0,
    )


def test_few_sources_stand_for_all_between_two_ends(tmp_path: Path) -> None:
    project = simulated(tmp_path, WORDS, llm_stage("x", "x {{ content }}"))
    project.write(
        **{f"n{number}": " ".join("abcdefg"[: 1 + number % 7]) for number in range(40)}
    )
    expected = pipelines.estimate(project.open(), sample=8)
    made = project.generate()
    true = pipelines.status(project.open()).usage["m"]["requests"]
    assert made.rows == true == 155
    assert expected.low["m"]["requests"] <= true <= expected.high["m"]["requests"]


def test_what_would_fail_and_what_would_be_refused(tmp_path: Path) -> None:
    project = simulated(
        tmp_path, {"stage": "filter", "keep": "{{ content | length / 0 }}"}
    )
    project.write(a="text", b="more")
    done = sdg("estimate", project.file, "--root", project.root)
    assert (
        done.returncode == 1
        and "2 of them would fail (docs/a.txt, stages[0]: " in done.stdout
    ), done.stdout
    with pytest.raises(PlanError, match="sample is 0"):
        pipelines.estimate(project.open(), sample=0)
    project.stages = [llm_stage("x", "{{ content }}")]
    project.write().generate()
    project.more["run"] = {"resume": "always"}
    project.stages = [llm_stage("x", "again {{ content }}")]
    with pytest.raises(ConfigDriftError):
        pipelines.estimate(project.write().open())
    refused = sdg("estimate", project.file, "--num-records", "3")
    assert refused.returncode == 2 and "--num-records" in refused.stderr


def test_its_fields_are_those_of_a_dataset() -> None:
    assert issubclass(PipelineEstimate, api.Estimate)
