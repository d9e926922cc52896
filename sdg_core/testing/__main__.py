"""`python -m sdg_core.testing --port 0`: a model server as a process; it prints its URL and serves until it is told to stop."""

import argparse
import asyncio
import signal
import sys
from typing import get_args

from sdg_core.testing.model_faults import Fault, FaultKind, limited, status
from sdg_core.testing.model_server import ModelServer


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="An OpenAI-compatible server for tests."
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds per reply")
    parser.add_argument("--api-key")
    kinds = ", ".join(get_args(FaultKind))
    parser.add_argument(
        "--rate",
        action="append",
        default=[],
        metavar="KIND=SHARE",
        help=f"inject faults: {kinds}, or a status",
    )
    parser.add_argument("--retry-after", help="value of Retry-After on injected 429s")
    parser.add_argument(
        "--delay", type=float, default=5.0, help="seconds of a slow reply"
    )
    return parser.parse_args(arguments)


def _rates(options: argparse.Namespace) -> list[tuple[Fault, float]]:
    rates = []
    for item in options.rate:
        kind, share = item.split("=")
        if kind == "limited":
            fault = limited(options.retry_after)
        elif kind.isdigit():
            fault = status(int(kind))
        elif kind in get_args(FaultKind):
            fault = Fault(kind, delay=options.delay)
        else:
            raise SystemExit(f"unknown fault {kind!r}")
        rates.append((fault, float(share)))
    return rates


async def _serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = ModelServer(
        rates=_rates(options),
        latency=options.latency,
        api_key=options.api_key,
        port=options.port,
    )
    async with server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(_serve(_parse(None)))
