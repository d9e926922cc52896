"""What is wrong with a seed source that its file alone shows."""

from typing import Any

import pytest

from sdg_core.config.dataset import DatasetConfig
from sdg_core.plan.checks.config import check_config
from sdg_core.plan.checks.seeds import ordered_at_top_level

COLUMN = {"column_type": "sampler", "name": "u", "sampler_type": "uuid", "params": {}}
ORDERED = "SELECT a FROM t ORDER BY a"


def problems(**source: Any) -> list[tuple[str, str]]:
    raw = {"name": "mine", "columns": [COLUMN], "seed_config": {"source": source}}
    return [
        (".".join(map(str, place)), message)
        for place, message in check_config(DatasetConfig.model_validate(raw))
    ]


@pytest.mark.parametrize(
    "query",
    [
        ORDERED,
        "select a from t order\n  by a limit 5",
        "WITH x AS (SELECT a FROM t ORDER BY b) SELECT a FROM x ORDER BY a",
        "SELECT a FROM t UNION SELECT b FROM u ORDER BY 1",
        "SELECT ')' AS p, 'it''s (' AS q FROM t /* ( */ ORDER BY a -- (",
        'SELECT "order by (" FROM t ORDER BY 1',
        "SELECT $x$ ( $x$ FROM t ORDER BY 1",
    ],
)
def test_a_query_with_an_order(query: str) -> None:
    assert ordered_at_top_level(query)
    assert problems(seed_type="sql", url="sqlite:///x.db", query=f"{query};\n") == []


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a FROM t",
        "SELECT a FROM (SELECT a FROM t ORDER BY a) x",
        "WITH x AS (SELECT a FROM t ORDER BY a) SELECT a FROM x",
        "SELECT row_number() OVER (ORDER BY a) FROM t",
        "SELECT 'x ORDER BY a' FROM t",
        "SELECT a FROM t -- ORDER BY a",
        "SELECT a FROM t /* ORDER BY a */",
        'SELECT "a ORDER BY b" FROM t',
        "SELECT reorder bylaw FROM t",
        "SELECT $$ ORDER BY a $$ FROM t",
    ],
)
def test_a_query_without_an_order_names_the_remedy(query: str) -> None:
    assert not ordered_at_top_level(query)
    [(place, message)] = problems(seed_type="sql", url="sqlite:///x.db", query=query)
    assert place == "seed_config.source.query" and "order by a unique column" in message


def test_one_statement_only() -> None:
    [(_, message)] = problems(
        seed_type="sql", url="sqlite:///x.db", query=f"DROP TABLE t; {ORDERED}"
    )
    assert "expected one statement" in message
    assert (
        problems(
            seed_type="sql", url="sqlite:///x.db", query="SELECT ';' FROM t ORDER BY 1;"
        )
        == []
    )


@pytest.mark.parametrize(
    "url", ["postgresql://me:s3cret@host/db", "postgresql://host/db?password=s3cret"]
)
def test_a_password_does_not_belong_in_the_file(url: str) -> None:
    [(place, message)] = problems(seed_type="sql", url=url, query=ORDERED)
    assert (
        place == "seed_config.source.url"
        and "url_env" in message
        and "s3cret" not in message
    )


@pytest.mark.parametrize(
    "url", ["postgresql://me@host/db", "sqlite:////tmp/x.db", "mysql://host:3306/db"]
)
def test_a_url_without_a_password_does(url: str) -> None:
    assert problems(seed_type="sql", url=url, query=ORDERED) == []


def test_what_names_a_variable_is_a_name() -> None:
    [(place, _)] = problems(seed_type="sql", url_env="sqlite:///x.db", query=ORDERED)
    assert place == "seed_config.source.url_env"
    for token in ("hf_abcdefghijk", "abc-def"):
        [(place, message)] = problems(
            seed_type="hf", path="datasets/u/d/x.csv", token=token
        )
        assert place == "seed_config.source.token" and token not in message
    assert problems(seed_type="hf", path="datasets/u/d/x.csv", token="HF_TOKEN") == []


def test_an_encoding_exists() -> None:
    assert problems(seed_type="file_contents", path="d", encoding="latin-1") == []
    for encoding in ("utf-9", "hex"):
        [(place, message)] = problems(
            seed_type="file_contents", path="d", encoding=encoding
        )
        assert place == "seed_config.source.encoding" and repr(encoding) in message


def test_a_dataset_is_not_its_own_seed() -> None:
    assert problems(seed_type="dataset", dataset="other") == []
    [(place, message)] = problems(seed_type="dataset", dataset="mine")
    assert place == "seed_config.source.dataset" and "its own seed" in message
