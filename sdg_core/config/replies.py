"""What model columns ask for and show: languages of code, formats, scores, media that go with a prompt."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictInt, StrictStr

from sdg_core.config.base import (
    QUOTE_TRUTH,
    ConfigModel,
    JsonObject,
    Name,
    NonEmptyStr,
    check_json,
)

CodeLanguage = Literal[
    "bash",
    "c",
    "cobol",
    "cpp",
    "csharp",
    "go",
    "java",
    "javascript",
    "kotlin",
    "python",
    "ruby",
    "rust",
    "scala",
    "swift",
    "typescript",
    "sql:sqlite",
    "sql:tsql",
    "sql:bigquery",
    "sql:mysql",
    "sql:postgres",
    "sql:ansi",
]
DataType = Literal["url", "base64"]
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")


def _traced(value: Any) -> Any:
    """Data Designer's older files say true or false."""
    return (
        {True: "all_messages", False: "none"}.get(value, value)
        if isinstance(value, bool)
        else value
    )


_TraceName = Literal["none", "last_message", "all_messages"]
Trace = Annotated[
    _TraceName, BeforeValidator(_traced, json_schema_input_type=_TraceName | bool)
]


def _output_format(value: Any) -> Any:
    """One message for what is neither a schema nor the name of a class."""
    if isinstance(value, str) and value:
        return value
    if not isinstance(value, dict):
        raise ValueError(
            "expected a JSON schema, or a pydantic model as module:Class or ./file.py:Class"
        )
    check_json(value)
    return value


OutputFormat = Annotated[JsonObject | NonEmptyStr, BeforeValidator(_output_format)]


def _options(value: Any) -> Any:
    """Whole numbers as they are in YAML; JSON has no keys but text, so text counts as a number if every option reads as one."""
    if not isinstance(value, dict):
        return value
    if any(isinstance(key, bool) for key in value):
        raise ValueError(f"an option must be text or a whole number; {QUOTE_TRUTH}")
    are_numbers = all(_INTEGER.fullmatch(str(key)) for key in value)
    options: dict[Any, Any] = {}
    for key, words in value.items():
        if are_numbers:
            key = int(key)
        elif isinstance(key, int):
            key = str(key)
        options[key] = words
    if len(options) < len(value):
        raise ValueError(
            "an option is given twice, as a number and as text; remove one"
        )
    return options


Options = Annotated[
    dict[StrictInt | NonEmptyStr, StrictStr],
    Field(min_length=1),
    BeforeValidator(_options),
]


class Score(ConfigModel):
    """One criterion to judge. options: the possible scores, all whole numbers or all text, each with its meaning."""

    name: NonEmptyStr
    description: NonEmptyStr
    options: Options


def _distinct(scores: tuple[Score, ...]) -> tuple[Score, ...]:
    names = [score.name for score in scores]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two scores are named {name!r}; rename one")
    return scores


Scores = Annotated[tuple[Score, ...], Field(min_length=1), AfterValidator(_distinct)]


class MediaContext(ConfigModel):
    """Media of a column that go with the prompt: one or a list of them, as URLs or base64.

    data_type: null detects it: a URL, the path of an image that this dataset generated, otherwise base64.
    """

    column_name: Name
    data_type: DataType | None = None


class ImageContext(MediaContext):
    """Images. image_format: required only for base64 data whose format cannot be detected."""

    modality: Literal["image"] = "image"
    image_format: Literal["png", "jpg", "jpeg", "gif", "webp"] | None = None


class AudioContext(MediaContext):
    """Audio. audio_format: required only for base64 data whose format cannot be detected."""

    modality: Literal["audio"] = "audio"
    audio_format: Literal["mp3", "wav", "flac", "ogg", "m4a", "aac"] | None = None


class VideoContext(MediaContext):
    """Videos. video_format: required only for base64 data whose format cannot be detected."""

    modality: Literal["video"] = "video"
    video_format: Literal["mp4", "webm", "mov", "mpeg", "avi"] | None = None


def _an_image(value: Any) -> Any:
    """What does not say its modality is an image, as in Data Designer."""
    return {"modality": "image", **value} if isinstance(value, dict) else value


AnyMediaContext = Annotated[
    Annotated[
        ImageContext | AudioContext | VideoContext, Field(discriminator="modality")
    ],
    BeforeValidator(_an_image),
]
