"""What the command answers: as JSON wherever it is asked for, next steps, prompts as they are sent, exported parts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core import api
from sdg_core.cli.command_group import WORDS_OF_OTHERS
from sdg_core.cli.main import COMMANDS, run
from sdg_core.cli.progress import _Waiting, rate_text
from sdg_core.dataset.events import CellStarted, RecordsSettled
from sdg_core.errors import IncompleteError, PlanError, RefusedError
from sdg_core.processing.split import part_of, part_path, part_sizes
from tests.support.pipelines import Project
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    object_of,
    only_version,
    structured,
    uuid,
    write_config,
)

CHAT = {
    "processor_type": "schema_transform",
    "name": "chat",
    "template": {
        "messages": [
            {"role": "user", "content": "{{ plan }}"},
            {"role": "assistant", "content": "{{ text }}"},
        ]
    },
}
CONFIG = dataset_config(
    uuid(),
    category("plan", "free", "pro"),
    llm("text", "about {{ plan }}", system_prompt="Be short."),
    processors=[CHAT],
)
Sdg = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sdg(capsys: pytest.CaptureFixture[str]) -> Sdg:
    """Run the command in this process; its exit status and what it printed."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            run([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_config(tmp_path / "tickets.yaml", CONFIG)


@pytest.fixture
def finished(file: Path) -> api.Dataset:
    dataset = api.open_dataset(file)
    api.generate(dataset)
    api.process(dataset)
    return dataset


def test_every_command_answers_in_json(sdg: Sdg, file: Path, tmp_path: Path) -> None:
    def asked(*arguments: object) -> Any:
        status, out, _ = sdg(*arguments, "--json")
        assert status == 0
        return orjson.loads(out)

    assert asked("validate", file)["columns"][1] == {
        "name": "plan",
        "type": "string",
        "made_by": "sampler",
        "dropped": False,
    }
    assert asked("generate", file)["generated"] == 25
    processed = asked("process", file)
    assert (processed["rows"], processed["already_done"]) == (25, False)
    assert all(
        Path(path).exists() for path in (*processed["outputs"], processed["report"])
    )
    out = tmp_path / "out.jsonl"
    assert asked("export", file, out) == {
        "path": str(out),
        "rows": 25,
        "finished": True,
        "parts": {},
    }
    assert asked("reopen", file) == {"name": "tickets", "reopened": True}
    for command in ("status", "plan", "estimate", "check-models", "report", "prune"):
        assert asked(command, file) is not None


