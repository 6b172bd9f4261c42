"""Conversations whose messages form a tree, because edits and second answers open branches.

The functions take `parents`: each message's id with the id of what it answers, or with None
or an id that is not among the messages where the conversation starts.
"""

from collections.abc import Mapping


def path_to(parents: Mapping[str, str | None], leaf: str | None) -> list[str]:
    """From the start of the conversation down to `leaf`; empty if `leaf` is not in it.

    A circle of parents, which only a damaged file holds, is walked once. O(length of the path).

    Examples
    --------
    >>> path_to({"a": None, "b": "a", "c": "a", "d": "c"}, "d")
    ['a', 'c', 'd']
    """
    steps: dict[str, None] = {}
    while leaf is not None and leaf in parents and leaf not in steps:
        steps[leaf] = None
        leaf = parents[leaf]
    return list(reversed(steps))


def current(parents: Mapping[str, str | None], leaf: str | None) -> list[str]:
    """The messages that no other branch has replaced, in the order of `parents`.

    Of several answers to one message the one on the way to `leaf` stays, else the last; what
    follows a dropped message goes with it. Unlike `path_to` this keeps what comes before a
    missing message, and keeps everything where no message answers another. O(messages).

    Examples
    --------
    >>> current({"a": None, "b": "a", "c": "a", "e": "lost", "d": "c"}, "d")
    ['a', 'c', 'e', 'd']
    """
    if not any(parent in parents for parent in parents.values()):
        return list(parents)
    wanted = set(path_to(parents, leaf))
    chosen: dict[str | None, str] = {}
    for node, parent in parents.items():
        if node in wanted or chosen.get(parent) not in wanted:
            chosen[parent] = node
    kept: set[str] = set()  # a circle has no start and is kept as the way to the leaf
    for start in [parent for parent in chosen if parent not in parents]:
        reached: str | None = chosen[start]
        while reached is not None and reached not in kept:
            kept.add(reached)
            reached = chosen.get(reached)
    return [node for node in parents if node in kept or node in wanted]


def depth_first(parents: Mapping[str, str | None]) -> list[str]:
    """Every message: each before what answers it, branches one after the other. O(messages).

    Examples
    --------
    >>> depth_first({"a": None, "b": "a", "c": "a", "d": "b"})
    ['a', 'b', 'd', 'c']
    """
    answers: dict[str | None, list[str]] = {}
    for node, parent in parents.items():
        answers.setdefault(parent if parent in parents else None, []).append(node)
    order: list[str] = []
    waiting = answers.get(None, [])[::-1]
    while waiting:
        order.append(waiting.pop())
        waiting.extend(reversed(answers.get(order[-1], [])))
    return order
