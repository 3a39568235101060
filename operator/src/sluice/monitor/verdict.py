"""Verdict: two sides and a rule in, one of four words with its reasons out. Pure, down to the sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import msgspec

from sluice.api.verdict import Verdict
from sluice.monitor.comparison import ColumnKind, ColumnPair
from sluice.monitor.split import unfair
from sluice.monitor.tally import Tally
from sluice.monitor.twosample import Comparison, detectable_effect, mean_shift
from sluice.monitor.vector import FEW

MIN_MISSING_RISE = 0.01
"""The least rise of a missing share that matters. Far below any sensible ``minEffect``: an answer that is
no answer is a fault, not a change of behaviour."""
MAX_LOST_SHARE = 0.2
"""Beyond this share of inferences that gave no row, those that did cannot speak for the rest."""
NAMED_COLUMNS = 3
"""Columns that a message names; the list of columns has them all."""
MAX_NAME = 80
"""Characters of a column's name that a message shows."""


class Reason(StrEnum):
    """Why, in one word, of a verdict or of one column."""

    WITHIN_LIMITS = "WithinLimits"
    DRIFT_DETECTED = "DriftDetected"
    NO_DATA = "NoData"
    NO_STABLE_DATA = "NoStableData"
    TOO_FEW_SAMPLES = "TooFewSamples"
    SAMPLES_LOST = "SamplesLost"
    SAMPLE_RATIO_MISMATCH = "SampleRatioMismatch"
    NOT_SIGNIFICANT = "NotSignificant"
    EFFECT_TOO_SMALL = "EffectTooSmall"
    CONSTANT = "Constant"
    MORE_MISSING_VALUES = "MoreMissingValues"
    COLUMN_MISSING = "ColumnMissing"
    TYPE_CHANGED = "TypeChanged"
    COLUMN_NEW = "ColumnNew"
    COLUMN_EMPTY = "ColumnEmpty"
    TOO_FEW_VALUES = "TooFewValues"
    TOO_MANY_CATEGORIES = "TooManyCategories"
    NO_LABELS = "NoLabels"
    TOO_FEW_LABELS = "TooFewLabels"
    OUTSIDE_LIMITS = "OutsideLimits"
    WORSE_THAN_STABLE = "WorseThanStable"
    UNGRADED = "Ungraded"
    REFERENCE_INCOMPLETE = "ReferenceIncomplete"
    REFERENCE_LOST = "ReferenceLost"
    ROWS_GONE = "RowsGone"
    INTERNAL = "Internal"


class Sides(NamedTuple):
    """What the two sides are called."""

    candidate: str
    stable: str
    rows: str
    """A place for each side's number of rows, in words."""


