"""What a campaign tried, what held, and what did not: a line of the table for each kind of input."""

from dataclasses import dataclass, field


@dataclass
class Count:
    """Of one kind of input. failures: what is wrong with which input."""

    tried: int = 0
    failures: dict[str, list[str]] = field(default_factory=dict)
    skipped: str = ""

    @property
    def held(self) -> int:
        return self.tried - len(self.failures)


class Scoreboard:
    """The counts by kind, in the order in which kinds were first tried."""

    def __init__(self) -> None:
        self.counts: dict[str, Count] = {}

    def add(self, kind: str, name: str, faults: list[str], *, tried: int = 1) -> None:
        """Count an input, or several that were tried together, with what is wrong."""
        count = self.counts.setdefault(kind, Count())
        count.tried += tried
        if faults:
            count.failures[name] = faults

    def skip(self, kind: str, reason: str) -> None:
        """Note that this machine does not allow a kind."""
        self.counts.setdefault(kind, Count()).skipped = reason

    def failures(self) -> dict[str, list[str]]:
        """All that is wrong, by kind and name."""
        return {
            f"{kind}: {name}": faults
            for kind, count in self.counts.items()
            for name, faults in count.failures.items()
        }

    def table(self) -> str:
        """The counts as Markdown."""
        lines = ["| kind | tried | held | failed |", "|---|---|---|---|"]
        for kind, count in self.counts.items():
            note = f" (skipped: {count.skipped})" if count.skipped else ""
            lines.append(
                f"| {kind}{note} | {count.tried:,} | {count.held:,} | {len(count.failures)} |"
            )
        tried = sum(count.tried for count in self.counts.values())
        failed = sum(len(count.failures) for count in self.counts.values())
        lines.append(f"| all | {tried:,} | {tried - failed:,} | {failed} |")
        return "\n".join(lines)
