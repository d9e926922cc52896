"""Dataset and pipeline files that ask for too much, or for what is not: a text for each name, by kind.

`python -m tests.hostile.corpus DIRECTORY COMMAND...` runs commands over the files of a directory, in one process with bounds of
memory and time, and writes a line of JSON for each end.
"""

import contextlib
import io
import itertools
import json
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.support.sdg import structured

MEMORY = 3 * 2**30
SECONDS = 150


def dataset(*columns: dict[str, Any], **more: Any) -> str:
    config: dict[str, Any] = {
        "name": "hostile",
        "num_records": 2,
        "row_group_size": 2,
        "model_providers": [{"name": "p", "provider_type": "simulated"}],
        "model_configs": [{"alias": "w", "model": "m", "provider": "p"}],
        "columns": [sampler("plan", "category", values=["a", "b"]), *columns],
        **more,
    }
    return yaml.safe_dump(config, allow_unicode=True)


def sampler(name: str, kind: str, **params: Any) -> dict[str, Any]:
    return {
        "column_type": "sampler",
        "name": name,
        "sampler_type": kind,
        "params": params,
    }


def expression(text: str) -> dict[str, Any]:
    return {"column_type": "expression", "name": "e", "expr": text}


def text(prompt: str = "{{ plan }}", **more: Any) -> dict[str, Any]:
    return {
        "column_type": "llm-text",
        "name": "t",
        "prompt": prompt,
        "model_alias": "w",
        **more,
    }


def validation(kind: str, **params: Any) -> dict[str, Any]:
    column = {"column_type": "validation", "name": "v", "target_columns": ["plan"]}
    return {**column, "validator_type": kind, "validator_params": params}


def seeded(**source: Any) -> str:
    return dataset(seed_config={"source": source})


def pipeline(*stages: dict[str, Any], sources: Any = None, **more: Any) -> str:
    sources = sources or {"reader": "files", "path": "*.md"}
    return yaml.safe_dump(
        {
            "kind": "pipeline",
            "name": "notes",
            "sources": sources,
            "stages": [*stages],
            **more,
        }
    )


