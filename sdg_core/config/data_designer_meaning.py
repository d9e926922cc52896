"""What a builder config of NeMo Data Designer means, where the same words mean something else in a dataset file.

Everything that is taken differently there is spelled out in keys and values of this project, so that the rest of it knows
nothing of the other library. A value that both take in the same way is left exactly as it is: it is part of the fingerprint.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sdg_core.config.people import CENSUS_LOCALES

Params = dict[str, Any]

_TEXTS = ("prompt", "system_prompt", "expr")
_ISO_HERE = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d)?)?)?)?)?")
_NOTATIONS = (
    "%Y/%m/%d",
    "%m/%d/%Y",
    "%b %d %Y",
    "%b %d, %Y",
    "%B %d %Y",
    "%B %d, %Y",
    "%d %b %Y",
    "%d %B %Y",
)
_CLOCKS = ("", " %H:%M", " %H:%M:%S")


def with_their_meaning(raw: dict[str, Any]) -> dict[str, Any]:
    """A builder config in which everything that Data Designer takes differently says what it means there.

    Of conditions that hold together the last one counts; one line end at the end of a template is not part of it; a UUID has
    no hyphens; people of some locales have further fields; times may be written in other notations; values of a category are
    made one type; what an expression renders is cast leniently; numbers and texts of a union are kept without quotes.
    """
    columns = raw.get("columns")
    if not isinstance(columns, list):
        return raw
    meant = []
    for column in columns:
        meant.append(_as_meant(column) if isinstance(column, dict) else column)
    return {**raw, "columns": meant}


def _as_meant(column: dict[str, Any]) -> dict[str, Any]:
    meant = dict(column)
    for key in _TEXTS:
        text = meant.get(key)
        if isinstance(text, str):
            meant[key] = text.removesuffix("\n")
    change = _PARAMS.get(str(meant.get("sampler_type")))
    params = meant.get("params") or {}
    if change is not None and isinstance(params, dict):
        meant["params"] = change(params)
    branches = meant.get("conditional_params")
    if isinstance(branches, dict):
        turned_round = {}
        for condition, params in reversed(branches.items()):
            if change is not None and isinstance(params, dict):
                params = change(params)
            turned_round[condition] = params
        meant["conditional_params"] = turned_round
    if meant.get("column_type") == "llm-structured":
        meant.setdefault("open_values", "text")
    if meant.get("column_type") == "expression" and meant.get("dtype", "str") != "str":
        meant.setdefault("cast", "lenient")
    return meant


def _without_hyphens(params: Params) -> Params:
    return {"hyphens": False, **params}


def _with_census_fields(params: Params) -> Params:
    if params.get("locale") not in CENSUS_LOCALES:
        return params
    return {"census_fields": True, **params}


def _with_iso_times(params: Params) -> Params:
    changed = dict(params)
    for name in ("start", "end"):
        if name in changed:
            changed[name] = _iso(changed[name])
    return changed


def _iso(text: Any) -> Any:
    """A time in one of the notations that are read there, in ISO 8601 and without its zone; anything else as it is."""
    if not isinstance(text, str) or _ISO_HERE.fullmatch(text):
        return text
    with suppress(ValueError):
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC)
        return moment.replace(tzinfo=None, microsecond=0).isoformat()
    for notation in _NOTATIONS:
        for clock in _CLOCKS:
            with suppress(ValueError):
                moment = datetime.strptime(
                    f"{text.strip()} +0000", f"{notation}{clock} %z"
                )
                return moment.replace(tzinfo=None).isoformat()
    return text


def _with_one_type(params: Params) -> Params:
    """Values of a category of one type: truth values are 0 and 1, and numbers beside texts are texts."""
    values = params.get("values")
    if isinstance(values, list):
        return {**params, "values": _of_one_type(values, beside=[values])}
    if isinstance(values, dict) and all(
        isinstance(part, list) for part in values.values()
    ):
        parts = [*values.values()]
        of_one_type = {
            key: _of_one_type(part, beside=parts) for key, part in values.items()
        }
        return {**params, "values": of_one_type}
    return params


def _of_one_type(values: list[Any], *, beside: list[list[Any]]) -> list[Any]:
    has_text = any(isinstance(value, str) for part in beside for value in part)
    changed = []
    for value in values:
        if isinstance(value, bool):
            value = int(value)
        if has_text and isinstance(value, int | float):
            value = str(value)
        changed.append(value)
    return changed


_PARAMS: Mapping[str, Callable[[Params], Params]] = {
    "uuid": _without_hyphens,
    "person": _with_census_fields,
    "datetime": _with_iso_times,
    "category": _with_one_type,
    "subcategory": _with_one_type,
}
"""Sampler to what its parameters mean there."""
