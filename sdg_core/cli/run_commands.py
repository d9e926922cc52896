"""Commands that make and change data. Heavy imports happen inside the commands, so that `sdg --help` answers at once."""

from pathlib import Path
from typing import Annotated

import typer

from sdg_core.api import resume_mode
from sdg_core.cli import pipeline_commands as pipeline
from sdg_core.cli.app import (
    FAILED_RECORDS,
    INTERRUPTED,
    REFUSED,
    AsJson,
    ExecutorOption,
    File,
    MaxParallelRequestsOption,
    NumRecords,
    ResumeOption,
    Root,
    RowGroups,
    ShardOption,
    WhenClaimedOption,
    is_untrusted,
    reports_errors,
)


@reports_errors
def generate(
    file: File,
    root: Root = None,
    num_records: NumRecords = None,
    row_groups: RowGroups = None,
    shard: ShardOption = None,
    resume: ResumeOption = None,
    when_claimed: WhenClaimedOption = None,
    max_parallel_requests: MaxParallelRequestsOption = None,
    executor: ExecutorOption = None,
    as_json: AsJson = False,
) -> None:
    """Generate the remaining records. Complete row groups are left untouched."""
    from sdg_core.cli.options import chosen_row_groups, named_again, run_changes

    changes = run_changes(
        when_claimed=when_claimed,
        max_parallel_requests=max_parallel_requests,
        executor=executor,
    )
    if pipeline.is_pipeline(file):
        pipeline.refuse(
            file, **{"--num-records": num_records, "--row-groups": row_groups}
        )
        return pipeline.generate(
            file,
            root=root,
            resume=resume_mode(resume),
            settings=changes,
            shard=shard,
            as_json=as_json,
        )
    from sdg_core import api
    from sdg_core.cli.progress import watching
    from sdg_core.cli.show_run import run_summary
    from sdg_core.cli.trust import ask_before_running

    if executor is not None:
        pipeline.refuse_for_dataset(file, "--executor")
    ask_before_running(file, root=root)
    dataset = api.open_dataset(file, root=root, num_records=num_records)
    chosen = chosen_row_groups(
        len(dataset.plan.row_groups), row_groups=row_groups, shard=shard
    )
    with watching(dataset.name) as on_event:
        summary = api.generate(
            dataset,
            row_groups=chosen,
            resume=resume_mode(resume),
            settings=dataset.plan.config.run.model_copy(update=changes),
            on_event=on_event,
        )
    following = (
        named_again(file, root, num_records=num_records) if chosen is None else None
    )
    run_summary(summary, following=following, as_json=as_json)
    if summary.waiting:
        raise typer.Exit(INTERRUPTED)
    if summary.remaining:
        raise typer.Exit(FAILED_RECORDS)


@reports_errors
def process(
    file: File,
    root: Root = None,
    num_records: NumRecords = None,
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing", help="Leave out records that failed permanently."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the finished dataset and its report from complete row groups, and seal the version against further generation."""
    from sdg_core import api
    from sdg_core.cli import show_results
    from sdg_core.cli.options import named_again
    from sdg_core.cli.progress import watching
    from sdg_core.cli.trust import ask_before_processing

    ask_before_processing(file, root=root)
    opened = pipeline.look_at_either(file, root=root, num_records=num_records)
    with watching(opened.name) as on_event:
        result = api.process(opened, allow_missing=allow_missing, on_event=on_event)
    show_results.processed(result, following=named_again(file, root), as_json=as_json)


@reports_errors
def reopen(
    file: File,
    root: Root = None,
    num_records: NumRecords = None,
    as_json: AsJson = False,
) -> None:
    """Remove the seal and the processed output. Row groups are kept, and generation is possible again."""
    from sdg_core import api
    from sdg_core.cli import show_results

    opened = pipeline.look_at_either(file, root=root, num_records=num_records)
    kept = "row groups" if isinstance(opened, api.Dataset) else "partitions"
    show_results.reopened(
        opened.name, kept=kept, done=api.reopen(opened), as_json=as_json
    )


@reports_errors
def prune(
    file: File,
    root: Root = None,
    keep: Annotated[
        int, typer.Option(min=0, help="Keep the N most recently changed old versions.")
    ] = 0,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Skip the confirmation.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be removed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove old versions and unused checkpoints, after confirmation. Always keeps the current version and the
    version that matches the file."""
    from sdg_core import api
    from sdg_core.api import pipelines
    from sdg_core.cli import show_versions

    opened = pipeline.look_at_either(file, root=root)

    def remove(*, dry_run: bool) -> pipelines.Prunable:
        if isinstance(opened, api.Dataset):
            return pipelines.Prunable(api.prune(opened, keep=keep, dry_run=dry_run))
        return pipelines.prune(opened, keep=keep, dry_run=dry_run)

    found = remove(dry_run=True)
    is_final = dry_run or not found
    if is_final or not as_json:
        show_versions.prunable(found, as_json=as_json)
    if is_final:
        return
    _confirm(f"Remove {show_versions.how_much(found)} permanently?", yes=yes)
    removed = remove(dry_run=False)
    if as_json:
        show_versions.prunable(removed, as_json=True)
    typer.echo(f"{opened.name}: removed {show_versions.how_much(removed)}", err=True)


def _confirm(question: str, *, yes: bool) -> None:
    """Ask unless that was answered before. Raises RefusedError without a terminal, Exit for a no."""
    import sys

    from sdg_core.errors import RefusedError

    if yes:
        return
    if not sys.stdin.isatty():
        raise RefusedError(
            "nothing was removed: no terminal to confirm on", remedy="add --yes"
        )
    if not typer.confirm(question, err=True):
        typer.echo("nothing was removed", err=True)
        raise typer.Exit(REFUSED)


@reports_errors
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="BUILDER_CONFIG",
            help="A builder config written by NeMo Data Designer.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Output file. Default: standard output.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Convert a NeMo Data Designer builder config to a dataset file, and list the keys that have no effect here."""
    import sys

    from sdg_core import api
    from sdg_core.api import write_atomic
    from sdg_core.cli.output import printable, say
    from sdg_core.errors import RefusedError

    imported = api.import_builder_config(file, untrusted=is_untrusted())
    for key in imported.ignored:
        say(f"ignored: {key}", err=True)
    for what in imported.added:
        say(f"added: {what}", err=True)
    for note in imported.notes:
        say(f"note: {note}", err=True)
    if output is None:
        text = imported.text
        if sys.stdout.isatty():  # a file gets what is meant, a person what can be shown
            text = printable(text)
        typer.echo(text, nl=False)
    elif output.exists():
        raise RefusedError(
            f"{output} exists", remedy="choose another file; nothing was written"
        )
    else:
        write_atomic(output.absolute(), imported.text.encode())
        say(f"written to {output}")
