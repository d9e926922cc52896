"""Images, audio and video that go with a prompt: a column's value as parts of a message.

A value is one of them or a list (also as JSON text), each a URL, a `data:` URL, base64, bytes, or the path of an image that this
dataset made. Other paths are not read: a value may come from a model, and must not choose files of this machine.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson

from sdg_core.config.addresses import is_http_url
from sdg_core.config.replies import (
    AudioContext,
    ImageContext,
    MediaContext,
    VideoContext,
)
from sdg_core.errors import CellError
from sdg_core.models.types import AudioPart, ImagePart, VideoPart

Media = ImagePart | AudioPart | VideoPart

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)
_MAGIC: Sequence[tuple[bytes, int, str]] = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"GIF8", 0, "image/gif"),
    (b"WEBP", 8, "image/webp"),
    (b"WAVE", 8, "audio/wav"),
    (b"ID3", 0, "audio/mpeg"),
    (b"\xff\xfb", 0, "audio/mpeg"),
    (b"fLaC", 0, "audio/flac"),
    (b"OggS", 0, "audio/ogg"),
    (b"ftyp", 4, "video/mp4"),
    (b"\x1aE\xdf\xa3", 0, "video/webm"),
)
_FORMATS: Mapping[str, str] = {
    "jpg": "image/jpeg",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "mov": "video/quicktime",
    "avi": "video/x-msvideo",
}


class ImageStore(Protocol):
    """Where the images of a dataset lie."""

    def save(self, column: str, record: int, images: Sequence[bytes]) -> list[str]:
        """Store the images of a cell durably; returns their paths."""

    def read(self, path: str) -> bytes | None:
        """A stored image; None if the path is none that `save` returns."""


def media_parts(
    context: MediaContext, value: Any, images: ImageStore | None
) -> list[Media]:
    """The parts that a column's value stands for; none for null. Raises CellError."""
    return [_part(context, item, images) for item in _items(value)]


def media_type(content: bytes) -> str | None:
    """What the first bytes say that content is."""
    for magic, place, kind in _MAGIC:
        if content.startswith(magic, place):
            return kind
    return None


def _items(value: Any) -> list[Any]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            pass
    items = value if isinstance(value, list | tuple) else [value]
    return [item for item in items if item is not None]


def _part(context: MediaContext, value: Any, images: ImageStore | None) -> Media:
    make, default = _kind(context)
    if isinstance(value, bytes | bytearray | memoryview):
        return _encoded(make, bytes(value), default)
    if not isinstance(value, str) or not value.strip():
        raise _unfit(context, "it is neither a URL nor base64")
    value = value.strip()
    if data := _DATA_URL.fullmatch(value):
        return make(data=data[2], media_type=data[1])
    if context.data_type != "base64" and is_http_url(value):
        return make(url=value)
    stored = images.read(value) if images is not None else None
    if stored is not None:
        return _encoded(make, stored, default)
    if context.data_type == "url":
        raise _unfit(
            context, f"{value[:60]!r} is not a URL; it starts with http:// or https://"
        )
    try:
        content = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise _unfit(context, f"{value[:60]!r} is neither a URL nor base64") from None
    return make(data=value, media_type=media_type(content) or default)


def _encoded(make: Callable[..., Media], content: bytes, default: str) -> Media:
    return make(
        data=base64.b64encode(content).decode("ascii"),
        media_type=media_type(content) or default,
    )


def _kind(context: MediaContext) -> tuple[Callable[..., Media], str]:
    match context:
        case ImageContext(image_format=given):
            return ImagePart, _format("image", given or "png")
        case AudioContext(audio_format=given):
            return AudioPart, _format("audio", given or "wav")
        case VideoContext(video_format=given):
            return VideoPart, _format("video", given or "mp4")
        case _:
            raise TypeError(type(context).__name__)


def _format(modality: str, name: str) -> str:
    return _FORMATS.get(name, f"{modality}/{name}")


def _unfit(context: MediaContext, reason: str) -> CellError:
    return CellError(f"multi_modal_context, column {context.column_name!r}: {reason}")
