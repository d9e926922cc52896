"""`select`: which candidates of a record are kept, and what becomes of a record of which none is."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sdg_core.config.base import ConfigModel, NonEmptyStr, PositiveInt

MAX_CANDIDATES = 100


class SelectConfig(ConfigModel):
    """Redraws a record until a candidate is kept or all its candidates are used.

    keep: a template over any columns; a candidate for which it is true is kept. Without it, all candidates are drawn
    and the best one is kept.
    candidates: maximum number of draws per record.
    otherwise: what to do with a record when no candidate is kept. `drop` leaves it without a row and does not retry
    it, `best` keeps the candidate with the highest score, `fail` counts it as failed.
    best: the score to compare, a column or a template such as `judge.quality.score`.
    """

    keep: NonEmptyStr | None = None
    candidates: Annotated[PositiveInt, Field(le=MAX_CANDIDATES)] = 5
    otherwise: Literal["drop", "best", "fail"] = "drop"
    best: NonEmptyStr | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "SelectConfig":
        if (self.best is not None) != (self.otherwise == "best"):
            raise ValueError(
                "`best` (a score column) and `otherwise: best` require each other; give both or neither"
            )
        if self.keep is None and self.otherwise != "best":
            raise ValueError(
                "give `keep`, a template; it is optional only with `otherwise: best` (the best of all candidates)"
            )
        return self
