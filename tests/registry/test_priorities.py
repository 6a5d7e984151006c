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


def test_what_stands_in_order_is_left_alone() -> None:
    assert put(line(1, 1, 5, 5, 9), "abcde") == {}
    assert renumber([]) == {}


def test_one_that_moves_into_a_gap_is_the_only_one_to_change() -> None:
    assert put(line(10, 20, 30), "bca") == {"a": 31}
    assert put(line(10, 20, 30), "cab") == {"c": 9}
    assert put(line(10, 20, 30), "acb") == {"c": 10}  # it was created after a
    assert put(line(10, 10, 10), "bac") == {"b": 9}


def test_where_there_is_no_gap_the_side_with_fewer_makes_room() -> None:
    assert put(line(10, *[10] * 20), "acb" + "defghijklmnopqrstu") == {"a": 9, "c": 9}
    # Nothing is below 0: there the others have to go up.
    assert put(line(0, 1, 2), "cab") == {"c": 0, "a": 1}
    most = PRIORITIES[1]
    assert put(line(most, most, most), "cba") == {"c": most - 2, "b": most - 1}


@given(
    st.lists(
        st.one_of(st.integers(0, 6), st.integers(*PRIORITIES)), min_size=1, max_size=12
    ).flatmap(
        lambda priorities: st.tuples(
            st.just(line(*priorities)), st.permutations(range(len(priorities)))
        )
    )
)
def test_the_order_is_the_one_that_was_wanted(given_: tuple[list[Place], list[int]]) -> None:
    places, permutation = given_
    wanted = [places[index] for index in permutation]
    changes = renumber(wanted)
    assert set(changes) <= {place.id for place in places}
    after = [one._replace(priority=changes.get(one.id, one.priority)) for one in wanted]
    assert sorted(after) == after
    assert all(PRIORITIES[0] <= one.priority <= PRIORITIES[1] for one in after)
    if permutation == list(range(len(places))) and sorted(places) == places:
        assert changes == {}
