"""What is done for every reply in a quick way gives what the plain definition gives."""

import unicodedata
from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from sdg_core.models.providers.reasoning_text import split_reasoning
from sdg_core.models.types import has_visible_text
from sdg_core.models.usage import Usage
from sdg_core.plan.usage import UsageByModel, add_usage, count_usage

COUNTS = st.integers(0, 3) | st.integers(2**62, 2**63 - 1)
USAGES = st.builds(Usage, **{field.name: COUNTS for field in fields(Usage)})
MAX_INT64 = 2**63 - 1


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), USAGES), max_size=6))
def test_usage_counted_in_place_is_the_sum_within_64_bits(
    requests: list[tuple[str, Usage]],
) -> None:
    counted: UsageByModel = {}
    added: UsageByModel = {}
    for alias, usage in requests:
        before = dict(vars(usage))
        count_usage(counted, alias, vars(usage))
        added = add_usage(added, {alias: vars(usage)})
        assert vars(usage) == before
    expected = {
        alias: {
            field.name: min(
                sum(
                    getattr(usage, field.name)
                    for other, usage in requests
                    if other == alias
                ),
                MAX_INT64,
            )
            for field in fields(Usage)
        }
        for alias in dict(requests)
    }
    assert counted == added == expected


@given(USAGES, USAGES)
def test_usages_add_up_count_by_count(first: Usage, second: Usage) -> None:
    together = first + second
    for field in fields(Usage):
        assert getattr(together, field.name) == getattr(first, field.name) + getattr(
            second, field.name
        )


@given(
    st.text(st.sampled_from(" \t\n\x1c\x1f\x85\u00a0\u00ad\u200b\ufeffaé"), max_size=5)
)
def test_a_reply_says_something_if_a_mark_of_it_can_be_seen(text: str) -> None:
    assert has_visible_text(text) == any(
        not mark.isspace() and unicodedata.category(mark) != "Cf" for mark in text
    )


@given(
    st.text(
        st.sampled_from("a \n>/|]") | st.characters(exclude_characters="<["),
        max_size=30,
    )
)
def test_a_text_without_a_tag_is_all_said(text: str) -> None:
    assert split_reasoning(text) == (None, text)
