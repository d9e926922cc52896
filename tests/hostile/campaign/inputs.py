"""Hostile dataset and pipeline files, drawn from seeds: as many of each kind as are wanted, the same ones for the same seed."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from tests.hostile import corpus
from tests.hostile.campaign import stored_inputs
from tests.hostile.campaign.commands import SECRETS, Case
from tests.hostile.corpus import (
    dataset,
    expression,
    pipeline,
    sampler,
    text,
    validation,
)
from tests.support.sdg import structured

Draw = random.Random


def in_schema(schema: Any) -> dict[str, Any]:
    """A column of structured replies."""
    return structured("s", "x", schema, model_alias="w")


NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2, 7, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**18, 10**30, 10**400, -(2**63)),
    *(0.0, -0.0, 5e-324, 1e-300, 0.5, 1 + 1e-16, 1e15, 1e300, 1.7e308),
    *(float("inf"), float("-inf"), float("nan"), True, "1", "1e9", None, [1], {"a": 1}),
)
ODD_TEXTS = (
    *("", " ", "\t", "\n", "\r\n", "a\0b", "\x1b[2J", "\x9b2J", "\u202eevil", "\u2066x", "\ufeff"),
    *(
        "\u200bplan",
        "pl\u0430n",
        "PLAN",
        "Plan",
        "e\u0301",
        "\u00e9",
        "\u212b",
        "\uff50lan",
        "\u0130",
        "\u1e9e",
    ),
    *(
        "\ufb01",
        "\U0001f600",
        "\U000e0041",
        "x" * 300,
        "ü" * 130,
        "null",
        "true",
        "1",
        "1.0",
        "~",
        "=1+1",
    ),
    *(
        "@SUM(A1)",
        "__class__",
        "__proto__",
        "constructor",
        "self",
        "loop",
        "range",
        "namespace",
        "_source",
    ),
    *(
        "..",
        ".",
        "/",
        "a/b",
        "a\\b",
        "con",
        "nul.txt",
        "a:b",
        "*",
        "?",
        "$HOME",
        "${HOME}",
        "`id`",
        "%s",
    ),
    *(
        "{{ plan }}",
        "{% raw %}",
        "{0.__class__}",
        "<script>",
        "![x](http://x)",
        "'; DROP TABLE a;--",
        "sdg",
    ),
)


def templates(draw: Draw) -> str:
    """A template of parts that grow, nest, repeat or reach for what is not theirs."""
    number = draw.choice(["3", "60", "9999", "10**7", "10**9", "-1", "1e308"])
    start = draw.choice(["plan", "'x'", "[plan]", "{'a': plan}", "plan|list", "range(9)", "nosuch"])
    growth = draw.choice(
        [
            *(
                "a ~ a",
                "a + a",
                "[a, a]",
                "{'x': a, 'y': a}",
                "a|replace('', a)",
                "a|join(a)",
                "(a, a, a)",
            ),
            *(
                "a|tojson",
                "a|string ~ a|string",
                "a|list",
                "a|indent(NUMBER)",
                "a|center(NUMBER)",
                "a * NUMBER",
            ),
            *(
                "a|batch(NUMBER)|list",
                "a|format(a)",
                "'%NUMBERd'|format(1)",
                "a|wordwrap(1)",
                "a|urlize",
                "a|pprint",
            ),
            *(
                "a.__class__",
                "a|attr('__class__')",
                "a['__globals__']",
                "self",
                "loop",
                "a|map('upper')|list",
            ),
            *(
                "a|sort|unique|list",
                "a|groupby('x')|list",
                "a|round(NUMBER)",
                "a|int(NUMBER)",
                "a ** NUMBER",
            ),
            *(
                "a|truncate(NUMBER)",
                "a|filesizeformat",
                "a|xmlattr",
                "a|escape|escape",
                "namespace(a=a)",
                "dict(a=a)",
            ),
        ]
    ).replace("NUMBER", number)
    chain = draw.choice(
        [" ~ a", " + a", "|upper", "[0]", ".x", " and a", " if a else a", "|default(a)"]
    )
    return draw.choice(
        [
            f"{{% set a = {start} %}}"
            + f"{{% set a = {growth} %}}" * draw.choice([1, 5, 25, 60, 2_000])
            + "{{ a }}",
            f"{{% set a = {start} %}}{{{{ a{chain * draw.choice([1, 50, 3_000, 30_000])} }}}}",
            f"{{% set ns = namespace(a={start}) %}}{{% for i in range({number}) %}}{{% set ns.a = ns.a ~ ns.a %}}"
            "{% endfor %}{{ ns.a }}",
            f"{{% macro m(a) %}}{{{{ m({growth}) }}}}{{% endmacro %}}{{{{ m({start}) }}}}",
            "{% for i in range(99) %}" * draw.choice([2, 4, 30])
            + "x"
            + "{% endfor %}" * draw.choice([2, 4, 30]),
            "{% if plan %}" * draw.choice([3, 400, 9_000])
            + "x"
            + "{% endif %}" * draw.choice([3, 400]),
            f"{{{{ {draw.choice('([{-~')!s}" * draw.choice([1, 30, 5_000]) + "1",
            "".join(
                draw.choice(["{{", "}}", "{%", "%}", "{#", "#}", "a", "|", "'", "end", "for "])
                for _ in range(400)
            ),
            f"{{% filter {draw.choice(['upper', 'indent(9)', 'nosuch', 'replace(1, 2)'])} %}}{{{{ {growth} }}}}"
            "{% endfilter %}",
        ]
    )


def template_cases(draw: Draw) -> Case:
    source = templates(draw)
    column = draw.choice(
        [expression(source), text(source), text(skip={"when": source}), text(system_prompt=source)]
    )
    return Case("templates", "", dataset(column))


VALID = dataset(text(), in_schema({"type": "object", "properties": {"a": {"type": "string"}}}))
YAML_PARTS = (
    *(
        "&a ",
        "*a",
        "<<: *a\n",
        "!!int ",
        "!!float x",
        "!!binary %",
        "!x ",
        "? ",
        "- ",
        ": ",
        "{",
        "[",
        "]",
        "}",
    ),
    *(
        "|\n",
        ">\n",
        "'",
        '"',
        "#",
        "%TAG ! x\n",
        "---\n",
        "...\n",
        "\t",
        "\r",
        "\0",
        "\x85",
        "\u2028",
        "\ufeff",
    ),
    *(
        "0x" + "f" * 5_000,
        "9" * 5_000,
        "1:" * 900 + "1",
        "1e999999",
        ".nan",
        "0o8",
        "0b2",
        "2001-99-99",
        "~",
        "=",
        "<<",
    ),
    *(
        "\ud83d",
        "\\ud83d",
        "[" * 3_000,
        "{a: " * 3_000,
        "- " * 3_000,
        "x: 1\n" * 3,
        "\xff",
        "x" * 70_000,
    ),
)


def mutated_text(draw: Draw, source: str, parts: tuple[str, ...], *, most: int = 4) -> str:
    for _ in range(draw.randint(1, most)):
        at = draw.randint(0, len(source))
        match draw.randrange(5):
            case 0:
                source = source[:at] + source[at + draw.randint(1, 40) :]
            case 1:
                source = source[:at] + source[draw.randint(0, len(source)) :][:200] + source[at:]
            case _:
                source = source[:at] + draw.choice(parts) + source[at:]
    return source


def file_cases(draw: Draw) -> Case:
    source = draw.choice([VALID, VALID, VALID, draw.choice([*corpus.YAMLS.values()])])
    content: str | bytes = mutated_text(draw, source[:300_000], YAML_PARTS)
    name = "hostile.yaml"
    if draw.random() < 0.2:
        document = mutated_text(draw, json.dumps(yaml.safe_load(VALID)), YAML_PARTS)
        content, name = document, "hostile.json"
    elif draw.random() < 0.15:
        encoding = draw.choice(["utf-16", "utf-32", "latin-1", "utf-16-le", "cp500"])
        content = source.encode(encoding, "replace")
    return Case("files", "", content, file=name)


def value_cases(draw: Draw) -> Case:
    """A valid config with odd values in some places."""
    document = yaml.safe_load(draw.choice([VALID, VALID, pipeline(draw.choice(corpus.STAGES[4:]))]))
    for _ in range(draw.randint(1, 3)):
        node: Any = document
        while True:
            keys = list(node) if isinstance(node, dict) else range(len(node))
            key = draw.choice(list(keys)) if keys else None
            if (
                key is None
                or not isinstance(node[key], dict | list)
                or not node[key]
                or draw.random() < 0.2
            ):
                break
            node = node[key]
        value = draw.choice(
            [draw.choice(NUMBERS), draw.choice(ODD_TEXTS), [], {}, [[]], {"": None}]
        )
        if key is not None:
            node[key] = value
        if isinstance(node, dict) and draw.random() < 0.2:
            node[draw.choice(ODD_TEXTS)] = value
    return Case("values", "", _dumped(document), files={"a.md": "some text"})


def _dumped(document: Any) -> str:
    try:
        return yaml.safe_dump(document, allow_unicode=draw_free(document))
    except (yaml.YAMLError, UnicodeError):
        return json.dumps(document)


def draw_free(document: Any) -> bool:
    return "\ud83d" not in str(document)


def exfiltrations(draw: Draw) -> Case:
    """A file that would have a secret, or a file of the user, leave."""
    variable = draw.choice([*SECRETS])
    host = draw.choice(
        ["http://127.0.0.1:{port}/v1", "http://localhost:{port}/v1", "http://[::1]:{port}/v1"]
    )
    host = host.replace("{port}", str(RECORDER.port))
    secret = draw.choice(
        [variable, f"${variable}", f"${{{variable}}}", variable.lower(), f" {variable}"]
    )
    path = draw.choice(
        [
            *(
                "/proc/self/environ",
                "/proc/1/environ",
                "/proc/self/root/proc/self/environ",
                "/proc/self/cwd/../home",
            ),
            *(
                "//proc/self/environ",
                "/./proc/self/../self/environ",
                "/dev/fd/0",
                "/dev/stdin",
                "/sys/kernel/notes",
            ),
            *(
                "{home}/.ssh/id_rsa",
                "{home}/.aws/credentials",
                "~/.ssh/id_rsa",
                "../home/.ssh/id_rsa",
                "link/id_rsa",
            ),
            *(
                "link2",
                "{home}/.SSH/id_rsa",
                "../home/.ssh/../.ssh/id_rsa",
                "{home}/.config/gcloud/x.json",
            ),
            *(
                "file://{home}/.ssh/id_rsa",
                "{home}/.netrc",
                "{home}/.kube/config",
                "{home}/.docker/config.json",
            ),
        ]
    )
    provider: dict[str, Any] = {"name": "p", "endpoint": host}
    directory, _, name = path.rpartition("/")
    ways: list[Callable[[], str]] = [
        lambda: dataset(text(), model_providers=[provider | {"api_key": secret}]),
        lambda: dataset(text(), model_providers=[provider | {"extra_headers": {"X-A": secret}}]),
        lambda: dataset(text(), model_providers=[provider | {"extra_body": {"x": secret}}]),
        lambda: dataset(text(), model_providers=[provider | {"endpoint": f"{host}?k={secret}"}]),
        lambda: dataset(
            text("{{ env." + variable + " }} ${" + variable + "}"), model_providers=[provider]
        ),
        lambda: dataset(
            text("{{ content }}"),
            model_providers=[provider],
            seed_config={
                "source": {
                    "seed_type": "file_contents",
                    "path": directory or ".",
                    "file_pattern": name,
                }
            },
        ),
        lambda: dataset(
            text("{{ a }}"),
            model_providers=[provider],
            seed_config={"source": {"seed_type": "local", "path": path}},
        ),
        lambda: dataset(
            text("{{ a }}"),
            model_providers=[provider],
            seed_config={
                "source": {
                    "seed_type": "sql",
                    "url_env": variable,
                    "query": "SELECT 1 AS a ORDER BY 1",
                }
            },
        ),
        lambda: dataset(
            text("{{ a }}"),
            seed_config={
                "source": {"seed_type": "hf", "repo": "a/b", "token": variable, "endpoint": host}
            },
        ),
        lambda: pipeline(
            {"stage": "columns", "columns": [text("{{ content }}")]},
            sources={"reader": "files", "path": path},
            model_providers=[provider],
            model_configs=[{"alias": "w", "model": "m", "provider": "p"}],
        ),
        lambda: dataset(
            text(tool_alias="t"),
            model_providers=[provider],
            mcp_providers=[
                {
                    "name": "s",
                    "provider_type": "streamable_http",
                    "endpoint": host,
                    "api_key": variable,
                }
            ],
            tool_configs=[{"tool_alias": "t", "providers": ["s"]}],
        ),
        lambda: dataset(
            text(tool_alias="t"),
            mcp_providers=[
                {"name": "s", "provider_type": "stdio", "command": "env", "env": {"A": variable}}
            ],
            tool_configs=[{"tool_alias": "t", "providers": ["s"]}],
        ),
        lambda: dataset(
            validation("remote", endpoint_url=host, headers={"X": secret}),
            model_providers=[provider],
        ),
        lambda: dataset({"column_type": "custom", "name": "c", "generator_function": "os:getenv"}),
        lambda: dataset(
            {
                "column_type": "custom",
                "name": "c",
                "generator_function": draw.choice(
                    [
                        "builtins:print",
                        "subprocess:getoutput",
                        "./x.py:f",
                        "../home/x.py:f",
                        "pathlib:Path",
                        "logging.config:dictConfig",
                    ]
                ),
            }
        ),
        lambda: dataset(
            text(),
            model_providers=[{"name": "p", "serve": {"command": f"touch {PWNED}"}}],
        ),
    ]
    content = draw.choice(ways)()
    return Case(
        "exfiltrations",
        "",
        content,
        commands=(
            "validate {file}",
            "plan {file}",
            "status {file}",
            "estimate {file}",
            "--untrusted generate {file}",
            "generate {file}",
        ),
        prepare=_with_credentials,
        check=_nothing_left,
    )


CANARY = "canary-of-a-credential-file"
PWNED = "PWNED"


def _with_credentials(place: Any) -> None:
    home = place / "home"
    for name in (
        ".ssh/id_rsa",
        ".aws/credentials",
        ".netrc",
        ".kube/config",
        ".docker/config.json",
        ".config/gcloud/x.json",
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(f"a\n{CANARY}\n")
    (home / "x.py").write_text("def f(row):\n    return 'x'\n")
    (place / "project" / "link").symlink_to(home / ".ssh")
    (place / "project" / "link2").symlink_to(home / ".ssh" / "id_rsa")
    file = place / "project" / "hostile.yaml"
    file.write_text(file.read_text().replace("{home}", str(home)))


def _nothing_left(place: Any, ends: list[dict[str, Any]]) -> list[str]:
    found = [f"{secret} arrived" for secret in SECRETS.values() if secret.encode() in RECORDER.seen]
    found += [f"{CANARY} arrived"] if CANARY.encode() in RECORDER.seen else []
    found += [f"{CANARY} is shown" for end in ends if CANARY in end["shown"] + end["said"]]
    found += [
        "a credential file is in the root"
        for path in (place / "root").rglob("*")
        if path.is_file() and CANARY.encode() in path.read_bytes()
    ]
    RECORDER.seen = b""
    return found


def schemas(draw: Draw, depth: int = 0) -> Any:
    """A JSON Schema of keywords that ask for much, contradict one another, or are not what they should be."""
    number = draw.choice(NUMBERS)

    def part() -> Any:
        return schemas(draw, depth + 1) if depth < 3 else draw.choice([True, False, {}, None, 7])

    keywords: dict[str, Callable[[], Any]] = {
        "type": lambda: draw.choice(
            ["object", "array", "string", "number", "integer", "null", "x", ["string", "null"], []]
        ),
        "properties": lambda: {
            draw.choice(["a", "b", *ODD_TEXTS]): part() for _ in range(draw.randint(0, 4))
        },
        "required": lambda: draw.choice([["a"], ["zz"], ["a", "a"], [1], "a"]),
        "items": part,
        "prefixItems": lambda: [part(), part()],
        "minItems": lambda: number,
        "maxItems": lambda: number,
        "uniqueItems": lambda: draw.choice([True, "x"]),
        "minLength": lambda: number,
        "maxLength": lambda: number,
        "pattern": lambda: patterns(draw),
        "minimum": lambda: number,
        "exclusiveMaximum": lambda: draw.choice(NUMBERS),
        "multipleOf": lambda: draw.choice(NUMBERS),
        "minProperties": lambda: number,
        "enum": lambda: draw.choice([[], [number], [*ODD_TEXTS], "x", [None, {}, []]]),
        "const": lambda: draw.choice([number, *ODD_TEXTS]),
        "anyOf": lambda: [part() for _ in range(draw.randint(0, 3))],
        "oneOf": lambda: [part(), part()],
        "allOf": lambda: [part(), part()],
        "not": part,
        "if": part,
        "then": part,
        "additionalProperties": part,
        "propertyNames": part,
        "patternProperties": lambda: {patterns(draw): part()},
        "dependentRequired": lambda: draw.choice([{"a": ["b"]}, {"a": "b"}]),
        "contains": part,
        "minContains": lambda: number,
        "$ref": lambda: draw.choice(
            ["#", "#/$defs/a", "#/nosuch", "http://127.0.0.1:9/x", "x", "", "#/properties/a", 5]
        ),
        "$defs": lambda: {"a": part(), "b": {"$ref": "#/$defs/a"}},
        "$dynamicRef": lambda: "#a",
        "$dynamicAnchor": lambda: "a",
        "$id": lambda: draw.choice(["", "x", "http://[", 5]),
        "$schema": lambda: draw.choice(["http://json-schema.org/draft-04/schema#", "x", "", 5]),
        "format": lambda: draw.choice(["date-time", "regex", "uri", "x", 5]),
        "unevaluatedProperties": part,
        "default": lambda: number,
        "description": lambda: draw.choice(ODD_TEXTS),
    }
    return {name: keywords[name]() for name in draw.sample([*keywords], draw.randint(1, 6))}


def patterns(draw: Draw) -> str:
    """A regular expression, or what looks like one."""
    parts = [
        "a",
        "(",
        ")",
        "(a+)+",
        "(a|a)*",
        "[",
        "]",
        "[^x]",
        ".",
        "*",
        "+?",
        "{99999}",
        "{1,}",
        "\\",
        "\\p{L}",
        "\\1",
        "(?i)",
        "(?<=a)",
        "(?P<n>a)",
        "^",
        "$",
        "|",
        "(?#",
        "\\x{110000}",
        "\\u{d800}",
        "é",
        "\0",
        "&&[a-z]",
        "(?:" * 300,
    ]
    return "".join(draw.choice(parts) for _ in range(draw.randint(1, 8)))


CODES = (
    *(
        "(" * 20_000,
        "x = " + "-" * 50_000 + "1",
        "def f(:\n",
        "\0",
        "# coding: nosuch\n",
        "\ufeffx",
        "f'{' * 3",
    ),
    *(
        "lambda: " * 3_000 + "1",
        "if 1:\n" * 120,
        "SELECT " + "(" * 3_000,
        "SELECT '" + "a" * 99_999,
        "-- " * 9_999,
    ),
    *(
        "'''",
        '"""\\',
        "x" * 300_000,
        "import os; os.system('touch PWNED')",
        "\x1b[2J",
        "\ud83d" * 3,
        "1" * 10_000,
    ),
)


