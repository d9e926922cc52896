"""A key that stands one level too high is one mistake: where it belongs is said, and not that it is missing there."""

from typing import Any

import pytest

from sdg_core import api
from sdg_core.errors import ConfigError

LLM = {"column_type": "llm-text", "name": "text", "model_alias": "w", "prompt": "x"}
MODELS = {
    "model_providers": [{"name": "p", "provider_type": "simulated"}],
    "model_configs": [{"alias": "w", "model": "m", "provider": "p"}],
}


def sampler(kind: str, **params: Any) -> dict[str, Any]:
    return {
        "columns": [
            {"column_type": "sampler", "name": "u", "sampler_type": kind, **params}
        ]
    }


@pytest.mark.parametrize(
    ("part", "keys"),
    [
        ({"seed_config": {"path": "x.csv"}}, ["seed_config.path"]),
        (
            {"seed_config": {"seed_type": "hf", "path": "x"}},
            ["seed_config.seed_type", "seed_config.path"],
        ),
        (sampler("category", values=["a"]), ["columns[0].values"]),
        (
            sampler("gaussian", mean=1, stddev=2),
            ["columns[0].mean", "columns[0].stddev"],
        ),
        (
            sampler("datetime", start="2020-01-01", end="2021-01-01"),
            ["columns[0].start", "columns[0].end"],
        ),
        (
            {
                **MODELS,
                "columns": [
                    LLM,
                    {
                        "column_type": "validation",
                        "name": "v",
                        "target_columns": ["text"],
                        "validator_type": "code",
                        "code_lang": "python",
                    },
                ],
            },
            ["columns[1].code_lang"],
        ),
    ],
)
def test_one_message_for_each_key(part: dict[str, Any], keys: list[str]) -> None:
    column = {"column_type": "expression", "name": "u", "expr": "a"}
    with pytest.raises(ConfigError) as raised:
        api.open_dataset({"name": "d", "num_records": 2, "columns": [column], **part})
    assert [problem.path for problem in raised.value.problems] == keys
    assert all(
        "it belongs under" in problem.message for problem in raised.value.problems
    )
