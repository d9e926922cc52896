"""Fallbacks in a dataset file: what is refused, and what they do to plan and fingerprint."""

from typing import Any

import pytest

from sdg_core.config.dataset import DatasetConfig
from sdg_core.plan.checks.config import check_config
from sdg_core.plan.fingerprint import compute_fingerprint
from sdg_core.plan.graph import build_graph
from sdg_core.plan.models import used_models


def config(**fallbacks: str | None) -> DatasetConfig:
    models = [
        {"alias": alias, "model": alias, "provider": "p", "fallback": later}
        for alias, later in fallbacks.items()
    ]
    raw: dict[str, Any] = {
        "name": "d",
        "num_records": 1,
        "columns": [
            {"column_type": "llm-text", "name": "t", "model_alias": "a", "prompt": "x"}
        ],
        "model_providers": [{"name": "p", "provider_type": "anthropic"}],
        "model_configs": models,
    }
    return DatasetConfig.model_validate(raw)


@pytest.mark.parametrize(
    ("fallbacks", "messages"),
    [
        ({"a": "b", "b": "c", "c": None}, []),
        ({"a": "bb", "b": None}, ["no model has the alias 'bb'"]),
        (
            {"a": "b", "b": "a"},
            ["the fallbacks of 'a' form a cycle", "the fallbacks of 'b' form a cycle"],
        ),
        ({"a": "a"}, ["the fallbacks of 'a' form a cycle"]),
    ],
)
def test_what_is_refused(fallbacks: dict[str, str | None], messages: list[str]) -> None:
    found = [message for _, message in check_config(config(**fallbacks))]
    assert len(found) == len(messages)
    for expected, message in zip(messages, found, strict=True):
        assert message.startswith(expected)


def test_fallbacks_are_used_and_hashed() -> None:
    def hashed(**fallbacks: str | None) -> str:
        made = config(**fallbacks)
        return compute_fingerprint(made, build_graph(made)).config_hash

    assert list(used_models(config(a="b", b="c", c=None, d=None))) == ["a", "b", "c"]
    assert (
        len(
            {
                hashed(a=None, b=None),
                hashed(a="b", b=None),
                hashed(a="b", b="c", c=None),
            }
        )
        == 3
    )
    assert hashed(a=None, b=None) == hashed(a=None, b="c", c=None)
