"""What people of a locale are made of: names by sex, jobs, cities with their states, and grammars of street and number.

Read from Faker once per locale and process. Where Faker has no names for a locale it gives another locale's; here those of the
same language if there are any. Addresses and phone numbers of another country are not given: they would contradict the rest.
"""

import hashlib
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from faker.config import AVAILABLE_LOCALES
from faker.decode import unidecode
from faker.providers.date_time import Provider as DateTimeProvider
from numpy.typing import NDArray

from sdg_core.generators.samplers.inverse_cdf import InverseCdf
from sdg_core.generators.samplers.people.faker import Source
from sdg_core.generators.samplers.people.grammar import (
    Node,
    draw,
    is_untidy,
    slots,
    texts_of,
    tidied,
    tidy,
)
from sdg_core.generators.samplers.people.word_stream import WordStream
from sdg_core.plan.sampling.people import SEXES
from sdg_core.plan.sampling.rng import RandomSource

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Weights = Mapping[str, float]

_MAX_TEXTS = 50_000
_CITIES = 3_000
_PARTS = {"first": "first", "given": "first", "middle": "middle", "last": "last"}
_TOKEN = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_NAME_ORDER = "{first} {last}"
_PHONE = ("cellphone_number", "phone_number", "mobile_number")
_STATE = ("administrative_unit", "state", "province", "region", "county")


class SexedTexts:
    """Weighted texts for each sex, drawn with one look-up: the women's cumulative weights end at 1, the men's go on to 2."""

    def __init__(
        self, women: Weights, men: Weights, *, spelt: Mapping[str, str] | None = None
    ) -> None:
        texts = [*women, *men]
        spelt = spelt or {}
        ascii_names = [ascii_name(spelt.get(text, text)) for text in texts]
        self.texts = pl.Series(texts, dtype=pl.String)
        self.ascii = pl.Series(ascii_names, dtype=pl.String)
        self._find = InverseCdf(
            np.concatenate([_cumulative(women), 1 + _cumulative(men)])
        )

    def codes(self, draws: WordStream, slot: int, male: Bools) -> Ints:
        """Where each record's text is in `texts`."""
        return self._find(draws.unit(slot) + male)


def _cumulative(weights: Weights) -> NDArray[np.float64]:
    cumulative: NDArray[np.float64] = np.cumsum(
        np.array(list(weights.values()), np.float64)
    )
    if len(cumulative):
        cumulative /= cumulative[-1]
    return cumulative


def ascii_name(name: str) -> str:
    """The letters and digits of a name as an e-mail address has them."""
    return re.sub("[^a-z0-9]", "", unidecode(name).lower()) or "user"


@dataclass(frozen=True)
class Lists:
    """The parts of one locale; None or empty where it has none of its own.

    names: `first`, `last`, `middle` and `job` to sex to texts and weights. spelt: names in Latin letters.
    orders: sex to ways to write a full name, with weights. postcodes: state, or its abbreviation, to the lowest and highest.
    untidy: fields whose grammars give texts with stray spaces.
    """

    names: Mapping[str, Mapping[str, Weights]]
    spelt: Mapping[str, str]
    orders: Mapping[str, Weights]
    cities: tuple[str, ...]
    states: tuple[str, ...]
    abbreviations: Mapping[str, str]
    postcodes: Mapping[str, tuple[int, int]]
    grammars: Mapping[str, Node]
    untidy: frozenset[str]
    country: str | None


@lru_cache(maxsize=32)
def lists(locale: str) -> Lists:
    """The lists of a Faker locale."""
    with warnings.catch_warnings():
        # Faker warns of locales that have another name now
        warnings.simplefilter("ignore")
        source = Source(locale)
        people = Source(_names_locale(locale))
    address = source.provider("address") if _own(source, "address", locale) else None
    grammars: dict[str, Node | None] = {}
    cities: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    if address is not None:
        cities = _texts(source.grammar("city"))
        states = _texts(source.grammar(*_STATE))
        methods = {
            "street_name": "street_name",
            "street_number": "building_number",
            "unit": "secondary_address",
        }
        grammars = {field: source.grammar(method) for field, method in methods.items()}
        grammars["postcode"] = source.grammar("postcode")
    if _own(source, "phone_number", locale):
        grammars["phone_number"] = source.grammar(*_PHONE)
    known = {field: node for field, node in grammars.items() if node is not None}
    untidy = [field for field, node in known.items() if is_untidy(node)]
    person = people.provider("person")
    language = person.__lang__ if _own(people, "person", locale) else locale
    abbreviations = _abbreviations(address, states)
    return Lists(
        names=_names(people, source),
        spelt=_spelt(person),
        orders={sex: _orders(person, sex) for sex in SEXES},
        cities=cities,
        states=states,
        abbreviations=abbreviations,
        postcodes=_postcodes(address, abbreviations),
        grammars=known,
        untidy=frozenset(untidy),
        country=_country(locale, language),
    )


