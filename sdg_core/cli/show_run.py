"""What `sdg generate` prints: lines, as most runs have nothing to put into a table or to colour."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sdg_core.cli.output import print_json, say
from sdg_core.cli.show_money import run_costs
from sdg_core.counts import all_of, counted

if TYPE_CHECKING:
    from sdg_core.api import RunSummary


def run_summary(summary: "RunSummary", *, following: str | None, as_json: bool) -> None:
    """The outcome of `sdg generate`. following: arguments of the next command; None after some row groups of several."""
    if as_json:
        return print_json(summary.to_dict())
    if not summary.written and not summary.remaining and not summary.adopted:
        say("nothing to do: this slice has no row groups")
    elif not summary.written and not summary.remaining:
        say(f"nothing to do: {all_of(summary.adopted, 'row group', 'are')} complete")
    else:
        say(
            f"{counted(summary.generated, 'record')} generated, {summary.failed:,} failed; "
            f"{counted(summary.written, 'row group')} written, "
            f"{summary.adopted:,} already complete"
        )
    for line in (*_details(summary), *run_costs(summary)):
        say(line)
    say(f"in {summary.version.row_groups}")
    if summary.remaining > summary.waiting:
        _say_what_remains(summary)
    elif following is not None and not summary.waiting:
        say(f"next: sdg process {following}")


def _say_what_remains(summary: "RunSummary") -> None:
    from rich.text import Text

    from sdg_core.cli.tables import stdout

    first = (
        f" (first failure: {summary.first_failure})" if summary.first_failure else ""
    )
    remaining = (
        f"{counted(summary.remaining - summary.waiting, 'record', 'remain')}; run again to retry them",
        "yellow",
    )
    stdout().print(Text.assemble(remaining, first), soft_wrap=True)


def _details(summary: "RunSummary") -> Iterator[str]:
    """What people should know beyond the counts."""
    if summary.dropped:
        yield f"{counted(summary.dropped, 'record', 'have')} no row: none of their candidates was kept (see rejected/)"
    if summary.waiting:
        yield f"{counted(summary.waiting, 'record', 'wait')} for deferred replies; run again once they have arrived"
    if summary.replayed - summary.sampled:
        replayed = counted(summary.replayed - summary.sampled, "reply", "were")
        yield f"{replayed} replayed from the journal, not paid for again"
    if summary.sampled:
        yield f"{counted(summary.sampled, 'reply', 'were')} reused from previews and estimates, not paid for again"
    if summary.carried:
        yield f"{counted(summary.carried, 'cell', 'were')} carried over from earlier versions, not paid for again"
