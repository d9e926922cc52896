"""Secrets out of what a server says: its errors, and its answers before anything else reads them.

A server knows the key that it was sent, and may repeat it anywhere: in a text, a reason, the name of a model. So it is taken out
of the body, once, and cannot reach rows, failures, the ledger or a terminal.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from sdg_core.models.secrets import is_unmistakable
from sdg_core.plan.foreign import read_json

_ESCAPED_ASCII = re.compile(rb"\\u00[2-7]|\\/")


class Redaction:
    """What stands for each secret. Its repr shows none."""

    def __init__(self, marks: Mapping[str, str]) -> None:
        self._marks: dict[str, str] = {}
        self._unmistakable: dict[str, str] = {}
        in_bodies: dict[bytes, bytes] = {}
        for secret, mark in marks.items():
            if not secret:
                continue
            self._marks[secret] = mark
            if not is_unmistakable(secret):
                continue
            self._unmistakable[secret] = mark
            escaped = json.dumps(secret)[1:-1]
            in_bodies[secret.encode()] = mark.encode()
            in_bodies[escaped.encode()] = mark.encode()
        self._bytes = list(in_bodies.items())

    def text(self, text: str) -> str:
        """An error text without any secret."""
        for secret, mark in self._marks.items():
            text = text.replace(secret, mark)
        return text

    def body(self, body: bytes) -> bytes:
        """The body of an answer without the secrets that cannot be mistaken for ordinary text."""
        if not self._bytes:
            return body
        for secret, mark in self._bytes:
            body = body.replace(secret, mark)
        if _ESCAPED_ASCII.search(body) is None:
            return body
        return self._spelt_out(body)

    def _spelt_out(self, body: bytes) -> bytes:
        """The same for a body whose letters may be escaped: JSON has many ways to write one text."""
        try:
            answer = read_json(body)
        except ValueError:
            return body
        plain = self._value(answer)
        return body if plain == answer else json.dumps(plain).encode()

    def _value(self, value: Any) -> Any:
        match value:
            case str():
                for secret, mark in self._unmistakable.items():
                    value = value.replace(secret, mark)
                return value
            case list():
                return [self._value(part) for part in value]
            case dict():
                return {self._value(key): self._value(part) for key, part in value.items()}
        return value
