"""Which priorities change when SMTPs are put into another order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from smtpweb.registry.priorities import Place, renumber
from smtpweb.validators import PRIORITIES

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def line(*priorities: int) -> list[Place]:
    """SMTPs named a, b, c... that were created in this order."""
    return [
        Place(priority, BEGIN + timedelta(hours=number), chr(97 + number))
        for number, priority in enumerate(priorities)
    ]


def put(places: list[Place], order: str) -> dict[str, int]:
    """What changes where the places are wanted in this order of names."""
    by_name = {place.id: place for place in places}
    return renumber([by_name[name] for name in order])


def test_renumber_leaves_an_order_that_holds_alone() -> None:
    assert put(line(1, 1, 5, 5, 9), "abcde") == {}
    assert renumber([]) == {}


def test_renumber_hands_out_the_priorities_in_use() -> None:
    assert put(line(10, 20, 30), "bca") == {"b": 10, "c": 20, "a": 30}
    assert put(line(10, 20, 30), "acb") == {"c": 20, "b": 30}
    assert put(line(10, 20, 30, 90), "bacd") == {"b": 10, "a": 20}


def test_renumber_tells_equal_priorities_apart() -> None:
    assert put(line(10, 10, 10), "bac") == {"a": 11, "c": 11}
    assert put(line(10, 10, 10, 20), "cbad") == {"b": 11, "a": 12}


def test_renumber_starts_from_0_where_the_largest_would_be_passed() -> None:
    most = PRIORITIES[1]
    assert put(line(most, most, most), "cba") == {"c": 0, "b": 1, "a": 2}


@given(
    st.lists(
        st.one_of(st.integers(0, 6), st.integers(*PRIORITIES)), min_size=1, max_size=12
    ).flatmap(
        lambda priorities: st.tuples(
            st.just(line(*priorities)), st.permutations(range(len(priorities)))
        )
    )
)
def test_renumber_gives_the_wanted_order(given_: tuple[list[Place], list[int]]) -> None:
    places, permutation = given_
    wanted = [places[index] for index in permutation]
    changes = renumber(wanted)
    assert set(changes) <= {place.id for place in places}
    after = [one._replace(priority=changes.get(one.id, one.priority)) for one in wanted]
    assert sorted(after) == after
    assert all(PRIORITIES[0] <= one.priority <= PRIORITIES[1] for one in after)
    if permutation == list(range(len(places))) and sorted(places) == places:
        assert changes == {}
