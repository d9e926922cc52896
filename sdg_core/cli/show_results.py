"""What commands print that have made something: `sdg process`, `sdg reopen`, `sdg export`."""

from collections.abc import Mapping
from pathlib import Path

import typer

from sdg_core.api import Exported, ProcessingResult
from sdg_core.cli.output import print_json, say
from sdg_core.cli.tables import stdout
from sdg_core.counts import counted

_LOADERS = {".parquet": "parquet", ".jsonl": "json", ".csv": "csv"}


def processed(result: ProcessingResult, *, following: str, as_json: bool) -> None:
    """The outcome of `sdg process`."""
    report = result.version.report_html
    if as_json:
        report_place = str(report) if report.exists() else None
        return print_json(
            {
                "rows": result.num_rows,
                "already_done": result.already_done,
                "version": result.version.name,
                "outputs": [str(path) for path in result.outputs],
                "removed_by_processor": dict(result.removed_by_processor),
                "report": report_place,
            }
        )
    console = stdout()
    what = "already processed" if result.already_done else "processed and sealed"
    console.print(f"{what}: {counted(result.num_rows, 'row')}")
    for name, count in result.removed_by_processor.items():
        console.print(f"  removed by {name}: {count:,}", soft_wrap=True)
    for path in result.outputs:
        console.print(f"  {path}", soft_wrap=True)
    if report.exists():
        console.print(f"report: {report}", soft_wrap=True)
    names = [
        path.name for path in result.outputs if path != result.version.processed_dataset
    ]
    option = f" (or --processor {names[0]})" if names else ""
    console.print(f"next: sdg export {following} out.jsonl{option}", soft_wrap=True)


def reopened(name: str, *, kept: str, done: bool, as_json: bool) -> None:
    """The outcome of `sdg reopen`. kept: what stays."""
    if as_json:
        print_json({"name": name, "reopened": done})
    elif done:
        typer.echo(
            f"{name}: reopened; the processed output is removed, {kept} are kept"
        )
    else:
        typer.echo(f"{name}: was not sealed; nothing to do")


def exported(result: Exported, *, as_json: bool) -> None:
    """The outcome of `sdg export`."""
    if as_json:
        return print_json(result.to_dict())
    for name, path in result.files.items():
        rows = result.parts.get(name, result.num_rows)
        say(f"{counted(rows, 'row')} written to {path}")
    if result.finished:
        say(f"load it: datasets.load_dataset({_arguments(result.files)})")


def _arguments(files: Mapping[str, Path]) -> str:
    """The arguments with which `datasets` loads these files."""
    names = {name: str(path) for name, path in files.items()}
    some_path, *others = files.values()  # all have one format
    [kind] = [
        loader for ending, loader in _LOADERS.items() if ending in some_path.suffixes
    ]
    data_files = names if others else names["train"]
    return f"{kind!r}, data_files={data_files!r}"
