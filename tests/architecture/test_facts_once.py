"""Facts that have one home: each is spelled in the modules that own it, and nowhere else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sdg import PROJECT

CODE = [*(PROJECT / "sdg_core").rglob("*.py"), *(PROJECT / "sdg_assets").rglob("*.py")]
TESTS = [
    path
    for folder in ("tests", "benchmarks", "examples")
    for path in (PROJECT / folder).rglob("*.py")
    if path != Path(__file__)
]
DOCS = [*(PROJECT / "docs").rglob("*.md"), PROJECT / "README.md"]
FINISHING = {
    "sdg_core/api/finish.py",
    "sdg_core/processing/export.py",
    "sdg_core/processing/hub.py",
    "sdg_core/profiling/build.py",
}
OWNERS = {
    "names of finished files": (r'["\'/]part-[*{]', {"sdg_core/store/layout.py"}),
    "which storage a path is of": (
        r"isinstance\([^)]*\bObjectPath\b",
        {
            "sdg_core/store/access.py",
            "sdg_core/store/object_storage.py",
            "sdg_core/store/objects.py",
        },
    ),
    "whether a process is alive": (
        r"boot_id|/proc/\{|os\.kill\([^,]+, 0\)",
        {"sdg_core/system/processes.py"},
    ),
    "where user code is loaded from": (
        r"spec_from_file_location|exec_module",
        {"sdg_core/plan/usercode/loader.py"},
    ),
    "what names an environment variable": (
        r'\^?\[A-Za-z_\]\[A-Za-z0-9_\]\*\$?"',
        {"sdg_core/config/base.py"},
    ),
    "what is an address of the web": (
        r'startswith\(\("http',
        {"sdg_core/config/addresses.py"},
    ),
    "the number in a version's name": (
        r'partition\("-"\)',
        {"sdg_core/plan/fingerprint.py"},
    ),
    "what Dagster does not promise": (
        r"(?:from|import) dagster\._",
        {"sdg_assets/dagster_private.py"},
    ),
    "what tokens cost": (
        r"Decimal\(1_000_000\)|per_million",
        {"sdg_core/plan/usage.py"},
    ),
    "which columns are kept": (r"\.drop\b(?! ?\()", {"sdg_core/plan/compile.py"}),
    "how data is finished": (
        r"\b(?:make_report|write_report|push_finished|export_version)\(",
        FINISHING,
    ),
    "processes that end with the interpreter": (
        r"atexit\.register",
        {"sdg_core/system/bounded_process.py", "sdg_core/seeds/parquet_batches.py"},
    ),
    "simulated models in the place of real ones": (
        r'provider_type="simulated"',
        {"sdg_core/plan/models.py"},
    ),
    "numbers of files and row groups": (r":05d\}", {"sdg_core/store/layout.py"}),
}
TRANSLATED = re.compile(
    r"\b(?:lacking|mend|mends|mended|begun|anew|whoever|pictures?)\b", re.IGNORECASE
)
FORMER_NAMES = re.compile(
    r"^_?(?:MOST|LARGEST|LONGEST|SHOWN)(?:_[A-Z_]+)?$|_AT_ONCE$|^_?(?:STOCK|AT_MOST|DEATHS|SHORTEST|LOOK|IN_VAIN|LIVES)$"
    r"|^_(?:said|told|tell|fitted|unlike|apart|afresh|elsewhere|wish|reckoned)$"
    r"|^(?:leftovers|stock|looking|making|giving|lacking|judging|judges|remembered)$"
    r"|(?:^|_)(?:in_words|give_back|move_aside|read_if_there|may_be_variable)$"
    r"|^(?:claimed_work|paid_cells|skips_ahead|half_surrogates|drawing|begun_by)$"
    r"|^(?:config_part|find_bounds|draw_bound|take_in_turn|shows_refusal|on_retry)$"
    r"|^(?:look_ahead|can_look_ahead|on_trouble|last_fault|lost_reason|taken_apart)$"
    r"|^(?:usages|elsewhere|spreads|signed|tools_closed|tally|afresh|write_down)$"
    r"|^(?:ClaimedWork|PaidCells|SkipsAhead|InHand|Standing|Drawing|DrawStream)$"
    r"|^(?:SomeDraws|ObjectStoreFault|Patience|Around)$|^(?:judge_by|judge_python)"
    r"|(?:json_schema|regex|sql)_judge$|_together$|[Pp]icture|PICTURE"
)
"""Of functions, arguments, classes, fields, constants and modules, which have the name that the field uses now."""
KEPT_NAMES = {"ALLOW_PICTURE_HOSTS"}
"""Of the setting that is read until 0.3."""
QUOTED = re.compile(r"`[^`\n]*`|\"[^\"\n]*\"|'[^'\n]*'")
PLACE = re.compile(
    r"`((?:sdg_core|sdg_assets|tests|docs|examples|benchmarks|deploy)/[\w/.-]+)`"
)


def spelled(pattern: str) -> set[str]:
    found = re.compile(pattern)
    return {
        path.relative_to(PROJECT).as_posix()
        for path in CODE
        if found.search(path.read_text(encoding="utf-8")) is not None
    }


@pytest.mark.parametrize("fact", OWNERS)
def test_a_fact_has_one_home(fact: str) -> None:
    pattern, owners = OWNERS[fact]
    found = spelled(pattern)
    assert found <= owners and found, "say it in its home, and call it from there"


def prose() -> Iterator[tuple[str, str]]:
    """Lines of code and docs without what they quote, with their places."""
    for path in (*CODE, *DOCS, *TESTS):
        for number, line in enumerate(
            path.read_text(encoding="utf-8").splitlines(), start=1
        ):
            yield f"{path.relative_to(PROJECT)}:{number}", QUOTED.sub("", line)


def test_no_translated_word_is_left() -> None:
    assert [place for place, line in prose() if TRANSLATED.search(line)] == []


def test_messages_have_none_of_them_either() -> None:
    """In code a quoted word is a message, except for the key of JSON that stays until 0.3."""
    found = []
    for path in CODE:
        text = path.read_text(encoding="utf-8").replace('"lacking"', "")
        text = text.replace("dataset_with_pictures", "").replace(
            "allow_picture_hosts", ""
        )
        found += [
            f"{path.relative_to(PROJECT)}: {match[0]}"
            for match in TRANSLATED.finditer(text)
        ]
    assert found == []


def defined(path: Path) -> Iterator[str]:
    """The name of a module, and those that it defines: functions, arguments, classes, fields and constants."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.AnnAssign(target=ast.Name()):
                yield node.target.id
            case ast.Name(ctx=ast.Store()) if node.id.isupper():
                yield node.id


