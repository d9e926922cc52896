"""Commands that make and change data. Heavy imports happen inside the commands, so that `sdg --help` answers at once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sdg_core.cli.app import FAILED_RECORDS, File, NumRecords, Root, app, reports_errors


class Resume(StrEnum):
    """How a run treats data that exists."""

    IF_POSSIBLE = "if_possible"
    ALWAYS = "always"
    NEVER = "never"


@app.command()
@reports_errors
def generate(
    file: File,
    root: Root = None,
    num_records: NumRecords = None,
    row_groups: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Only these row groups, as in 0-9,12. Default: all.", show_default=False),
    ] = None,
    resume: Annotated[
        Resume | None,
        typer.Option(
            help="if_possible: go on, or start a new version if the config changed. always: refuse a changed config. "
            "never: start a new version. Default: the file's run.resume.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make the records that are lacking. Complete row groups are left as they are; nothing is made twice."""
    from sdg_core import api
    from sdg_core.cli import show
    from sdg_core.cli.progress import watching
    from sdg_core.plan.row_groups import parse_row_groups

    dataset = api.open_dataset(file, root=root, num_records=num_records)
    chosen = parse_row_groups(row_groups, len(dataset.plan.row_groups)) if row_groups is not None else None
    with watching(dataset.name) as on_event:
        summary = api.generate(
            dataset, row_groups=chosen, resume=resume.value if resume is not None else None, on_event=on_event
        )
    show.run_summary(summary)
    if summary.lacking:
        raise typer.Exit(FAILED_RECORDS)


@app.command()
@reports_errors
def process(
    file: File,
    root: Root = None,
    num_records: NumRecords = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Leave out records that failed for good.")
    ] = False,
) -> None:
    """Write the finished dataset from complete row groups, and seal: no further generation into this version."""
    from sdg_core import api
    from sdg_core.cli import show

    dataset = api.open_dataset(file, root=root, num_records=num_records)
    show.processed(api.process(dataset, allow_missing=allow_missing))


@app.command()
@reports_errors
def reopen(file: File, root: Root = None, num_records: NumRecords = None) -> None:
    """Remove the seal and the processed output. Row groups stay; generation is possible again."""
    from sdg_core import api

    dataset = api.open_dataset(file, root=root, num_records=num_records)
    if api.reopen(dataset):
        typer.echo(f"{dataset.name}: reopened; the processed output is removed, row groups are kept")
    else:
        typer.echo(f"{dataset.name}: was not sealed; nothing to do")


@app.command("import")
@reports_errors
def import_(
    file: Annotated[Path, typer.Argument(metavar="BUILDER_CONFIG", help="A config written by NeMo Data Designer.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write. Default: print it.", show_default=False)
    ] = None,
) -> None:
    """Turn a builder config of NeMo Data Designer into a dataset file, and say which of its keys mean nothing here."""
    from sdg_core import api
    from sdg_core.errors import RefusedError
    from sdg_core.store.atomic import write_atomic

    imported = api.import_builder_config(file)
    for key in imported.ignored:
        typer.echo(f"ignored: {key}", err=True)
    if output is None:
        typer.echo(imported.text, nl=False)
    elif output.exists():
        raise RefusedError(f"{output} exists", remedy="name another file; nothing was written")
    else:
        write_atomic(output.absolute(), imported.text.encode())
        typer.echo(f"written to {output}")
