"""Whole datasets on an object store: the same rows as on a disk, whatever is killed or broken on the way."""

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sdg_core import api
from sdg_core.dataset.events import Event, Notice
from sdg_core.errors import MetadataCorruptError, SealedError, SeedError, StoreError
from sdg_core.store.layout import (
    DatasetLayout,
    VersionLayout,
    ledger_directory,
    resolve_root,
)
from sdg_core.store.metadata import read_current, read_metadata
from sdg_core.store.objects import ObjectPath, StorePath
from sdg_core.store.row_groups import read_rows
from tests.support.ports import free_port
from tests.support.s3 import S3Server
from tests.support.sdg import (
    ServerProcess,
    category,
    dataset_config,
    expression,
    llm,
    sdg,
    started_sdg,
    stored_records,
    uuid,
    wait_until,
    write_config,
)

COLUMNS = (
    uuid(),
    category("plan", "free", "pro"),
    llm("question", "ask about {{ id }} on {{ plan }}", drop=True),
    llm("answer", "answer {{ question }} of {{ id }}"),
)
CHAT = {
    "processor_type": "schema_transform",
    "name": "chat",
    "template": {"user": "{{ plan }}: {{ question }}"},
}
SECRET = "a-secret-of-tests"


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger of a root elsewhere lies in the user's state directory."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def root_of(text: str) -> StorePath:
    return resolve_root(text, env={}, base=Path())


def current_version(root: StorePath, name: str = "tickets") -> VersionLayout:
    layout = DatasetLayout(root, name)
    current = read_current(layout.current)
    assert current is not None
    return layout.version(current)


def rows_of(output: StorePath) -> list[dict[str, Any]]:
    return pa.concat_tables(
        [read_rows(part) for part in sorted(output.glob("*.parquet"), key=str)]
    ).to_pylist()


def test_killed_runs_end_in_the_rows_of_an_uninterrupted_one_on_disk(
    tmp_path: Path, s3: S3Server
) -> None:
    draw, root = random.Random(3), s3.new_root()
    with ServerProcess("--latency", "0.01") as server:
        config = dataset_config(
            *COLUMNS, endpoint=server.url, num_records=60, processors=[CHAT]
        )
        file = write_config(tmp_path / "tickets.yaml", config)
        for _ in range(2):
            asked = len(server.prompts())
            after = draw.randint(10, 50)
            with started_sdg("generate", file, "--root", root) as running:
                goal = asked + after
                wait_until(
                    lambda running=running, goal=goal: (
                        running.poll() is not None or len(server.prompts()) >= goal
                    ),
                    f"{after} more requests",
                )
                running.kill()
                running.communicate()
        dataset = api.open_dataset(file, root=root)
        version = api.generate(dataset).version
        assert len(set(server.prompts())) == 120
        assert len(server.prompts()) - 120 <= 2 * 8, (
            "only requests on their way at a kill are sent again"
        )
        on_disk = api.open_dataset(file, root=str(tmp_path / "disk"))
        expected = api.generate(on_disk).version
        assert version.name == expected.name and version == current_version(
            root_of(root)
        )
        assert stored_records(version) == stored_records(expected)
        outputs = [rows_of(output) for output in api.process(dataset).outputs]
        assert outputs == [rows_of(output) for output in api.process(on_disk).outputs]
        refused = sdg("generate", file, "--root", root)
        assert (
            refused.returncode == 2
            and "is sealed" in refused.stderr
            and root in refused.stderr
        )
        assert api.reopen(dataset)
        assert (
            not version.processed.exists()
            and not read_metadata(version.metadata).sealed
        )
        longer = api.open_dataset(file, root=root, num_records=65)
        assert api.generate(longer).generated == 5
        assert len(stored_records(version)) == api.process(longer).num_rows == 65
        names = [item.key.rpartition("/")[2] for item in _objects(root)]
        assert not [name for name in names if name.startswith(".")], (
            "no probe is left, and nothing like a temporary"
        )


