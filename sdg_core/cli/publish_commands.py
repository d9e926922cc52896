"""Commands that hand a dataset on: a report for its readers, a file for other programs. Heavy imports happen inside."""

from pathlib import Path
from typing import Annotated

import typer

from sdg_core.cli import pipeline_commands as pipeline
from sdg_core.cli.app import AsJson, File, NumRecords, Root, reports_errors


@reports_errors
def report(
    file: File,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Write the page here instead of report.html beside the data.", show_default=False
        ),
    ] = None,
    root: Root = None,
    num_records: NumRecords = None,
    as_json: AsJson = False,
) -> None:
    """Describe the data in one page: how it was made, what failed, columns, samples. If unfinished, of what there is so far."""
    from sdg_core import api
    from sdg_core.api import pipelines
    from sdg_core.cli import show_report

    if pipeline.is_pipeline(file):
        pipeline.refuse(file, **{"--num-records": num_records})
        made = pipelines.report(pipelines.open_pipeline(file, root=root), output=output)
        return show_report.report(made, as_json=as_json)
    dataset = api.open_dataset(file, root=root, num_records=num_records, offline=True)
    show_report.report(api.report(dataset, output=output), as_json=as_json)


@reports_errors
def export(
    file: File,
    output: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="A .parquet, .jsonl or .csv file (or .jsonl.gz, ...).", show_default=False),
    ],
    root: Root = None,
    num_records: NumRecords = None,
    partial: Annotated[bool, typer.Option("--partial", help="Unfinished: the rows there are so far.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    defuse: Annotated[
        bool,
        typer.Option("--defuse-formulas", help="csv: an apostrophe before text that a spreadsheet would run."),
    ] = False,
) -> None:
    """Write the finished dataset into one file."""
    from sdg_core import api
    from sdg_core.api import pipelines

    if pipeline.is_pipeline(file):
        pipeline.refuse(file, **{"--num-records": num_records})
        opened = pipelines.open_pipeline(file, root=root)
        exported = pipelines.export(opened, output, partial=partial, overwrite=force, defuse_formulas=defuse)
        if not exported.finished:
            typer.echo(f"{opened.name}: not finished: {exported.num_rows:,} rows so far", err=True)
        typer.echo(f"{exported.num_rows:,} rows written to {exported.path}")
        return

    dataset = api.open_dataset(file, root=root, num_records=num_records, offline=True)
    exported = api.export(dataset, output, partial=partial, overwrite=force, defuse_formulas=defuse)
    if not exported.finished:
        planned = dataset.plan.num_records
        typer.echo(f"{dataset.name}: not finished: {exported.num_rows:,} rows for {planned:,} records", err=True)
    typer.echo(f"{exported.num_rows:,} rows written to {exported.path}")
