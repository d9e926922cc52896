"""Checks of `seed_config` that need no seed data: a stable order, no secret in the file, names that exist."""

import codecs
import re

from sdg_core.config.base import is_variable_name
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.seeds import (
    DatasetSeedSource,
    FileContentsSeedSource,
    HuggingFaceSeedSource,
    SqlSeedSource,
    TextFileKeys,
)
from sdg_core.config.yaml_document import Path, Problems
from sdg_core.plan.checks.processors import check_condition

_SOURCE: Path = ("seed_config", "source")
_OPAQUE = re.compile(
    r"""(?<![\w$])[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*`
    | (?<![\w$])\$(\w*)\$.*?\$\1\$ | --[^\n\r]* | /\*.*?\*/""",
    re.VERBOSE | re.DOTALL,
)
_SECRET = re.compile(
    r"//[^/@?]*:[^?]+@|[?&](?:password|passwd|pwd|passfile|token|secret|key)=",
    re.IGNORECASE,
)


def check_seeds(config: DatasetConfig) -> Problems:
    """Every problem of the seed data that shows in the file alone."""
    source = config.seed_config.source if config.seed_config is not None else None
    where = config.seed_config.where if config.seed_config is not None else None
    if where is not None:
        for path, message in check_condition(where, "where", None):
            yield ("seed_config", *path), message
    if (
        isinstance(source, TextFileKeys)
        and source.encoding is not None
        and not _is_encoding(source.encoding)
    ):
        yield (
            (*_SOURCE, "encoding"),
            f"unknown encoding {source.encoding!r}; use one that Python supports, such as utf-8",
        )
    if isinstance(source, TextFileKeys) and source.separator is not None:
        separator = source.separator
        if not separator.isascii() or separator in '"\r\n\0':
            yield (
                (*_SOURCE, "separator"),
                f"{separator!r} cannot separate columns; use one ASCII character, such as ';'",
            )
    match source:
        case SqlSeedSource():
            yield from check_sql(source)
        case HuggingFaceSeedSource(token=str(token)) if token.startswith(
            "hf_"
        ) or not is_variable_name(token):
            message = "token names an environment variable (such as HF_TOKEN); the token itself must not be in a file"
            yield (*_SOURCE, "token"), message
        case FileContentsSeedSource(encoding=encoding) if not _is_encoding(encoding):
            yield (
                (*_SOURCE, "encoding"),
                f"unknown encoding {encoding!r}; use one that Python supports, such as utf-8",
            )
        case DatasetSeedSource(dataset=name) if name == config.name:
            yield (
                (*_SOURCE, "dataset"),
                f"dataset {name!r} cannot be its own seed; name another dataset",
            )
        case _:
            pass


def ordered_at_top_level(query: str) -> bool:
    """Whether the outermost SELECT has an ORDER BY: one that stands outside strings, comments and parentheses."""
    depth = 0
    outermost = ""
    for character in _OPAQUE.sub(" ", query):
        if character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        outermost += character if depth == 0 else " "
    return re.search(r"\border\s+by\b", outermost, re.IGNORECASE) is not None


def check_sql(source: SqlSeedSource) -> Problems:
    """What is wrong with how a database is named and asked."""
    if source.url is not None and _SECRET.search(source.url):
        message = "the URL holds a password; put the URL into an environment variable and set url_env to its name"
        yield (*_SOURCE, "url"), message
    if source.url_env is not None and not is_variable_name(source.url_env):
        yield (
            (*_SOURCE, "url_env"),
            "url_env is the name of an environment variable; put a URL in url",
        )
    if ";" in _OPAQUE.sub(" ", source.query).strip().rstrip(";"):
        yield (
            (*_SOURCE, "query"),
            "expected one statement, got several; write a single SELECT",
        )
    elif not ordered_at_top_level(source.query):
        message = (
            "the query has no ORDER BY, so the order of its rows can change between reads; order "
            "by a unique column"
        )
        yield (*_SOURCE, "query"), message


def _is_encoding(name: str) -> bool:
    try:
        return codecs.lookup(name)._is_text_encoding
    except LookupError:
        return False
