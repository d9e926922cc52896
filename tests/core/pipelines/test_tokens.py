"""Splitting by tokens: pieces are slices of the text, none longer than asked for, and together they are all of it."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from sdg_core.config.pipeline import SplitStage
from sdg_core.errors import ConfigError
from sdg_core.pipelines.split import split_text
from sdg_core.pipelines.tokens import open_tokenizer
from tests.support.pipelines import Project

TEXT = "The quick brown fox, aged 12, jumps — naïvely — over the lazy dog. 東京 🦊🦊!\n\nAnd again: the quick brown fox."


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE of a few merges, in which a fox of the other kind is four tokens."""
    made: Any = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=280,
        initial_alphabet=alphabet,
        special_tokens=["<s>"],
        show_progress=False,
    )
    made.train_from_iterator(["the quick brown fox the lazy dog " * 5], trainer)
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    path = tmp_path_factory.mktemp("model") / "tokenizer.json"
    made.save(str(path))
    return path


def pieces(path: Path | None, text: str, *, size: int, overlap: int = 0) -> list[str]:
    tokenize, _ = open_tokenizer(path)
    stage = SplitStage(
        stage="split", column="content", unit="tokens", size=size, overlap=overlap
    )
    return [
        text[start:stop] for start, stop in split_text(stage, text, tokenize=tokenize)
    ]


def test_no_piece_has_more_tokens_than_asked_for(tokenizer: Path) -> None:
    tokenize, _ = open_tokenizer(tokenizer)
    found = pieces(tokenizer, TEXT, size=9)
    assert "".join(found) == TEXT.rstrip() and len(found) > 3
    assert all(len(tokenize(piece)) <= 9 for piece in found)
    assert pieces(tokenizer, "🦊🦊", size=3) == ["🦊", "🦊"], (
        "a character is never cut, though it has four tokens"
    )


def test_without_a_tokenizer_tokens_are_estimated() -> None:
    assert pieces(None, "one two, three 42", size=2) == ["one two", ", three", " 42"]


@given(text=st.text(), size=st.integers(1, 8), data=st.data())
def test_any_text_in_pieces_is_the_text(
    text: str, size: int, data: st.DataObject
) -> None:
    tokenize, _ = open_tokenizer(None)
    overlap = data.draw(st.integers(0, size - 1))
    stage = SplitStage(
        stage="split", column="content", unit="tokens", size=size, overlap=overlap
    )
    spans = split_text(stage, text, tokenize=tokenize)
    covered = {at for start, stop in spans for at in range(start, stop)}
    assert {
        at for at, character in enumerate(text) if not character.isspace()
    } <= covered
    assert all(
        before[0] < after[0] and before[1] < after[1]
        for before, after in pairwise(spans)
    )
    if overlap == 0:
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


def project(directory: Path, **more: Any) -> Project:
    stages = [
        {"stage": "split", "column": "content", "unit": "tokens", "size": 9, **more}
    ]
    return Project(directory, stages).write(a=TEXT)


def test_a_pipeline_splits_by_the_tokenizer_of_its_model(
    tmp_path: Path, tokenizer: Path
) -> None:
    (tmp_path / "model.json").write_bytes(tokenizer.read_bytes())
    made = project(tmp_path, tokenizer="model.json")
    made.generate()
    rows = made.rows()
    assert [row["content"] for row in rows] == pieces(tokenizer, TEXT, size=9)
    assert all(TEXT[row["content_start"] :].startswith(row["content"]) for row in rows)
    before = made.open().plan.fingerprint.config_hash
    (tmp_path / "model.json").rename(tmp_path / "moved.json")
    made = project(tmp_path, tokenizer="moved.json")
    assert made.open().plan.fingerprint.config_hash == before, (
        "what it says counts, not where it lies"
    )
    (tmp_path / "moved.json").write_text(
        tokenizer.read_text(encoding="utf-8").replace('"<s>"', '"<t>"')
    )
    assert made.open().plan.fingerprint.config_hash != before


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"tokenizer": "nowhere.json"},
            r"stages\[0\]\.tokenizer: .*nowhere.json cannot be read.*name the tokenizer.json",
        ),
        (
            {"tokenizer": "docs/a.txt"},
            r"stages\[0\]\.tokenizer: .*a.txt is not a tokenizer",
        ),
        (
            {"tokenizer": "x.json", "unit": "words"},
            r"tokenizer is valid only with unit: tokens, but unit is words",
        ),
        ({"overlap": 9}, r"stages\[0\]\.overlap: 9 is not smaller than the size, 9"),
    ],
)
def test_bad_input_names_value_and_remedy(
    tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        project(tmp_path, **more).open()


def test_a_missing_library_is_named_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sdg_core.pipelines.tokens.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'sdg-dagster\[tokens\]'"):
        project(tmp_path).open()
