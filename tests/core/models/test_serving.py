"""Model servers that live with a run: started, restarted, ended, never left behind. The server is the tests' own program."""

import multiprocessing.util
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.cli.main import run
from sdg_core.config.models import ModelProvider, Serve
from sdg_core.dataset.events import Event, Notice
from sdg_core.errors import ConfigError, ModelError, RunAbortedError
from sdg_core.models.serving.open import reserved_port
from sdg_core.models.serving.process import visible_devices
from sdg_core.plan.load import load_dataset
from sdg_core.testing import answer_to
from tests.support.ports import free_port
from tests.support.sdg import (
    PROJECT,
    only_version,
    open_dataset,
    started_sdg,
    stored_records,
    wait_until,
    write_config,
)
from tests.support.serving import (
    NOTED,
    PROGRAM,
    RECORDS,
    SIZE,
    is_running,
    pids,
    served,
)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    (tmp_path / "logs").mkdir()
    # chosen now, because the path of a socket below tmp_path may be too long
    multiprocessing.util.get_temp_dir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "logs"))


def answers(root: Path) -> dict[int, dict[str, Any]]:
    """The stored records; each has the answer that belongs to it."""
    records = stored_records(only_version(root))
    for record in records.values():
        assert record["answer"] == answer_to(f"answer {record['id']}")
    return records


def test_a_server_lives_as_long_as_the_run(tmp_path: Path) -> None:
    dataset = open_dataset(
        tmp_path / "tickets.yaml", served(*NOTED, *PROGRAM), root=tmp_path / "root"
    )
    notices: list[str] = []

    def on_event(event: Event) -> None:
        if isinstance(event, Notice):
            notices.append(event.message)

    summary = api.generate(dataset, on_event=on_event)
    assert (summary.generated, summary.failed, len(answers(tmp_path / "root"))) == (
        RECORDS,
        0,
        RECORDS,
    )
    (pid,) = pids(tmp_path)
    assert not is_running(pid)
    (started,) = [notice for notice in notices if "starting sh for" in notice]
    assert (
        started.startswith("provider 'home': starting sh for http://127.0.0.1:")
        and "{port}" not in started
    )
    assert not list((tmp_path / "logs").iterdir()), (
        "the log of a server that did its work is removed"
    )
    assert api.generate(dataset).adopted == RECORDS / SIZE
    assert len(pids(tmp_path)) == 1, "a run that asks nothing starts nothing"


