"""Every block of the guide does what its page says, as a reader has it: in a directory that holds what the page speaks of.

YAML blocks are put where they belong in a dataset file, which is then opened; Python blocks are executed; of shell blocks the
`sdg` commands are run. What no rule here reaches is listed in ELSEWHERE, with the test that shows it, or why nothing is to run.
"""

import importlib.util
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from sdg_core import api
from sdg_core.api import pipelines
from tests.support.guide import Block, blocks
from tests.support.sdg import (
    PROJECT,
    category,
    dataset_config,
    expression,
    llm,
    sdg,
    write_config,
)

ELSEWHERE = {
    "dagster.md: sdg init shop --template support": "tests/assets/test_installed.py",
    "dagster.md: dg scaffold defs sdg_assets.Dataset reviews": "tests/assets/test_installed.py",
    "dagster.md: type: sdg_assets.Dataset": "tests/assets/test_guide.py",
    "dagster.md: defs = sdg_assets.with_operations(definitions)": "tests/assets/test_guide.py",
    "dagster.md: checks:": "tests/assets/test_guide.py",
    "dagster.md: seed_config: {source: {seed_type: dataset": "tests/assets/test_chain.py",
    "dagster.md: dagster asset materialize -m my.definitions": "tests/assets/test_chain.py",
    '''dagster.md: @dg.observable_source_asset(key=["review"''': "tests/assets/test_guide.py",
    "dagster.md: dagster instance concurrency set llm_local 2": "tests/assets/test_installed.py",
    "dagster.md: concurrency:": "tests/assets/test_guide.py",
    "deploy.md: pip install 'sdg-dagster[postgres]'": "tests/assets/test_postgres.py",
    "deploy.md: export SDG_ROOT=/shared/data": "tests/deploy/test_slurm.py",
    "deploy.md: pip install 'sdg-dagster[postgres,celery]'": "tests/deploy/test_celery.py",
    "deploy.md: pip install 'sdg-dagster[postgres,ray]'": "tests/deploy/test_ray.py",
    "deploy.md: runs at once  x  requests of one run": "a formula",
    "first-dataset.md: pip install sdg-dagster": "tests/assets/test_installed.py",
    "first-dataset.md: # yaml-language-server": "tests/assets/test_installed.py",
    "first-dataset.md: type: sdg_assets.Dataset": "tests/assets/test_installed.py",
    "first-dataset.md: sdg validate": "tests/assets/test_installed.py",
    "first-dataset.md: export DAGSTER_HOME=$PWD": "tests/assets/test_backfills.py",
    "first-dataset.md: dagster asset materialize": "tests/assets/test_installed.py",
    "first-dataset.md: sdg generate": "tests/assets/test_installed.py",
    "first-dataset.md: data/reviews/current.json": "a listing",
    "first-dataset.md: sdg export": "tests/assets/test_installed.py",
    "pipelines.md: type: sdg_assets.SourcePipeline": "tests/assets/test_guide.py",
    "processors.md: datasets.load_dataset(": "tests/core/processing/test_card.py",
    "processors.md: export HF_TOKEN=": "tests/core/processing/test_push.py",
    "resume.md: $ sdg plan tickets.yaml": "tests/core/cli/test_resume_modes.py",
    "storage.md: export SDG_LEDGER_URL=": "tests/assets/test_postgres.py",
    "storage.md: <root>/<dataset>/current.json": "a listing",
    "testing.md: from pathlib import Path": "tests/core/testing/test_guide.py",
    "your-own-project.md: sdg init shop": "tests/assets/test_guide.py",
    "your-own-project.md: # shop/defs/resources.py": "tests/assets/test_guide.py",
    "your-own-project.md: # shop/defs/statistics.py": "tests/assets/test_guide.py",
    "your-own-project.md: # shop/defs/words.py": "tests/assets/test_guide.py",
}
"""How a block starts, and the test that shows it."""