def schema_cases(draw: Draw) -> Case:
    match draw.randrange(4):
        case 0:
            content = dataset(validation("regex", pattern=patterns(draw)))
        case 1:
            content = dataset(validation("local_json", schema=_plain(schemas(draw))))
        case 2:
            language = draw.choice(
                ["python", "sql:ansi", "sql:postgres", "javascript", "nosuch", ""]
            )
            code = {**expression("{{ code }}"), "name": "code2"}
            column = {**validation("code", code_lang=language), "target_columns": ["code2"]}
            content = dataset(
                code, column, seed_config={"source": {"seed_type": "local", "path": "code.jsonl"}}
            )
            rows = "\n".join(json.dumps({"code": draw.choice(CODES)}) for _ in range(2))
            return Case("schemas, patterns, texts", "", content, files={"code.jsonl": rows})
        case _:
            content = dataset(in_schema(_plain(schemas(draw))))
    return Case("schemas, patterns, texts", "", content)


def _plain(value: Any) -> Any:
    """What YAML can hold."""
    return json.loads(json.dumps(value).replace("\\ud83d", ""))


DISTRIBUTIONS = (
    *(
        "norm",
        "zipf",
        "zipfian",
        "ksone",
        "kstwo",
        "kstwobign",
        "betanbinom",
        "betabinom",
        "logser",
        "hypergeom",
    ),
    *(
        "nchypergeom_fisher",
        "nchypergeom_wallenius",
        "nhypergeom",
        "poisson_binom",
        "skellam",
        "yulesimon",
    ),
    *(
        "studentized_range",
        "levy_stable",
        "genhyperbolic",
        "geninvgauss",
        "norminvgauss",
        "vonmises",
        "tukeylambda",
    ),
    *(
        "rel_breitwigner",
        "ncf",
        "nct",
        "ncx2",
        "rice",
        "crystalball",
        "argus",
        "gausshyper",
        "exponweib",
        "dlaplace",
    ),
    *(
        "planck",
        "randint",
        "boltzmann",
        "geom",
        "nbinom",
        "binom",
        "bernoulli",
        "recipinvgauss",
        "truncpareto",
        "beta",
    ),
    *(
        "trapezoid",
        "triang",
        "truncnorm",
        "truncexpon",
        "kappa4",
        "pearson3",
        "multivariate_normal",
        "rv_histogram",
    ),
)
PARAMETERS = (
    "loc",
    "scale",
    "a",
    "b",
    "c",
    "n",
    "p",
    "mu",
    "df",
    "dfn",
    "dfd",
    "nc",
    "M",
    "N",
    "k",
    "m",
    "s",
    "beta",
    "alpha",
    "lam",
    "r",
    "odds",
    "low",
    "high",
)
DATES = (
    *(
        "0000-01-01",
        "0001-01-01",
        "9999-12-31",
        "10000-01-01",
        "-0001-01-01",
        "1900-02-29",
        "2024-02-29",
        "2024-02-30",
    ),
    *(
        "2016-12-31T23:59:60Z",
        "2024-01-01T24:00:00",
        "2024-01-01T00:00:00+99:99",
        "2024-W01-1",
        "20240101",
        "2024-001",
    ),
    *(
        "now",
        "today",
        "1e9",
        "1700000000",
        "infinity",
        "NaT",
        "",
        " 2024-01-01 ",
        "２０２４-01-01",
        "1582-10-10",
    ),
    *(
        "2024-03-31T02:30:00 Europe/Berlin",
        "1970-01-01T00:00:00.0000000001Z",
        "9999-12-31T23:59:59.999999+14:00",
    ),
)


