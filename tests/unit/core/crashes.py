"""A story told again for each of its writes, with the operator dying after it.

Most of that need not be played: where an operator that died and began again leaves the very state that an undisturbed
one leaves, what follows is the same too. So a story is played once, and each time the operator runs in it, the same is
done for each of its writes beside it, with a crash. What leaves another state is played to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.unit.core.simulation import Cluster

Story = Callable[[Cluster], None]


@dataclass(frozen=True)
class End:
    """How a story ended."""

    after: int
    """The write after which the operator died, counted from 1."""
    cluster: Cluster


def crashes(start: Callable[[], Cluster], story: Story) -> tuple[Cluster, Iterator[End]]:
    """Where a story ends without a crash, and every other end that a crash after a single write could give it."""
    apart: list[int] = []

    def compare(before: Cluster, after: Cluster) -> None:
        for write in range(before.writes + 1, after.writes + 1):
            crashed = before.fork()
            crashed.crash_after = write
            crashed.settle()
            if crashed.state() != after.state():
                apart.append(write)

    undisturbed = start()
    undisturbed.on_settle = compare
    story(undisturbed)
    return undisturbed, (_play(start(), story, write) for write in apart)


def _play(cluster: Cluster, story: Story, write: int) -> End:
    cluster.crash_after = write
    story(cluster)
    return End(write, cluster)
