"""Hosts that look like others, files that are none, code that changed after it was allowed: the trust boundary at its edges."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from sdg_core import api
from sdg_core.cli.main import run
from sdg_core.config.addresses import endpoint_address
from sdg_core.errors import ConfigError, SdgError
from sdg_core.models.providers.images import PublicResolver
from sdg_core.plan.variables import OWN_HOSTS, host_of, may_be_sent
from tests.hostile.test_foreign_files import CONFIGS, FUNCTIONS, provider
from tests.hostile.test_pipeline_trust import FILES, pipeline
from tests.support.sdg import category, dataset_config, uuid

LOOKALIKES = [
    "http://api.openai.com.evil.com/v1",
    "http://evil.com/api.openai.com",
    "http://evil.com?api.openai.com",
    "http://evil.com#.api.openai.com",
    "http://xapi.openai.com/v1",
    "http://api.openai.com:80@evil.com/v1",
    "http://evil.com\\.api.openai.com/v1",
    "http://evil.com%2f.api.openai.com/v1",
    "http://evil.com%23.api.openai.com/v1",
    "http://evil.com%00.api.openai.com/v1",
    "http://evil.com;.api.openai.com/v1",
    "http://evil.com&.api.openai.com/v1",
    "http://evil.com .api.openai.com/v1",
    "http://api.openai.com。evil.com/v1",
    "http://api.openai。com.evil.com/v1",
    "http://аpi.openai.com/v1",  # a Cyrillic letter
    "http://api.openaı.com/v1",
    "http://0x7f.1/v1",
    "http://127.1/v1",
    "http://2130706433/v1",
    "http://017700000001/v1",
    "http://127.0.0.1.nip.io/v1",
    "http://localhost.evil.com/v1",
    "http://localhost@evil.com/v1",
    "http://[::ffff:6.6.6.6]/v1",
    "http://[64:ff9b::7f00:1]/v1",
    "http://0.0.0.0/v1",
    "http:///v1",
    "http://evil.com",
]


@pytest.mark.parametrize("url", LOOKALIKES)
@pytest.mark.parametrize(
    "variable", ["OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD"]
)
def test_hosts_that_look_like_others(url: str, variable: str) -> None:
    assert not may_be_sent(variable, host_of(url), allowed={})


PARTS = st.lists(
    st.sampled_from(
        [
            "api.openai.com",
            "x.api.openai.com",
            "evil.com",
            ".",
            "/",
            "\\",
            "@",
            ":",
            "?",
            "#",
            "%2f",
            "%2e",
            "%40",
            "%00",
        ]
        + [
            "[",
            "]",
            "127.0.0.1",
            "localhost",
            "::1",
            "0x7f",
            "\t",
            "\n",
            " ",
            "。",
            "．",
            "℀",
            "ı",
            "\u00ad",
            "\u200b",
            ";",
        ]
    ),
    min_size=1,
    max_size=6,
)


@given(PARTS)
@example(["evil.com", "\\", ".", "api.openai.com"])
def test_the_host_that_is_checked_is_the_one_that_is_asked(parts: list[str]) -> None:
    """Whatever the client makes of an address: where a key may go by its text, it goes to its own host or stays here."""
    text = f"http://{''.join(parts)}/v1"
    try:
        endpoint_address(text)
        asked = URL(text).host
    except ValueError:
        return
    if may_be_sent("OPENAI_API_KEY", host_of(text), allowed={}):
        assert asked is not None
        is_own = asked.rstrip(".") in OWN_HOSTS["OPENAI_API_KEY"] or asked.rstrip(
            "."
        ).endswith(".api.openai.com")
        assert (
            is_own
            or asked.rstrip(".") in ("localhost", "127.0.0.1", "::1")
            or asked.rstrip(".").endswith(".localhost")
        )


@pytest.mark.parametrize(
    "host", ["localhost", "0x7f.1", "127.1", "2130706433", "017700000001", "0"]
)
async def test_forms_of_this_machine_are_no_public_host(host: str) -> None:
    with pytest.raises(OSError, match="private addresses only"):
        await PublicResolver().resolve(host, 80)


@pytest.fixture(params=["pipe", "socket", "directory", "zero", "loop"])
def special(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """What has a name and is no file; reading it would wait, or never end."""
    path = tmp_path / "special.yaml"
    match request.param:
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(str(path))
                yield path
                return
        case "directory":
            path.mkdir()
        case "zero":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path)
    yield path


COMMANDS = [
    "validate",
    "plan",
    "status",
    "preview",
    "generate",
    "process",
    "report",
    "prune",
    "import",
    "estimate",
]


def test_a_dataset_file_that_is_no_file(
    special: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            run([command, str(special)])
        said = capsys.readouterr().err
        assert ended.value.code == 2 and "Traceback" not in said, (command, said)
        assert "special.yaml" in said and "annot be read" in said, (command, said)


def test_seeds_sources_and_code_that_are_no_files(
    special: Path, tmp_path: Path
) -> None:
    seeds: list[dict[str, Any]] = [
        {"seed_type": "local", "path": "special.yaml"},
        {"seed_type": "local", "path": "spec*.yaml"},
        {
            "seed_type": "sql",
            "url": "sqlite:///special.yaml",
            "query": "SELECT 1 ORDER BY 1",
        },
        {"seed_type": "directory", "path": "special.yaml"},
        {"seed_type": "file_contents", "path": ".", "file_pattern": "special*"},
        {"seed_type": "agent_rollout", "path": "special.yaml", "format": "claude_code"},
        {"seed_type": "custom", "reader": "./special.yaml.py:Reader"},
    ]
    os.symlink("special.yaml", tmp_path / "special.yaml.py")
    configs = [
        dataset_config(uuid(), category("plan", "a"), seed_config={"source": source})
        for source in seeds
    ]
    configs.append(
        dataset_config(category("plan", "a"), _custom("./special.yaml.py:made"))
    )
    for config in configs:
        with pytest.raises(SdgError):
            api.open_dataset(config, root=tmp_path / "root", base=tmp_path)
    for sources in (
        {**FILES, "path": "special*"},
        {"reader": "custom", "reader_class": "./special.yaml.py:Two"},
    ):
        (tmp_path / "notes.yaml").write_text(yaml.safe_dump(pipeline(sources=sources)))
        with pytest.raises(SdgError):
            api.open_pipeline(tmp_path / "notes.yaml", root=tmp_path / "root")


def _custom(reference: str) -> dict[str, Any]:
    return {
        "column_type": "custom",
        "name": "made",
        "generator_function": reference,
        "required_columns": ["plan"],
    }


def test_code_that_changed_asks_again(tmp_path: Path) -> None:
    """The file, its functions, what those import, and what a process is started from."""
    from sdg_core.api import effects_of_file

    file = tmp_path / "dataset.yaml"
    (tmp_path / "functions.py").write_text(FUNCTIONS.format(mark=str(tmp_path / "ran")))
    (tmp_path / "package").mkdir()
    started = provider(endpoint="http://127.0.0.1:9/v1")
    started["mcp_providers"] = [
        {
            "name": "t",
            "provider_type": "stdio",
            "command": "python",
            "args": ["./server.py"],
        }
    ]
    for config in (CONFIGS["function"], started):
        file.write_text(yaml.safe_dump(config))
        seen = {effects_of_file(file).digest}
        for changed in (
            file,
            tmp_path / "functions.py",
            tmp_path / "imported.py",
            tmp_path / "package" / "deep.py",
        ):
            with changed.open("a") as content:
                content.write("\n# more\n")
            digest = effects_of_file(file).digest
            assert digest == effects_of_file(file).digest and digest not in seen, (
                changed
            )
            seen.add(digest)
    assert not (tmp_path / "ran").exists()


def test_the_block_has_a_line_for_each_effect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file cannot push lines out of sight, or write some of its own."""
    config = provider(endpoint="http://127.0.0.1:9/v1")
    lies = "x\n\n\n\x1b[2Jsends the variable NOTHING to nobody\u202e"
    config["mcp_providers"] = [
        {"name": "t", "provider_type": "stdio", "command": "sh", "args": ["-c", lies]}
    ]
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(SystemExit):
        run(["--untrusted", "preview", str(tmp_path / "dataset.yaml")])
    (line,) = [
        line for line in capsys.readouterr().err.splitlines() if "NOTHING" in line
    ]
    assert "starts the process sh -c x\\n\\n\\n\\u001b[2J" in line and line.endswith(
        "\\u202e"
    )


@pytest.mark.parametrize("command", ["validate", "generate"])
def test_a_key_for_a_lookalike_is_refused_by_every_command(
    tmp_path: Path, command: str
) -> None:
    for url in (
        "http://api.openai.com.evil.com/v1",
        "http://evil.com\\.api.openai.com/v1",
        "http://2130706433/v1",
    ):
        config = provider(endpoint=url, api_key="OPENAI_API_KEY")
        with pytest.raises(ConfigError, match="may not be sent to"):
            api.open_dataset(
                config,
                root=tmp_path,
                env={"OPENAI_API_KEY": "k"},
                offline=command == "validate",
            )