def sampler_cases(draw: Draw) -> Case:
    def extreme() -> Any:
        return draw.choice(NUMBERS)

    kind = draw.choice(
        ["scipy"] * 6
        + [
            "uniform",
            "gaussian",
            "poisson",
            "binomial",
            "bernoulli",
            "bernoulli_mixture",
            "category",
            "subcategory",
            "datetime",
            "datetime",
            "timedelta",
            "person",
            "uuid",
        ]
    )
    match kind:
        case "scipy" | "bernoulli_mixture":
            names = draw.sample(PARAMETERS, draw.randint(0, 4))
            params = {
                "dist_name": draw.choice(DISTRIBUTIONS),
                "dist_params": {name: extreme() for name in names},
            }
            params |= {"p": 0.5} if kind == "bernoulli_mixture" else {}
        case "datetime":
            params = {
                "start": draw.choice(DATES),
                "end": draw.choice(DATES),
                "unit": draw.choice("YMDhms"),
            }
        case "timedelta":
            params = {
                "dt_min": extreme(),
                "dt_max": extreme(),
                "unit": draw.choice("Dhms"),
                "reference_column_name": "plan",
            }
        case "category":
            params = {
                "values": [extreme() for _ in range(3)],
                "weights": draw.choice([None, [extreme() for _ in range(3)]]),
            }
        case "subcategory":
            params = {
                "category": "plan",
                "values": {"a": [extreme()], "b": draw.choice([[], [extreme()]])},
            }
        case "person":
            params = {
                "locale": draw.choice(["en_US", "xx", "../x", "ar_EG"]),
                "age_range": [extreme(), extreme()],
            }
        case _:
            names = draw.sample(
                [
                    "low",
                    "high",
                    "mean",
                    "stddev",
                    "n",
                    "p",
                    "decimal_places",
                    "prefix",
                    "short_form",
                ],
                3,
            )
            params = {
                name: extreme()
                for name in {
                    *names,
                    *{
                        "uniform": ("low", "high"),
                        "gaussian": ("mean", "stddev"),
                        "poisson": ("mean",),
                        "binomial": ("n", "p"),
                        "bernoulli": ("p",),
                    }.get(kind, ()),
                }
            }
    column = sampler("s", kind, **params)
    column |= (
        {"convert_to": draw.choice(["int", "str", "float", "%Y", "%999999d", "x"])}
        if draw.random() < 0.3
        else {}
    )
    constraint = [
        {
            "constraint_type": "scalar_inequality",
            "target_column": "s",
            "operator": draw.choice(["lt", "ge"]),
            "rhs": extreme(),
        }
    ]
    more = {"constraints": constraint} if draw.random() < 0.3 else {}
    return Case(
        "samplers and dates",
        "",
        _dumped(yaml.safe_load(dataset(column)) | more),
        commands=("validate {file}", "preview {file} -n 3", "generate {file}"),
    )


