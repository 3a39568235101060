"""Split: did each revision get the share of the requests that the gateway was told to give it?

Where it did not, the two samples are of different requests: retries went elsewhere, sessions stick to one side,
somebody calls one of them directly, or one side's events are lost. Their answers may then differ without a change of
the model, and agree in spite of one. Online experiments know the check as that for a sample-ratio mismatch.
"""

from __future__ import annotations

from scipy import stats

from sluice.monitor.tally import Tally

ALPHA = 1e-4
"""The probability that a fair split is called unfair. It holds until the next look, which has more to see."""
LIMIT = 0.1
"""What is too far off, as a part of the smaller share: 10 % may be 9 to 11 %. Requests that are on their way when the
window begins or ends stay far below it."""


def unfair(candidate: Tally, stable: Tally, share: float) -> str | None:
    """What to say when the requests that each side was heard of with do not fit; None when they do.

    Args:
        candidate: what became of the candidate's requests in the window.
        stable: the same of the stable revision's.
        share: the part of both that the candidate should have, above 0 and below 1.

    Each request goes to either side by a throw of its own, so the candidate's count is binomial. 100 of 1,000 are fair
    for a share of 0.1, and so are 80: that far off by chance, one in thirty. 60 are not.
    """
    ours, everything = candidate.inferences, candidate.inferences + stable.inferences
    if not everything:
        return None
    seen = ours / everything
    if abs(seen - share) <= LIMIT * min(share, 1 - share):
        return None
    if stats.binomtest(ours, everything, share).pvalue > ALPHA:
        return None
    return (
        f"The candidate had {seen:.2%} of {everything:,} requests, and should have {share:.2%}: "
        "what the two revisions were asked cannot be compared."
    )
