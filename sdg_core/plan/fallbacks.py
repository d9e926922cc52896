"""Which models step in for a model that has failed for good: the chain of `fallback` aliases."""

from collections.abc import Iterator, Mapping


def later_aliases(alias: str, fallbacks: Mapping[str, str | None]) -> list[str]:
    """The aliases that are asked after `alias`, in order. Ends before an alias that is unknown or would come again."""
    return list(_later(alias, fallbacks))


def is_circular(alias: str, fallbacks: Mapping[str, str | None]) -> bool:
    """Whether following the fallbacks of `alias` leads back to it."""
    chain = [alias, *_later(alias, fallbacks)]
    return fallbacks.get(chain[-1]) == alias


def _later(alias: str, fallbacks: Mapping[str, str | None]) -> Iterator[str]:
    seen = {alias}
    following = fallbacks.get(alias)
    while following is not None and following not in seen and following in fallbacks:
        yield following
        seen.add(following)
        following = fallbacks[following]