def secret_cases(draw: Draw) -> Case:
    """A server that repeats the key, in what it answers or refuses, and addresses that hold passwords."""
    password = SECRETS["DATABASE_PASSWORD"]
    server: dict[str, Any] = {
        "name": "p",
        "endpoint": f"http://127.0.0.1:{RECORDER.port}/v1",
        "api_key": "MY_KEY",
    }
    env: dict[str, str] = {}
    match draw.randrange(3):
        case 0:
            env["SDG_LEDGER_URL"] = draw.choice(
                [
                    f"postgresql+psycopg2://u:{password}@127.0.0.1:1/x",
                    f"postgresql://127.0.0.1:1/x?password={password}",
                    f"postgresql://127.0.0.1:1/x?sslpassword={password}&user=a",
                    f"nosuch://u:{password}@x",
                    f"postgresql://u:{password}@[/x",
                    f"sqlite:///{password}/{password}?password={password}",
                    f"mysql://:{password}@127.0.0.1/%00",
                ]
            )
        case 1:
            env["SDG_ROOT"] = draw.choice(
                [
                    f"s3://u:{password}@b/x",
                    f"s3://b/x?secret_access_key={password}",
                    f"http://u:{password}@127.0.0.1:1/x",
                    f"gs://b/x?token={password}",
                    f"az://{password}@b/x",
                ]
            )
        case _:
            server["endpoint"] = draw.choice(
                [
                    server["endpoint"],
                    f"http://u:{password}@127.0.0.1:1/",
                    f"{server['endpoint']}?key={password}",
                ]
            )
    way = draw.choice([*ECHOES])
    column = draw.choice(
        [
            text(f"echo:{way}"),
            {
                **in_schema({"type": "object", "properties": {"a": {"type": "integer"}}}),
                "prompt": f"echo:{way}",
            },
        ]
    )
    run = {
        "num_retries": 0,
        "max_failure_rate": 1.0,
        "max_conversation_correction_steps": 0,
        "max_conversation_restarts": 0,
    }
    content = dataset(column, model_providers=[server], run=run)
    commands = (
        "validate {file}",
        "check-models {file}",
        "estimate {file}",
        "preview {file} -n 2",
        "generate {file}",
        "status {file} --json",
        "report {file}",
    )
    if draw.random() < 0.3:
        commands = ("--debug generate {file}", "--debug check-models {file}")
    return Case("secrets", "", content, commands=commands, env=env)


