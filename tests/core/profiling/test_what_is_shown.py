"""What a report shows beside statistics: tokens, examples, prompts as sent, conversations, scores from upstream."""

from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from sdg_core import api
from sdg_core.profiling.tokens import estimated_tokens, measure_tokens
from tests.core.profiling.test_report import check_page
from tests.support.sdg import category, dataset_config, expression, llm, open_dataset

SCORE = {
    "name": "quality",
    "description": "How good it is.",
    "options": {1: "bad", 2: "fair", 3: "good"},
}
CHAT = {
    "processor_type": "schema_transform",
    "name": "chat",
    "template": {
        "messages": [
            {"role": "user", "content": "{{ ticket }}"},
            {"role": "assistant", "content": "{{ answer }}"},
        ],
        "plan": "{{ plan }}",
    },
}


def columns() -> list[dict[str, Any]]:
    return [
        category("plan", "free", "pro"),
        {**expression("hidden", "secret of {{ plan }}"), "drop": True},
        llm(
            "ticket",
            "Complain as a {{ plan }} customer: {{ hidden }}.",
            system_prompt="Be brief.",
        ),
        {
            **llm("answer", "Answer {{ ticket }}"),
            "skip": {"when": "{{ plan == 'free' }}"},
        },
        {
            **llm("judge", "Judge {{ ticket }}"),
            "column_type": "llm-judge",
            "scores": [SCORE],
        },
    ]


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, api.MadeReport, api.MadeReport]:
    """A dataset with a chat output, one that it seeds, and the report on each."""
    place = tmp_path_factory.mktemp("shown")
    config = dataset_config(
        *columns(), num_records=30, row_group_size=10, processors=[CHAT]
    )
    dataset = open_dataset(place / "t.yaml", config, root=place / "root")
    api.generate(dataset)
    api.process(dataset)
    below = dataset_config(expression("more", "{{ ticket }} and more"), num_records=30)
    below |= {
        "name": "below",
        "seed_config": {"source": {"seed_type": "dataset", "dataset": "tickets"}},
    }
    seeded = open_dataset(place / "below.yaml", below, root=place / "root")
    api.generate(seeded)
    return place, api.report(dataset), api.report(seeded)


def test_prompts_are_shown_as_they_were_sent_with_what_is_dropped(made: Any) -> None:
    place, report, _ = made
    shown = api.preview(place / "t.yaml", num_records=2, root=str(place / "root"))
    sent = {
        (prompt.record, prompt.column): prompt.messages
        for prompt in report.report.prompts
    }
    wanted = {
        (record, column): tuple((message.role, message.text) for message in messages)
        for record, prompts in shown.prompts.items()
        for column, messages in prompts.items()
    }
    assert sent == wanted and len(sent) > 4, "a skipped cell was asked for with nothing"
    page = check_page(Path(str(report.path)).read_text(encoding="utf-8")).text
    assert (
        "Be brief." in page
        and "customer: secret of" in page
        and "the prompt of record 0, as it was sent" in page
    )


def test_every_column_has_an_example_and_texts_have_tokens(made: Any) -> None:
    _, report, _ = made
    by_name = {column.name: column for column in report.report.columns}
    assert all(column.example is not None for column in by_name.values())
    assert by_name["ticket"].example in {
        sample.values["ticket"] for sample in report.report.samples
    }
    tokens = by_name["ticket"].tokens
    assert (
        tokens is not None
        and 10 < tokens.mean < tokens.p95 <= tokens.maximum
        and tokens.sampled == 30
    )
    assert tokens.total == round(tokens.mean * 30) and by_name["plan"].tokens is None


def test_the_chat_output_is_a_conversation(made: Any) -> None:
    _, report, _ = made
    [output] = report.report.outputs
    assert (output.name, output.num_rows, len(output.samples)) == ("chat", 30, 2)
    first = output.samples[0]
    assert [turn.role for turn in first.conversations["messages"]] == [
        "user",
        "assistant",
    ]
    assert (
        first.conversations["messages"][0].content.startswith("[simulated]")
        and "plan" in first.values
    )
    assert output.tokens["messages"].maximum > 10
    page = Path(str(report.path)).read_text(encoding="utf-8")
    assert 'href="#outputs"' in page and '<p class="text turn">[simulated]' in page
    stored = orjson.loads(Path(str(report.path)).with_name("report.json").read_bytes())
    assert stored["outputs"][0]["name"] == "chat" and stored["prompts"][0]["messages"][
        0
    ] == {
        "role": "system",
        "content": "Be brief.",
    }


def test_scores_of_a_judge_upstream_are_scores(made: Any) -> None:
    _, above, below = made
    scores = {column.name: column.scores for column in below.report.columns}["judge"]
    [own] = {column.name: column.scores for column in above.report.columns}["judge"]
    [score] = scores
    assert score.name == "quality" and score.mean == own.mean and score.examples
    given = {value.value: value.count for value in own.values if value.count}
    assert {value.value: value.count for value in score.values} == given


def test_structs_that_are_no_verdicts_stay_fields(tmp_path: Path) -> None:
    path = tmp_path / "seed.parquet"
    rows = [
        {
            "a": {"x": {"score": n / 7, "reasoning": "r"}},
            "b": {"x": {"score": n, "note": "r"}},
        }
        for n in range(9)
    ]
    many = [{"c": {"x": {"score": n, "reasoning": "r"}}} for n in range(150)]
    for name, data in (("few", rows), ("many", many)):
        pl.DataFrame(data).write_parquet(path)
        config = dataset_config(category("n", 1), num_records=len(data))
        config |= {
            "name": name,
            "seed_config": {"source": {"seed_type": "local", "path": str(path)}},
        }
        dataset = open_dataset(
            tmp_path / f"{name}.yaml", config, root=tmp_path / "root"
        )
        api.generate(dataset)
        assert not any(column.scores for column in api.report(dataset).report.columns)


def test_tokens_are_about_what_tokenizers_count() -> None:
    texts = [
        "The quick brown fox jumps over the lazy dog.",
        "internationalization",
        "12345",
        "你好世界",
        "",
        None,
        "a\n\n\nb",
    ]
    frame = pl.LazyFrame({"t": texts})
    counts = frame.select(estimated_tokens(pl.col("t"))).collect()["t"].to_list()
    assert counts == [10, 3, 2, 4, 0, None, 3]
    found = measure_tokens(frame, pl.col("t"), rows=7)
    assert found is not None and (found.maximum, found.sampled, found.total) == (
        10,
        7,
        22,
    )
    assert (
        measure_tokens(
            pl.LazyFrame({"t": [None]}, schema={"t": pl.String}), pl.col("t"), rows=1
        )
        is None
    )
    long = pl.LazyFrame({"t": ["one two three"] * 30_000})
    sampled = measure_tokens(long, pl.col("t"), rows=30_000)
    assert sampled is not None and (sampled.sampled, sampled.total) == (10_000, 90_000)
