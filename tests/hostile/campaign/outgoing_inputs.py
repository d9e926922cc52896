"""Files that would have a secret or a credential leave, and servers that repeat the key they were sent."""

import random
from collections.abc import Callable
from typing import Any

from tests.hostile.campaign.commands import SECRETS, Case
from tests.hostile.campaign.drawn import in_schema
from tests.hostile.corpus import dataset, pipeline, text, validation

Draw = random.Random


CANARY = "canary-of-a-credential-file"


PWNED = "PWNED"


def exfiltration_cases(draw: Draw) -> Case:
    """A file that would have a secret, or a file of the user, leave."""
    variable = draw.choice([*SECRETS])
    host = draw.choice(
        [
            "http://127.0.0.1:{port}/v1",
            "http://localhost:{port}/v1",
            "http://[::1]:{port}/v1",
        ]
    )
    host = host.replace("{port}", str(RECORDER.port))
    secret = draw.choice(
        [variable, f"${variable}", f"${{{variable}}}", variable.lower(), f" {variable}"]
    )
    path = draw.choice(
        [
            "/proc/self/environ",
            "/proc/1/environ",
            "/proc/self/root/proc/self/environ",
            "/proc/self/cwd/../home",
            "//proc/self/environ",
            "/./proc/self/../self/environ",
            "/dev/fd/0",
            "/dev/stdin",
            "/sys/kernel/notes",
            "{home}/.ssh/id_rsa",
            "{home}/.aws/credentials",
            "~/.ssh/id_rsa",
            "../home/.ssh/id_rsa",
            "link/id_rsa",
            "link2",
            "{home}/.SSH/id_rsa",
            "../home/.ssh/../.ssh/id_rsa",
            "{home}/.config/gcloud/x.json",
            "file://{home}/.ssh/id_rsa",
            "{home}/.netrc",
            "{home}/.kube/config",
            "{home}/.docker/config.json",
        ]
    )
    provider: dict[str, Any] = {"name": "p", "endpoint": host}
    directory, _, name = path.rpartition("/")
    ways: list[Callable[[], str]] = [
        lambda: dataset(text(), model_providers=[provider | {"api_key": secret}]),
        lambda: dataset(
            text(), model_providers=[provider | {"extra_headers": {"X-A": secret}}]
        ),
        lambda: dataset(
            text(), model_providers=[provider | {"extra_body": {"x": secret}}]
        ),
        lambda: dataset(
            text(), model_providers=[provider | {"endpoint": f"{host}?k={secret}"}]
        ),
        lambda: dataset(
            text("{{ env." + variable + " }} ${" + variable + "}"),
            model_providers=[provider],
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
                "source": {
                    "seed_type": "hf",
                    "repo": "a/b",
                    "token": variable,
                    "endpoint": host,
                }
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
                {
                    "name": "s",
                    "provider_type": "stdio",
                    "command": "env",
                    "env": {"A": variable},
                }
            ],
            tool_configs=[{"tool_alias": "t", "providers": ["s"]}],
        ),
        lambda: dataset(
            validation("remote", endpoint_url=host, headers={"X": secret}),
            model_providers=[provider],
        ),
        lambda: dataset(
            {"column_type": "custom", "name": "c", "generator_function": "os:getenv"}
        ),
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
    found = [
        f"{secret} arrived"
        for secret in SECRETS.values()
        if secret.encode() in RECORDER.seen
    ]
    found += [f"{CANARY} arrived"] if CANARY.encode() in RECORDER.seen else []
    found += [
        f"{CANARY} is shown" for end in ends if CANARY in end["shown"] + end["said"]
    ]
    found += [
        "a credential file is in the root"
        for path in (place / "root").rglob("*")
        if path.is_file() and CANARY.encode() in path.read_bytes()
    ]
    RECORDER.seen = b""
    return found


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
                    f"sqlite:///nosuch/ledger.db?password={password}",
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
                **in_schema(
                    {"type": "object", "properties": {"a": {"type": "integer"}}}
                ),
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


class Recorder:
    """Where the port of the recording server and what came to it are kept."""

    port = 0
    seen = b""


RECORDER = Recorder()
