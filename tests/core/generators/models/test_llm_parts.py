"""The pure parts of model columns: code out of replies, scores as options, turns, media, texts, draws."""

import base64
from collections import Counter
from typing import Any

import pytest

from sdg_core.config.distributions import ManualDistribution, UniformDistribution
from sdg_core.config.replies import AudioContext, ImageContext, Score, VideoContext
from sdg_core.errors import CellError
from sdg_core.generators.models.chat import _draw
from sdg_core.generators.models.code import extract_code
from sdg_core.generators.models.conversation import Limits, Turn, UnusableResponseError
from sdg_core.generators.models.embedding import texts_of
from sdg_core.generators.models.fences import fenced_blocks
from sdg_core.generators.models.judge import rubric, with_options
from sdg_core.generators.models.media import media_parts
from sdg_core.models.types import AudioPart, ImagePart, VideoPart

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 9
B64 = base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x = 1", "x = 1"),
        ("  x = 1\n", "x = 1"),
        ("So:\n```python\nx = 1\n```\nDone.", "x = 1"),
        ("```python\na\n```\n```python\nb\n```", "b"),
        ("```python\na\n```\n```bash\npip install\n```", "a"),
        ("```py\n  a\n\n  b\n```", "  a\n\n  b"),
        ("~~~PYTHON title=x\na\n~~~", "a"),
        ("````python\n```\ninner\n```\n````", "```\ninner\n```"),
        ("```python\r\na\r\nb\r\n```", "a\nb"),
        ("```python\nnever closed", "never closed"),
    ],
)
def test_code_is_the_last_block_in_its_language(text: str, code: str) -> None:
    assert extract_code(text, language="python") == code


@pytest.mark.parametrize(
    "text", ["", "  \n", "```bash\nls\n```", "I cannot do that.", "```python\n\n```"]
)
def test_a_reply_without_code_in_the_language_is_refused(text: str) -> None:
    with pytest.raises(UnusableResponseError):
        extract_code(text, language="python")


def test_a_dialect_of_sql_may_mark_a_block() -> None:
    for tag in ("sql", "postgresql", "SQLite"):
        assert extract_code(f"```{tag}\nSELECT 1\n```", language="sql") == "SELECT 1"
    assert fenced_blocks("text with `ticks` and ``` inline") == []


SCORES = (
    Score(name="quality", description="how good", options={1: "bad", 2: "good"}),
    Score(
        name="tone", description="which", options={"Kind": "x", "Rude": "y", "10": "z"}
    ),
)


@pytest.mark.parametrize(
    ("given", "score"), [(1, 1), ("1", 1), (" 2 ", 2), (2.0, 2), ("2.0", 2), (3, 3), ("bad", "bad"), (True, True), (None, None)]
)  # fmt: skip
def test_a_number_counts_as_the_option_that_it_spells(given: Any, score: Any) -> None:
    judged = with_options({"quality": {"reasoning": "r", "score": given}}, SCORES)
    found = judged["quality"]["score"]
    assert found == score and type(found) is type(score)


@pytest.mark.parametrize(
    ("given", "score"),
    [("kind", "Kind"), (" RUDE", "Rude"), (10, "10"), ("else", "else")],
)
def test_a_word_counts_as_the_option_that_it_spells(given: Any, score: Any) -> None:
    assert (
        with_options({"tone": {"reasoning": "r", "score": given}}, SCORES)["tone"][
            "score"
        ]
        == score
    )


def test_options_that_are_spelt_alike_are_taken_as_written() -> None:
    alike = (Score(name="s", description="d", options={"A": "x", "a": "y"}),)
    assert (
        with_options({"s": {"reasoning": "", "score": "a"}}, alike)["s"]["score"] == "a"
    )
    assert with_options([], SCORES) == [] and with_options({"quality": 1}, SCORES) == {
        "quality": 1
    }