DIES_ONCE = """
import asyncio, os, signal, sys
from sdg_core.testing import ModelServer

first, asked = not os.path.exists("lived"), []
open("lived", "w").close()

def message(body):
    asked.append(body)
    if first and len(asked) == 5:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    async with ModelServer(port=int(sys.argv[1]), message=message):
        await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_server_that_dies_is_started_again_and_no_record_is_lost(
    tmp_path: Path,
) -> None:
    (tmp_path / "dies_once.py").write_text(DIES_ONCE, encoding="utf-8")
    config = served(*NOTED, sys.executable, "dies_once.py", "{port}")
    dataset = open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
    notices: list[str] = []

    def on_event(event: Event) -> None:
        if isinstance(event, Notice):
            notices.append(event.message)

    summary = api.generate(dataset, on_event=on_event)
    assert (summary.generated, summary.failed, len(answers(tmp_path / "root"))) == (
        RECORDS,
        0,
        RECORDS,
    )
    assert (
        len(
            [
                notice
                for notice in notices
                if "exited (signal 9); restarting it" in notice
            ]
        )
        == 1
    )
    assert len(pids(tmp_path)) == 2 and not any(map(is_running, pids(tmp_path)))
    usage = api.status(dataset).usage["writer"]
    assert usage["retries"] >= 1 and usage["requests"] - usage["retries"] == RECORDS


CANNOT_START = [
    (
        ["sh", "-c", "echo no GPU here; exit 3"],
        {},
        ["exited before it was ready (status 3)", "| no GPU here"],
    ),
    (
        ["sh", "-c", "kill -11 $$"],
        {},
        ["exited before it was ready (signal 11)", "its log is empty"],
    ),
    (
        ["no-such-program"],
        {},
        [
            "its command could not be started",
            "| no-such-program: No such file or directory",
        ],
    ),
    (
        ["sh", "-c", "echo loading; sleep 60"],
        {"ready_timeout": 3.0},
        ["not ready within 3 s", "| loading"],
    ),
    (
        ["sh", "-c", 'echo "it is $TOKEN"; exit 1'],
        {"env": {"TOKEN": "MY_SECRET"}},
        ["| it is ***"],
    ),
]


@pytest.mark.parametrize(("command", "more", "said"), CANNOT_START)
def test_a_server_that_cannot_start_ends_the_run_with_the_end_of_its_log(
    tmp_path: Path,
    command: list[str],
    more: dict[str, Any],
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_SECRET", "very-secret-4711")
    config = served(*command, **more)
    config["model_providers"][0]["endpoint"] = f"http://127.0.0.1:{free_port()}/v1"
    dataset = open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
    with pytest.raises(ModelError) as caught:
        api.generate(dataset)
    message = str(caught.value)
    assert all(
        words in message
        for words in [
            "model server of provider 'home'",
            "serve; full log: ",
            *said,
        ]
    )
    assert "very-secret-4711" not in message
    (log,) = (tmp_path / "logs").iterdir()
    assert str(log) in message
    assert not (tmp_path / "root").exists(), "nothing was written"


def test_a_server_that_keeps_dying_ends_the_run(tmp_path: Path) -> None:
    program = tmp_path / "dies.py"
    program.write_text(
        "import os, sys\nfrom http.server import BaseHTTPRequestHandler, HTTPServer\n"
        "class Handler(BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n        self.send_response(204)\n        self.end_headers()\n"
        "    def do_POST(self):\n        print('out of memory', flush=True)\n        os._exit(9)\n"
        "HTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()\n",
        encoding="utf-8",
    )
    config = served(*NOTED, sys.executable, "dies.py", "{port}", health="/ready")
    dataset = open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
    with pytest.raises(
        (RunAbortedError, ModelError),
        match=r"(?s)without answering a request.*\| out of memory",
    ):
        api.generate(dataset)
    assert len(pids(tmp_path)) == 4 and not any(map(is_running, pids(tmp_path)))


WITH_CHILDREN = ["sh", "-c", 'echo $$ >> pids; "$@" & echo $! >> pids; wait', "sh"]
"""A server behind a shell, as many start scripts leave it."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGKILL, -9), (signal.SIGTERM, 3), (signal.SIGINT, 3)],
)
def test_whatever_ends_the_run_ends_the_server(
    tmp_path: Path, number: int, status: int
) -> None:
    config = served(*WITH_CHILDREN, *PROGRAM, "--rate", "hang=1")
    file = write_config(tmp_path / "tickets.yaml", config)
    with started_sdg("generate", file, "--root", tmp_path / "root") as running:
        wait_until(
            lambda: bool(list((tmp_path / "root").glob("tickets/*/metadata.json"))),
            "the run has started",
        )
        assert [is_running(pid) for pid in pids(tmp_path)] == [True, True]
        running.send_signal(number)
        running.wait()
    assert running.returncode == status
    wait_until(
        lambda: not any(map(is_running, pids(tmp_path))),
        "the server and its children have ended",
    )


def test_looking_starts_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_config(
        tmp_path / "tickets.yaml",
        served("sh", "-c", "touch started; exit 1", health="/"),
    )
    config_fixed = file.read_text(encoding="utf-8").replace(
        "name: home", "name: home\n  endpoint: http://127.0.0.1:9/v1"
    )
    file.write_text(config_fixed, encoding="utf-8")
    for command in ("validate", "plan", "status"):
        with pytest.raises(SystemExit) as ended:
            run([command, str(file), "--root", str(tmp_path / "root")])
        assert ended.value.code in (0, None), capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        run(["--untrusted", "generate", str(file), "--root", str(tmp_path / "root")])
    assert ended.value.code == 2
    assert "starts the process sh -c touch started; exit 1" in capsys.readouterr().err
    assert not (tmp_path / "started").exists()


