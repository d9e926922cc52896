"""Faults of meaning: names, references, cycles, model aliases, sampler values, processors."""

from pathlib import Path

import pytest

from sdg_core.config.load import parse_config
from sdg_core.errors import ConfigError
from sdg_core.plan.checks.config import check_config
from sdg_core.plan.load import load_dataset

SIMULATED = """
model_providers: [{name: p, provider_type: simulated}]
model_configs: [{alias: writer, model: m, provider: p}]
"""


def faults(
    text: str, *, seed_columns: list[str] | None = None
) -> list[tuple[str, int | None, str]]:
    """Every fault of meaning in a structurally sound file."""
    parsed = parse_config(text, source="test.yaml", default_name="test", env={})
    assert not parsed.problems, [str(problem) for problem in parsed.problems]
    assert parsed.config is not None
    found = [
        parsed.problem(path, message)
        for path, message in check_config(parsed.config, seed_columns=seed_columns)
    ]
    return [(problem.path, problem.line, problem.message) for problem in found]


def expressions(**columns: str) -> str:
    lines = [
        f"- {{column_type: expression, name: {name}, expr: '{expr}'}}"
        for name, expr in columns.items()
    ]
    return "\n".join(["columns:", *lines, ""])


def sampler(kind: str, params: str, *, name: str = "a", more: str = "") -> str:
    return f"- {{column_type: sampler, name: {name}, sampler_type: {kind}, params: {params}{more}}}\n"


SEEDED = "seed_config: {source: {path: x.csv}}\n"


def test_a_sound_config_has_no_faults() -> None:
    assert faults(expressions(a="1", b="{{ a }}") + SIMULATED) == []


@pytest.mark.parametrize(
    ("text", "path", "line", "message"),
    [
        (
            expressions(a="{{ b }}"),
            "columns[0].expr",
            2,
            "unknown column 'b'; there is 'a'",
        ),
        (
            expressions(plan="1", b="{{ plam }}"),
            "columns[1].expr",
            3,
            "unknown column 'plam'; did you mean 'plan'?",
        ),
        (expressions(a="{{ a }}"), "columns[0].expr", 2, "column 'a' reads itself"),
        (
            expressions(a="{{ a }}") + SEEDED,
            "columns[0].expr",
            2,
            "column 'a' reads itself",
        ),
        (
            expressions(a="{{ b }}", b="{{ a }}"),
            "columns[0]",
            2,
            "dependency cycle: a -> b -> a",
        ),
        (
            expressions(z="1", a="{{ c }}", b="{{ a }}", c="{{ b }}"),
            "columns[1]",
            3,
            "dependency cycle: a -> c -> b -> a",
        ),
        (
            expressions(a="{{ b }}", b="{{ a }}") + SEEDED,
            "columns[0]",
            2,
            "dependency cycle: a -> b -> a",
        ),
        (expressions(a="{{ b"), "columns[0].expr", 2, "not a valid template"),
        (
            expressions(a="{{ 1|shout }}"),
            "columns[0].expr",
            2,
            "unknown filter: filter shout",
        ),
        (
            expressions(none="1"),
            "columns[0].name",
            2,
            "has another meaning in templates",
        ),
        (
            "columns:\n- {column_type: llm-text, name: a, prompt: x, model_alias: writr}"
            + SIMULATED,
            "columns[0].model_alias",
            2,
            "no model has the alias 'writr'; did you mean 'writer'?",
        ),
        (
            "columns:\n- {column_type: llm-text, name: a, prompt: x, system_prompt: '{{ q }}', model_alias: writer}"
            + SIMULATED,
            "columns[0].system_prompt",
            2,
            "unknown column 'q'",
        ),
        (
            expressions(a="1") + "model_configs: [{alias: w, model: m, provider: q}]\n",
            "model_configs[0].provider",
            3,
            "unknown provider 'q'; there are none",
        ),
        (
            expressions(a="1")
            + SIMULATED.replace(
                "[{name: p,", "[{name: p, provider_type: simulated}, {name: p,"
            ),
            "model_providers[1].name",
            4,
            "another provider is named 'p'",
        ),
        (
            expressions(a="1")
            + SIMULATED.replace(
                "[{alias", "[{alias: writer, model: m, provider: p}, {alias"
            ),
            "model_configs[1].alias",
            5,
            "another model has the alias 'writer'",
        ),
        (
            "columns:\n- {column_type: seed-dataset, name: a}\n",
            "columns[0]",
            2,
            "there is no seed_config",
        ),
        (
            "columns:\n" + sampler("category", "{values: [a, 1]}"),
            "columns[0].params.values",
            2,
            "quote the numbers",
        ),
        (
            "columns:\n" + sampler("subcategory", "{category: nope, values: {x: [y]}}"),
            "columns[0].params.category",
            2,
            "'nope' is not a category sampler; there are none",
        ),
        (
            "columns:\n"
            + sampler("uuid", "{}")
            + sampler("subcategory", "{category: a, values: {x: [y]}}", name="b"),
            "columns[1].params.category",
            3,
            "'a' is not a category sampler",
        ),
        (
            "columns:\n"
            + sampler("category", "{values: [x, y]}")
            + sampler("subcategory", "{category: a, values: {x: [1]}}", name="b"),
            "columns[1].params.values",
            3,
            "no values for 'y' of category 'a'",
        ),
        (
            "columns:\n"
            + sampler("category", "{values: [x]}")
            + sampler("subcategory", "{category: a, values: {x: [1, q]}}", name="b"),
            "columns[1].params.values",
            3,
            "mixes text and numbers",
        ),
        (
            "columns:\n"
            + sampler("uniform", "{low: 0, high: 1}", more=", convert_to: bool"),
            "columns[0].convert_to",
            2,
            "use int",
        ),
        (
            "columns:\n" + sampler("uuid", "{}", more=", convert_to: str"),
            "columns[0].convert_to",
            2,
            "have no conversion",
        ),
        (
            "columns:\n" + sampler("datetime", "{start: soon, end: 2024-01-01}"),
            "columns[0].params.start",
            2,
            "'soon' is not",
        ),
        (
            "columns:\n" + sampler("datetime", "{start: today, end: 2999-01-01}"),
            "columns[0].params.start",
            2,
            "'today' is not",
        ),
        (
            "columns:\n" + sampler("datetime", "{start: 2024-13-01, end: 2025-01-01}"),
            "columns[0].params.start",
            2,
            "'2024-13-01'",
        ),
        (
            "columns:\n"
            + sampler("datetime", "{start: '2024-01-01T00:00:00Z', end: 2025-01-01}"),
            "columns[0].params.start",
            2,
            "without zone",
        ),
        (
            "columns:\n" + sampler("datetime", "{start: 2024-02-01, end: 2024-02-01}"),
            "columns[0].params.end",
            2,
            "2024-02-01 (excluded) is not after start 2024-02-01 (included)",
        ),
        (
            "columns:\n"
            + sampler(
                "datetime", "{start: 2024-02-20T12, end: 2024-02-20T06, unit: D}"
            ),
            "columns[0].params.end",
            2,
            "2024-02-20T06 (excluded) is not after start",
        ),
        (
            expressions(a="1")
            + "processors: [{processor_type: drop_columns, name: x, column_names: [a, 'b*']}]\n",
            "processors[0].column_names[1]",
            3,
            "no column matches 'b*'",
        ),
        (
            expressions(a="1")
            + "processors: [{processor_type: schema_transform, name: x, template: {m: [{c: '{{ q }}'}]}}]\n",
            "processors[0].template.m[0].c",
            3,
            "unknown column 'q'",
        ),
        (
            expressions(a="1")
            + "processors: [{processor_type: schema_transform, name: x, template: {m: '{{ q'}}]\n",
            "processors[0].template.m",
            3,
            "not a valid template",
        ),
        (
            expressions(a="1")
            + "processors:\n"
            + "- {processor_type: schema_transform, name: x, template: {m: a}}\n" * 2,
            "processors[1].name",
            5,
            "another processor is named 'x'",
        ),
        (
            expressions(a="1")
            + "processors: [{processor_type: schema_transform, name: dataset, template: {m: a}}]\n",
            "processors[0].name",
            3,
            "'dataset' is reserved for the finished dataset",
        ),
        (
            expressions(a="1") + "num_records: 10000000\nrow_group_size: 10\n",
            "row_group_size",
            4,
            "use row_group_size 100 or more",
        ),
    ],
)
def test_one_fault_of_meaning(text: str, path: str, line: int, message: str) -> None:
    found = faults(text)
    assert len(found) == 1, found
    assert found[0][:2] == (path, line) and message in found[0][2]