IN_RELEASE = Sides("candidate", "stable revision", "{:,} candidate and {:,} stable rows")
AT_REST = Sides("revision", "reference", "{:,} rows against {:,} of the reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a change counts."""

    min_samples: int
    """Fewer rows than this on a side are Inconclusive."""
    min_effect: float
    """Smaller effects never fail."""
    alpha: float
    """The probability of a false alarm that this look may spend, over all its columns."""
    share: float | None = None
    """The candidate's part of both sides' requests; None where it is sent copies, or nobody said."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One side of a comparison: how many rows, and what became of its inferences."""

    rows: int
    tally: Tally


class ColumnVerdict(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was found in one column. The test named is the one that decided."""

    name: str
    kind: ColumnKind
    verdict: Verdict
    reason: Reason
    test: str | None = None
    statistic: float | None = None
    p_value: float | None = None
    alpha: float
    """This test's share of the budget: significant at or below it."""
    effect: float | None = None
    min_effect: float
    detectable_effect: float | None = None
    """The least effect that this many rows could have shown."""
    mean_shift: float | None = None
    """Candidate minus stable in standard deviations; a help to the reader, not part of the decision."""
    missing_candidate: float
    missing_stable: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer, with its figures."""

    verdict: Verdict
    reason: Reason
    message: str
    columns: tuple[ColumnVerdict, ...] = ()


def judge(
    pairs: Sequence[ColumnPair], candidate: Sample, stable: Sample, rule: Rule, sides: Sides = IN_RELEASE
) -> Judgement:
    """The verdict over all columns.

    The budget is split evenly over the tests (Bonferroni): 25 complete columns at 0.01 are tested at
    0.0004 each. Holm's method would reject a little more after a first rejection, but the first already
    fails the look, and an even share can be recomputed by a reader with a pocket calculator.

    Fail, if any column fails. Otherwise Inconclusive, if any column could not be judged, or the rows cannot
    speak for the requests. What has not been measured never passes.
    """
    if too_few := _too_few(candidate, stable, rule, sides):
        return too_few
    if not pairs:
        return Judgement(Verdict.INCONCLUSIVE, Reason.NO_DATA, "The rows of both sides have no columns.")
    tests = max(sum(pair.tests for pair in pairs), 1)
    columns = tuple(judge_column(pair, rule, rule.alpha / tests) for pair in pairs)
    failed = [column for column in columns if column.verdict is Verdict.FAIL]
    unsure = [column for column in columns if column.verdict is Verdict.INCONCLUSIVE]
    biased = unfair(candidate.tally, stable.tally, rule.share) if rule.share is not None else None
    rows = sides.rows.format(candidate.rows, stable.rows)
    if any(pair.matched is not None for pair in pairs):
        rows = f"{candidate.rows:,} rows that both revisions answered"
    if failed:
        reason = failed[0].reason if len(failed) == 1 else Reason.DRIFT_DETECTED
        message = f"{len(failed)} of {len(columns)} columns changed in {rows}: {_name(failed)}."
        return Judgement(Verdict.FAIL, reason, f"{message} {biased}" if biased else message, columns)
    if unsure:
        return Judgement(
            Verdict.INCONCLUSIVE,
            unsure[0].reason,
            f"{len(unsure)} of {len(columns)} columns cannot be judged in {rows}: {_name(unsure)}. "
            f"{_halved(unsure)}List the columns to compare in the monitor to leave them out.",
            columns,
        )
    if lost := _lost(candidate, stable, sides):
        return Judgement(Verdict.INCONCLUSIVE, Reason.SAMPLES_LOST, lost, columns)
    if biased:
        return Judgement(Verdict.INCONCLUSIVE, Reason.SAMPLE_RATIO_MISMATCH, biased, columns)
    return Judgement(Verdict.PASS, Reason.WITHIN_LIMITS, _passed(columns, rows), columns)


def judge_column(pair: ColumnPair, rule: Rule, alpha: float) -> ColumnVerdict:
    """One column's verdict, each of its tests at level ``alpha``.

    A rise of the missing share comes first: where it fails, the values that are left are a choice.
    """
    missing = pair.compare_missing()
    if missing and missing.p_value <= alpha and missing.effect >= MIN_MISSING_RISE:
        return _column(pair, Verdict.FAIL, _why_missing(pair), alpha, MIN_MISSING_RISE, missing)
    if reason := _not_comparable(pair, rule):
        return _column(pair, Verdict.INCONCLUSIVE, reason, alpha, rule.min_effect)
    found = pair.compare_values(rule.min_effect)
    if found is None:
        return _column(pair, Verdict.INCONCLUSIVE, Reason.TOO_MANY_CATEGORIES, alpha, rule.min_effect)
    if found.test == "constant" and found.effect == 0:
        return _column(pair, Verdict.PASS, Reason.CONSTANT, alpha, rule.min_effect, found)
    if found.p_value > alpha:
        return _column(pair, Verdict.PASS, Reason.NOT_SIGNIFICANT, alpha, rule.min_effect, found)
    if found.effect < rule.min_effect:
        return _column(pair, Verdict.PASS, Reason.EFFECT_TOO_SMALL, alpha, rule.min_effect, found)
    return _column(pair, Verdict.FAIL, Reason.DRIFT_DETECTED, alpha, rule.min_effect, found)


def _too_few(candidate: Sample, stable: Sample, rule: Rule, sides: Sides) -> Judgement | None:
    if not candidate.rows:
        return Judgement(Verdict.INCONCLUSIVE, Reason.NO_DATA, f"The {sides.candidate} has no rows in the window.")
    if not stable.rows:
        message = f"The {sides.stable} has no rows in the window."
        return Judgement(Verdict.INCONCLUSIVE, Reason.NO_STABLE_DATA, message)
    if min(candidate.rows, stable.rows) >= rule.min_samples:
        return None
    have = sides.rows.format(candidate.rows, stable.rows)
    message = f"{have}; {rule.min_samples:,} of each are needed."
    return Judgement(Verdict.INCONCLUSIVE, Reason.TOO_FEW_SAMPLES, message)


def _not_comparable(pair: ColumnPair, rule: Rule) -> Reason | None:
    """Why the values cannot be tested, if they cannot."""
    if pair.kind is ColumnKind.EMPTY:
        return Reason.COLUMN_EMPTY
    if not pair.stable.present:
        return Reason.COLUMN_NEW
    # Of vectors with too few to learn from, the scores say nothing: all are 0.
    least = max(rule.min_samples, FEW) if pair.kind is ColumnKind.VECTOR else rule.min_samples
    if pair.compared < least:
        return Reason.TOO_FEW_VALUES
    return None


def _why_missing(pair: ColumnPair) -> Reason:
    if pair.candidate.other_type * 2 >= pair.candidate.missing:
        return Reason.TYPE_CHANGED
    return Reason.MORE_MISSING_VALUES if pair.candidate.present else Reason.COLUMN_MISSING


def _column(
    pair: ColumnPair,
    verdict: Verdict,
    reason: Reason,
    alpha: float,
    min_effect: float,
    found: Comparison | None = None,
) -> ColumnVerdict:
    candidate, stable = pair.candidate, pair.stable
    tested = found is not None and found.test in ("ks", "chi2")
    numeric = pair.kind is not ColumnKind.CATEGORICAL and candidate.present and stable.present
    return ColumnVerdict(
        name=pair.name,
        kind=pair.kind,
        verdict=verdict,
        reason=reason,
        test=found.test if found else None,
        statistic=found.statistic if found else None,
        p_value=found.p_value if found else None,
        alpha=alpha,
        effect=found.effect if found else None,
        min_effect=min_effect,
        detectable_effect=(
            detectable_effect(found, candidate.present, stable.present, alpha) if found and tested else None
        ),
        mean_shift=mean_shift(candidate.values, stable.values) if numeric else None,
        missing_candidate=candidate.missing_share,
        missing_stable=stable.missing_share,
    )


def _lost(candidate: Sample, stable: Sample, sides: Sides) -> str | None:
    """What to say when too many inferences gave no row."""
    for who, sample in ((sides.candidate, candidate), (sides.stable, stable)):
        share = sample.tally.lost_share
        if share > MAX_LOST_SHARE:
            tally = sample.tally
            return (
                f"{share:.0%} of the {who}'s {tally.inferences:,} inferences gave no row to compare "
                f"({tally.failed:,} requests without a response, {tally.orphaned:,} responses without a "
                f"request, {tally.unreadable + tally.mismatched:,} unreadable): "
                "the others cannot speak for them."
            )
    return None


def _name(columns: Sequence[ColumnVerdict]) -> str:
    """The worst columns in words, the largest effect first."""
    worst = sorted(columns, key=lambda column: -(column.effect or 0.0))
    more = f" and {len(worst) - NAMED_COLUMNS} more" if len(worst) > NAMED_COLUMNS else ""
    return "; ".join(_describe(column) for column in worst[:NAMED_COLUMNS]) + more


def _halved(columns: Sequence[ColumnVerdict]) -> str:
    """What to say of vectors that had too few rows."""
    few = any(c.kind is ColumnKind.VECTOR and c.reason is Reason.TOO_FEW_VALUES for c in columns)
    return "A vector needs twice as many rows: half of them teach what to look for. " if few else ""


def _describe(column: ColumnVerdict) -> str:
    name = column.name if len(column.name) <= MAX_NAME else column.name[:MAX_NAME] + "…"
    if column.effect is None or column.p_value is None:
        return f"{name} ({column.reason})"
    if column.test == "missing":
        shares = f"{column.missing_candidate:.1%} missing against {column.missing_stable:.1%}"
        return f"{name} ({column.reason}, {shares}, p {column.p_value:.2g})"
    if column.kind is ColumnKind.TEXT:
        name = f"length of {name}"
    shift = "" if column.mean_shift is None else f", mean {column.mean_shift:+.2f} sd"
    limit = f"limit {column.min_effect:g}"
    return f"{name} ({column.test} effect {column.effect:.3f}, {limit}{shift}, p {column.p_value:.2g})"


def _passed(columns: Sequence[ColumnVerdict], rows: str) -> str:
    """The column closest to a Fail, and how small a change would have been seen."""
    closest = max(columns, key=lambda column: column.effect or 0.0)
    blind = max((column.detectable_effect or 0.0 for column in columns), default=0.0)
    seen = f"; a change of {blind:.2f} or more would have been significant" if blind else ""
    return f"None of {len(columns)} columns changed beyond its limit in {rows}; most: {_describe(closest)}{seen}."
