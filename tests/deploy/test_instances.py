"""Instances of many machines: a process that was started in another directory keeps its files in the same place."""

import pytest
import yaml

from tests.support.sdg import PROJECT


@pytest.mark.parametrize("name", ["celery", "postgres", "ray"])
def test_no_path_starts_at_the_working_directory(name: str) -> None:
    text = (PROJECT / "deploy" / name / "dagster.yaml").read_text(encoding="utf-8")
    settings = yaml.safe_load(text)
    assert "run_storage" in settings
    assert "base_dir" not in str(settings)
