"""SQL source, parsed by sqlglot in one dialect. Nothing is run, so unknown tables and columns are no errors."""

import logging
from collections.abc import Sequence
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from sdg_core.validators.base import Validator, Verdict, as_text

_DIALECTS = {"ansi": ""}
_NO_STATEMENT = (exp.Condition, exp.Alias, exp.Tuple, exp.Paren, exp.Identifier)
logging.getLogger("sqlglot").setLevel(
    logging.ERROR
)  # it warns of statements that it passes through


def sql_validator(code_lang: str) -> Validator:
    """A validator of `sql:<dialect>`."""
    name = code_lang.partition(":")[2]
    dialect = _DIALECTS.get(name, name)

    def validate(values: Sequence[Any]) -> list[Verdict]:
        verdicts = []
        for value in values:
            fault = _fault(as_text(value), dialect)
            verdicts.append({"is_valid": fault is None, "error_messages": fault or ""})
        return verdicts

    return validate


def _fault(text: str | None, dialect: str) -> str | None:
    if text is None:
        return "there is no text"
    try:
        parsed = sqlglot.parse(text, dialect=dialect)
    except SqlglotError as error:
        return _readable(str(error))
    except RecursionError:
        return "nested too deeply to be parsed"
    statements = [statement for statement in parsed if statement is not None]
    if not statements:
        return "there is no statement"
    for statement in statements:
        if isinstance(statement, _NO_STATEMENT):
            return f"{statement.sql(dialect)[:60]!r} is not a statement"
    return None


def _readable(message: str) -> str:
    """The message without the terminal codes with which sqlglot underlines."""
    return message.replace("\033[4m", "").replace("\033[0m", "").strip()