def _objects(root: str) -> list[Any]:
    path = root_of(root)
    assert isinstance(path, ObjectPath)
    return list(path.bucket.walk(path.key))


@pytest.mark.parametrize(
    "point", ["after_start", "before_publish", "after_publish", "after_seal"]
)
def test_killed_processing_is_never_mistaken_for_a_finished_one(
    tmp_path: Path, s3: S3Server, point: str
) -> None:
    root = s3.new_root()
    file = write_config(
        tmp_path / "tickets.yaml",
        dataset_config(uuid(), category("plan", "free", "pro")),
    )
    reader = dataset_config(
        expression("again", "{{ id }}"),
        seed_config={"source": {"seed_type": "dataset", "dataset": "tickets"}},
    )
    other = write_config(tmp_path / "other.yaml", reader | {"name": "other"})
    dataset = api.open_dataset(file, root=root)
    version = api.generate(dataset).version
    killed = sdg(
        "process", file, "--root", root, env={"SDG_TEST_KILL_AT": f"processing.{point}"}
    )
    assert killed.returncode == -9
    if point == "after_seal":
        assert read_metadata(version.metadata).post_generation_state == "complete"
    else:
        assert read_metadata(version.metadata).post_generation_state == "started"
        with pytest.raises(SeedError, match="is not finished"):
            api.open_dataset(other, root=root)
        with pytest.raises(SealedError, match="has started"):
            api.generate(dataset)
    assert api.process(dataset).num_rows == 25
    opened = api.open_dataset(other, root=root)
    assert opened.seeds is not None and opened.plan.num_records == 25
    assert api.generate(opened).generated == 25
    rows = stored_records(current_version(root_of(root), "other"))
    assert [row["again"] for row in rows.values()] == [
        row["id"] for row in rows_of(version.processed_dataset)
    ]


def test_corrupt_files_are_moved_aside_and_made_again(
    tmp_path: Path, s3: S3Server
) -> None:
    root = s3.new_root()
    file = write_config(tmp_path / "tickets.yaml", dataset_config(*COLUMNS))
    dataset = api.open_dataset(file, root=root)
    version = api.generate(dataset).version
    before = stored_records(version)
    path = version.row_group(1)
    assert isinstance(path, ObjectPath)
    damaged = path.read_bytes()[:-100]
    path.bucket.put(path.key, damaged)
    events: list[Event] = []
    summary = api.generate(dataset, on_event=events.append)
    assert (summary.written, summary.adopted) == (1, 2)
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert any(
        f"moved to {version.quarantine}/batch_00001.0.parquet" in message
        for message in notices
    )
    assert (version.quarantine / "batch_00001.0.parquet").read_bytes() == damaged
    assert stored_records(version) == before
    assert isinstance(version.metadata, ObjectPath)
    version.metadata.bucket.put(version.metadata.key, b"")
    with pytest.raises(MetadataCorruptError, match=r"s3://.*/metadata\.json is empty"):
        api.generate(dataset)
    assert version.metadata.read_bytes() == b""


def test_images_lie_beside_the_row_groups(tmp_path: Path, s3: S3Server) -> None:
    image = {
        "column_type": "image",
        "name": "photo",
        "prompt": "a photo of {{ id }}",
        "model_alias": "writer",
    }
    config = dataset_config(uuid(), llm("text", "{{ id }}"), image, num_records=3)
    dataset = api.open_dataset(
        write_config(tmp_path / "tickets.yaml", config), root=s3.new_root()
    )
    version = api.generate(dataset).version
    for record, row in stored_records(version).items():
        assert row["photo"] == [f"images/photo/{record}.png"]
        assert (version.directory / row["photo"][0]).read_bytes().startswith(b"\x89PNG")