def test_no_former_name_is_left() -> None:
    found = []
    for path in (*CODE, *TESTS):
        former = {
            name
            for name in defined(path)
            if FORMER_NAMES.search(name) and not name.startswith("test_")
        } - KEPT_NAMES
        found += [f"{path.relative_to(PROJECT)}: {name}" for name in sorted(former)]
    assert found == []


@pytest.mark.parametrize(
    "page",
    sorted((PROJECT / "docs" / "design").glob("*.md")),
    ids=lambda path: Path(path).name,
)
def test_the_design_pages_name_places_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [name for name in PLACE.findall(text) if not (PROJECT / name).exists()] == []


def test_the_map_of_the_code_names_places_that_exist() -> None:
    """Where the tables of the overview name modules, they leave `sdg_core/` out."""
    text = (PROJECT / "docs" / "design" / "README.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    named = [name for row in rows for name in re.findall(r"`([\w/]+(?:\.py|/))`", row)]
    assert len(named) > 50
    homes = (PROJECT, PROJECT / "sdg_core")
    assert [
        name for name in named if not any((home / name).exists() for home in homes)
    ] == []


def test_the_modules_that_design_notes_name_exist() -> None:
    """By a path's end, as in `providers/http.py`; tables of counterparts name modules of other projects."""
    files = [f"/{path.relative_to(PROJECT).as_posix()}" for path in CODE]
    files += [
        f"/{path.relative_to(PROJECT).as_posix()}"
        for folder in ("tests", "benchmarks", "examples")
        for path in (PROJECT / folder).rglob("*.py")
    ]
    gone = []
    for page in (PROJECT / "docs" / "design").glob("*.md"):
        if page.name in ("curator-counterparts.md", "data-designer-tests.md"):
            continue
        for name in re.findall(r"`([\w/]+\.py)`", page.read_text(encoding="utf-8")):
            if not any(file.endswith(f"/{name}") for file in files):
                gone.append(f"{page.name}: {name}")
    assert gone == []


def test_what_design_notes_place_in_a_module_stands_there() -> None:
    """As in "`client_of` of `providers/client.py`"."""
    placed = re.compile(r"`([\w.]+)` (?:in|of) `([\w/]+\.py)`")
    modules = [
        path
        for folder in ("sdg_core", "sdg_assets", "tests", "benchmarks")
        for path in (PROJECT / folder).rglob("*.py")
    ]
    found = 0
    gone = []
    for page in (PROJECT / "docs" / "design").glob("*.md"):
        text = " ".join(page.read_text(encoding="utf-8").split())
        for name, module in placed.findall(text):
            found += 1
            texts = [
                path.read_text(encoding="utf-8")
                for path in modules
                if path.as_posix().endswith(f"/{module}")
            ]
            if not any(name.rpartition(".")[2] in each for each in texts):
                gone.append(f"{page.name}: {name} of {module}")
    assert found > 10 and gone == []
