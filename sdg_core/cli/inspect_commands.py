"""Commands that look and write nothing. Heavy imports happen inside the commands, so that `sdg --help` answers at once."""

from typing import Annotated

import typer

from sdg_core.api import resume_mode
from sdg_core.cli import pipeline_commands as pipeline
from sdg_core.cli.app import (
    FAILED_RECORDS,
    REFUSED,
    AsJson,
    File,
    NumRecords,
    ResumeOption,
    Root,
    RowGroups,
    ShardOption,
    reports_errors,
)


@reports_errors
def validate(
    file: File,
    root: Root = None,
    num_records: NumRecords = None,
    as_json: AsJson = False,
) -> None:
    """Check a dataset file and its seed data, and show what it would generate. Calls no models and writes nothing."""
    if pipeline.is_pipeline(file):
        pipeline.refuse(file, **{"--num-records": num_records})
        return pipeline.validate(file, root=root, as_json=as_json)
    from sdg_core import api
    from sdg_core.cli import show
    from sdg_core.cli.output import print_json, say
    from sdg_core.cli.trust import look_at
    from sdg_core.errors import SeedNotReadError

    try:
        dataset = look_at(file, root=root, num_records=num_records)
    except SeedNotReadError as error:
        if as_json:
            return print_json(
                {
                    "ok": True,
                    "file": str(file),
                    "seed_data_checked": False,
                    "notices": [str(error)],
                }
            )
        say(f"{file}: no problems found; not checked against its seed data: {error}")
        return
    unread = api.check_evaluation_sets(dataset)
    show.plan(
        dataset,
        acceptances=api.measure_constraints(dataset),
        notices=unread,
        as_json=as_json,
    )


@reports_errors
def preview(
    file: File,
    num_records: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--num-records",
            min=1,
            help="Number of records. Default: 10.",
            show_default=False,
        ),
    ] = None,
    record: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Show only this record, or -n records starting at it.",
            show_default=False,
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Show long values and prompts in full.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON array of records.")
    ] = False,
    root: Root = None,
) -> None:
    """Generate a few records in memory and show them with the prompts that were sent. Calls models for these records;
    stores no records."""
    default = 10 if record is None else 1
    count = num_records or default
    if pipeline.is_pipeline(file):
        pipeline.refuse(file, **{"--record": record})
        return pipeline.preview(
            file, num_records=count, as_json=as_json, full=full, root=root
        )
    from sdg_core import api
    from sdg_core.cli import show
    from sdg_core.cli.progress import waiting
    from sdg_core.cli.trust import ask_before_running

    ask_before_running(file, root=root)
    with waiting("preview", records=count) as on_event:
        result = api.preview(
            file, num_records=count, first=record or 0, root=root, on_event=on_event
        )
    show.preview(result, as_json=as_json, full=full)
    if result.failures:
        raise typer.Exit(FAILED_RECORDS)


@reports_errors
def estimate(
    file: File,
    sample: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--sample",
            min=1,
            help="Number of records to sample. Default: 5; for a pipeline, 20 sources.",
            show_default=False,
        ),
    ] = None,
    root: Root = None,
    num_records: NumRecords = None,
    as_json: AsJson = False,
) -> None:
    """Estimate requests, tokens, cost and time for the remaining records. Calls models for a small sample (for a
    pipeline, not at all); stores no records."""
    if pipeline.is_pipeline(file):
        pipeline.refuse(file, **{"--num-records": num_records})
        return pipeline.estimate(file, sample=sample, root=root, as_json=as_json)
    from sdg_core import api
    from sdg_core.cli import show_estimate
    from sdg_core.cli.progress import waiting
    from sdg_core.cli.trust import ask_before_running

    ask_before_running(file, root=root)
    count = sample or 5
    with waiting("estimate", records=count) as on_event:
        dataset = api.open_dataset(file, root=root, num_records=num_records)
        result = api.estimate(dataset, sample=count, on_event=on_event)
    show_estimate.estimate(result, as_json=as_json)
    if result.failed:
        raise typer.Exit(FAILED_RECORDS)


@reports_errors
def status(
    file: File,
    root: Root = None,
    num_records: NumRecords = None,
    as_json: AsJson = False,
) -> None:
    """Show what is in storage: row groups by state, records, failures, usage, and whether the dataset is sealed."""
    if pipeline.is_pipeline(file):
        pipeline.refuse(file, **{"--num-records": num_records})
        return pipeline.status(file, root=root, as_json=as_json)
    from sdg_core import api
    from sdg_core.cli import show
    from sdg_core.cli.trust import look_at

    dataset = look_at(file, root=root, num_records=num_records)
    show.status(api.status(dataset), as_json=as_json)


@reports_errors
def plan(
    file: File,
    root: Root = None,
    num_records: NumRecords = None,
    row_groups: RowGroups = None,
    shard: ShardOption = None,
    resume: ResumeOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what `generate` would do with the same options: which version it would write, what it would reuse and
    generate, and which models it would call. Calls no models and writes nothing."""
    if pipeline.is_pipeline(file):
        pipeline.refuse(
            file, **{"--num-records": num_records, "--row-groups": row_groups}
        )
        return pipeline.plan(
            file, root=root, resume=resume_mode(resume), shard=shard, as_json=as_json
        )
    from sdg_core import api
    from sdg_core.cli import show_plan
    from sdg_core.cli.options import chosen_row_groups
    from sdg_core.cli.trust import look_at

    dataset = look_at(file, root=root, num_records=num_records)
    chosen = chosen_row_groups(
        len(dataset.plan.row_groups), row_groups=row_groups, shard=shard
    )
    found = api.plan(dataset, row_groups=chosen, resume=resume_mode(resume))
    show_plan.run_plan(found, as_json=as_json)
    if found.refused is not None:
        raise typer.Exit(REFUSED)


@reports_errors
def check_models(
    file: File,
    root: Root = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON.")
    ] = False,
) -> None:
    """Check each model for availability, latency and structured-output support, and list the tools that models may
    call. Costs a few tokens per model; writes nothing."""
    from sdg_core import api
    from sdg_core.cli import show_health
    from sdg_core.cli.trust import ask_before_running

    ask_before_running(file, root=root)
    if pipeline.is_pipeline(file):
        opened = pipeline.opened(file, root)
    else:
        opened = api.open_dataset(file, root=root)
    models = api.check_models(opened)
    tools = api.check_tools(opened)
    show_health.health(models, tools, as_json=as_json)
    models_answer = all(row.ok for row in models)
    tools_answer = all(row.ok for row in tools)
    if not (models_answer and tools_answer):
        raise typer.Exit(REFUSED)