TEMPLATES = [
    "{{ plan" + " ~ plan" * 20_000 + " }}",
    "{% set a = plan %}" + "{% set a = a ~ a %}" * 40 + "{{ a[:1] }}",
    "{% set a = [plan] %}" + "{% set a = a + a %}" * 30 + "{{ a|length }}",
    "{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}",
    "{% for a in range(10**9) %}{{ a }}{% endfor %}",
    "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
    "{{ 'a' * 10**9 }}",
    "{{ '%0999999999d' % 1 }}",
    "{{ plan.__class__.__mro__ }}",
    "{{ ''.__class__.__base__.__subclasses__() }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{% include '/etc/hostname' %}",
    "{% import 'os' as os %}{{ os }}",
    "{% extends 'x' %}",
    "{% macro m(n) %}{{ m(n) }}{% endmacro %}{{ m(1) }}",
    "{{ plan|nosuch }}",
    "{{ nosuch }}",
    "{{ plan",
    "{% if %}",
    "{{ 1 / 0 }}",
    "{{ 9**9**9 }}",
    "{{ plan|batch(10**9)|list }}",
    "{{ plan|indent(10**9) }}",
    "{{ plan|center(10**10) }}",
    "{{ plan|truncate(-1) }}",
    "{{ '{0.__class__}'.format(plan) }}",
    "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns|tojson }}",
    "{{ {'a': 1}|tojson(indent=10**8) }}",
    "{{ e }}",
    "{{ '\\ud83d' }}",
    "{{ lipsum(n=10**6) }}",
    "{{ plan|slice(10**9)|list }}",
    "{{ plan|wordwrap(0) }}",
    "{{ plan|random(1) }}",
    "{{ [1]|sum(start=[]) }}",
]
YAMLS = {
    "merges": "a0: &a0 {x: 1}\n"
    + "".join(
        f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    ),
    "aliases": "a0: &a0 [x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
    "cycle": "a: &a [*a]\n",
    "brackets": "[" * 100_000,
    "braces": "{a: " * 100_000,
    "dashes": "- " * 100_000,
    "python": "name: !!python/object/apply:os.system ['true']\n",
    "int-tag": "name: !!int abc\n",
    "float-tag": "seed: !!float abc\n",
    "bool-tag": "seed: !!bool x\n",
    "binary-tag": "seed: !!binary '%'\n",
    "set-tag": "columns: !!set {a, b}\n",
    "omap-tag": "columns: !!omap [a: 1]\n",
    "timestamp-tag": "seed: !!timestamp 99999-99-99\n",
    "unknown-tag": "seed: !nosuch x\n",
    "digits": "seed: " + "9" * 5_000 + "\n",
    "hex": "seed: 0x" + "f" * 5_000 + "\n",
    "octal": "seed: 0o" + "7" * 6_000 + "\n",
    "exponent": "seed: 1e999999999\n",
    "infinite": "num_records: .inf\n",
    "nan": "num_records: .nan\n",
    "twice": "name: a\nname: b\n",
    "documents": "name: a\n---\nname: b\n",
    "empty": "",
    "comment": "# nothing\n",
    "scalar": "just text\n",
    "list": "- a\n- b\n",
    "null": "~\n",
    "tab": "name:\ta\n\tcolumns: x\n",
    "zero": "name: a\0b\n",
    "half": 'name: "\\ud83d"\n',
    "key-list": "? [a, b]\n: c\n",
    "key-null": "~: x\n",
    "key-number": "1: x\n2: y\n",
    "long-key": "k" * 100_000 + ": x\n",
    "many-keys": "".join(f"k{n}: x\n" for n in range(5_000)),
    "directive": "%YAML 9.9\n---\nname: a\n",
    "anchors": "".join(f"a{n}: &b{n} x\n" for n in range(3_000)),
    "many-columns": dataset(
        *(expression("x") | {"name": f"e{n}"} for n in range(1_500))
    ),
    "long-line": f"name: {'x' * 3_000_000}\n",
}
SCHEMAS: list[Any] = [
    {"type": "array", "minItems": 10**9, "items": {"type": "integer"}},
    {"$ref": "#"},
    {"$ref": "http://127.0.0.1:9/x"},
    {"$ref": "file:" + "///etc/passwd"},
    {
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
        "$ref": "#/$defs/a",
    },
    {"type": "string", "pattern": "(a+)+$"},
    {"type": "string", "pattern": "("},
    {"type": "string", "minLength": 10**9},
    {"type": "integer", "minimum": 10**30},
    {"type": "integer", "minimum": 2, "maximum": 1},
    {"type": "number", "multipleOf": 0},
    {"type": "nosuch"},
    {"type": ["string", "string"]},
    {"enum": []},
    {"const": 10**400},
    {"not": {}},
    False,
    [],
    "nosuch:Class",
    {"allOf": [{"type": "string"}, {"type": "integer"}]},
    {"type": "object", "minProperties": 10**6},
    {
        "type": "object",
        "properties": {f"p{n}": {"type": "string"} for n in range(2_000)},
    },
    {"type": "object", "required": ["a"] * 3},
    {"type": "object", "properties": {"": {"type": "string"}, "a\x01": {}}},
    {"$schema": "http://example.com/nosuch", "type": "object"},
    {"if": True, "then": False},
    {"dependentSchemas": {"a": {"$ref": "#"}}},
    {"format": "nosuch", "contentEncoding": "base64", "type": "string"},
]
DEEP: dict[str, Any] = {"type": "string"}
for _ in range(150):
    DEEP = {"type": "object", "properties": {"a": DEEP}}
