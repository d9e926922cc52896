"""What the model servers answer with."""

import base64
import hashlib
from typing import Any

import numpy as np
import orjson

from sdg_core.models.simulated.json import conforming
from sdg_core.models.simulated.media import small_image, unit_vector
from sdg_core.models.simulated.random_stream import RandomStream

PNG = small_image(RandomStream(7, "test")).content


def text_of(message: dict[str, Any]) -> str:
    """The text of a message, whatever else is in it."""
    content = message["content"]
    if not isinstance(content, list):
        return content or ""
    texts = [part["text"] for part in content if part["type"] == "text"]
    return "\n".join(texts)


def json_answer(body: dict[str, Any], prompt: str, *, held: bool) -> str | None:
    """JSON of the schema in `response_format` (if that is held to), or, in a fenced block, of the schema in the prompt."""
    if held and "response_format" in body:
        return json_of(body["response_format"]["json_schema"]["schema"], prompt)
    _, found, rest = prompt.partition("<response_schema>")
    if not found:
        return None
    return f"Here you are:\n```json\n{json_of(_schema_in(rest), prompt)}\n```"


def json_of(schema: dict[str, Any], prompt: str) -> str:
    """A value that is a function of the prompt."""
    draws = RandomStream(number_of(prompt), "server")
    value = conforming(schema, draws, words=lambda: f"word {draws.below(1000)}")
    return orjson.dumps(value).decode()


def number_of(text: str) -> int:
    """A number that is a function of a text."""
    digest = hashlib.blake2b(text.encode()).digest()
    return int.from_bytes(digest, "little")


def embeddings_for(body: dict[str, Any]) -> dict[str, Any]:
    """A unit vector for each text, the last first, as the format allows."""
    rows = []
    for index, text in enumerate(body["input"]):
        vector: Any = unit_vector(number_of(text), body.get("dimensions", 8))
        if body.get("encoding_format") == "base64":
            content = np.array(vector, dtype="<f4").tobytes()
            vector = base64.b64encode(content).decode()
        rows.append({"object": "embedding", "index": index, "embedding": vector})
    return {
        "data": rows[::-1],
        "usage": {
            "prompt_tokens": len(body["input"]),
            "total_tokens": len(body["input"]),
        },
    }


def tool_calls(
    *calls: tuple[str, dict[str, Any]], text: str | None = None
) -> dict[str, Any]:
    """A message that asks for tools, by name and arguments, as OpenAI's servers write it."""
    asked = [
        {
            "id": f"call_{place}",
            "type": "function",
            "function": {"name": name, "arguments": orjson.dumps(given).decode()},
        }
        for place, (name, given) in enumerate(calls)
    ]
    return {"role": "assistant", "content": text, "tool_calls": asked}


def _schema_in(rest: str) -> Any:
    """The schema between the tags, which some clients put into a fence."""
    text = rest.partition("</response_schema>")[0]
    return orjson.loads(text[text.find("{") : text.rfind("}") + 1])