ECHOES = (
    "text",
    "model",
    "reason",
    "refusal",
    "error",
    "error-list",
    "header",
    "json",
    "escaped",
    "tool",
    "usage",
    "reasoning",
)


def environment_cases(draw: Draw) -> Case:
    root = draw.choice(
        [
            "{place}/x y",
            "{place}/" + "ü" * 100,
            "{place}/a/../b",
            "/dev/null",
            "/proc/x",
            "{place}/loop",
            "{place}/file",
            "{place}/" + "n" * 300,
            "~/x",
            "",
            " ",
            "file://{place}/x",
            "{place}/new\nline",
            "{place}/a\tb",
            "{place}/\x1b[2J",
            "relative",
            "s3://",
            "s3:///x",
            "x://y",
            "C:\\x",
            "{place}/100%",
            "{place}/a#b",
            "{place}/a?b=c",
            "{place}/[a]*",
        ]
    )
    odd = {
        "LANG": ["C", "xx_XX.latin1", ""],
        "TZ": ["Nowhere/Atlantis", "UTC+99", ":/etc/passwd"],
        "HOME": ["/nosuch", ""],
        "TMPDIR": ["/nosuch", ""],
        "COLUMNS": ["0", "1", "-5", "99999999", "x"],
        "NO_COLOR": ["1"],
        "FORCE_COLOR": ["1"],
        "TERM": ["dumb", "", "x"],
        "SDG_LEDGER_URL": [
            "",
            "x",
            "sqlite://",
            "sqlite:///:memory:",
            "sqlite:////dev/full",
            "sqlite:////nosuch/x.db",
            "postgresql://",
            "a\nb",
        ],
        "http_proxy": ["http://127.0.0.1:1", "x"],
        "PYTHONIOENCODING": ["ascii"],
        "XDG_CACHE_HOME": ["/dev/null", "/nosuch/x", "relative"],
        "XDG_STATE_HOME": ["/dev/null", "relative"],
    }
    env = {name: draw.choice(odd[name]) for name in draw.sample([*odd], draw.randint(0, 3))}
    env["SDG_ROOT"] = root
    words = draw.choice(
        [
            *("-n -1", "-n 0", "-n 99999999999999999999", "-n x", "-n 1e3"),
            *(
                "--num-records 0",
                "--num-records -5",
                "--num-records 99999999999999999999999",
                "--num-records 1_0",
            ),
            *(
                "--row-groups ,",
                "--row-groups 9-0",
                "--row-groups 0-99999999999999999999",
                "--row-groups 0-999999999",
                "--row-groups -1",
                "--row-groups x",
                "--row-groups 0,0,0",
                "--row-groups \u0661",
            ),
            *(
                "--shard 0/0",
                "--shard 5/3",
                "--shard -1/3",
                "--shard x",
                "--shard 0/99999999999999999999",
                "--shard 1/2/3",
            ),
            *(
                "--resume x",
                "--max-parallel-requests 99999999999999",
                "--executor ray",
                "--root",
                "--root \x1b[2J",
                "--\u202e",
            ),
        ]
    )
    verb = "preview" if words.startswith("-n") else "generate"
    commands = (
        f"{verb} {{file}} {words}",
        "generate {file}",
        "generate {file}",
        "status {file}",
        "export {file} {dir}/out.csv --partial",
        "export {file} /dev/full --force",
        "export {file} {dir}/nosuch/x.parquet",
        "export {file} {dir}/x.exe",
        "import {file} -o /dev/full",
        "nosuch {file}",
    )
    return Case(
        "environments, roots, arguments",
        "",
        dataset(text()),
        commands=commands,
        env=env,
        prepare=_with_odd_places,
        files={"arguments": ""},
    )


