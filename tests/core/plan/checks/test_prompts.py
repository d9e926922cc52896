"""Expressions without braces, which are constants: said where one reads like an expression over columns, and only there."""

import pytest

from sdg_core import api

PLAN = {
    "column_type": "sampler",
    "name": "plan",
    "sampler_type": "category",
    "params": {"values": ["free"]},
}


@pytest.mark.parametrize(
    ("expr", "is_said"),
    [
        ("plan.upper()", True),
        ("plan", True),
        (" plan ~ 1 ", True),
        ("{{ plan.upper() }}", False),
        ("{% if plan %}a{% endif %}", False),
        ("free", False),
        ("plan and product", False),
        ("a plan", False),
        ("1 + 1", False),
    ],
)
def test_an_expression_without_braces_is_said(expr: str, is_said: bool) -> None:
    dataset = {
        "name": "d",
        "num_records": 1,
        "columns": [PLAN, {"column_type": "expression", "name": "u", "expr": expr}],
    }
    plan = api.open_dataset(dataset).plan
    notices = [*api.prompt_notices(plan.config, names=plan.schema.names)]
    assert len(notices) == is_said
    assert all(f"write {{{{ {expr.strip()} }}}}" in notice for notice in notices)
