"""Which nodes are used, refused or in doubt."""

from __future__ import annotations

from ars.distributed.nodes import DOUBT_SECONDS, Node, Nodes

A, B = Node("a" * 8, "10.0.0.1", 4), Node("b" * 8, "10.0.0.2", 2)


def seen(*nodes: Node, now: float = 0.0) -> Nodes:
    found = Nodes()
    found.update(nodes, now)
    return found


def test_processors_are_those_of_the_living() -> None:
    nodes = seen(A, B)
    assert (len(nodes), nodes.n_cpus()) == (2, 6)
    nodes.update([B], 1.0)
    assert (len(nodes), nodes.n_cpus()) == (1, 2)
    assert nodes.gone(A.id) and not nodes.gone(B.id)
    assert not nodes.gone("c" * 8)  # it may have come since
    assert nodes.name(B.id) == "10.0.0.2"
    assert nodes.name(A.id) == "aaaaaaaa"


def test_a_refused_node_is_avoided_and_not_counted() -> None:
    nodes = seen(A, B)
    nodes.refuse(A.id, "numpy 1 there, 2 here")
    assert nodes.avoided(2) == {A.id}
    assert nodes.n_cpus() == 2
    assert nodes.refusal() is None
    nodes.refuse(B.id, "python 3.9 there, 3.11 here")
    assert nodes.refusal() == "10.0.0.1: numpy 1 there, 2 here"
    nodes.update([], 1.0)
    assert nodes.refusal() is None  # nobody there is another matter: one may come


def test_a_silent_node_is_avoided_where_there_is_room_elsewhere() -> None:
    nodes = seen(A, B)
    nodes.heard(B.id, 10.0)
    nodes.gave_up(B.id, 10.0, 40.0)
    assert nodes.avoided(4) == {B.id}
    assert nodes.avoided(5) == frozenset()
    assert nodes.n_cpus() == 6


def test_a_node_that_was_heard_meanwhile_is_not_in_doubt() -> None:
    nodes = seen(A, B)
    nodes.heard(B.id, 11.0)
    nodes.gave_up(B.id, 10.0, 40.0)
    assert nodes.avoided(1) == frozenset()


def test_doubt_ends_with_an_answer_with_time_and_with_the_node() -> None:
    for end in ("answer", "time", "gone"):
        nodes = seen(A, B)
        nodes.gave_up(B.id, 10.0, 40.0)
        assert nodes.avoided(1) == {B.id}
        if end == "answer":
            nodes.heard(B.id, 41.0)
        nodes.update(
            [A] if end == "gone" else [A, B], 41.0 if end != "time" else 40.0 + DOUBT_SECONDS
        )
        assert nodes.avoided(1) == frozenset()