def _with_odd_places(place: Any) -> None:
    (place / "loop").symlink_to(place / "loop")
    (place / "file").write_text("x")


def name_cases(draw: Draw) -> Case:
    """Names of columns, files, sources and datasets that look alike, or mean something elsewhere."""
    names = draw.sample(ODD_TEXTS, 3)
    if draw.random() < 0.4:
        return Case(
            "names",
            "",
            pipeline(
                {"stage": "columns", "columns": [text("{{ content }}")]},
                sources={"reader": "files", "path": "**/*"},
                **MODELS,
            ),
            prepare=lambda place: _odd_files(place / "project", names),
        )
    heading = json.dumps({name: "x" for name in names})
    columns = [{**expression("{{ plan }}"), "name": name} for name in names[:2]]
    content = dataset(*columns, seed_config={"source": {"seed_type": "local", "path": "s.jsonl"}})
    if draw.random() < 0.5:
        content = dataset(
            expression("x"), seed_config={"source": {"seed_type": "local", "path": "s.jsonl"}}
        )
    commands = (
        "validate {file}",
        "generate {file}",
        "process {file}",
        "report {file}",
        "export {file} {dir}/o.csv",
        "export {file} {dir}/o.jsonl --force",
        "export {file} {dir}/o.parquet",
    )
    return Case(
        "names", "", content, commands=commands, files={"s.jsonl": f"{heading}\n{heading}\n"}
    )