def test_each_of_several_columns_of_one_name_is_named() -> None:
    text = expressions(a="1") + "- {column_type: expression, name: a, expr: '2'}\n"
    assert [(path, line) for path, line, _ in faults(text)] == [
        ("columns[0].name", 2),
        ("columns[1].name", 3),
    ]


def test_every_cycle_is_listed() -> None:
    found = faults(
        expressions(a="{{ b }}", b="{{ a }}", c="{{ d }}", d="{{ c }}{{ a }}")
    )
    assert [message.partition(": ")[2] for _, _, message in found] == [
        "a -> b -> a",
        "c -> d -> c",
    ]


def test_names_are_open_until_the_seed_data_is_known() -> None:
    text = (
        expressions(a="{{ product }}")
        + "processors: [{processor_type: drop_columns, name: x, column_names: [price]}]\n"
        + SEEDED
    )
    assert faults(text) == []
    assert faults(text, seed_columns=["product", "price"]) == []
    assert [path for path, _, _ in faults(text, seed_columns=["other"])] == [
        "processors[0].column_names[0]",
        "columns[0].expr",
    ]


def test_a_seed_column_must_exist_and_may_not_be_generated_too() -> None:
    text = expressions(a="1") + "- {column_type: seed-dataset, name: b}\n" + SEEDED
    assert faults(text, seed_columns=["b"]) == []
    found = faults(text, seed_columns=["a"])
    assert [path for path, _, _ in found] == ["columns[0].name", "columns[1].name"]
    assert (
        "also a column of the seed data" in found[0][2]
        and "no column 'b'; it has 'a'" in found[1][2]
    )


def test_a_subcategory_may_have_a_seed_column_for_its_parent() -> None:
    text = (
        "columns:\n"
        + sampler("subcategory", "{category: product, values: {x: [y]}}")
        + SEEDED
    )
    assert faults(text) == faults(text, seed_columns=["product"]) == []
    assert "unknown column 'product'" in faults(text, seed_columns=["other"])[0][2]


def test_a_datetime_range_within_one_unit_holds_its_start() -> None:
    assert (
        faults(
            "columns:\n"
            + sampler("datetime", "{start: 2024-02-01, end: 2024-02-20, unit: M}")
        )
        == []
    )


def test_a_file_with_faults_raises_and_one_without_knows_its_folder(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(expressions(a="1"))
    assert load_dataset(path, env={}).base == tmp_path
    path.write_text(expressions(a="{{ b }}"))
    with pytest.raises(
        ConfigError, match=r"line 2, columns\[0\]\.expr: unknown column 'b'"
    ):
        load_dataset(path, env={})
