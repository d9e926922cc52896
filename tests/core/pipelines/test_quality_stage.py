"""Quality rules in a `filter` stage: what they refuse is counted under the rule."""

from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import yaml

from sdg_core.api import pipelines


def test_texts_are_judged_and_counted_by_rule(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text(
        '{"content": "A text with enough words in it to be kept."}\n{"content": "too short"}\n'
        '{"content": "the same line again\\nthe same line again\\nthe same line again\\nthe same line again"}\n'
        '{"content": 7}\n'
    )
    config = {
        "kind": "pipeline",
        "name": "judged",
        "sources": {"reader": "jsonl", "path": "texts.jsonl"},
        "stages": [
            {
                "stage": "filter",
                "quality": [
                    {"rule": "words", "at_least": 5},
                    {"rule": "repeated_lines", "at_most": 0.3},
                ],
            }
        ],
    }
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(config))
    pipeline = pipelines.open_pipeline(
        tmp_path / "pipeline.yaml", root=str(tmp_path / "root")
    )
    pipelines.generate(pipeline)
    (file,) = (tmp_path / "root" / "judged").glob("*/sources/*.parquet")
    assert pl.read_parquet(file)["content"].to_list() == [
        "A text with enough words in it to be kept."
    ]
    footer = pq.read_metadata(file).metadata[b"sdg"].decode()
    (source,) = yaml.safe_load(footer)["sources"]
    assert source["filtered"] == {"words": 1, "repeated_lines": 1}
    assert [failure["kind"] for failure in source["failed"]] == ["input"]