PATTERNS = [
    "(",
    "(a+)+$",
    "(?x)a # c",
    "\\",
    "a{99999}",
    "(?<=a+)b",
    "[",
    "(?P<n>a)(?P<n>b)",
    "((a{900}){900}){900}",
    "\\p{Nosuch}",
]
NAMES = [
    "",
    " ",
    "a" * 300,
    "../x",
    "/etc/passwd",
    "a/b",
    "a\x1b[2J",
    "con",
    "ü" * 120,
    "name with blank",
    "__init__",
    ".hidden",
    "a\nb",
]
NUMBERS: list[tuple[str, Any]] = [
    ("num_records", -1),
    ("num_records", 0),
    ("num_records", 10**18),
    ("num_records", 2**64),
    ("num_records", "10"),
    ("num_records", 1.5),
    ("num_records", True),
    ("row_group_size", 0),
    ("row_group_size", 10**18),
    ("seed", -(2**70)),
    ("seed", 1e308),
    ("run", {"num_retries": 10**9}),
    ("run", {"stall_timeout": float("inf")}),
    ("run", {"max_parallel_requests": 10**12}),
    ("run", {"max_failure_rate": float("nan")}),
]
SAMPLERS: list[tuple[str, dict[str, Any]]] = [
    ("uniform", {"low": 1, "high": 0}),
    ("uniform", {"low": -1e308, "high": 1e308}),
    ("uniform", {"low": float("nan"), "high": 1}),
    ("gaussian", {"mean": 0, "stddev": -1}),
    ("gaussian", {"mean": 1e308, "stddev": 1e308}),
    ("poisson", {"mean": 1e300}),
    ("binomial", {"n": 10**18, "p": 2}),
    ("scipy", {"dist_name": "nosuch", "dist_params": {}}),
    ("scipy", {"dist_name": "zipfian", "dist_params": {"a": 1.0, "n": 1e15}}),
    ("scipy", {"dist_name": "ksone", "dist_params": {"n": 1e9}}),
    ("scipy", {"dist_name": "__class__", "dist_params": {}}),
    ("datetime", {"start": "nosuch", "end": "2020-01-01"}),
    ("datetime", {"start": "9999-12-31", "end": "0001-01-01"}),
    ("datetime", {"start": "0001-01-01", "end": "9999-12-31", "unit": "s"}),
    (
        "timedelta",
        {
            "dt_min": 10**18,
            "dt_max": 10**19,
            "reference_column_name": "plan",
            "unit": "D",
        },
    ),
    ("category", {"values": []}),
    ("category", {"values": ["a"], "weights": [0]}),
    ("category", {"values": ["a", "b"], "weights": [float("inf"), 1]}),
    ("category", {"values": [[1], {"a": 1}]}),
    ("subcategory", {"category": "nosuch", "values": {}}),
    ("person", {"locale": "xx_XX"}),
    ("person", {"age_range": [200, 100]}),
    ("uuid", {"prefix": "x" * 10_000}),
    ("nosuch", {}),
]
PATHS = [
    "/proc/self/environ",
    "/dev/zero",
    "../../../../../../etc/shadow",
    "nosuch.csv",
    ".",
    "**/*",
    "~/.ssh/id_rsa",
    "\x01",
    "a" * 5_000,
]
PATHS += [
    "http://127.0.0.1:9/x.csv",
    "s3://nosuch/x.csv",
    "{root}/../../x.csv",
    "{root}",
    "",
    "file:" + "///etc/passwd",
    "|true",
]
URLS = [
    "http://",
    "http://[",
    "http://x:y",
    "http://x:99999/",
    "ftp://x",
    "http://u:p@x/",
    "http://x y/",
    "//x",
    "javascript:x",
    "http://\x01/",
]
DATABASES = [
    "sqlite:///nosuch.db",
    "sqlite:///:memory:",
    "nosuch://x",
    "postgresql://127.0.0.1:1/x",
    "sqlite:////dev/zero",
    "x",
    "://",
]
STAGES: list[dict[str, Any]] = [
    {"stage": "nosuch"},
    {"stage": "function", "function": "os:system"},
    {"stage": "function", "function": "./nosuch.py:x"},
    {"stage": "filter", "keep": "{{ content" + " ~ content" * 20_000 + " }}"},
    {"stage": "filter", "keep": "{{ nosuch }}"},
    {"stage": "split", "column": "content", "size": 0},
    {"stage": "split", "column": "content", "size": 10**18, "overlap": 10**19},
    {"stage": "split", "column": "nosuch", "size": 5},
    {"stage": "explode", "column": "content"},
    {"stage": "rename", "columns": {"content": "content"}},
    {"stage": "rename", "columns": {"content": ""}},
    {"stage": "select", "columns": []},
    {"stage": "columns", "columns": [expression("{{ content|nosuch }}")]},
    {"stage": "columns", "columns": []},
]


