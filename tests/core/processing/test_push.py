"""`sdg push` against a stand-in hub: what is shown, the order of commits, going on after a broken upload, and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants

from sdg_core import api
from sdg_core.api import pipelines
from sdg_core.cli.publish_commands import push
from sdg_core.errors import HubError, IncompleteError
from tests.support.hub_server import TOKEN, HubServer, serving
from tests.support.pipelines import Project
from tests.support.s3 import S3Server
from tests.support.sdg import category, dataset_config, open_dataset, uuid

# The library's own warning about its HTTP client.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
CHAT = {
    "processor_type": "schema_transform",
    "name": "chat",
    "template": {"text": "{{ kind }}"},
}
FILTER = {"processor_type": "filter", "name": "some", "keep": "{{ kind == 'a' }}"}


@pytest.fixture(autouse=True)
def _plain_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in has no Xet storage."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    (tmp_path / "hub").mkdir()
    with serving(tmp_path / "hub", exists=False) as server:
        yield server


def image() -> dict[str, Any]:
    return {
        "column_type": "image",
        "name": "pic",
        "model_alias": "painter",
        "prompt": "{{ kind }} {{ id }}",
    }


def add_painter(config: dict[str, Any]) -> None:
    """A simulated model for `image`."""
    config["model_providers"] = [{"name": "p", "provider_type": "simulated"}]
    parameters = {"generation_type": "image"}
    config["model_configs"] = [
        {
            "alias": "painter",
            "model": "m",
            "provider": "p",
            "inference_parameters": parameters,
        }
    ]


def finished(base: Path, **more: object) -> api.Dataset:
    processors = [CHAT, FILTER]
    config = dataset_config(
        uuid(), category("kind", "a", "b"), processors=processors, license="mit", **more
    )
    dataset = open_dataset(base / "tickets.yaml", config, root=base / "root")
    api.generate(dataset)
    api.process(dataset)
    return dataset


def pushed(
    dataset: api.Dataset, hub: HubServer, *, yes: bool = True, token: str = TOKEN
) -> tuple[str | None, api.PushPlan]:
    shown: list[api.PushPlan] = []

    def confirm(plan: api.PushPlan) -> bool:
        shown.append(plan)
        return yes

    address = api.push(dataset, "u/d", confirm=confirm, endpoint=hub.url, token=token)
    return address, shown[0]


def test_the_card_comes_first_and_all_data_in_one_commit(
    tmp_path: Path, hub: HubServer
) -> None:
    dataset = finished(tmp_path)
    address, plan = pushed(dataset, hub)
    assert address == f"{hub.url}/datasets/u/d"
    assert plan.creates and plan.unchanged == 0 and plan.stale == ()
    data = ["processed/dataset/part-00000.parquet", "processed/chat/part-00000.parquet"]
    assert [file.name for file in plan.files] == ["README.md", *data]
    assert hub.commits == [["README.md"], data], "removed records stay at home"
    assert (
        hub.created.get("private") is True or hub.created.get("visibility") == "private"
    )
    assert hub.created["type"] == "dataset"
    version = dataset.layout.version(dataset.plan.fingerprint.version)
    for name in ("README.md", *data):
        assert (hub.directory / name).read_bytes() == Path(
            str(version.directory / name)
        ).read_bytes()
    again, plan = pushed(dataset, hub)
    assert plan.nothing_to_do and plan.unchanged == 3 and len(hub.commits) == 2


def test_nothing_happens_without_a_word(tmp_path: Path, hub: HubServer) -> None:
    address, plan = pushed(finished(tmp_path), hub, yes=False)
    assert address is None and plan.size > 0
    assert not hub.exists and not hub.commits and not hub.uploads


def test_an_upload_that_broke_off_goes_on(tmp_path: Path, hub: HubServer) -> None:
    dataset = finished(tmp_path)
    hub.accepts = 1
    with pytest.raises(HubError, match="rerun the same command to resume|may write"):
        pushed(dataset, hub)
    assert hub.commits == [["README.md"]] and len(hub.uploads) == 1
    hub.accepts = 5
    _, plan = pushed(dataset, hub)
    assert plan.unchanged == 1 and not plan.creates
    assert len(hub.uploads) == len(set(hub.uploads)) == 2, (
        "what the hub has is not sent again"
    )
    assert len(hub.commits) == 2


def test_files_of_an_earlier_upload_that_do_not_belong_are_removed(
    tmp_path: Path, hub: HubServer
) -> None:
    hub.exists = True
    for name in (
        "processed/dataset/part-00007.parquet",
        "notes.md",
        "processed/other/part-00000.parquet",
    ):
        (hub.directory / name).parent.mkdir(parents=True, exist_ok=True)
        (hub.directory / name).write_bytes(b"old")
    _, plan = pushed(finished(tmp_path), hub)
    assert plan.stale == ("processed/dataset/part-00007.parquet",) and not plan.creates
    left = {
        path.relative_to(hub.directory).as_posix()
        for path in hub.directory.rglob("*")
        if path.is_file()
    }
    assert "notes.md" in left and "processed/dataset/part-00007.parquet" not in left
    rows = sum(
        pq.read_table(path).num_rows
        for path in (hub.directory / "processed" / "dataset").iterdir()
    )
    assert 0 < rows < 25


def test_what_is_not_sealed_or_not_allowed_is_refused(
    tmp_path: Path, hub: HubServer
) -> None:
    config = dataset_config(uuid(), name="other")
    unsealed = open_dataset(tmp_path / "other.yaml", config, root=tmp_path / "root")
    with pytest.raises(IncompleteError, match="generate it first"):
        pushed(unsealed, hub)
    api.generate(unsealed)
    with pytest.raises(IncompleteError, match="is not finished"):
        pushed(unsealed, hub)
    dataset = finished(tmp_path)
    with pytest.raises(HubError, match="--token-env"):
        pushed(dataset, hub, token="wrong")
    with pytest.raises(HubError, match="'a b/c' is not a repository"):
        api.push(
            dataset, "a b/c", confirm=lambda plan: True, endpoint=hub.url, token=TOKEN
        )
    assert not hub.commits


def test_the_command_shows_what_it_uploads_and_asks(
    tmp_path: Path,
    hub: HubServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finished(tmp_path)
    monkeypatch.setenv("MY_TOKEN", TOKEN)
    arguments = {
        "root": str(tmp_path / "root"),
        "endpoint": hub.url,
        "token_env": "MY_TOKEN",
    }
    with pytest.raises(BaseException) as ended:
        push(tmp_path / "tickets.yaml", "u/d", **arguments)
    assert getattr(ended.value, "exit_code", None) == 2
    told = capsys.readouterr()
    assert "no terminal to confirm on" in told.err and not hub.commits
    assert (
        "does not exist yet and will be private" in " ".join(told.out.split())
        and "part-00000.parquet" in told.out
    )
    push(tmp_path / "tickets.yaml", "u/d", yes=True, **arguments)
    assert f"uploaded: {hub.url}/datasets/u/d" in capsys.readouterr().out


def test_images_are_uploaded_once_and_load_as_images_from_there(
    tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of rejected candidates and of removed records stay at home; what earlier releases put there besides is removed."""
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    import datasets

    config = dataset_config(
        uuid(),
        category("kind", "a", "b"),
        image(),
        num_records=12,
        processors=[CHAT, FILTER],
    )
    add_painter(config)
    config["select"] = {
        "keep": "{{ pic and kind == 'a' or id.endswith('0') }}",
        "candidates": 2,
    }
    dataset = open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
    api.generate(dataset)
    version = api.process(dataset).version
    rows = pq.read_table(version.processed_dataset).to_pylist()
    hub.exists = True
    earlier = ("images/pic/0.png", "processed/dataset/part-00000.parquet")
    for name in earlier:
        (hub.directory / name).parent.mkdir(parents=True, exist_ok=True)
        (hub.directory / name).write_bytes(b"old")
    _, plan = pushed(dataset, hub)
    there = {
        path.relative_to(hub.directory).as_posix()
        for path in hub.directory.rglob("*")
        if path.is_file()
    }
    names = {
        "README.md",
        *(
            f"processed/{name}/part-00000.parquet"
            for name in ("dataset_with_pictures", "chat")
        ),
    }
    assert (
        there == names == {file.name for file in plan.files} and plan.stale == earlier
    )
    loaded = datasets.load_dataset(
        str(hub.directory), cache_dir=str(tmp_path / "cache")
    )["train"]
    assert loaded.features["pic"] == datasets.List(datasets.Image()) and loaded["id"][
        :
    ] == [row["id"] for row in rows]
    assert all(image.size[0] > 0 for cell in loaded["pic"] for image in cell)


