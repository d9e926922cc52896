"""Scores with reasons. A score counts as the option that it spells: in any case, as text or as a number."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sdg_core.config.columns import LlmJudgeColumn
from sdg_core.config.replies import Score
from sdg_core.generators.models.chat import ChatGenerator, ModelBinding, ResponseSpec
from sdg_core.models import structured
from sdg_core.models.types import ChatResponse
from sdg_core.plan.types.json_schema import fit
from sdg_core.plan.types.replies import reply_schema, reply_shape


def judge_generator(column: LlmJudgeColumn, binding: ModelBinding) -> ChatGenerator:
    """The generator of one `llm-judge` column."""
    schema = reply_schema(column)
    shape = reply_shape(column)

    def read(reply: ChatResponse) -> structured.Extracted:
        found = structured.extract_json(reply.text, finish_reason=reply.finish_reason)
        valid = structured.validate(with_options(found.value, column.scores), schema)
        return replace(found, value=fit(valid, shape))

    return ChatGenerator(
        column, binding, ResponseSpec(read, rubric(column.scores), schema)
    )


def rubric(scores: tuple[Score, ...]) -> str:
    """The part of the prompt that lists the scores."""
    lines = [
        "Judge by each of these scores. Give your reasons first, then exactly one of the options."
    ]
    for score in scores:
        lines += ["", f"{score.name}: {score.description}"]
        lines += [f"- {option}: {meaning}" for option, meaning in score.options.items()]
    return "\n".join(lines)


def with_options(value: Any, scores: tuple[Score, ...]) -> Any:
    """A reply whose scores are the options that they spell; others stay as they are, for the schema to object to."""
    if not isinstance(value, dict):
        return value
    options = {score.name: _spellings(score.options) for score in scores}
    judged = dict(value)
    for name, known in options.items():
        verdict = value.get(name)
        if isinstance(verdict, dict) and "score" in verdict:
            given = verdict["score"]
            judged[name] = {**verdict, "score": known.get(_spelling(given), given)}
    return judged


def _spellings(options: Mapping[int | str, str]) -> dict[str, int | str]:
    """Options by how they are spelt; of those that are spelt alike, none."""
    counts = Counter(map(_spelling, options))
    found: dict[str, int | str] = {}
    for option in options:
        spelling = _spelling(option)
        if counts[spelling] == 1:
            found[spelling] = option
    return found


def _spelling(given: Any) -> str:
    if isinstance(given, bool):
        return str(given)
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    text = str(given).strip().casefold()
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else text