def test_a_seed_file_at_the_root_is_read_from_there(
    tmp_path: Path, s3: S3Server
) -> None:
    root = s3.new_root()
    path = root_of(root) / "seeds" / "products.csv"
    source = {"seed_type": "local", "path": "{root}/seeds/products.csv"}
    config = dataset_config(
        uuid(), expression("text", "{{ product }}!"), seed_config={"source": source}
    )
    file = write_config(tmp_path / "tickets.yaml", config)
    with pytest.raises(
        SeedError, match=f"seed file {root}/seeds/products.csv does not exist"
    ):
        api.open_dataset(file, root=root)
    assert isinstance(path, ObjectPath)
    path.bucket.put(path.key, b"product\nlamp\nchair\n")
    dataset = api.open_dataset(file, root=root)
    version = api.generate(dataset).version
    assert [row["text"] for row in stored_records(version).values()][:3] == [
        "lamp!",
        "chair!",
        "lamp!",
    ]
    path.bucket.put(path.key, b"product\ntable\nchair\n")
    assert (
        api.open_dataset(file, root=root).plan.fingerprint != dataset.plan.fingerprint
    )
    with pytest.raises(
        SeedError, match=r"products\.csv changed while it was being read"
    ):
        api.generate(dataset, resume="never")
    config["seed_config"]["source"]["path"] = "{root}/seeds/*.csv"
    with pytest.raises(SeedError, match="which is not a directory"):
        api.open_dataset(write_config(file, config), root=root)


def test_the_ledger_stays_on_this_machine_and_says_so(
    tmp_path: Path, s3: S3Server
) -> None:
    root = s3.new_root()
    dataset = api.open_dataset(
        write_config(tmp_path / "tickets.yaml", dataset_config(*COLUMNS)), root=root
    )
    events: list[Event] = []
    api.generate(dataset, on_event=events.append)
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert any(
        "SDG_LEDGER_URL" in message and "this machine" in message for message in notices
    )
    place = ledger_directory(root_of(root))
    assert (
        place.is_relative_to(tmp_path / "state")
        and (place / ".sdg" / "ledger.db").exists()
    )
    assert ledger_directory(root_of(s3.new_root())) != place, (
        "roots do not share a ledger"
    )


def test_a_bucket_that_does_not_exist_is_named(tmp_path: Path, s3: S3Server) -> None:
    file = write_config(tmp_path / "tickets.yaml", dataset_config(*COLUMNS))
    outcome = sdg("generate", file, "--root", "s3://no-such-bucket/prefix")
    assert outcome.returncode == 2, outcome.stdout
    assert (
        "s3://no-such-bucket/prefix" in outcome.stderr
        and "the bucket does not exist" in outcome.stderr
    )
    assert (
        "create the bucket, or use another root" in outcome.stderr
        and SECRET not in outcome.stderr
    )
    dataset = api.open_dataset(file, root="s3://no-such-bucket/prefix")
    for act in (api.status, api.process, api.row_group_statuses):
        with pytest.raises(StoreError, match="the bucket does not exist"):
            act(dataset)


