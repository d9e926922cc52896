"""`python -m tests.hostile.campaign [KIND...] [--seed N] [--scale F] [--out FILE]`: the long campaign, or some kinds of it."""

import argparse
import json
import tempfile
from pathlib import Path

from tests.hostile.campaign.commands import Runner
from tests.hostile.campaign.inputs import KINDS, cases
from tests.hostile.campaign.recorder import recording
from tests.hostile.campaign.scoreboard import Scoreboard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=[*KINDS])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    scoreboard = Scoreboard()
    place = Path(tempfile.mkdtemp(prefix="sdg-campaign-"))
    with recording():
        for kind in options.kinds:
            runner = Runner(place, scoreboard, keep=True)
            number = max(1, round(KINDS[kind][1] * options.scale))
            runner.run(cases(kind, number, seed=options.seed))
            print(
                f"{kind}: slowest {runner.slowest[-2:]}; at most {runner.most_megabytes} MB resident, "
                f"{runner.most_addresses} MB of addresses",
                flush=True,
            )
            print(scoreboard.table(), flush=True)
            if options.out:
                options.out.write_text(
                    json.dumps(
                        {k: (c.tried, c.failures) for k, c in scoreboard.counts.items()}
                    )
                )


if __name__ == "__main__":
    main()
