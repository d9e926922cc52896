"""A dataset's definitions, from its file alone."""

from pathlib import Path

from sdg_assets.assets.spec import load_spec
from tests.support.sdg import (
    dataset_config,
    expression,
    llm,
    open_dataset,
    uuid,
    write_config,
)


def test_another_dataset_is_an_upstream_asset(tmp_path: Path) -> None:
    """Definitions load from files alone: neither the other dataset nor the reader's code is there."""
    sources = {
        ("other", "dataset"): {"seed_type": "dataset", "dataset": "other"},
        ("docs", "passages"): {
            "seed_type": "local",
            "path": "x.csv",
            "upstream_asset": "docs/passages",
        },
        None: {"seed_type": "custom", "reader": "./nowhere.py:Reader"},
    }
    for upstream, source in sources.items():
        config = dataset_config(uuid(), seed_config={"source": source})
        spec = load_spec(write_config(tmp_path / "tickets.yaml", config))
        assert [tuple(key.path) for key in spec.upstream] == (
            [upstream] if upstream else []
        )


def test_a_dataset_as_long_as_its_seed_has_that_many_partitions_once_there_is_seed_data(
    tmp_path: Path,
) -> None:
    seed_config = {"source": {"path": "x.csv"}, "where": "{{ n > 3 }}"}
    config = dataset_config(
        uuid(), num_records="seed", row_group_size=2, seed_config=seed_config
    )
    path = write_config(tmp_path / "tickets.yaml", config)
    assert load_spec(path).ref.num_row_groups == 1
    (tmp_path / "x.csv").write_text(
        "n\n" + "".join(f"{number}\n" for number in range(10))
    )
    assert load_spec(path).ref.num_row_groups == 3


def test_the_columns_that_definitions_show_are_those_that_are_kept(
    tmp_path: Path,
) -> None:
    """Columns beside others are among them; what a column's own `drop` or a processor drops is not, and neither is what stood
    beside it."""
    columns = [
        {**llm("answer", "{{ id }}"), "with_trace": "all_messages"},
        {**llm("thought", "{{ id }}"), "with_trace": "all_messages", "drop": True},
        expression("length", "{{ answer | length }}"),
    ]
    drop = {"processor_type": "drop_columns", "name": "d", "column_names": ["len*"]}
    config = dataset_config(uuid(), *columns, processors=[drop])
    path = write_config(tmp_path / "tickets.yaml", config)
    shown = load_spec(path).columns
    kept = open_dataset(path, config, root=tmp_path).plan.kept_schema.names
    assert (
        [column.name for column in shown["dagster/column_schema"].columns]
        == kept
        == ["id", "answer", "answer__trace"]
    )
    rows = [
        line.split(" | ")[0] for line in str(shown["columns"].value).splitlines()[2:]
    ]
    assert rows == ["| id", "| answer", "| thought (dropped)", "| length (dropped)"]
