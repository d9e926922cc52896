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
    """A language model for use in a custom function: `models["alias"]`."""

    def generate(
        self,
        prompt: str,
        *,
        system_prompt: str | None = None,
        parser: Callable[[str], Any] = str,
    ) -> tuple[Any, list[dict[str, str]]]:
        """Call the model from a synchronous function. Returns the parsed reply and the messages of the conversation."""

    async def agenerate(
        self,
        prompt: str,
        *,
        system_prompt: str | None = None,
        parser: Callable[[str], Any] = str,
    ) -> tuple[Any, list[dict[str, str]]]:
        """Call the model from an async function."""


def custom_column_generator(
    *,
    required_columns: Sequence[str] = (),
    side_effect_columns: Sequence[str] = (),
    model_aliases: Sequence[str] = (),
    version: str | None = None,
) -> Callable[[_Function], _Function]:
    """Declare which columns a custom function reads, which extra columns it returns, and which models it calls.

    version: part of the fingerprint, like the function's source. Code that the function calls is not, so change the
    version when that code changes the result.
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
    """Returned by a pipeline function for a record to leave out; it is counted under its reason."""

    reason: str


@dataclass(frozen=True)
class Failed:
    """Returned by a pipeline function for a record that failed. retryable: whether a later run may retry it."""

    reason: str
    retryable: bool = True
    kind: str = "function"
    attempts: int = 1


@dataclass(frozen=True)
class Resources:
    """The resources of a stage worker, for executors that place stages. The local executor runs everything in this
    process."""

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
        """Called once per run before anything is read, to load a model or open a connection. An exception stops the
        run."""

    def process(self, record: dict[str, Any]) -> Any:
        """Turn one record into a record, a list of records (empty to leave it out), None, `Filtered` or `Failed`."""
        raise NotImplementedError(
            f"{type(self).__name__} defines neither process nor process_batch"
        )

    def process_batch(self, records: list[dict[str, Any]]) -> Any:
        """Return a list with one entry per record, each as `process` may return. An exception fails all of them."""
        return [self.process(record) for record in records]

    def teardown(self) -> Any:
        """Called once at the end of the run, if `setup` succeeded."""

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

    `params` are the constructor's keyword arguments. Methods may raise any exception: from `items` it stops the run,
    from other methods it fails the source.
    """

    @abstractmethod
    def items(self) -> Iterable[Any]:
        """All current sources: any objects that `expand` accepts. Called once."""

    @abstractmethod
    def expand(self, item: Any) -> Iterable[Mapping[str, Any] | Failed | Filtered]:
        """The records of a source, always in the same order; may be a generator."""

    def locator(self, item: Any) -> str:
        """The name of a source: unique, and the same in every run."""
        return str(item)

    def version(self, item: Any) -> str | None:
        """A value that changes whenever the records do; None to read and compare the records instead."""
        return None


def dataset_callable(target: _Function) -> _Function:
    """Allow dataset files to name an installed function or class: a validator, a client, a reader, a schema.

    Code next to a dataset file or in its project needs no declaration.
    """
    setattr(target, DATASET_CALLABLE, True)
    return target