def files() -> Iterator[tuple[str, str]]:
    """Name and text of every file."""
    yield from (
        (f"template_{n:02}", dataset(expression(source)))
        for n, source in enumerate(TEMPLATES)
    )
    yield from (
        (f"prompt_{n:02}", dataset(text(source)))
        for n, source in enumerate(TEMPLATES[::3])
    )
    yield from (
        (f"skip_{n:02}", dataset(text(skip={"when": source})))
        for n, source in enumerate(TEMPLATES[1::4])
    )
    yield from ((f"yaml_{name}", source) for name, source in YAMLS.items())
    yield from (
        (f"schema_{n:02}", dataset(structured("s", "x", schema, model_alias="w")))
        for n, schema in enumerate([*SCHEMAS, DEEP])
    )
    yield from (
        (f"checked_{n:02}", dataset(validation("local_json", schema=s)))
        for n, s in enumerate(SCHEMAS[::5])
    )
    yield from (
        (f"pattern_{n:02}", dataset(validation("regex", pattern=p)))
        for n, p in enumerate(PATTERNS)
    )
    yield from ((f"name_{n:02}", dataset(name=name)) for n, name in enumerate(NAMES))
    yield from (
        (f"column_{n:02}", dataset(expression("x") | {"name": name}))
        for n, name in enumerate(NAMES)
    )
    yield from (
        (f"number_{n:02}", dataset(**{key: value}))
        for n, (key, value) in enumerate(NUMBERS)
    )
    yield from (
        (f"sampler_{n:02}", dataset(sampler("s", kind, **p)))
        for n, (kind, p) in enumerate(SAMPLERS)
    )
    yield from (
        (f"path_{n:02}", seeded(seed_type="local", path=path))
        for n, path in enumerate(PATHS)
    )
    yield from (
        (f"directory_{n:02}", seeded(seed_type="file_contents", path=path))
        for n, path in enumerate(PATHS[::2])
    )
    yield from (
        (
            f"database_{n:02}",
            seeded(seed_type="sql", url=u, query="SELECT 1 AS a ORDER BY 1"),
        )
        for n, u in enumerate(DATABASES)
    )
    yield from (
        (f"url_{n:02}", dataset(text(), model_providers=[{"name": "p", "endpoint": u}]))
        for n, u in enumerate(URLS)
    )
    yield from ((f"stage_{n:02}", pipeline(stage)) for n, stage in enumerate(STAGES))
    yield from (
        (
            f"source_{n:02}",
            pipeline(STAGES[8], sources={"reader": "files", "path": path}),
        )
        for n, path in enumerate(PATHS)
    )


def write(directory: Path) -> list[Path]:
    """The files in a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "a.md").write_text("some text")
    for name, source in files():
        (directory / f"{name}.yaml").write_text(source, encoding="utf-8")
    return sorted(directory.glob("*.yaml"))


def main() -> None:
    directory, *commands = sys.argv[1:]
    import sdg_core.cli.main  # noqa: F401 - adds the commands
    from sdg_core.cli.app import run

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for file, command in itertools.product(
        sorted(Path(directory).glob("*.yaml")), commands
    ):
        out = io.StringIO()
        said = io.StringIO()
        verb, *words = command.split()
        started = time.monotonic()
        signal.alarm(SECONDS)
        status: Any = None
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
                run([verb, str(file), *words])
        except SystemExit as end:
            status = end.code
        finally:
            signal.alarm(0)
        end = [
            file.stem,
            verb,
            status,
            time.monotonic() - started,
            (out.getvalue() + said.getvalue())[:20_000],
        ]
        sys.__stdout__.write(json.dumps(end) + "\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
