"""What a failure keeps of the reply that was no use: enough to see what the model said, and no more."""

from pathlib import Path

import orjson
import pytest

from sdg_core import api
from sdg_core.store.failures import (
    MAX_REPLY,
    Failure,
    count_failures,
    dump_failures,
    kept_reply,
    parse_failures,
)
from sdg_core.testing import Fault, ModelServer
from tests.support.sdg import (
    category,
    dataset_config,
    llm,
    object_of,
    structured,
)


def failures_of(config: dict[str, object], root: Path) -> list[dict[str, object]]:
    summary = api.generate(api.open_dataset(config, root=str(root)))
    return [
        orjson.loads(line)
        for line in summary.version.failure_list(0).read_bytes().splitlines()
    ]


def test_a_malformed_reply_is_kept_as_it_came(tmp_path: Path) -> None:
    note = structured("note", "{{ plan }}", object_of(a="string"))
    config = dataset_config(
        category("plan", "free"), llm("text", "{{ plan }}"), note, num_records=2
    )
    config["model_configs"].append(
        {"alias": "broken", "model": "any", "provider": "broken"}
    )
    config["model_providers"].append(
        {
            "name": "broken",
            "provider_type": "simulated",
            "simulation": {"malformed": 1.0},
        }
    )
    note["model_alias"] = "broken"
    found = failures_of({**config, "run": {"max_failure_rate": 1.0}}, tmp_path)
    assert [each["record"] for each in found] == [0, 1]
    for each in found:
        assert each["kind"] == "malformed" and each["attempts"] > 1
        assert each["reply"] and each["finish_reason"] == "stop"
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(each["reply"])


async def test_a_reply_that_was_cut_off_is_kept_with_its_reason(tmp_path: Path) -> None:
    async with ModelServer(faults=[Fault("length")]) as server:
        provider = {"name": "local", "endpoint": server.url, "provider_type": "openai"}
        config = dataset_config(
            category("plan", "free"),
            llm("text", "{{ plan }}"),
            num_records=1,
            model_providers=[provider],
            model_configs=[
                {
                    "alias": "writer",
                    "model": "m",
                    "provider": "local",
                    "skip_health_check": True,
                }
            ],
        )
        summary = await api.agenerate(api.open_dataset(config, root=str(tmp_path)))
    (kept,) = [
        orjson.loads(line)
        for line in summary.version.failure_list(0).read_bytes().splitlines()
    ]
    assert (kept["kind"], kept["finish_reason"]) == ("truncated", "length") and kept[
        "reply"
    ]


def test_a_long_reply_is_bounded_and_any_text_can_be_kept() -> None:
    failure = Failure(
        3,
        "text",
        "malformed",
        "why",
        2,
        kept_reply("\ud800" + "x" * 3 * MAX_REPLY),
        "stop",
    )
    (read,) = parse_failures(dump_failures([failure]))
    assert (
        read == failure and read.reply is not None and len(read.reply) < MAX_REPLY + 50
    )
    assert read.reply.startswith("\\ud800x") and read.reply.endswith(
        f"({3 * MAX_REPLY + 6:,} characters)"
    )


def test_a_failure_without_a_reply_is_written_as_before() -> None:
    line = dump_failures([Failure(3, "text", "transient", "why", 2)])
    assert orjson.loads(line) == {
        "record": 3,
        "column": "text",
        "kind": "transient",
        "message": "why",
        "attempts": 2,
    }
    assert parse_failures(line) == [Failure(3, "text", "transient", "why", 2)]


def test_failures_are_counted_by_reason_whatever_their_numbers_and_quotations() -> None:
    long = "answered 400: 770 tokens were requested, of 512"
    longer = "answered 400: 772 tokens were requested, of 512"
    busy = "answered 503: 770 tokens were requested, of 512"
    cut = [
        f"the reply was cut off; the text so far: {text!r}"
        for text in ("it's", 'a "b"', "\\'")
    ]
    failures = [
        ("text", "permanent", long),
        ("text", "transient", busy),
        *[("text", "truncated", message) for message in cut],
        ("text", "permanent", longer),
        ("note", "permanent", long),
        ("note", "permanent", long),
    ]
    assert [(f.column, f.example, f.count) for f in count_failures(failures)] == [
        ("text", f"{cut[0]} (or similar)", 3),
        ("note", long, 2),
        ("text", f"{long} (or similar)", 2),
        ("text", busy, 1),
    ]