WRITER = {
    "model_providers": [{"name": "rehearsal", "provider_type": "simulated"}],
    "model_configs": [
        {"alias": alias, "model": "any", "provider": "rehearsal"}
        for alias in ("writer", "judge", "critic")
    ],
}
REVIEW = {
    "column_type": "llm-structured",
    "name": "review",
    "model_alias": "writer",
    "prompt": "Review {{ product }}",
    "output_format": {
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
    },
}
JUDGE = {
    "column_type": "llm-judge",
    "name": "verdict",
    "model_alias": "judge",
    "prompt": "judge {{ answer }}",
    "scores": [
        {
            "name": "quality",
            "description": "Is it good?",
            "options": {1: "no", 5: "yes"},
        }
    ],
}
CODE = {
    "column_type": "llm-code",
    "name": "code",
    "model_alias": "writer",
    "prompt": "code",
    "code_lang": "python",
}
CHECKED = {
    "column_type": "validation",
    "name": "checked",
    "target_columns": ["code"],
    "validator_type": "code",
    "validator_params": {"code_lang": "python"},
}
SPOKEN_OF = [
    *(
        category(name, "a", "b")
        for name in (
            "first",
            "last",
            "topic",
            "product",
            "complaint",
            "question",
            "job",
            "word",
        )
    ),
    category("land", "FR", "DE"),
    llm("ticket", "A ticket of {{ first }}"),
    REVIEW,
    *(category(name, 1, 20) for name in ("stars", "age", "spent", "income")),
    {**category("photo", "https://example.com/a.png")},
    llm("answer", "answer {{ question }}"),
    {**JUDGE, "name": "judge"},
    JUDGE,
    CODE,
    CHECKED,
]
"""Columns that the pages take for granted."""
FILES = {
    "products.csv": "name,stock\n" + "lamp,3\n" * 100 + "chair,0\n",
    "shops.csv": "zip;price\n01234;1.5\n",
    "data/approved.csv": "note\nyes\n",
    "benchmarks/test.jsonl": '{"question": "why"}\n',
    "servers/words.py": "",
    "functions.py": "def full_name(row):\n    return row['first']\n",
    "my_package/clients.py": "class Mine:\n    async def complete(self, request):\n        return 'x'\n",
    "docs/one.md": "# One\n\n" + "A page about kettles and lamps. " * 20,
}


def shown(page: str, number: int) -> str:
    """The Python blocks of a page, counted from 0."""
    return [
        block.text
        for block in blocks()
        if block.page == page and block.language == "python"
    ][number]


def named(block: Block) -> str:
    return f"{block.page}: {block.text.strip()}"


def shown_elsewhere(block: Block) -> str | None:
    return next(
        (where for start, where in ELSEWHERE.items() if named(block).startswith(start)),
        None,
    )


def of(*languages: str) -> list[Any]:
    return [
        pytest.param(block, id=f"{block.page}-{block.line}")
        for block in blocks()
        if block.language in languages and shown_elsewhere(block) is None
    ]


def test_every_block_is_run_or_its_test_is_there() -> None:
    languages = {"yaml", "python", "sh", "bash", "toml"}
    assert [
        named(block)
        for block in blocks()
        if block.language not in languages and not shown_elsewhere(block)
    ] == []
    unused = [
        start
        for start in ELSEWHERE
        if not any(named(block).startswith(start) for block in blocks())
    ]
    assert unused == []
    assert {
        where
        for where in ELSEWHERE.values()
        if where.endswith(".py") and not (PROJECT / where).exists()
    } == set()


def file_of(data: Any) -> dict[str, Any]:
    """A dataset file around a part of one."""
    if isinstance(data, dict) and "kind" in data:
        return data
    match data:
        case [{"column_type": _}, *_]:
            data = {"columns": data}
        case [{"processor_type": _}, *_]:
            data = {"processors": data}
        case {"params": _}:
            data = {
                "columns": [
                    {
                        "column_type": "sampler",
                        "name": "who",
                        "sampler_type": "person",
                        **data,
                    }
                ]
            }
        case {"source": _}:
            data = {"seed_config": data}
        case {"multi_modal_context": _}:
            data = {"columns": [{**llm("seen", "what is it?"), **data}]}
        case {"inference_parameters": _}:
            data = {
                "model_configs": [
                    {"alias": "more", "model": "any", "provider": "rehearsal", **data}
                ]
            }
        case {"simulation": _}:
            data = {
                "model_providers": [
                    {"name": "slow", "provider_type": "simulated", **data}
                ]
            }
    given = data.get("columns", [])
    names = {column["name"] for column in given}
    columns = (
        [column for column in SPOKEN_OF if column["name"] not in names]
        if "num_records" not in data
        else []
    )
    filled = {**dataset_config(), **data, "columns": [*columns, *given]}
    for key in WRITER:
        mine = data.get(key, [])
        taken = {item.get("name", item.get("alias")) for item in mine}
        filled[key] = [
            *mine,
            *(i for i in WRITER[key] if i.get("name", i.get("alias")) not in taken),
        ]
    return filled


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in (
        "MY_KEY",
        "ANTHROPIC_API_KEY",
        "SEARCH_KEY",
        "MY_WORDS_TOKEN",
        "HF_TOKEN",
    ):
        monkeypatch.setenv(name, "secret")
    return tmp_path


