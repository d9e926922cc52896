"""For authors of custom columns: what a function declares about itself, and what it gets in its hands.

    from sdg_core.custom import custom_column_generator

    @custom_column_generator(required_columns=["first", "last"])
    def full_name(row):
        return f"{row['first']} {row['last']}"

The name and the shape of the declaration are those of NeMo Data Designer, so that a function decorated there works here.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

METADATA = "custom_column_metadata"
"""The attribute that holds what a function declares."""

DATASET_CALLABLE = "__sdg_dataset_callable__"
"""The attribute of what any dataset file may name, wherever it is installed."""

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Stage = TypeVar("_Stage", bound="Stage")


class CustomModel(Protocol):
    """A language model in the hands of a custom function: `models["alias"]`."""

    def generate(
        self,
        prompt: str,
        *,
        system_prompt: str | None = None,
        parser: Callable[[str], Any] = str,
    ) -> tuple[Any, list[dict[str, str]]]:
        """Ask from a function that is not async. Returns the parsed reply and the messages that led to it."""

    async def agenerate(
        self,
        prompt: str,
        *,
        system_prompt: str | None = None,
        parser: Callable[[str], Any] = str,
    ) -> tuple[Any, list[dict[str, str]]]:
        """Ask from an async function."""


def custom_column_generator(
    *,
    required_columns: Sequence[str] = (),
    side_effect_columns: Sequence[str] = (),
    model_aliases: Sequence[str] = (),
    version: str | None = None,
) -> Callable[[_Function], _Function]:
    """Declare what a custom function reads, what it makes besides its column, and which models it asks.

    version: part of the fingerprint. The source of the function is, too; what the function calls is not, so raise the version
    when that changes what comes out.
    """

    def declare(function: _Function) -> _Function:
        setattr(
            function,
            METADATA,
            {
                "required_columns": list(required_columns),
                "side_effect_columns": list(side_effect_columns),
                "model_aliases": list(model_aliases),
                "version": version,
            },
        )
        return function

    return declare


@dataclass(frozen=True)
class Filtered:
    """What a pipeline's function returns for a record that is to be left out; it is counted under its reason."""

    reason: str


@dataclass(frozen=True)
class Failed:
    """What a pipeline's function returns for a record that it could not do. retryable: whether another run may try again."""

    reason: str
    retryable: bool = True
    kind: str = "function"
    attempts: int = 1


@dataclass(frozen=True)
class Resources:
    """What a stage asks of a machine, for executors that place stages. The local one runs everything in this process."""

    cpus: float = 1.0
    gpus: float = 0.0


class Stage:
    """A stage of a pipeline: `{stage: function, function: "./stages.py:Clean", params: {...}}` in a file, an object in Python.

    In a file, `params` are the constructor's keyword arguments. A subclass defines `process`, or `process_batch`; either may be
    async. Attributes that do not begin with an underscore are part of the fingerprint, as is the source of the class.

    name: default that of the class. batch_size: records of a `process_batch`. concurrency: batches at once; one, unless the class
    says that it may be called by several threads. version: stands for code that the class calls, and for attributes that have
    no form in JSON. checkpoint: keep what the stage makes of a source.
    """

    name: str = ""
    batch_size: int = 1
    resources: Resources = Resources()
    concurrency: int = 1
    version: str | None = None
    checkpoint: bool = False

    def setup(self) -> Any:
        """Called once per run, before anything is read: load a model, open a connection. What it raises stops the run."""

    def process(self, record: dict[str, Any]) -> Any:
        """One record to a record, a list of records (an empty one leaves it out), None, `Filtered` or `Failed`."""
        raise NotImplementedError(
            f"{type(self).__name__} defines neither process nor process_batch"
        )

    def process_batch(self, records: list[dict[str, Any]]) -> Any:
        """A list with one slot per record, each what `process` may return. What it raises fails all of them."""
        return [self.process(record) for record in records]

    def teardown(self) -> Any:
        """Called once per run, at its end, if `setup` came through."""

    def with_(self: _Stage, **changes: Any) -> _Stage:
        """A copy with other `name`, `batch_size`, `resources`, `concurrency`, `version` or `checkpoint`. Raises TypeError."""
        unknown = sorted(changes.keys() - STAGE_SETTINGS)
        if unknown:
            raise TypeError(
                f"with_ changes {', '.join(sorted(STAGE_SETTINGS))}, not {', '.join(unknown)}"
            )
        copied = copy(self)
        for name, value in changes.items():
            setattr(copied, name, value)
        return copied


STAGE_SETTINGS = frozenset(
    {"name", "batch_size", "resources", "concurrency", "version", "checkpoint"}
)
"""What a stage is told about itself, as opposed to what it does."""


class SourceReader(ABC):
    """A reader of a pipeline's sources: `sources: {reader: custom, reader_class: ./readers.py:Tickets, params: {...}}`.

    `params` are the constructor's keyword arguments. Methods may raise anything: `items` stops the run, the others fail the
    source that they were asked about.
    """

    @abstractmethod
    def items(self) -> Iterable[Any]:
        """Every source that there is now: whatever `expand` needs to know of one. Called once."""

    @abstractmethod
    def expand(self, item: Any) -> Iterable[Mapping[str, Any] | Failed | Filtered]:
        """The records of a source, always in the same order; they may be generated one by one."""

    def locator(self, item: Any) -> str:
        """The name of a source, the same in every run and different for every source."""
        return str(item)

    def version(self, item: Any) -> str | None:
        """Changes whenever the records do; None to have the records read and compared instead."""
        return None


def dataset_callable(target: _Function) -> _Function:
    """Let dataset files name a function or class although it is installed: a validator, a client, a reader, a schema.

    What lies beside a dataset file or in its project needs no mark.
    """
    setattr(target, DATASET_CALLABLE, True)
    return target