def test_an_endpoint_that_cannot_be_reached_is_named(
    tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "AWS_ENDPOINT_URL", f"http://somebody:{SECRET}@127.0.0.1:{free_port()}"
    )
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    dataset = api.open_dataset(
        write_config(tmp_path / "tickets.yaml", dataset_config(*COLUMNS)),
        root="s3://bucket/p",
    )
    with pytest.raises(
        StoreError, match=r"s3://bucket/p/.*http://127\.0\.0\.1:\d+ cannot be reached"
    ) as raised:
        api.generate(dataset)
    assert "AWS_ENDPOINT_URL" in str(raised.value.remedy) and SECRET not in str(
        raised.value
    )


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def answering(status: int, code: str) -> Iterator[str]:
    """A server that answers every request so, and quotes the credentials it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            told = f"<AWSAccessKeyId>testing</AWSAccessKeyId><SignatureProvided>{SECRET}</SignatureProvided>"
            body = f"<Error><Code>{code}</Code><Message>{SECRET}</Message>{told}</Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as url:
        yield url


@pytest.mark.parametrize(
    ("status", "code", "message", "remedy"),
    [
        (403, "AccessDenied", r"access is denied \(AccessDenied\)", "s3:PutObject"),
        (403, "SignatureDoesNotMatch", "access is denied", "AWS_SECRET_ACCESS_KEY"),
        (401, "Unauthorized", "access is denied", "AWS_ACCESS_KEY_ID"),
        (
            503,
            "SlowDown",
            "the store is throttling",
            "rerun the same command later",
        ),
        (
            429,
            "TooManyRequests",
            "the store is throttling",
            "rerun the same command later",
        ),
        (301, "PermanentRedirect", "the store redirects requests", "AWS_REGION"),
        (500, "InternalError", "InternalError", "run the same command again"),
    ],
)
def test_refusals_name_the_place_and_the_remedy_and_no_secret(
    s3: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
    message: str,
    remedy: str,
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with answering(status, code) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        layout = DatasetLayout(root_of("s3://bucket/prefix"), "tickets")
        for look in (lambda: read_current(layout.current), layout.versions):
            with pytest.raises(
                StoreError, match=f"s3://bucket/prefix/tickets.*: .*{message}"
            ) as raised:
                look()
            assert remedy in str(raised.value.remedy)
            chain = [
                str(raised.value),
                str(raised.value.__cause__),
                repr(raised.value.__cause__.__cause__),
            ]
            assert SECRET not in "".join(chain)


def test_a_throttled_request_is_tried_again(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [503, 500]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answers.pop(0) if answers else 200)
            self.send_header("ETag", '"1"')
            self.send_header("Last-Modified", "Sun, 01 Nov 2026 00:00:00 GMT")
            self.send_header("Content-Length", "7")
            self.end_headers()
            self.wfile.write(b"content")

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        assert root_of("s3://bucket/file").read_bytes() == b"content" and answers == []


def test_http_without_leave_is_refused_with_the_way_out(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    with pytest.raises(StoreError, match="the endpoint is not https") as raised:
        read_current(root_of("s3://bucket/p") / "current.json")
    assert "AWS_ALLOW_HTTP=true" in str(raised.value.remedy)


def test_without_the_extra_the_error_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "obstore.py").write_text(
        "raise ImportError('not here')", encoding="utf-8"
    )
    file = write_config(tmp_path / "tickets.yaml", dataset_config(uuid()))
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    outcome = sdg(
        "status", file, "--root", "s3://bucket/prefix", env={"PYTHONPATH": path}
    )
    assert outcome.returncode == 2 and "pip install 'sdg-dagster[s3]'" in outcome.stderr
    outcome = sdg(
        "generate", file, "--root", tmp_path / "disk", env={"PYTHONPATH": path}
    )
    assert outcome.returncode == 0, outcome.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gs://bucket/prefix", "gs:// is not a supported store"),
        ("s3://", "not of the form s3://bucket/prefix"),
        ("s3:///prefix", "not of the form"),
        ("s3://bucket/a/../b", "not of the form"),
        ("s3://bucket//b", "not of the form"),
        ("s3://bucket/with space", "not of the form"),
        (
            f"s3://key:{SECRET}@bucket/prefix",
            "put credentials into environment variables",
        ),
    ],
)
def test_a_root_that_is_no_place_is_refused(text: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as raised:
        root_of(text)
    assert SECRET not in str(raised.value)


def test_a_file_url_is_a_directory(tmp_path: Path) -> None:
    assert root_of((tmp_path / "with space").as_uri()) == tmp_path / "with space"
    assert (
        str(root_of("s3://bucket/prefix/")) == "s3://bucket/prefix"
        and str(root_of("s3://bucket")) == "s3://bucket"
    )