def test_pipelines_answer_in_json_too(sdg: Sdg, tmp_path: Path) -> None:
    notes = Project(
        tmp_path / "notes", [{"stage": "rename", "columns": {"content": "note"}}]
    ).write(a="one")
    found = {
        name: orjson.loads(sdg(name, notes.file, "--json")[1])
        for name in ("validate", "generate", "retry")
    }
    assert (
        found["validate"]["sources"],
        found["generate"]["made"],
        found["retry"]["adopted"],
    ) == (
        1,
        1,
        1,
    )
    assert orjson.loads(sdg("process", notes.file, "--json")[1])["rows"] == 1
    assert orjson.loads(sdg("reopen", notes.file, "--json")[1])["reopened"] is True


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("generate",), ("export", "{out}"), ("process",), ("preview",)],
)
def test_an_error_is_json_on_stdout_and_a_block_on_stderr(
    sdg: Sdg, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    broken = write_config(tmp_path / "broken.yaml", {**CONFIG, "num_record": 3})
    command, *more = (each.format(out=tmp_path / "out.csv") for each in arguments)
    status, out, err = sdg(command, broken, *more, "--json")
    answer = orjson.loads(out)
    assert (status, answer["exit_status"], answer["error"]["type"]) == (
        2,
        2,
        "ConfigError",
    )
    (problem,) = answer["error"]["problems"]
    assert (
        problem["path"] == "num_record"
        and problem["line"]
        and "num_records" in problem["message"]
    )
    assert err.startswith("error: ")
    assert sdg(command, broken, *more)[1] == ""


def test_a_wrong_command_line_is_answered_in_json_too(sdg: Sdg, file: Path) -> None:
    for arguments in (
        ("status", file, "--jsn", "--json"),
        ("status", "--json"),
        ("nothing", "--json"),
    ):
        status, out, err = sdg(*arguments)
        assert (status, orjson.loads(out)["error"]["type"]) == (
            2,
            "UsageError",
        ) and "Usage:" in err


def test_a_wrong_word_is_answered_with_the_likeliest_command(sdg: Sdg) -> None:
    for wrong, meant in {
        **WORDS_OF_OTHERS,
        "genrate": "generate",
        "stats": "status",
        "prun": "prune",
    }.items():
        status, _, err = sdg(wrong, "file.yaml")
        assert status == 2 and f"Did you mean '{meant}'?" in err, wrong
    for wrong in ("run", "purge", "prone", "remove", "delete", "clean"):
        assert "mean 'prune'" not in sdg(wrong)[2], wrong
    assert set(WORDS_OF_OTHERS.values()) <= {*COMMANDS} and not {*WORDS_OF_OTHERS} & {
        *COMMANDS
    }


def test_help_is_not_cut_off(sdg: Sdg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = sdg("--help")[1]
    assert (
        "..." not in shown.partition("Commands:")[2]
        and max(map(len, shown.splitlines())) <= 80
    )


def test_each_step_names_the_next(sdg: Sdg, file: Path, tmp_path: Path) -> None:
    assert f"next: sdg process {file}" in sdg("generate", file)[1]
    processed = sdg("process", file)[1]
    assert f"next: sdg export {file} out.jsonl (or --processor chat)" in processed
    assert f"report: {only_version(tmp_path / 'data').report_html}" in processed

    assert (
        "load it: datasets.load_dataset('csv'"
        in sdg("export", file, tmp_path / "out.csv")[1]
    )
    assert (
        "next:"
        not in sdg(
            "generate", write_config(file, {**CONFIG, "seed": 8}), "--row-groups", "0"
        )[1]
    )


def test_the_next_step_finds_the_data_of_another_root(
    sdg: Sdg, file: Path, tmp_path: Path
) -> None:
    root = tmp_path / "other root"
    assert (
        f"next: sdg process {file} --root '{root}'"
        in sdg("generate", file, "--root", root)[1]
    )
    assert (
        f"next: sdg export {file} --root '{root}' out.jsonl"
        in sdg("process", file, "--root", root)[1]
    )


def test_each_step_of_a_pipeline_names_the_next(sdg: Sdg, tmp_path: Path) -> None:
    notes = Project(
        tmp_path / "notes", [{"stage": "rename", "columns": {"content": "note"}}]
    ).write(a="one", b="two")
    assert "next:" not in sdg("generate", notes.file, "--shard", "0/2")[1], (
        "the other slice is not made"
    )
    assert f"next: sdg process {notes.file}" in sdg("generate", notes.file)[1]
    assert f"next: sdg export {notes.file} out.jsonl" in sdg("process", notes.file)[1]


def test_a_dataset_without_a_record_is_not_sealed(sdg: Sdg, tmp_path: Path) -> None:
    failing = dataset_config(
        category("word", "many"), expression("number", "{{ word }}", dtype="int")
    )
    file = write_config(
        tmp_path / "tickets.yaml", {**failing, "run": {"max_failure_rate": 1.0}}
    )
    assert sdg("generate", file)[0] == 1
    for options in ((), ("--allow-missing",)):
        status, _, err = sdg("process", file, *options)
        assert status == 2 and "none of the 25 records has a row" in err
    assert not api.status(api.open_dataset(file)).sealed


def test_a_preview_shows_prompts_and_cuts_long_values(sdg: Sdg, tmp_path: Path) -> None:
    columns = [
        category("plan", "free"),
        llm("text", "about {{ plan }} " + "x" * 2000, system_prompt="Be short."),
    ]
    parts = expression("part", "{{ plan }}")
    file = write_config(tmp_path / "tickets.yaml", dataset_config(*columns, parts))
    status, out, err = sdg("preview", file, "-n", 2)
    assert (status, err) == (0, "")
    assert (
        out.count("\n  prompt about free xxx") == 2
        and out.count("\n  system Be short.") == 2
    )
    assert (
        "(2,011 characters)" in out
        and "x" * 1000 not in out
        and max(map(len, out.splitlines())) < 500
    )
    assert "x" * 2000 in sdg("preview", file, "-n", 1, "--full")[1]
    assert not any(line != line.rstrip() for line in out.splitlines())


def test_one_record_of_a_preview_is_the_one_that_a_run_makes(
    sdg: Sdg, finished: api.Dataset, file: Path
) -> None:
    stored = finished.to_polars().to_dicts()
    assert orjson.loads(sdg("preview", file, "--record", 7, "--json")[1]) == [stored[7]]
    assert (
        orjson.loads(sdg("preview", file, "--record", 7, "-n", 2, "--json")[1])
        == stored[7:9]
    )
    assert "--- record 7" in sdg("preview", file, "--record", 7)[1]


def test_structs_are_shown_as_json(tmp_path: Path) -> None:
    note = structured("note", "{{ plan }}", object_of(a={"type": ["string", "null"]}))
    text = llm("text", "{{ plan }}")
    shown = api.preview(
        dataset_config(category("plan", "free"), text, note), num_records=1
    ).shown()
    assert orjson.loads(dict(shown[0][1])["note"]).keys() == {"a"}


def test_what_a_preview_waits_for_is_told() -> None:
    state = _Waiting(3)
    state(CellStarted(1, "judge"))
    state(RecordsSettled(made=1, failed=1))
    assert state.text() == "2 of 3 records, generating judge of record 1, 0 s"


def test_slow_rates_have_digits() -> None:
    shown = {60.0: "60/s", 1.0: "1/s", 0.5: "30/min", 0.05: "3.0/min", 0.01: "36.0/h"}
    assert {rate: rate_text(rate) for rate in shown} == shown


def test_what_a_processor_made_is_exported(
    sdg: Sdg, finished: api.Dataset, file: Path, tmp_path: Path
) -> None:
    assert sdg("export", file, tmp_path / "chat.jsonl", "--processor", "chat")[0] == 0
    rows = [
        orjson.loads(line)
        for line in (tmp_path / "chat.jsonl").read_bytes().splitlines()
    ]
    assert [row["messages"][1]["content"] for row in rows] == finished.to_polars()[
        "text"
    ].to_list()
    status, _, err = sdg("export", file, tmp_path / "x.jsonl", "--processor", "chats")
    assert (
        status == 2 and "no output of a processor 'chats'; did you mean 'chat'?" in err
    )
    with pytest.raises(IncompleteError, match="so processor 'chat' has no output"):
        api.reopen(finished)
        api.export(finished, tmp_path / "x.jsonl", processor="chat", partial=True)


def test_columns_are_exported_in_the_order_asked_for(
    sdg: Sdg, finished: api.Dataset, file: Path, tmp_path: Path
) -> None:
    assert sdg("export", file, tmp_path / "out.csv", "--columns", "text, plan")[0] == 0
    assert pl.read_csv(tmp_path / "out.csv").columns == ["text", "plan"]
    for wrong, said in {
        "txt": "did you mean 'text'?",
        "plan,plan": "named twice",
        "": "there is no column ''",
    }.items():
        status, _, err = sdg("export", file, tmp_path / "no.csv", "--columns", wrong)
        assert status == 2 and said in err and not (tmp_path / "no.csv").exists()


@pytest.mark.parametrize(
    ("split", "sizes"), [("0.8/0.2", [20, 5]), ("80/10/10", [20, 2, 3])]
)
def test_a_split_is_disjoint_and_the_same_again(
    sdg: Sdg,
    finished: api.Dataset,
    file: Path,
    tmp_path: Path,
    split: str,
    sizes: list[int],
) -> None:
    names = ["train", "validation", "test"][: len(sizes)]
    found = []
    for directory in (tmp_path / "one", tmp_path / "two"):
        directory.mkdir()
        status, out, _ = sdg(
            "export", file, directory / "out.jsonl", "--split", split, "--json"
        )
        assert status == 0
        parts = orjson.loads(out)["parts"]
        assert {name: part["rows"] for name, part in parts.items()} == dict(
            zip(names, sizes, strict=True)
        )
        found.append(
            [
                pl.read_ndjson(directory / f"out-{name}.jsonl")["id"].to_list()
                for name in names
            ]
        )
    assert found[0] == found[1] and [len(part) for part in found[0]] == sizes
    assert sorted(sum(found[0], [])) == sorted(finished.to_polars()["id"].to_list())
    api.export(
        finished,
        tmp_path / "chat.jsonl",
        processor="chat",
        split=[float(s) for s in split.split("/")],
    )
    texts = dict(finished.to_polars().select("id", "text").iter_rows())
    train = pl.read_ndjson(tmp_path / "chat-train.jsonl")["messages"].to_list()
    assert [row[1]["content"] for row in train] == [texts[each] for each in found[0][0]]


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ("0.9", "split is 0.9"),
        ("0.5/0.6", "adds up to 1.1"),
        ("1/0", "split is 1/0"),
        ("half/half", "--split is 'half/half'"),
        ("0.999/0.001", "leaves validation without a row"),
    ],
)
def test_a_split_that_cannot_be_made_writes_nothing(
    sdg: Sdg, finished: api.Dataset, file: Path, tmp_path: Path, split: str, said: str
) -> None:
    status, _, err = sdg("export", file, tmp_path / "out.jsonl", "--split", split)
    assert status == 2 and said in err and not list(tmp_path.glob("out*"))