def test_what_a_server_gets_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "OPENAI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "MY_DB_PASSWORD",
        "HARMLESS",
    ):
        monkeypatch.setenv(name, f"value of {name}")
    config = served(
        "sh", "-c", "env > env; : {port}; exit 1", env={"GIVEN": "OPENAI_API_KEY"}
    )
    with pytest.raises(ModelError):
        api.generate(
            open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
        )
    text = (tmp_path / "env").read_text(encoding="utf-8")
    lines = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
    assert (
        lines["GIVEN"] == "value of OPENAI_API_KEY"
        and lines["HARMLESS"] == "value of HARMLESS"
    )
    assert "PATH" in lines and lines.keys().isdisjoint(
        {"OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "MY_DB_PASSWORD"}
    )
    assert (
        "passes it the variable OPENAI_API_KEY"
        in api.effects_of_file(tmp_path / "tickets.yaml").lines
    )
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ModelError, match="OPENAI_API_KEY, which is not set"):
        api.generate(
            open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
        )


def test_a_port_where_something_answers_is_not_served_again(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        config = served("sh", "-c", "touch started")
        config["model_providers"][0]["endpoint"] = (
            f"http://127.0.0.1:{other.getsockname()[1]}/v1"
        )
        with pytest.raises(
            ModelError,
            match=r"(?s)a server is already running there.*\{port\} in endpoint and command",
        ):
            api.generate(
                open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
            )
    assert not (tmp_path / "started").exists()


def test_runs_of_one_machine_take_no_port_twice() -> None:
    with ExitStack() as runs:
        ports = [runs.enter_context(reserved_port()) for _ in range(600)]
        assert len(set(ports)) == len(ports), (
            "though nothing listens yet, and the system would hand out some of them again"
        )


WRONG = [
    ({"serve": {"command": []}}, "at least one item"),
    ({"serve": {"command": "vllm serve 'a"}}, "cannot be split into words"),
    ({"serve": {"command": "vllm serve a"}}, "does not contain {port}"),
    (
        {"serve": {"command": "s {port}"}, "endpoint": "http://127.0.0.1:8000/v1"},
        "but endpoint has a fixed port",
    ),
    ({"serve": {"command": "s"}, "endpoint": "http://127.0.0.1/v1"}, "has no port"),
    (
        {"serve": {"command": "s {port}"}, "endpoint": "http://gpu-1:{port}/v1"},
        "on this machine",
    ),
    (
        {"serve": {"command": "s {port}"}, "endpoint": "https://127.0.0.1:{port}/v1"},
        "starts with http://",
    ),
    (
        {"serve": {"command": "s {port}"}, "provider_type": "simulated"},
        "serve is valid only with provider_type",
    ),
    ({"endpoint": "http://127.0.0.1:{port}/v1"}, "valid only with serve"),
    ({"serve": {"command": "s {port}", "health": "health"}}, "expected a path"),
    ({"serve": {"command": "s {port}", "gpus": -1}}, "gpus"),
    ({"serve": {"command": "s {port}", "ready_timeout": 0}}, "ready_timeout"),
    ({"serve": {"command": "s {port}", "restart": True}}, "restart"),
]


@pytest.mark.parametrize(("provider", "said"), WRONG)
def test_what_cannot_be_served(
    tmp_path: Path, provider: dict[str, Any], said: str
) -> None:
    config = served("s", "{port}")
    config["model_providers"] = [{"name": "home", **provider}]
    with pytest.raises(ConfigError) as caught:
        load_dataset(write_config(tmp_path / "tickets.yaml", config))
    assert said in str(caught.value)


def test_a_command_may_be_one_line_and_the_endpoint_is_found() -> None:
    provider = ModelProvider.model_validate(
        {"name": "v", "serve": {"command": "vllm serve 'a b' --port {port}"}}
    )
    assert provider.serve is not None
    assert provider.serve.command == ("vllm", "serve", "a b", "--port", "{port}")
    assert provider.endpoint == "http://127.0.0.1:{port}/v1"


def gpus(*wanted: int | tuple[int, ...] | None) -> Iterator[Serve]:
    yield from (Serve(command=("s",), gpus=each) for each in wanted)


def test_servers_share_out_the_devices_of_the_run() -> None:
    assert visible_devices([*gpus(2, 1, None)], {}) == ["0,1", "2", None]
    assert visible_devices(
        [*gpus(2, (0, 3), 0)], {"CUDA_VISIBLE_DEVICES": "4, GPU-a,6"}
    ) == [
        "4,GPU-a",
        "0,3",
        "",
    ]
    with pytest.raises(
        ValueError,
        match="the file needs 3 GPUs, but CUDA_VISIBLE_DEVICES lists 2: 4,6",
    ):
        visible_devices([*gpus(2, 1)], {"CUDA_VISIBLE_DEVICES": "4,6"})