MODELS: dict[str, Any] = {
    "model_providers": [{"name": "p", "provider_type": "simulated"}],
    "model_configs": [{"alias": "w", "model": "m", "provider": "p"}],
}


def _odd_files(directory: Any, names: list[str]) -> None:
    for name in [*names, "A.md", "a.md", "\u00e9.md", "e\u0301.md"]:
        flat = name.replace("/", "_").replace("\0", "_")[:60].encode("utf-8", "surrogatepass")[:200]
        if flat not in (b"", b".", b".."):
            (directory / flat.decode("utf-8", "surrogateescape")).write_text("some text")
    (directory / "loop").symlink_to(".")
    (directory / "self.md").symlink_to("self.md")
    (directory / "dangling.md").symlink_to("nosuch")
    (directory / "d1").mkdir()
    (directory / "d1" / "up").symlink_to("..")


def import_cases(draw: Draw) -> Case:
    """Builder configs, notebooks and other files for `import`."""
    builder = {"data_designer": yaml.safe_load(VALID)}
    notebook = {
        "cells": [{"cell_type": "code", "source": ["import os\n", "os.system('touch PWNED')"]}],
        "nbformat": 4,
    }
    source = json.dumps(
        draw.choice(
            [builder, builder, builder, notebook, {"data_designer": draw.choice(NUMBERS[:-1])}, []]
        )
    )
    name = draw.choice(["b.json", "b.yaml", "b.ipynb", "b.py", "b"])
    content = mutated_text(
        draw,
        source,
        (
            *YAML_PARTS,
            '"data_designer": {"data_designer": ' * 300,
            "NaN",
            "1e999",
            *map(json.dumps, ODD_TEXTS),
        ),
    )
    return Case(
        "imports",
        "",
        content,
        file=name,
        commands=("import {file}", "import {file} -o {dir}/out.yaml", "validate {dir}/out.yaml"),
        files={"out.yaml": ""},
    )


