"""Faults of samplers, conditions and constraints that are found before anything is drawn."""

import pytest
from pydantic import ValidationError

from sdg_core.config.columns import SamplerColumn
from sdg_core.config.load import parse_config
from sdg_core.plan.checks.config import check_config

UNIFORM = "{low: 0, high: 1}"
DAY = "{start: 2024-01-01, end: 2025-01-01}"
SEEDED = "seed_config: {source: {path: x.csv}}\n"
MODEL = """
model_providers: [{name: p, provider_type: simulated}]
model_configs: [{alias: w, model: m, provider: p}]
"""


def sampler(kind: str, params: str, *, name: str = "a", more: str = "") -> str:
    return f"- {{column_type: sampler, name: {name}, sampler_type: {kind}, params: {params}{more}}}\n"


def faults(
    columns: str, *, rest: str = "", seed_columns: list[str] | None = None
) -> list[tuple[str, str]]:
    parsed = parse_config(
        f"columns:\n{columns}{rest}", source="t.yaml", default_name="t", env={}
    )
    found = [(problem.path, problem.message) for problem in parsed.problems]
    if parsed.config is not None:
        checked = check_config(
            parsed.config, seed_columns=seed_columns, also_known=parsed.dropped_columns
        )
        found += [
            (problem.path, problem.message)
            for problem in (parsed.problem(*one) for one in checked)
        ]
    return found


CONDITIONAL = ', conditional_params: {{"{}": {{low: 5, high: 6}}}}'


@pytest.mark.parametrize(
    ("columns", "path", "message"),
    [
        (
            sampler("bernoulli", "{p: 1.5}"),
            "columns[0].params.p",
            "less than or equal to 1, got 1.5",
        ),
        (sampler("bernoulli", "{p: -0.1}"), "columns[0].params.p", "0"),
        (
            sampler("binomial", "{n: -1, p: 0.5}"),
            "columns[0].params.n",
            "greater than or equal to 0",
        ),
        (sampler("binomial", "{n: 2.5, p: 0.5}"), "columns[0].params.n", "2.5"),
        (
            sampler("binomial", "{n: 10000000000, p: 0.5}"),
            "columns[0].params.n",
            "1000000000",
        ),
        (
            sampler("poisson", "{mean: -1}"),
            "columns[0].params.mean",
            "greater than or equal to 0",
        ),
        (
            sampler("bernoulli_mixture", "{p: 2, dist_name: norm}"),
            "columns[0].params.p",
            "1",
        ),
        (
            sampler("scipy", "{dist_name: nrom}"),
            "columns[0].params.dist_name",
            "did you mean 'norm'?",
        ),
        (
            sampler("scipy", "{dist_name: multivariate_normal}"),
            "columns[0].params.dist_name",
            "no",
        ),
        (
            sampler("scipy", "{dist_name: norm, dist_params: {mean: 1}}"),
            "columns[0].params.dist_params",
            "no parameter",
        ),
        (
            sampler("scipy", "{dist_name: gamma}"),
            "columns[0].params.dist_params",
            "gamma needs a as well",
        ),
        (
            sampler("scipy", "{dist_name: norm, dist_params: {scale: -1}}"),
            "columns[0].params.dist_params",
            "scale=-1",
        ),
        (
            sampler("scipy", "{dist_name: geom, dist_params: {p: 0.5, loc: 0.5}}"),
            "columns[0].params.dist_params",
            "loc",
        ),
        (
            sampler("scipy", "{dist_name: norm, dist_params: {loc: x}}"),
            "columns[0].params.dist_params.loc",
            "number",
        ),
        (
            sampler(
                "bernoulli_mixture",
                "{p: 0.5, dist_name: binom, dist_params: {n: 5, p: 7}}",
            ),
            "columns[0].params.dist_params",
            "binom is not defined for n=5, p=7",
        ),
        (
            sampler("poisson", "{mean: 1}", more=", convert_to: bool"),
            "columns[0].convert_to",
            "use int, float or str",
        ),
        (
            sampler("category", "{values: [x, y]}", more=", convert_to: int"),
            "columns[0].convert_to",
            "'x' is text",
        ),
        (
            sampler("datetime", DAY, more=", convert_to: '%Q'"),
            "columns[0].convert_to",
            "'%Q' is not a date format",
        ),
        (
            sampler("datetime", DAY, name="d")
            + sampler(
                "timedelta",
                "{dt_min: 0, dt_max: 3, reference_column_name: d}",
                more=", convert_to: '%'",
            ),
            "columns[1].convert_to",
            "is not a date format",
        ),
        (
            sampler("timedelta", "{dt_min: 3, dt_max: 3, reference_column_name: d}")
            + sampler("datetime", DAY, name="d"),
            "columns[0].params",
            "dt_min 3 (included) is not below dt_max 3 (excluded)",
        ),
        (
            sampler(
                "timedelta", "{dt_min: 0, dt_max: 9999999999, reference_column_name: d}"
            )
            + sampler("datetime", DAY, name="d"),
            "columns[0].params",
            "beyond the year 9999",
        ),
        (
            sampler("uuid", "{}", name="u")
            + sampler("timedelta", "{dt_min: 0, dt_max: 3, reference_column_name: u}"),
            "columns[1].params.reference_column_name",
            "'u' is not a datetime sampler",
        ),
        (
            sampler("timedelta", "{dt_min: 0, dt_max: 3, reference_column_name: a}"),
            "columns[0].params.reference_column_name",
            "'a'",
        ),
        (
            sampler("uniform", UNIFORM, more=CONDITIONAL.format("b >")),
            "columns[0].conditional_params.b >",
            "not a valid",
        ),
        (
            sampler("uniform", UNIFORM, more=CONDITIONAL.format("{{ b > 1 }}")),
            "columns[0].conditional_params.{{ b > 1 }}",
            "without braces",
        ),
        (
            sampler("uniform", UNIFORM, more=CONDITIONAL.format("agee > 1"))
            + sampler("uniform", UNIFORM, name="age"),
            "columns[0].conditional_params.agee > 1",
            "unknown column 'agee'; did you mean 'age'?",
        ),
        (
            sampler("uniform", UNIFORM, more=CONDITIONAL.format("a > 1")),
            "columns[0].conditional_params.a > 1",
            "column 'a' reads itself",
        ),
        (
            sampler("uniform", UNIFORM, more=CONDITIONAL.format("b|shout"))
            + sampler("uniform", UNIFORM, name="b"),
            "columns[0].conditional_params.b|shout",
            "unknown filter",
        ),
        (
            sampler(
                "uniform", UNIFORM, more=', conditional_params: {"b > 1": {low: 3}}'
            )
            + sampler("uniform", UNIFORM, name="b"),
            "columns[0].conditional_params.b > 1.high",
            "",
        ),
        (
            sampler(
                "category",
                "{values: [x]}",
                more=', conditional_params: {"b > 1": {values: [1]}}',
            )
            + sampler("uniform", UNIFORM, name="b"),
            "columns[0].params",
            "mixes text and numbers",
        ),
        (
            sampler(
                "category",
                "{values: [x]}",
                name="c",
                more=', conditional_params: {"b > 1": {values: [y]}}',
            )
            + sampler("uniform", UNIFORM, name="b")
            + sampler("subcategory", "{category: c, values: {x: [1]}}"),
            "columns[2].params.values",
            "no values for 'y' of category 'c'",
        ),
    ],
)
def test_one_fault_of_a_sampler(columns: str, path: str, message: str) -> None:
    found = faults(columns)
    assert len(found) == 1, found
    assert found[0][0] == path and message in found[0][1]


