"""Every error this project raises on purpose, in one tree.

    SdgError
    ├── ConfigError                 the dataset file is wrong; lists every problem with its YAML path
    ├── SeedError                   seed data is missing, unreadable, or lacks what the config asks of it
    │   └── SeedNotReadError        reading it runs code or opens a connection, which the command does not do
    ├── ConstraintError             no draw of a record's samplers satisfies the constraints of the dataset file
    ├── PlanError                   a request that does not fit the plan (row group that does not exist, ...)
    ├── ModelError                  a model call did not give a usable reply
    │   ├── RateLimitedError        the server asked to wait (429, 503 with Retry-After); costs no record
    │   ├── TransientModelError     timeout, connection reset, 5xx, unreadable body; worth another attempt
    │   └── PermanentModelError     the same request would fail again (400, 401, 404, ...)
    ├── ReplyDeferredError          a model has taken a request and answers later; nothing went wrong
    ├── CellError                   one cell could not be computed; fails its record, never its row group
    ├── FilterError                 a filter's parameters, or the values given to it, cannot be used
    ├── FunctionError               a whole-column function raised, or returned what cannot be used; stops the run
    ├── StoreError                  the storage root refused an operation (permission, disk full, ...)
    │   ├── CorruptFileError        a file of ours is unreadable or at odds with its place
    │   ├── UnrecognizedFileError   a file that is not ours stands where one of ours belongs
    │   └── MetadataError           metadata.json or current.json cannot be trusted
    │       ├── MetadataMissingError    row groups exist, but no metadata.json describes them
    │       ├── MetadataCorruptError    not JSON: truncated, empty, or overwritten
    │       ├── MetadataFieldError      a required field is absent or has the wrong type
    │       └── MetadataVersionError    written by a newer release of this project
    ├── LedgerError                 the ledger's database refused an operation
    │   └── ClaimLostError          another run took a row group over while this one seemed dead
    ├── RefusedError                a rule that protects existing data forbids the operation
    │   ├── ConfigDriftError        resume=always, but the config differs from the data that exists
    │   ├── ShrinkError             num_records is below what already exists
    │   ├── RowGroupSizeError       row_group_size changed within one version
    │   ├── SealedError             post-generation processing has been applied; `reopen` first
    │   ├── ClaimedError            another run is working on the row group
    │   └── IncompleteError         post-generation needs complete row groups and some are not
    ├── HubError                    the Hugging Face Hub refused an upload, or could not be reached
    ├── CallbackError               a function that was to be called for finished row groups failed; the row groups are kept
    └── RunAbortedError             a run gave up (too many failures); what was done is kept
        └── BudgetReachedError      the next request could pass run.max_cost or run.max_tokens

All of them mean "wrong input or refused" to a caller (exit status 2 of the command), except BudgetReachedError, which ends a run
as an interruption does, resumable (exit status 3); an interruption itself is not an error of this tree but a cancellation. A
message names the value, the place and the remedy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sdg_core.counts import counted


def writable(text: str) -> str:
    """Text with half surrogates spelt out, which neither JSON nor a database nor a terminal takes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


class SdgError(Exception):
    """Root of the tree. `remedy` is a sentence that says what to do about it.

    Both can be printed and stored anywhere: lone surrogates, which server messages and file names may contain, are
    escaped.
    """

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        message = writable(message)
        remedy = None if remedy is None else writable(remedy)
        super().__init__(message if remedy is None else f"{message}\n  -> {remedy}")
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True)
class Problem:
    """One problem in a dataset file: its place (`path`, such as `columns[2].prompt`, and `line`, from 1) and its
    message."""

    path: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}, {self.path}" if self.line is not None else self.path
        return f"{where}: {self.message}"


_MAX_SHOWN_PROBLEMS = 100


