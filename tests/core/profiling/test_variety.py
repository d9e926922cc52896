"""How varied a dataset is, before and after processors: planted duplicates are counted, and gone afterwards."""

from pathlib import Path

import polars as pl
import pytest

from sdg_assets.recording.metadata import report_metadata
from sdg_core import api
from sdg_core.profiling.variety import Variety, sample_column
from tests.support.sdg import category, dataset_config, expression, open_dataset, uuid

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon".split()


def text(number: int) -> str:
    """Twenty words of which texts of different numbers share few."""
    return " ".join(
        f"{WORDS[(number * 7 + place) % 20]}{number}" for place in range(20)
    )


def planted(base: Path) -> api.Dataset:
    """Forty texts: ten exact repeats, ten that differ from an earlier one in a word, twenty of their own."""
    texts = [text(number) for number in range(20)]
    texts += texts[:10] + [f"{one} once" for one in texts[10:]]
    pl.DataFrame(
        {"text": texts, "score": [number % 5 for number in range(40)]}
    ).write_parquet(base / "seed.parquet")
    processors = [
        {
            "processor_type": "deduplicate",
            "name": "same",
            "method": "minhash",
            "columns": ["text"],
        },
        {
            "processor_type": "filter",
            "name": "short",
            "keep": "{{ text | length > 0 }}",
        },
    ]
    seed_config = {"source": {"path": "seed.parquet"}}
    columns = (uuid(), category("kind", "a", "b"), expression("again", "{{ text }}!"))
    config = dataset_config(
        *columns, num_records="seed", seed_config=seed_config, processors=processors
    )
    return open_dataset(base / "tickets.yaml", config, root=base / "root")


def of(varieties: tuple[Variety, ...], column: str) -> dict[str, Variety]:
    return {variety.stage: variety for variety in varieties if variety.column == column}


def test_duplicates_are_counted_before_and_are_gone_after(tmp_path: Path) -> None:
    dataset = planted(tmp_path)
    version = api.generate(dataset).version
    early = of(api.report(dataset).report.variety, "text")
    assert list(early) == ["after"] and early["after"].sampled == 40
    assert api.process(dataset).num_rows == 20
    made = api.report(dataset)
    found = of(made.report.variety, "text")
    assert (
        found["before"].duplicates,
        found["before"].near_duplicates,
        found["before"].clusters,
    ) == (0.25, 0.5, 20)
    assert (
        found["after"].duplicates,
        found["after"].near_duplicates,
        found["after"].clusters,
    ) == (
        0,
        0,
        0,
    )
    assert (
        found["before"].distinct_1 is not None
        and found["after"].distinct_1 == 1.0 > found["before"].distinct_1
    )
    assert found["after"].method is not None and "words 2" in found["after"].method
    assert {variety.column for variety in made.report.variety} == {"text", "again"}, (
        "samplers are not texts"
    )
    assert "near-duplicates" in Path(str(made.path)).read_text(encoding="utf-8")
    shown = report_metadata(version)
    assert (shown["before/text/duplicates"], shown["after/text/near_duplicates"]) == (
        0.25,
        0.0,
    )
    assert all(
        isinstance(value, float)
        for name, value in shown.items()
        if name.startswith(("before/", "after/"))
    )


@pytest.mark.parametrize(
    "vectors", [[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [[1.0], [1.0, 0.0], None]]
)
def test_vectors_are_compared_where_they_can_be(
    tmp_path: Path, vectors: list[list[float] | None]
) -> None:
    from sdg_core.profiling.variety import _vectors

    cells = [None if vector is None else {"embeddings": [vector]} for vector in vectors]
    found = _vectors(pl.LazyFrame({"vector": cells}), "vector", rows=3, stage="after")
    same_size = vectors[2] is not None
    assert [variety.nearest for variety in found] == (
        [pytest.approx(2 / 3, abs=1e-6)] if same_size else []
    )


def test_a_sample_keeps_only_its_own_texts_in_memory(tmp_path: Path) -> None:
    texts = pl.Series(
        "text",
        [f"{number:09d}" * 20 if number % 7 else None for number in range(20_000)],
    )
    pl.DataFrame(texts).write_parquet(tmp_path / "rows.parquet")
    sample = sample_column(
        pl.scan_parquet(tmp_path / "rows.parquet"), "text", rows=20_000, most=100
    )
    assert sample.equals(texts.gather_every(200))
    buffers = sample.to_arrow(compat_level=pl.CompatLevel.newest()).buffers()
    assert sum(buffer.size for buffer in buffers if buffer is not None) < 20 * 180 * 100