def test_conditions_that_read_each_other_are_a_circle() -> None:
    columns = sampler("uniform", UNIFORM, more=CONDITIONAL.format("b > 1")) + sampler(
        "uniform", UNIFORM, name="b", more=CONDITIONAL.format("a > 1")
    )
    assert [message for _, message in faults(columns)] == [
        "dependency cycle: a -> b -> a"
    ]


def test_a_condition_may_not_wait_for_a_model() -> None:
    text = "- {column_type: llm-text, name: t, prompt: hi, model_alias: w}\n"
    found = faults(
        sampler("uniform", UNIFORM, more=CONDITIONAL.format("t == 'x'")) + text,
        rest=MODEL,
    )
    assert [path for path, _ in found] == [
        "columns[0]"
    ] and "computed per record" in found[0][1]


def test_parameters_of_a_branch_are_of_the_samplers_own_kind() -> None:
    with pytest.raises(ValidationError, match="differs from 'uniform'"):
        SamplerColumn.model_validate(
            {
                "name": "a",
                "sampler_type": "uniform",
                "params": {"low": 0, "high": 1},
                "conditional_params": {"b": {"sampler_type": "uuid"}},
            }
        )


PAIR = sampler("uniform", UNIFORM) + sampler("uniform", UNIFORM, name="b")


@pytest.mark.parametrize(
    ("columns", "constraint", "path", "message"),
    [
        (
            PAIR,
            "{target_column: c, operator: lt, rhs: 1}",
            "constraints[0].target_column",
            "unknown column 'c'",
        ),
        (
            PAIR,
            "{target_column: a, operator: lt, rhs: c}",
            "constraints[0].rhs",
            "unknown column 'c'",
        ),
        (
            PAIR,
            "{target_column: a, operator: '<', rhs: 1}",
            "constraints[0].operator",
            "'lt'",
        ),
        (PAIR, "{target_column: a, operator: lt}", "constraints[0].rhs", "required"),
        (
            PAIR,
            "{target_column: a, operator: lt, rhs: a}",
            "constraints[0].rhs",
            "compares 'a' with itself",
        ),
        (
            PAIR,
            "{target_column: a, operator: lt, rhs: b, of: 1}",
            "constraints[0].of",
            "unknown key",
        ),
        (
            PAIR + "- {column_type: expression, name: e, expr: '1'}\n",
            "{target_column: a, operator: lt, rhs: e}",
            "constraints[0].rhs",
            "neither a sampler nor a seed column",
        ),
        (
            PAIR
            + "- {column_type: expression, name: e, expr: '{{ b }}', skip: {when: '{{ b > 1 }}'}}\n"
            + sampler(
                "uniform", UNIFORM, name="c", more=CONDITIONAL.format("e == '1'")
            ),
            "{target_column: c, operator: lt, rhs: 1}",
            "constraints[0]",
            "depends on 'e', which may be skipped",
        ),
    ],
)
def test_one_fault_of_a_constraint(
    columns: str, constraint: str, path: str, message: str
) -> None:
    found = faults(columns, rest=f"constraints: [{constraint}]\n")
    assert len(found) == 1, found
    assert found[0][0] == path and message in found[0][1]


def test_a_constraint_needs_a_sampler_on_one_side() -> None:
    rest = SEEDED + "constraints: [{target_column: x, operator: lt, rhs: y}]\n"
    assert faults(PAIR, rest=rest) == []
    assert (
        "neither side is a sampler"
        in faults(PAIR, rest=rest, seed_columns=["x", "y"])[0][1]
    )
