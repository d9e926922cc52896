"""Counts with their nouns and verbs, as every line and message says them. The lowest layer: it imports nothing."""

_THIRD_PERSON = {"are": "is", "have": "has", "were": "was"}


def counted(count: int, noun: str, verb: str | None = None) -> str:
    """A count with its noun, and a verb that agrees with them: `1 row group`, `1,200 retries`, `1 record has`.

    noun: in the singular, with regular plural. verb: in the plural.
    """
    if count == 1:
        words = (
            noun if verb is None else f"{noun} {_THIRD_PERSON.get(verb, f'{verb}s')}"
        )
    else:
        words = _plural(noun) if verb is None else f"{_plural(noun)} {verb}"
    return f"{count:,} {words}"


def all_of(count: int, noun: str, verb: str) -> str:
    """All that there are of something: `all 3 row groups are`, `the only row group is`."""
    return (
        f"all {counted(count, noun, verb)}"
        if count != 1
        else f"the only {counted(1, noun, verb)[2:]}"
    )


def records_text(rows: int, *, target: int, resized: bool) -> str:
    """How many rows there are of the records that a dataset is to have.

    resized: functions change how many rows there are. More rows than records otherwise means that num_records was lowered.
    """
    if resized:
        return f"{counted(rows, 'row')}, made from {counted(target, 'record')} by functions that change their number"
    if rows > target:
        return f"{counted(rows, 'record')}, more than num_records asks for now ({target:,})"
    return f"{rows:,} of {counted(target, 'record')}"


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