def test_a_pipeline_is_pushed_as_a_dataset_is(
    tmp_path: Path,
    hub: HubServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = Project(
        tmp_path / "project",
        [{"stage": "split", "column": "content", "unit": "words", "size": 1}],
    )
    project.more = {
        "processors": [
            {
                "processor_type": "filter",
                "name": "long",
                "keep": "{{ content | length > 1 }}",
            }
        ]
    }
    project.write(first="one two x", second="three").generate()
    monkeypatch.setenv("MY_TOKEN", TOKEN)
    arguments = {
        "root": project.root,
        "endpoint": hub.url,
        "token_env": "MY_TOKEN",
        "yes": True,
    }
    with pytest.raises(BaseException) as ended:
        push(project.file, "u/d", **arguments)
    assert (
        getattr(ended.value, "exit_code", None)
        and "is not finished" in capsys.readouterr().err
    )
    assert not hub.exists
    pipelines.process(project.open())
    hub.accepts = 0
    with pytest.raises(HubError, match="rerun the same command to resume|may write"):
        pipelines.push(
            project.open(),
            "u/d",
            confirm=lambda plan: True,
            endpoint=hub.url,
            token=TOKEN,
        )
    hub.accepts = 9
    push(project.file, "u/d", **arguments)
    assert f"uploaded: {hub.url}/datasets/u/d" in capsys.readouterr().out
    assert hub.commits == [["README.md"], ["processed/dataset/part-00000.parquet"]], (
        "removed records stay at home"
    )
    (part,) = (hub.directory / "processed" / "dataset").iterdir()
    assert sorted(pq.read_table(part)["content"].to_pylist()) == ["one", "three", "two"]


def test_what_lies_on_an_object_store_is_pushed_from_there(
    tmp_path: Path, hub: HubServer, s3: S3Server
) -> None:
    root = s3.new_root()
    config = dataset_config(
        uuid(), category("kind", "a", "b"), image(), num_records=4, processors=[CHAT]
    )
    add_painter(config)
    dataset = open_dataset(tmp_path / "tickets.yaml", config, root=root)
    api.generate(dataset)
    version = api.process(dataset).version
    hub.accepts = 1
    with pytest.raises(HubError):
        pushed(dataset, hub)
    hub.accepts = 99
    _, plan = pushed(dataset, hub)
    names = {file.name: file.size for file in plan.files}
    assert plan.unchanged == 1 and len(names) == 2, "the card is there; parts are sent"
    assert len(hub.uploads) == len(set(hub.uploads)), (
        "what the hub has is not sent again"
    )
    for name, size in names.items():
        path = version.directory
        for part in name.split("/"):
            path = path / part
        content = (hub.directory / name).read_bytes()
        assert content == path.read_bytes() and len(content) == size
    assert pushed(dataset, hub)[1].nothing_to_do
