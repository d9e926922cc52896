"""JSON that satisfies a schema, drawn from a stream: what the simulated provider answers where a schema is asked for.

Walks the schema; what a walk cannot see (`not`, `if`, dependencies) is left to chance: the result is validated, and drawn again a
few times.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from sdg_core.errors import PermanentModelError
from sdg_core.models.simulated.random_stream import RandomStream
from sdg_core.models.simulated.text import formatted, matching
from sdg_core.models.structured import InvalidResponseError, validate
from sdg_core.models.types import JsonSchema

_TRIES = 20
_DEEP = 5
"""From here on only what is required is made, so that schemas that contain themselves come to an end."""
_TOO_DEEP = 40
_MAX_VALUES = 20_000
_MAX_CHARACTERS = 1_000_000


def conforming(
    schema: JsonSchema, draws: RandomStream, *, words: Callable[[], str]
) -> Any:
    """A value of the schema. `words` makes text. Raises PermanentModelError for a schema that no try has satisfied."""
    reason = ""
    for _ in range(_TRIES):
        try:
            return validate(_Walk(schema, draws, words).value(schema, 0), schema)
        except (InvalidResponseError, ValueError, RecursionError) as error:
            reason = str(error)
        except (
            LookupError,
            TypeError,
            ArithmeticError,
            AttributeError,
        ) as error:  # a schema that nothing satisfies
            reason = f"{type(error).__name__}: {error}"
    raise PermanentModelError(
        f"the simulated provider cannot generate a value for the schema: {reason}"
    )


class _Walk:
    def __init__(
        self, root: JsonSchema, draws: RandomStream, words: Callable[[], str]
    ) -> None:
        self._root = root
        self._draws = draws
        self._words = words
        self._values = 0
        self._makers: dict[str, Callable[[Mapping[str, Any], int], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._integer,
            "number": self._number,
            "boolean": lambda node, depth: bool(self._draws.below(2)),
            "null": lambda node, depth: None,
        }

    def value(self, node: Any, depth: int) -> Any:
        if depth > _TOO_DEEP:
            raise ValueError("it contains itself endlessly")
        self._values += 1
        if self._values > _MAX_VALUES:
            raise PermanentModelError(
                f"the simulated provider makes at most {_MAX_VALUES:,} values for a schema"
            )
        if not isinstance(node, Mapping):
            return self._words()
        node = self._plain(node)
        if "const" in node:
            return node["const"]
        if "enum" in node:
            return self._draws.pick(node["enum"])
        for choice in ("anyOf", "oneOf"):
            if choice in node:
                rest = {key: value for key, value in node.items() if key != choice}
                chosen = self._plain(self._chosen(node[choice], depth))
                return self.value(_merged(rest, chosen), depth)
        return self._makers[self._type(node, depth)](node, depth)

    def _plain(self, node: Any) -> dict[str, Any]:
        """The node with `$ref` and `allOf` resolved into it."""
        for _ in range(_TOO_DEEP):
            if not isinstance(node, Mapping):
                return {}
            if "$ref" in node:
                rest = {key: value for key, value in node.items() if key != "$ref"}
                node = _merged(self._target(str(node["$ref"])), rest)
            elif "allOf" in node:
                merged = {key: value for key, value in node.items() if key != "allOf"}
                for part in node["allOf"]:
                    merged = _merged(merged, self._plain(part))
                node = merged
            else:
                return dict(node)
        raise ValueError("a $ref is circular")

    def _target(self, reference: str) -> Any:
        node: Any = self._root
        for part in reference.removeprefix("#").split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            node = node[int(key)] if isinstance(node, list) else node[key]
        return node

    def _chosen(self, options: list[Any], depth: int) -> Any:
        """Deep inside, the option that needs least: null if there is one, else the first without a reference."""
        if depth < _DEEP:
            return self._draws.pick(options)
        plain = []
        for option in options:
            keywords = option if isinstance(option, Mapping) else {}
            if keywords.get("type") == "null" and "$ref" not in keywords:
                return option
            if "$ref" not in keywords:
                plain.append(option)
        return plain[0] if plain else options[0]

    def _type(self, node: Mapping[str, Any], depth: int) -> str:
        kinds = node.get("type")
        if isinstance(kinds, list):
            return (
                "null"
                if depth >= _DEEP and "null" in kinds
                else str(self._draws.pick(kinds))
            )
        if isinstance(kinds, str):
            return kinds
        if "properties" in node:
            return "object"
        return "array" if "items" in node else "string"

    def _object(self, node: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = node.get("properties", {})
        required = set(node.get("required", ()))
        made = {}
        for name, part in properties.items():
            if name in required or (depth < _DEEP and self._draws.below(4)):
                made[name] = self.value(part, depth + 1)
        more = node.get("additionalProperties", {})
        for name in required - set(properties):
            made[name] = self.value(more, depth + 1)
        while len(made) < node.get("minProperties", 0):
            made[f"key_{len(made) + 1}"] = self.value(more, depth + 1)
        return made

    def _array(self, node: Mapping[str, Any], depth: int) -> list[Any]:
        firsts = node.get("prefixItems", [])
        others = node.get("items", {"type": "string"})
        least = max(node.get("minItems", 0), 0)
        usual_most = max(least, 1) + 2
        most = min(node.get("maxItems", usual_most), usual_most)
        if depth >= _DEEP or others is False:
            most = least
        usual_least = max(least, min(1, most))
        drawn = self._draws.between(usual_least, max(least, most))
        count = max(drawn, len(firsts))
        made: list[Any] = []
        seen: set[bytes] = set()
        for _ in range(count * 8):
            if len(made) >= count:
                break
            part = firsts[len(made)] if len(made) < len(firsts) else others
            item = self.value(part, depth + 1)
            if node.get("uniqueItems"):
                text = orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
                if text in seen:
                    continue
                seen.add(text)
            made.append(item)
        return made

    def _string(self, node: Mapping[str, Any], depth: int) -> str:
        least = node.get("minLength", 0)
        most = node.get("maxLength")
        if "pattern" in node:
            return matching(node["pattern"], self._draws)
        text = formatted(str(node.get("format")), self._draws)
        if text is not None:
            return text
        if least > _MAX_CHARACTERS:
            raise PermanentModelError(
                f"the simulated provider makes texts of at most {_MAX_CHARACTERS:,} characters"
            )
        text = self._words()
        while len(text) < least:
            text += " " + self._words()
        return text if most is None else text[:most]

    def _integer(self, node: Mapping[str, Any], depth: int) -> int:
        step = node.get("multipleOf", 1)
        step = step if isinstance(step, int) else int(step) or 1
        low, high = _bounds(node, 1)
        first = math.ceil(low / step)
        last = math.floor(high / step)
        if first > last:
            raise ValueError(f"no whole number from {low} to {high}")
        return self._draws.between(first, last) * step

    def _number(self, node: Mapping[str, Any], depth: int) -> float:
        if "multipleOf" in node:
            step = node["multipleOf"]
            low, high = _bounds(node, 0)
            value: float = (
                self._draws.between(math.ceil(low / step), math.floor(high / step))
                * step
            )
            return value
        low, high = _bounds(node, 0)
        drawn = round(low + self._draws.unit() * (high - low), 3)
        return drawn if low < drawn < high else low + (high - low) / 2


def _bounds(node: Mapping[str, Any], margin: int) -> tuple[float, float]:
    """The least and the greatest number. `margin` is what an exclusive bound of whole numbers takes away."""
    lows = [node["minimum"]] if node.get("minimum") is not None else []
    highs = [node["maximum"]] if node.get("maximum") is not None else []
    if node.get("exclusiveMinimum") is not None:
        lows.append(node["exclusiveMinimum"] + margin)
    if node.get("exclusiveMaximum") is not None:
        highs.append(node["exclusiveMaximum"] - margin)
    high = min(highs, default=None)
    if lows:
        low = max(lows)
    elif high is None or high > 0:
        low = 0
    else:
        low = high - 100
    if high is None:
        high = low + 100
    return low, high


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Both at once: properties and required names add up, otherwise the second wins."""
    merged = {**first, **second}
    if "properties" in first and "properties" in second:
        merged["properties"] = {**first["properties"], **second["properties"]}
    if "required" in first and "required" in second:
        merged["required"] = list(
            dict.fromkeys([*first["required"], *second["required"]])
        )
    return merged