@pytest.mark.parametrize("block", of("yaml"))
def test_yaml_is_a_file_or_a_part_of_one(place: Path, block: Block) -> None:
    path = write_config(place / "dataset.yaml", file_of(yaml.safe_load(block.text)))
    if api.is_pipeline(path):
        pipelines.open_pipeline(path)
    else:
        api.open_dataset(path, root=place / "data", offline=True)


@pytest.mark.parametrize("block", of("toml"))
def test_toml_is_a_setting_of_the_project(place: Path, block: Block) -> None:
    assert tomllib.loads(block.text)["tool"]["sdg"]
    (place / "pyproject.toml").write_text(block.text, encoding="utf-8")
    path = write_config(
        place / "dataset.yaml", dataset_config(category("plan", "free"))
    )
    assert api.generate(api.open_dataset(path)).generated == 25


FINISHED = {
    **dataset_config(
        category("question", "a", "b"),
        llm("answer", "answer {{ question }}"),
        num_records=10,
    ),
    "processors": [
        {
            "processor_type": "schema_transform",
            "name": "chat",
            "template": {"user": "{{ question }}", "n": "{{ answer }}"},
        }
    ],
}
PIPELINE_PAGE = "pipelines.md"


@pytest.mark.parametrize("block", of("sh", "bash"))
def test_shell_commands_run(place: Path, block: Block) -> None:
    """Lines that name a bucket or a variable are for a server; the others are typed one after the other."""
    if block.page == PIPELINE_PAGE:
        shown = next(
            one
            for one in blocks()
            if one.page == PIPELINE_PAGE and one.text.startswith("kind: pipeline")
        )
        (place / "pipeline.yaml").write_text(shown.text, encoding="utf-8")
    else:
        dataset = api.open_dataset(write_config(place / "dataset.yaml", FINISHED))
        api.generate(dataset)
        api.process(dataset)
        write_config(place / "tickets.yaml", FINISHED)
    typed = 0
    for line in block.text.splitlines():
        words = shlex.split(
            line.replace("/data/sets", str(place / "sets")), comments=True
        )
        if not words or words[0] != "sdg" or "s3://bucket/prefix" in words:
            continue
        target = words.index(">") if ">" in words else len(words)
        done = sdg(*words[1:target], cwd=place)
        assert done.returncode == 0, done.stderr
        if target < len(words):
            (place / words[target + 1]).write_text(done.stdout, encoding="utf-8")
        typed += 1
    assert typed


def write_functions(place: Path, text: str) -> None:
    (place / "functions.py").write_text(
        f"from sdg_core.custom import *\n{text}", encoding="utf-8"
    )


def custom(
    column: str, function: str, *columns: dict[str, Any], **more: Any
) -> pl.Series:
    """The values of a column that a function of `functions.py` makes."""
    made = {
        "column_type": "custom",
        "name": column,
        "generator_function": f"./functions.py:{function}",
        **more,
    }
    dataset = api.open_dataset(
        write_config(
            Path("dataset.yaml"),
            {**dataset_config(*columns, made, num_records=4), **WRITER},
        )
    )
    assert api.generate(dataset).generated == 4
    return dataset.to_polars()[column]


def test_a_function_makes_a_column(place: Path) -> None:
    write_functions(place, shown("custom-columns.md", 0))
    values = custom(
        "full_name", "full_name", category("first", "Ann"), category("last", "Lee")
    )
    assert values.to_list() == ["Ann Lee"] * 4


def test_a_function_asks_models(place: Path) -> None:
    write_functions(
        place,
        "from sdg_core.custom import custom_column_generator\n"
        + shown("custom-columns.md", 1),
    )
    assert custom("draft", "two_drafts", category("topic", "lamps")).null_count() == 0


def run_python(page: str, number: int, **names: Any) -> dict[str, Any]:
    """What a block defines, as a module of its own that has the names which its page takes for granted."""
    path = Path("block.py")
    path.write_text(shown(page, number), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("block", path.absolute())
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module).update({"api": api, "pipelines": pipelines, **names})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "block", module)
        spec.loader.exec_module(module)
    return vars(module)


