"""What a model thought and what it said, where a server hands on both in one text.

Servers that know their model's format give the two apart; others hand on what the model wrote: tags around the thought (DeepSeek,
Qwen, Magistral, Seed-OSS, prompts in the style of Claude), or the channels of gpt-oss (OpenAI's Harmony response format).
"""

import re

_TAGS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",
}
_CLOSING = "|".join(re.escape(tag) for tag in _TAGS.values())
_CLOSED_THOUGHT = re.compile(rf"^[ \t]*({_CLOSING})", re.MULTILINE | re.IGNORECASE)
"""A closing tag at the start of a line; in running text it is part of the answer."""
_OPENING_OF = {closing: opening for opening, closing in _TAGS.items()}
_CHANNEL = re.compile(
    r"<\|channel\|>\s*(?P<name>\w*)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>"
    r"(?P<text>.*?)(?=<\|(?:end|return|call|start|channel)\|>|\Z)",
    re.DOTALL,
)
_STARTS_CHANNEL = re.compile(r"\s*(?:<\|start\|>\s*assistant\s*)?<\|channel\|>")
_BARE_CHANNELS = re.compile(
    r"\s*analysis(?=\S)(?P<thought>.*?)assistantfinal(?P<said>.*)", re.DOTALL
)
"""The same after a server has dropped the special tokens and kept what stood between them."""


def split_reasoning(text: str, *, asked_for: bytes = b"") -> tuple[str | None, str]:
    """What was thought, None without any, and what was said.

    The opening tag may be missing, because templates of chat models write it themselves. Channels other than `final` are thought.
    asked_for: the body that the model was sent; a tag that stands there was asked for, and is part of what was said. That does
    not hold for `<think>`, which prompts name to switch it on and off.
    """
    if "<" not in text and "[" not in text and "assistantfinal" not in text:
        return None, text  # most texts
    if _STARTS_CHANNEL.match(text):
        return _of_channels(text)
    bare = _BARE_CHANNELS.match(text)
    if bare is not None:
        return bare["thought"].strip() or None, bare["said"].lstrip()
    start = text.lstrip()
    for opening, closing in _TAGS.items():
        if start[: len(opening)].lower() == opening.lower():
            if _is_wanted(opening, asked_for):
                return None, text
            rest = start[len(opening) :]
            end = re.search(re.escape(closing), rest, re.IGNORECASE)
            if end is None:
                return rest.strip() or None, ""
            return rest[: end.start()].strip() or None, rest[end.end() :].lstrip()
    closed = _CLOSED_THOUGHT.search(start)
    if closed is None:
        return None, text
    opening = next(
        _OPENING_OF[tag] for tag in _OPENING_OF if tag.lower() == closed[1].lower()
    )
    before = start[: closed.start()]
    if opening.lower() in before.lower() or _is_wanted(opening, asked_for):
        return None, text
    return before.strip() or None, start[closed.end() :].lstrip()


def _is_wanted(opening: str, asked_for: bytes) -> bool:
    return opening != "<think>" and opening.lower().encode() in asked_for.lower()


def _of_channels(text: str) -> tuple[str | None, str]:
    thought: list[str] = []
    said: list[str] = []
    for channel in _CHANNEL.finditer(text):
        content = channel["text"].strip()
        if channel["name"] == "final":
            said.append(content)
        elif content:
            thought.append(content)
    return "\n".join(thought) or None, "\n".join(said)