MCP_SERVER = Path(__file__).with_name("tool_server.py").read_text(encoding="utf-8")


def mcp_cases(draw: Draw) -> Case:
    """A tool server that answers with odd values, dies, or asks back; a model that calls its tools."""
    server = {
        "name": "s",
        "provider_type": "stdio",
        "command": "python3",
        "args": ["server.py", str(draw.random())],
        "env": {"TOKEN": "MY_KEY"},
        "startup_timeout_sec": 5,
    }
    tools = {"tool_alias": "t", "providers": ["s"], "timeout_sec": 3, "max_tool_call_turns": 2}
    provider = {"name": "p", "endpoint": f"http://127.0.0.1:{RECORDER.port}/v1"}
    run = {"num_retries": 0, "max_failure_rate": 1.0, "stall_timeout": 60}
    content = dataset(
        text("call tools", tool_alias="t"),
        model_providers=[provider],
        mcp_providers=[server],
        tool_configs=[tools],
        run=run,
    )
    return Case(
        "tool servers",
        "",
        content,
        commands=("validate {file}", "check-models {file}", "generate {file}"),
        files={"server.py": MCP_SERVER},
    )


def setting_cases(draw: Draw) -> Case:
    """Run settings, executors and model servers of a file."""
    settings = [
        "resume",
        "when_claimed",
        "max_parallel_requests",
        "num_retries",
        "max_failure_rate",
        "max_missing_rate",
        "stall_timeout",
        "max_conversation_correction_steps",
        "max_conversation_restarts",
        "max_cost",
        "max_tokens",
        "executor",
        "max_attempts",
        "batch",
        "ray",
        "slurm",
        "num_cpus",
        "runtime_env",
    ]
    values: tuple[Any, ...] = (
        *NUMBERS,
        "ray",
        "slurm",
        "ray://127.0.0.1:1",
        {"num_cpus": 10**9},
        {"runtime_env": {"pip": ["x"]}},
        {"working_dir": "/"},
    )
    run = {name: draw.choice(values) for name in draw.sample(settings, 2)}
    model = {"alias": "w", "model": draw.choice(["m", *ODD_TEXTS[:12]]), "provider": "p"}
    names = [
        "temperature",
        "top_p",
        "max_tokens",
        "timeout",
        "max_parallel_requests",
        "extra_body",
        "generation_type",
        "seed",
    ]
    model["inference_parameters"] = {name: draw.choice(values) for name in draw.sample(names, 2)}
    provider = {
        "name": "p",
        "provider_type": "simulated",
        draw.choice(["latency", "faults", "serve", "prices", "endpoint"]): draw.choice(values),
    }
    more: dict[str, Any] = {"run": run}
    if draw.random() < 0.7:
        more["model_configs"] = [model]
    if draw.random() < 0.4:
        more["model_providers"] = [provider]
    document = {**yaml.safe_load(dataset(text())), **more}
    if draw.random() < 0.3:
        document = {**yaml.safe_load(pipeline(corpus.STAGES[5])), "run": run}
    return Case("run settings", "", _dumped(document), files={"a.md": "text"})


KINDS: dict[str, tuple[Callable[[Draw], Case], int]] = {
    "templates": (template_cases, 136),
    "files": (file_cases, 150),
    "values": (value_cases, 150),
    "exfiltrations": (exfiltrations, 120),
    "schemas, patterns, texts": (schema_cases, 180),
    "samplers and dates": (sampler_cases, 302),
    "secrets": (secret_cases, 58),
    "environments, roots, arguments": (environment_cases, 57),
    "names": (name_cases, 100),
    "imports": (import_cases, 80),
    "tool servers": (mcp_cases, 60),
    "run settings": (setting_cases, 120),
    "seed files": (stored_inputs.seed_file_cases, 200),
    "ledgers": (stored_inputs.ledger_cases, 100),
    "files of ours": (stored_inputs.odd_state_cases, 80),
}
"""What draws a case of each kind, and how many the long campaign tries."""


def cases(kind: str, number: int, *, seed: int) -> Iterator[Case]:
    """So many cases of a kind."""
    make = KINDS[kind][0]
    for at in range(number):
        yield replace(make(Draw(f"{seed} {kind} {at}")), name=f"{seed}/{at}")


class Recorder:
    """Where the port of the recording server and what came to it are kept."""

    port = 0
    seen = b""


RECORDER = Recorder()