def test_options_are_numbers_if_all_are() -> None:
    assert list(
        Score(name="s", description="d", options={"1": "x", "-2": "y"}).options
    ) == [1, -2]
    assert list(
        Score(name="s", description="d", options={1: "x", "b": "y"}).options
    ) == ["1", "b"]
    with pytest.raises(ValueError, match="twice"):
        Score(name="s", description="d", options={1: "x", "1": "y"})
    with pytest.raises(ValueError, match="as a boolean"):
        Score(name="s", description="d", options={True: "x"})


def test_a_judge_is_told_every_option() -> None:
    told = rubric(SCORES)
    assert "quality: how good" in told and "- 2: good" in told and "- Rude: y" in told


@pytest.mark.parametrize(("corrections", "restarts"), [(0, 0), (1, 2), (3, 0), (0, 4)])
def test_turns_come_to_an_end(corrections: int, restarts: int) -> None:
    turn, turns = Turn(), []
    while turn is not None:
        turns.append((turn.restart, turn.correction))
        turn = turn.after_unusable(Limits(corrections, restarts))
    assert turns == [
        (r, c) for r in range(restarts + 1) for c in range(corrections + 1)
    ]


class Stored:
    def save(self, column: str, record: int, images: Any) -> list[str]:
        raise AssertionError

    def read(self, path: str) -> bytes | None:
        return PNG if path == "images/i/0.png" else None


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (None, []),
        ([], []),
        ("https://x/a.png", [ImagePart(url="https://x/a.png")]),
        (
            ["http://x/a", "http://x/b"],
            [ImagePart(url="http://x/a"), ImagePart(url="http://x/b")],
        ),
        ('["http://x/a"]', [ImagePart(url="http://x/a")]),
        (B64, [ImagePart(data=B64, media_type="image/png")]),
        (PNG, [ImagePart(data=B64, media_type="image/png")]),
        (
            f"data:image/webp;base64,{B64}",
            [ImagePart(data=B64, media_type="image/webp")],
        ),
        (["images/i/0.png"], [ImagePart(data=B64, media_type="image/png")]),
    ],
)
def test_media_of_a_value(value: Any, parts: list[Any]) -> None:
    found = media_parts(ImageContext(column_name="i"), value, Stored())
    assert found == parts and all(type(part) is ImagePart for part in found)


def test_other_media_and_formats() -> None:
    data = base64.b64encode(b"abc").decode()
    assert media_parts(
        AudioContext(column_name="a", audio_format="mp3"), data, None
    ) == [AudioPart(data=data, media_type="audio/mpeg")]
    (video,) = media_parts(VideoContext(column_name="a"), data, None)
    assert type(video) is VideoPart and video.media_type == "video/mp4"


@pytest.mark.parametrize(
    "value", ["/etc/passwd", "images/../../x.png", "not base64!", 7, ""]
)
def test_what_is_no_medium_fails_its_cell(value: Any) -> None:
    with pytest.raises(CellError, match="column 'i'"):
        media_parts(ImageContext(column_name="i"), value, Stored())
    with pytest.raises(CellError, match="is not a URL"):
        media_parts(ImageContext(column_name="i", data_type="url"), B64, Stored())


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        ('["a", "b"]', ("a", "b")),
        ("[not json", ("[not json",)),
        (1.5, ("1.5",)),
        ({"a": 1}, ('{"a":1}',)),
        ([], ()),
    ],
)
def test_texts_to_embed(value: Any, texts: tuple[str, ...]) -> None:
    assert texts_of(value) == texts


@pytest.mark.parametrize("value", [None, "", [None], ["a", " "]])
def test_nothing_cannot_be_embedded(value: Any) -> None:
    with pytest.raises(CellError):
        texts_of(value)


def test_draws_follow_their_distributions() -> None:
    uniform = UniformDistribution.model_validate({"params": {"low": 0.2, "high": 0.4}})
    assert (
        _draw(uniform, 0.0) == 0.2
        and _draw(uniform, 0.5) == pytest.approx(0.3)
        and _draw(uniform, 1.0) <= 0.4
    )
    manual = ManualDistribution.model_validate(
        {"params": {"values": [0.1, 0.5, 0.9], "weights": [1, 0, 3]}}
    )
    assert Counter(_draw(manual, unit / 100) for unit in range(100)) == {
        0.1: 25,
        0.9: 75,
    }