def test_python_the_four_verbs(place: Path) -> None:
    write_config(place / "support_tickets.yaml", FINISHED)
    assert run_python("python.md", 0)["frame"].height == 10


def test_python_a_config_without_a_file(place: Path) -> None:
    dataset = run_python("python.md", 1)["dataset"]
    assert api.generate(dataset).failed == 0
    assert dataset.to_polars()["loud"].to_list() == ["KETTLE", "LAMP", "CHAIR"]


def test_resume_a_function_for_every_row_group(place: Path) -> None:
    dataset = api.open_dataset(write_config(place / "dataset.yaml", FINISHED))
    copied: list[Any] = []
    run_python("resume.md", 0, dataset=dataset, copy_to_bucket=copied.append)
    assert len(copied) == 1


def test_models_a_client_of_ones_own(place: Path) -> None:
    class Library:
        async def ask(self, model: str, text: str) -> str:
            return f"{model}: {text}"

    config = dataset_config(llm("text", "hello"), num_records=2)
    config["model_configs"][0]["provider"] = "mine"
    config["model_providers"] = [{"name": "mine", "provider_type": "custom"}]
    write_config(place / "tickets.yaml", config)
    dataset = run_python("models.md", 0, my_library=Library())["dataset"]
    api.generate(dataset)
    assert dataset.to_polars()["text"].to_list() == ["m: hello"] * 2


def test_seeds_a_reader_of_ones_own(place: Path) -> None:
    (place / "readers.py").write_text(shown("seeds.md", 0), encoding="utf-8")
    (place / "tickets").mkdir()
    (place / "tickets" / "one.json").write_text(
        '[{"question": "why"}, {"question": "how"}]', encoding="utf-8"
    )
    source = {
        "seed_type": "custom",
        "reader": "./readers.py:Tickets",
        "params": {"path": "tickets"},
    }
    config = dataset_config(
        expression("asked", "{{ question }}?"),
        num_records=2,
        seed_config={"source": source},
    )
    dataset = api.open_dataset(write_config(place / "dataset.yaml", config))
    api.generate(dataset)
    assert dataset.to_polars()["asked"].to_list() == ["why?", "how?"]


def made_by(place: Path, config: dict[str, Any]) -> list[dict[str, Any]]:
    pipeline = pipelines.open_pipeline(
        write_config(
            place / "pipeline.yaml", {"kind": "pipeline", "name": "p", **config}
        )
    )
    pipelines.generate(pipeline)
    return pl.read_parquet(place / "data" / "p" / "*" / "**" / "*.parquet").to_dicts()


def test_pipelines_a_reader_of_ones_own(place: Path) -> None:
    stub = """
from types import SimpleNamespace

def list_of_tickets(board):
    return [SimpleNamespace(id=1, text="hi", updated_at="now")]

"""
    (place / "readers.py").write_text(stub + shown("pipelines.md", 0), encoding="utf-8")
    reader = {
        "reader": "custom",
        "reader_class": "./readers.py:Tickets",
        "params": {"board": "help"},
    }
    assert [
        row["text"]
        for row in made_by(
            place, {"sources": reader, "stages": [], "sink": {"columns": ["text"]}}
        )
    ] == ["hi"]


def test_pipelines_a_function(place: Path) -> None:
    (place / "functions.py").write_text(shown("pipelines.md", 1), encoding="utf-8")
    sources = {"reader": "files", "path": "docs/*.md"}
    stages = [{"stage": "function", "function": "./functions.py:clean"}]
    [row] = made_by(
        place, {"sources": sources, "stages": stages, "sink": {"columns": ["content"]}}
    )
    assert row["content"].endswith("lamps.")


def test_curator_a_pipeline_in_python(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = run_python(
        "from-curator.md", 0, load_model=lambda: lambda texts: [0.9 for _ in texts]
    )
    assert names["summary"].rows > 0 and names["summary"].remaining == 0
    assert "Score" in capsys.readouterr().out


def test_every_python_block_is_one_of_these() -> None:
    """Those above, by page."""
    counts: dict[str, int] = {}
    for block in blocks():
        if block.language == "python" and shown_elsewhere(block) is None:
            counts[block.page] = counts.get(block.page, 0) + 1
    assert counts == {
        "custom-columns.md": 2,
        "from-curator.md": 1,
        "models.md": 1,
        "pipelines.md": 2,
        "python.md": 2,
        "resume.md": 1,
        "seeds.md": 1,
    }
