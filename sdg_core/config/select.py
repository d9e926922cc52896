"""`select`: which candidates of a record are kept, and what becomes of a record of which none is."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sdg_core.config.base import ConfigModel, NonEmptyStr, PositiveInt

MAX_CANDIDATES = 100


class SelectConfig(ConfigModel):
    """Draws a record again, as its next candidate, until one is kept or its candidates are used up.

    keep: a template over any columns; a candidate for which it is true is kept. Without it every candidate is drawn and the best
    one kept.
    candidates: how often a record is drawn at most.
    otherwise: what becomes of a record of which no candidate was kept. drop: it has no row, and is not tried again; best: the
    candidate with the highest score is its row; fail: it has failed.
    best: the score for `best`, a column or a template such as `judge.quality.score`.
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