def test_no_part_replaces_a_file(finished: api.Dataset, tmp_path: Path) -> None:
    (tmp_path / "out-validation.csv").touch()
    with pytest.raises(RefusedError, match=r"out-validation\.csv exists"):
        api.export(finished, tmp_path / "out.csv", split=(0.5, 0.5))
    assert not (tmp_path / "out-train.csv").exists()
    api.export(finished, tmp_path / "out.csv", split=(0.5, 0.5), overwrite=True)
    assert pl.read_csv(tmp_path / "out-validation.csv").height in (12, 13)


def test_parts_are_named_before_the_ending() -> None:
    named = {
        "a.jsonl": "a-train.jsonl",
        "a.b.csv.gz": "a.b-train.csv.gz",
        "a.b.parquet": "a.b-train.parquet",
    }
    assert {name: part_path(Path(name), "train").name for name in named} == named


@given(
    rows=st.integers(2, 2000),
    cut=st.floats(0.01, 0.99),
    chunk=st.integers(1, 700),
    more=st.lists(st.just(0), max_size=1),
)
def test_every_row_is_in_one_part_whatever_it_is_read_by(
    rows: int, cut: float, chunk: int, more: list[int]
) -> None:
    try:
        sizes = part_sizes((cut, 1 - cut), rows)
    except PlanError:
        assert round(rows * cut) in (0, rows)
        return
    counts = [*sizes.values()]
    whole = part_of(0, rows, counts)
    assert [int((whole == place).sum()) for place in range(2)] == counts
    pieces = [
        part_of(start, min(chunk, rows - start), counts)
        for start in range(0, rows, chunk)
    ]
    assert [int(each) for piece in pieces for each in piece] == whole.tolist()
