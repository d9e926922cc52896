"""Secrets out of what a server says: its errors, and its answers before anything else reads them.

A server knows the key that it was sent, and may repeat it anywhere: in a text, a reason, the name of a model. Gateways also
repeat requests in other forms: an error of the next server as JSON inside JSON, a URL, a page of HTML, a Basic login in base64.
So it is taken out of the body in each of these forms, once, and cannot reach rows, failures, the ledger or a terminal.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence

_ESCAPED = rb"\\u00[2-7]|\\/|%[2-7]|&(?:#|amp|quot|apos|lt|gt)"
"""Signs that characters of a body are written in another way. A body without them needs no search for such."""
_ESCAPES = (b"\\", b"%", b"&")
"""What these signs begin with."""
_NAMED = {'"': "quot", "'": "apos", "&": "amp", "<": "lt", ">": "gt"}
_PIECE = 2**18
_MAX_SPELLING_LENGTH = 2**16
_PLACEHOLDERS = frozenset(
    "lm-studio not-needed not-required no-key-required sk-no-key-required your-api-key api-key".split()
)
_LONG_SECRET = 16
_MIN_PIECE_LENGTH = 8
"""Characters of base64 from which a secret is recognized."""


class Redaction:
    """What stands for each secret. Its repr shows none."""

    def __init__(self, marks: Mapping[str, str]) -> None:
        self._marks = {secret: mark for secret, mark in marks.items() if secret}
        known = {
            secret: mark
            for secret, mark in self._marks.items()
            if is_unmistakable(secret)
        }
        forms: dict[str, bytes] = {}
        self._spellings: list[tuple[re.Pattern[bytes], bytes]] = []
        for secret, mark in known.items():
            encoded = dict.fromkeys(_encoded(secret))
            forms |= dict.fromkeys(
                (secret, json.dumps(secret)[1:-1], *encoded), mark.encode()
            )
            self._spellings.append((_spellings(secret, every=True), mark.encode()))
            self._spellings += [
                (_spellings(form, every=False), mark.encode())
                for form in encoded
                if not form.isalnum()
            ]
        self._forms = [(form.encode(), mark) for form, mark in forms.items()]
        quotes = any(sign in secret for secret in known for sign in '"\\')
        self._escaped = re.compile(_ESCAPED + rb"|\\" if quotes else _ESCAPED)

    def text(self, text: str) -> str:
        """An error text without any secret."""
        for secret, mark in self._marks.items():
            text = text.replace(secret, mark)
        return self.reply(text)

    def reply(self, text: str) -> str:
        """A text without the secrets that cannot be mistaken for ordinary text, such as one whose parts came one by one."""
        if not self._forms:
            return text
        return self.body(text.encode("utf-8", "surrogatepass")).decode(
            "utf-8", "surrogatepass"
        )

    def body(self, body: bytes) -> bytes:
        """The same for the body of an answer; JSON stays JSON."""
        if not self._forms:
            return body
        for form, mark in self._forms:
            body = body.replace(form, mark)
        if (
            not any(sign in body for sign in _ESCAPES)
            or self._escaped.search(body) is None
        ):
            return body
        for pattern, mark in self._spellings:
            body = _replaced(pattern, mark, body)
        return body


def is_unmistakable(value: str) -> bool:
    """Whether a value can only be the secret itself where a server repeats it, and is no word of ordinary text.

    Local servers take `EMPTY`, `none` or `lm-studio` for a key, and those words stay in replies.
    """
    if value.lower() in _PLACEHOLDERS:
        return False
    has_digits = any(map(str.isdigit, value))
    has_signs = any(not character.isalnum() for character in value)
    return (
        len(value) >= _LONG_SECRET
        or (len(value) >= 6 and has_digits)
        or (len(value) >= 8 and has_signs)
    )


def _encoded(secret: str) -> Iterator[str]:
    """The secret in hexadecimal, and what base64 makes of it, whatever stands before and behind it."""
    content = secret.encode()
    yield content.hex()
    yield content.hex().upper()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + content).decode()
        piece = encoded[-(-8 * before // 6) : 8 * (before + len(content)) // 6]
        if len(piece) >= _MIN_PIECE_LENGTH:
            yield piece
            yield piece.replace("+", "-").replace("/", "_")


def _replaced(pattern: re.Pattern[bytes], mark: bytes, body: bytes) -> bytes:
    """The body with a mark for each match. It is searched piece by piece, because a search keeps all other threads waiting."""
    if len(body) <= _PIECE:
        return pattern.sub(mark, body)
    kept: list[bytes] = []
    done = 0
    for start in range(0, len(body), _PIECE):
        end = start + _PIECE
        for found in pattern.finditer(
            body, max(start, done), end + _MAX_SPELLING_LENGTH
        ):
            if found.start() >= end:
                break
            kept += (body[done : found.start()], mark)
            done = found.end()
    return b"".join((*kept, body[done:]))


def _spellings(text: str, *, every: bool) -> re.Pattern[bytes]:
    """A text whose characters may be escaped, every one or those other than letters and digits: as in JSON inside JSON, in a
    URL, or in HTML. Repetitions are bounded, so that a search takes time in proportion to the body."""
    pattern = b""
    for character in re.sub(r"\\+", r"\\", text):
        if every or not character.isalnum():
            pattern += b"(?:" + b"|".join(_written(character)) + b")"
        else:
            pattern += character.encode()
    return re.compile(pattern)


def _written(character: str) -> Sequence[bytes]:
    """The ways of writing a character."""
    code = ord(character)
    plain = re.escape(character.encode())
    if character == "\\":
        plain = rb"\\{1,31}"
    elif not character.isalnum():
        plain = rb"\\{0,31}" + plain
    digits = _any_case(f"{code:x}")
    octets = (
        rb"%(?:25){0,3}" + _any_case(f"{octet:02x}") for octet in character.encode()
    )
    entity = rb"&(?:amp;){0,3}"
    written = [
        plain,
        rb"\\{1,31}u" + _any_case(f"{code:04x}"),
        b"".join(octets),
        entity + rb"#0{0,6}" + str(code).encode() + b";?",
        entity + rb"#[xX]0{0,6}" + digits + b";?",
    ]
    if character in _NAMED:
        written.append(entity + _NAMED[character].encode() + b";")
    return written


def _any_case(digits: str) -> bytes:
    """Hexadecimal digits in capitals or not."""
    return "".join(
        f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits
    ).encode()
