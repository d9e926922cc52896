"""Grammars read from Faker give what Faker gives, and weighted draws find what a search would."""

import warnings

import numpy as np
import pytest
from faker.config import AVAILABLE_LOCALES
from hypothesis import given
from hypothesis import strategies as st

from sdg_core.generators.samplers.inverse_cdf import InverseCdf
from sdg_core.generators.samplers.people.faker import Source
from sdg_core.generators.samplers.people.grammar import (
    Choice,
    Join,
    Literal,
    Mask,
    Node,
    draw,
    mask,
)
from sdg_core.generators.samplers.people.word_stream import WordStream
from sdg_core.plan.sampling.rng import RandomSource

LOCALES = sorted(AVAILABLE_LOCALES)
METHODS = """first_name_male first_name_female last_name_male last_name_female middle_name city street_name building_number
secondary_address postcode administrative_unit phone_number cellphone_number job_male job_female""".split()
POOLED = {
    ("is_IS", "city"),
    ("is_IS", "street_name"),
    ("en_NZ", "city"),
    ("en_NZ", "street_name"),
}
"""Built on texts of a method that cannot be followed, of which the grammar has a few thousand."""


@pytest.mark.parametrize("locale", LOCALES)
def test_the_grammars_give_what_faker_gives(locale: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = Source(locale)
    for method in METHODS:
        node = source.grammar(method)
        if node is None or (locale, method) in POOLED:
            continue
        source._faker.seed_instance(f"sdg/people/{method}")
        for _ in range(20):
            text = str(getattr(source._faker, method)())
            assert len(text) in ends(node, text, 0), (method, text)


def listed_texts(node: Choice) -> frozenset[str]:
    found: frozenset[str] | None = getattr(node, "_texts_in_test", None)
    if found is None:
        found = frozenset(
            option.text for option in node.options if isinstance(option, Literal)
        )
        object.__setattr__(node, "_texts_in_test", found)
    return found


def ends(node: Node, text: str, start: int) -> set[int]:
    """Where a text of the grammar that begins at `start` may end."""
    match node:
        case Literal():
            return (
                {start + len(node.text)} if text.startswith(node.text, start) else set()
            )
        case Mask():
            stop = start + len(node.template.decode())
            given = text[start:stop].encode()
            free = dict(node.drawn)
            fits = len(given) == len(node.template) and all(
                byte in free.get(place, bytes([node.template[place]]))
                for place, byte in enumerate(given)
            )
            return {stop} if fits else set()
        case Join():
            found = {start}
            for part in node.parts:
                found = {end for place in found for end in ends(part, text, place)}
            return found
        case Choice():
            if node.listed is not None:
                known = listed_texts(node)
                return {
                    end
                    for end in range(start, len(text) + 1)
                    if text[start:end] in known
                }
            return {end for option in node.options for end in ends(option, text, start)}


@given(
    st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=50),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=50),
)
def test_the_table_finds_what_a_search_finds(
    weights: list[float], units: list[float]
) -> None:
    cumulative = np.cumsum(np.array(weights))
    values = np.array(
        [
            *units,
            *cumulative[:-1] / cumulative[-1],
            *np.nextafter(cumulative / cumulative[-1], 0),
        ]
    )
    cumulative = cumulative / cumulative[-1]
    expected = np.minimum(
        np.searchsorted(cumulative, values, side="right"), len(weights) - 1
    )
    assert InverseCdf(cumulative)(values).tolist() == expected.tolist()


def test_masks() -> None:
    draws = WordStream(RandomSource(1), "x", np.arange(2_000))
    texts = draw(mask("é#%$-!@?"), draws, 0)
    assert texts.str.contains(r"^é[0-9][1-9][2-9]-[0-9]?[1-9]?[a-zA-Z]$").all()
    assert texts.str.len_chars().n_unique() == 3