def _own(source: Source, provider: str, locale: str) -> bool:
    """Whether a provider is the locale's, rather than what Faker falls back to."""
    found = source.provider(provider).__lang__ or ""
    return bool(
        found == locale or ("_" not in locale and found.startswith(f"{locale}_"))
    )


def _names_locale(locale: str) -> str:
    from faker.providers import person
    from faker.utils.loading import list_module

    language = locale.partition("_")[0]
    named = set(list_module(person))
    if locale in named or locale not in AVAILABLE_LOCALES or language == "en":
        return locale
    for other in sorted(named):
        if other.startswith(f"{language}_"):
            return other
    return locale


def _names(people: Source, source: Source) -> dict[str, dict[str, Weights]]:
    methods = {
        "first": "first_name_{}",
        "last": "last_name_{}",
        "middle": "middle_name_{}",
        "job": "job_{}",
    }
    found: dict[str, dict[str, Weights]] = {}
    for part, method in methods.items():
        reader = source if part == "job" else people
        nodes = {
            sex: reader.grammar(method.format(sex.lower()), method.removesuffix("_{}"))
            for sex in SEXES
        }
        found[part] = {
            sex: _weights(node) for sex, node in nodes.items() if node is not None
        }
    return found


def _weights(node: Node) -> Weights:
    """The texts of a grammar; of a very large one, those of a few thousand draws."""
    texts = texts_of(node, limit=_MAX_TEXTS)
    if texts is None:
        count = max(_CITIES, slots(node))
        draws = WordStream(
            RandomSource(0), "sdg/people", np.arange(count, dtype=np.int64)
        )
        return dict.fromkeys(tidied(draw(node, draws, 0)), 1.0)
    weights: dict[str, float] = {}
    for text, weight in texts.items():
        tidy_text = tidy(text)
        weights[tidy_text] = weights.get(tidy_text, 0.0) + weight
    return weights


def _texts(node: Node | None) -> tuple[str, ...]:
    return tuple(_weights(node)) if node is not None else ()


def _spelt(person: Any) -> dict[str, str]:
    """Japanese names come with their reading."""
    readings = {}
    for table in (
        "first_name_female_pairs",
        "first_name_male_pairs",
        "last_name_pairs",
    ):
        for row in getattr(person, table, ()):
            if isinstance(row, tuple):
                readings[tidy(row[0])] = tidy(row[-1])
    return readings


def _orders(person: Any, sex: str) -> Weights:
    """How Faker writes the full name, without titles and second surnames: `{last} {first}` in Hungary."""
    formats = getattr(person, f"formats_{sex.lower()}", person.formats)
    if isinstance(formats, Mapping):
        weighted = [*formats.items()]
    else:
        weighted = [(text, 1.0) for text in formats]
    found: dict[str, float] = {}
    for text, weight in weighted:
        parts = [_PARTS.get(token.split("_")[0], "") for token in _TOKEN.findall(text)]
        if sorted(parts) in (["first", "last"], ["first", "last", "middle"]):
            order = _TOKEN.sub(_part_in_braces, text)
            found[order] = found.get(order, 0.0) + float(weight)
    return found or {_NAME_ORDER: 1.0}


def _part_in_braces(token: re.Match[str]) -> str:
    kind = token[1].split("_")[0]
    return f"{{{_PARTS[kind]}}}"


def _abbreviations(address: Any, states: Sequence[str]) -> dict[str, str]:
    """Abbreviations of states, where Faker lists them in the order of the names."""
    short = [
        name for name in getattr(address, "states_abbr", ()) if name != "DC"
    ]  # no state, and not among the names
    return dict(zip(short, states, strict=True)) if len(short) == len(states) else {}


def _postcodes(
    address: Any, abbreviations: Mapping[str, str]
) -> dict[str, tuple[int, int]]:
    """The postcodes of a state, by name and by abbreviation, where Faker knows them."""
    table = getattr(address, "states_postcode", None) or getattr(
        address, "state_pincode", {}
    )
    found: dict[str, tuple[int, int]] = {}
    for short, bounds in table.items():
        low, high = bounds[0] if isinstance(bounds[0], tuple) else bounds
        found[short] = found[abbreviations.get(short, short)] = (int(low), int(high))
    return found


def _country(locale: str, language: str) -> str | None:
    named = locale if "_" in locale else language
    code = named.rpartition("_")[2]
    for country in DateTimeProvider.countries:
        if country.alpha_2_code == code:
            return country.name
    return None


def state_place(city: str, count: int) -> int:
    """Which of `count` states a city is in: the same for every record, as Faker does not say."""
    digest = hashlib.blake2b(city.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % count