class ConfigError(SdgError):
    """The dataset file is invalid. `problems` has every problem found; the message shows at most the first 100."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        shown = [f"  {problem}" for problem in self.problems[:_MAX_SHOWN_PROBLEMS]]
        if len(self.problems) > _MAX_SHOWN_PROBLEMS:
            shown.append(f"  and {len(self.problems) - _MAX_SHOWN_PROBLEMS} more")
        super().__init__(
            "\n".join([f"{source}: {counted(len(self.problems), 'problem')}", *shown])
        )


class SeedError(SdgError):
    """Seed data is missing, unreadable, or lacks what the config asks of it."""


class SeedNotReadError(SeedError):
    """A command that runs no code and opens no connection needs seed data that has not been read on this machine
    yet."""


class ConstraintError(SdgError):
    """No draw satisfies a constraint within the attempt limit; the message names the constraint, a record, and the
    acceptance rate."""


class PlanError(SdgError):
    """A request that does not fit the plan, such as a row group that does not exist."""


class ModelError(SdgError):
    """A model call did not give a usable reply.

    status: the HTTP status, None without a response. ends_run: no further request can succeed.
    used: tokens that the server counted for an unusable response, by the names of `Usage`.
    """

    status: int | None = None
    used: Mapping[str, int] = MappingProxyType({})
    ends_run: bool = False


class RateLimitedError(ModelError):
    """The server asked to wait. `retry_after` is in seconds, None when the server gave no time."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TransientModelError(ModelError):
    """Timeout, connection fault, 5xx or unreadable body: the same request may succeed later."""


class PermanentModelError(ModelError):
    """The same request would fail again: bad request, wrong key, unknown model."""


class ReplyDeferredError(SdgError):
    """A model accepted a request and will answer later: the cell waits, and a later run repeats the request. This is
    not a failure, so it is not a ModelError and is not retried.

    A client that raises it must answer the repeated request without charging for it again.
    """


class CellError(SdgError):
    """One cell could not be computed; its record fails with this reason."""


class FilterError(SdgError):
    """A quality rule, deduplication or decontamination got invalid parameters or values."""


class FunctionError(SdgError):
    """A user function that computes a whole column failed, so no record of the row group can have it."""


class StoreError(SdgError):
    """The storage root refused an operation."""


class CorruptFileError(StoreError):
    """A file written by sdg is unreadable, truncated, or in the wrong place."""


class UnrecognizedFileError(StoreError):
    """A readable file that sdg did not write is in the place of a row group."""


class MetadataError(StoreError):
    """`metadata.json` or `current.json` cannot be trusted; files are left as they are."""


class MetadataMissingError(MetadataError):
    """Row groups exist, but no `metadata.json` describes them."""


class MetadataCorruptError(MetadataError):
    """The file is not JSON: truncated, empty, or overwritten."""


class MetadataFieldError(MetadataError):
    """A required field is absent or has the wrong type."""


class MetadataVersionError(MetadataError):
    """The file was written by a newer release of this project."""


class HubError(SdgError):
    """The Hugging Face Hub refused an upload, or could not be reached."""


class LedgerError(SdgError):
    """The ledger's database refused an operation; finished row groups do not depend on it."""


class ClaimLostError(LedgerError):
    """Another run took over a row group while this one appeared dead; this run publishes nothing of it."""


class RefusedError(SdgError):
    """A rule that protects existing data forbids the operation."""


class ConfigDriftError(RefusedError):
    """`resume=always`, but the config differs from the one that the existing data was made with."""


class ShrinkError(RefusedError):
    """`num_records` is below what already exists."""


class RowGroupSizeError(RefusedError):
    """`row_group_size` may not change within one version."""


class SealedError(RefusedError):
    """Post-generation processing has been applied (or has started); generating into this version is refused."""


class ClaimedError(RefusedError):
    """Another run is working on the row group; the message names it."""


class IncompleteError(RefusedError):
    """Post-generation needs complete row groups, and some are missing, partial or corrupt."""


class CallbackError(SdgError):
    """A function given by `on_row_group` failed; it names the row group, and the function's own exception is its cause."""


class RunAbortedError(SdgError):
    """A run stopped because of too many failures or no progress; everything finished before is kept."""


class BudgetReachedError(RunAbortedError):
    """The next request could exceed `run.max_cost` or `run.max_tokens`; no request was cut off, and a higher limit
    resumes the run."""


# Names before 0.2; removed in 0.3.
ForeignFileError = UnrecognizedFileError
RunStoppedError = RunAbortedError
