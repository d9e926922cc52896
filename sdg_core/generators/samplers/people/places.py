"""Cities, each in one state, and the postcodes of the state.

Faker does not say in which state a city is. Here a city is in the same state for every record, chosen by its name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sdg_core.generators.samplers.people.locales import Lists, lists, state_place
from sdg_core.generators.samplers.people.word_stream import WordStream

Ints = NDArray[np.int64]

_STATE = 16
_CITY = 17
_POSTCODE = 18
_POSTCODE_WIDTH = 5
_ALL_POSTCODES = (501, 99_950)


@dataclass(frozen=True)
class Places:
    """Cities in the order of their states. `first` and `count`: the cities of each state. `state_of`: the state of each city.

    given: whether the cities are the config's, so that they are drawn evenly instead of the states.
    postcodes: the lowest and the highest of each state, None where Faker does not know them.
    """

    cities: pl.Series
    states: pl.Series
    first: Ints
    count: Ints
    state_of: Ints
    given: bool
    postcodes: Ints | None


@lru_cache(maxsize=256)
def places(locale: str, cities: tuple[str, ...], states: tuple[str, ...]) -> Places:
    """The places of a locale, held to some cities and states if there are any."""
    known = lists(locale)
    names: list[str | None] = []
    counts = []
    all_cities: list[str | None] = []
    postcodes = []
    for state, members in _groups(known, cities, states):
        names.append(state)
        counts.append(len(members))
        all_cities += members
        postcodes.append(known.postcodes.get(state or "", _ALL_POSTCODES))
    count = np.array(counts)
    return Places(
        cities=pl.Series(all_cities, dtype=pl.String),
        states=pl.Series(names, dtype=pl.String),
        first=np.cumsum(count) - count,
        count=count,
        state_of=np.repeat(np.arange(len(names)), count),
        given=bool(cities),
        postcodes=np.array(postcodes) if known.postcodes else None,
    )


def _groups(
    parts: Lists, cities: tuple[str, ...], states: tuple[str, ...]
) -> list[tuple[str | None, Sequence[str | None]]]:
    """States, each with its cities; a state without any is left out unless it was asked for."""
    if cities or not states:
        return _grouped(cities or parts.cities, states or parts.states)
    homes = dict(_grouped(parts.cities, parts.states))
    return [
        (
            state,
            homes.get(parts.abbreviations.get(state, state)) or parts.cities or (None,),
        )
        for state in states
    ]


def _grouped(
    cities: Sequence[str], states: Sequence[str]
) -> list[tuple[str | None, Sequence[str | None]]]:
    if not states or not cities:
        return [(state, cities or (None,)) for state in states or (None,)]
    members: list[list[str]] = [[] for _ in states]
    for city in cities:
        members[state_place(city, len(states))].append(city)
    return [(state, own) for state, own in zip(states, members, strict=True) if own]


def draw_places(
    found: Places, draws: WordStream
) -> tuple[pl.Series, pl.Series, pl.Series | None]:
    """City, state, and postcode if it depends on the state."""
    if found.given:
        city = draws.pick(_CITY, len(found.cities))
        state = found.state_of[city]
    else:
        state = draws.pick(_STATE, len(found.states))
        city = found.first[state] + draws.pick(_CITY, found.count[state])
    postcode = None
    if found.postcodes is not None:
        low, high = found.postcodes[state].T
        number = low + draws.pick(_POSTCODE, high - low + 1)
        postcode = pl.Series(number).cast(pl.String).str.zfill(_POSTCODE_WIDTH)
    return found.cities.gather(city), found.states.gather(state), postcode
