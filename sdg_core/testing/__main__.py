"""`python -m sdg_core.testing --port 0`: a model server as a process; it prints its URL and serves until it is told to stop."""

import argparse
import asyncio
import signal
import sys
from typing import get_args

from sdg_core.testing.anthropic_server import AnthropicServer
from sdg_core.testing.faulty_server import FaultyServer
from sdg_core.testing.model_faults import Fault, FaultKind, limited, status
from sdg_core.testing.model_server import ModelServer

_KINDS = [kind for kind in get_args(FaultKind) if kind != "status"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sdg_core.testing", description="A model server for tests."
    )
    parser.add_argument(
        "--api",
        choices=["openai", "anthropic"],
        default="openai",
        help="whose API it speaks (default: %(default)s)",
    )
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds per reply")
    parser.add_argument("--api-key", help="the only key that is accepted")
    parser.add_argument(
        "--rate",
        action="append",
        default=[],
        type=_share,
        metavar="KIND=SHARE",
        help=f"inject faults: {', '.join(_KINDS)}, or a status such as 500=0.1",
    )
    parser.add_argument("--retry-after", help="value of Retry-After on injected 429s")
    parser.add_argument(
        "--delay", type=float, default=5.0, help="seconds of a slow reply"
    )
    return parser


def _share(text: str) -> tuple[str, float]:
    kind, _, share = text.partition("=")
    if kind not in _KINDS and not kind.isdigit():
        raise argparse.ArgumentTypeError(
            f"no fault {kind!r}; there are {', '.join(_KINDS)}, and statuses"
        )
    try:
        return kind, float(share)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} has no share; write {kind}=0.1"
        ) from None


def _fault(kind: str, options: argparse.Namespace) -> Fault:
    if kind == "limited":
        return limited(options.retry_after)
    if kind.isdigit():
        return status(int(kind))
    return Fault(kind, delay=options.delay)  # type: ignore[arg-type]  # checked by _share


def _server(options: argparse.Namespace) -> FaultyServer:
    """Raises ValueError for shares that are none."""
    speaks = AnthropicServer if options.api == "anthropic" else ModelServer
    return speaks(
        rates=[(_fault(kind, options), share) for kind, share in options.rate],
        latency=options.latency,
        api_key=options.api_key,
        port=options.port,
    )


async def _serve(server: FaultyServer) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await stop.wait()


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM. What is wrong with the arguments is said, and ends it with status 2."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        server = _server(options)
    except ValueError as error:
        parser.error(f"--rate: {error}")
    try:
        asyncio.run(_serve(server))
    except (OSError, OverflowError) as error:
        parser.error(f"--port {options.port}: {error}")


if __name__ == "__main__":
    main()
