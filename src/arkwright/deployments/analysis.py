r"""Is a candidate as good as what it would replace? Decided from counts, and safe to ask every second.

A rollout is judged again and again while requests come in. An ordinary test at 5 % that is repeated for an hour finds
a harmless candidate guilty sooner or later. What is used here holds at every look together: the chance that an arm
which keeps its promises is taken back for them *during a step* is at most ``1 - confidence``, however often one looks.

That bound is one step's and one arm's, not the rollout's: each step is judged on requests of its own, so over a rollout
the chances add up, to at most ``(1 - confidence) * steps * arms``. Outside of it are the mean difference of a shadow's
scores, which is compared with its limit as it is, and a blown fuse, which a data plane decides by itself.

- Shares (errors, requests slower than a limit, disagreement of a shadow): :func:`evidence_against_share`.
- Differences of means (accuracy, absolute error, a business metric): :func:`difference_interval`.

With several conditions the allowance is divided by their number (Bonferroni). A condition is *breached* when the
evidence is beyond that; *met* when there is enough of it and the figure itself is within the limit; *open* in between,
and then the rollout waits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from scipy.special import bdtr, betaln

from arkwright.contracts import ArmWindow, latency_percentile
from arkwright.contracts.window import BUCKET_GROWTH, FIRST_BUCKET_MS, N_BUCKETS
from arkwright.core.structs import prepared
from arkwright.deployments.ports import ArmOutcomes, MetricSums
from arkwright.evaluation import wilson_interval

FEWEST_REQUESTS = 10  # errors that are beyond doubt need not wait for min_requests, but for these
SMALL_EFFECT = 0.2  # Cohen's d of a small difference: where the interval of a difference is sharpest
_Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """Windows of one arm, added up; the members are those of :class:`~arkwright.contracts.ArmWindow`."""

    requests: int = 0
    errors: int = 0
    fallbacks: int = 0
    rows: int = 0
    latency_counts: tuple[int, ...] = (0,) * N_BUCKETS
    score_sum: float = 0.0
    score_squares: float = 0.0
    compared: int = 0
    agreed: int = 0
    difference_sum: float = 0.0
    blown: bool = False

    @property
    def failed(self) -> int:
        """Requests the arm did not answer itself: an error or a fallback, each request once."""
        return min(self.requests, max(self.errors, self.fallbacks))

    @property
    def timed(self) -> int:
        """Requests whose latency was counted."""
        return sum(self.latency_counts)

    def slower_than(self, limit_ms: float) -> int:
        """Return how many requests certainly took longer: those in buckets that begin at or above the limit."""
        if limit_ms <= FIRST_BUCKET_MS:
            return sum(self.latency_counts[1:])
        first = math.ceil(math.log(limit_ms / FIRST_BUCKET_MS) / math.log(BUCKET_GROWTH) - 1e-9) + 1
        return sum(self.latency_counts[first:])


def add_windows(windows: Iterable[ArmWindow]) -> ArmCounts:
    """Add windows up; an arm counts as blown if the last second says so.

    Examples
    --------
    >>> window = ArmWindow(deployment_id="dep_1", workspace_id="ws_1", arm="canary", model_version_id="mv_1", second=1,
    ...                    requests=4, errors=1, latency_counts=((3, 4),))
    >>> total = add_windows([window, window])
    >>> total.requests, total.errors, total.latency_counts[3]
    (8, 2, 8)
    """
    counts = [0] * N_BUCKETS
    given = sorted(windows, key=lambda window: window.second)
    for window in given:
        for bucket, count in window.latency_counts:
            counts[min(max(bucket, 0), N_BUCKETS - 1)] += count
    last = given[-1].second if given else 0
    return ArmCounts(
        requests=sum(window.requests for window in given),
        errors=sum(window.errors for window in given),
        fallbacks=sum(window.fallbacks for window in given),
        rows=sum(window.rows for window in given),
        latency_counts=tuple(counts),
        score_sum=math.fsum(window.score_sum for window in given),
        score_squares=math.fsum(window.score_squares for window in given),
        compared=sum(window.compared for window in given),
        agreed=sum(window.agreed for window in given),
        difference_sum=math.fsum(window.difference_sum for window in given),
        blown=any(window.blown for window in given if window.second == last),
    )


def follow_on(earlier: ArmCounts, later: ArmCounts) -> ArmCounts:
    """Return two spans of one arm as one; the later one says whether the fuse is blown.

    Examples
    --------
    >>> both = follow_on(ArmCounts(requests=3, errors=1, blown=True), ArmCounts(requests=4))
    >>> both.requests, both.errors, both.blown
    (7, 1, False)
    """
    return ArmCounts(
        requests=earlier.requests + later.requests,
        errors=earlier.errors + later.errors,
        fallbacks=earlier.fallbacks + later.fallbacks,
        rows=earlier.rows + later.rows,
        latency_counts=tuple(a + b for a, b in zip(earlier.latency_counts, later.latency_counts, strict=True)),
        score_sum=earlier.score_sum + later.score_sum,
        score_squares=earlier.score_squares + later.score_squares,
        compared=earlier.compared + later.compared,
        agreed=earlier.agreed + later.agreed,
        difference_sum=earlier.difference_sum + later.difference_sum,
        blown=later.blown,
    )


@dataclass(frozen=True, slots=True)
class MetricLimit:
    """How much worse than the stable arm a metric may be, in the metric's own unit."""

    name: str
    max_worse: float
    min_outcomes: int = 100
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a candidate is held to.

    Parameters
    ----------
    min_requests
        Fewer than these say nothing.
    error_rate_pct
        Share of failed requests that is promised, in percent.
    latency_ms_p95, latency_ms_p99
        Percentiles that are promised; 0 promises nothing.
    metrics
        Limits on outcomes, compared with the stable arm.
    min_agreement_pct
        Shadow arms: share of rows that must get the live answer's label, in percent; 0 for no limit.
    max_score_difference
        Shadow arms: mean absolute difference of score; 0 for no limit.
    confidence
        One minus the chance, per step and arm, of taking back one that keeps all of these.
    """

    min_requests: int = 50
    error_rate_pct: float = 1.0
    latency_ms_p95: float = 500.0
    latency_ms_p99: float = 0.0
    metrics: tuple[MetricLimit, ...] = ()
    min_agreement_pct: float = 0.0
    max_score_difference: float = 0.0
    confidence: float = 0.95

    @property
    def alpha(self) -> float:
        """The allowance of each condition."""
        latencies = (self.latency_ms_p95 > 0) + (self.latency_ms_p99 > 0)
        return (1.0 - self.confidence) / (1 + latencies + len(self.metrics) + (self.min_agreement_pct > 0))


Status = Literal["met", "breached", "open"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition: what was seen, what is allowed, on how much, and what follows.

    ``low`` and ``high`` bound a share with 95 % (Wilson's interval; of a percentile: the share of slower requests, in
    percent), and a difference with the criteria's confidence at every look together.
    """

    name: str
    arm: str
    status: Status
    value: float | None
    threshold: float
    n: int
    needed: int
    detail: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the findings come to: ``continue``, ``wait`` or ``rollback``, and why, in a sentence."""

    decision: Literal["continue", "wait", "rollback"]
    reason: str
    findings: tuple[Finding, ...] = field(default=())


class Interval(NamedTuple):
    """Bounds of an estimate."""

    low: float
    high: float


def _share_interval(hits: int, n: int) -> Interval:
    return Interval(*wilson_interval(hits, n))


def evidence_against_share(hits: int, n: int, allowed: float) -> float:
    r"""Return how strongly ``hits`` of ``n`` speak against a true share of at most ``allowed``: an e-value.

    The likelihood of what was seen, averaged over all shares above the allowed one, against its likelihood at it:

    .. math:: \Lambda_n = \frac{1}{1 - p_0} \int_{p_0}^1 \frac{p^k (1-p)^{n-k}}{p_0^k (1-p_0)^{n-k}}\,dp
        = \frac{B(k+1, n-k+1)\; P[\mathrm{Bin}(n+1, p_0) \le k]}{(1-p_0)\; p_0^k (1-p_0)^{n-k}}

    While the true share is at most :math:`p_0` it is a non-negative supermartingale that starts at 1, so by Ville's
    inequality it *ever* reaches :math:`1/\alpha` with a probability of at most :math:`\alpha`: one may look after each
    request. 20 is what 5 % asks for.

    References
    ----------
    H. Robbins, "Statistical methods related to the law of the iterated logarithm", Ann. Math. Statist. 41(5), 1970.
    A. Ramdas et al., "Game-theoretic statistics and safe anytime-valid inference", Statistical Science 38(4), 2023.

    Examples
    --------
    One error in three requests is no proof of more than 1 %; five in fifty are.

    >>> round(evidence_against_share(1, 3, 0.01), 1), round(evidence_against_share(5, 50, 0.01))
    (8.6, 147)
    >>> evidence_against_share(0, 1000, 0.01) < 1
    True
    """
    if n <= 0 or allowed >= 1.0:
        return 1.0
    share = max(allowed, 1e-9)
    tail = float(bdtr(hits, n + 1, share))
    if tail <= 0.0:
        return 0.0
    log_evidence = (
        float(betaln(hits + 1, n - hits + 1))
        + math.log(tail)
        - math.log1p(-share)
        - hits * math.log(share)
        - (n - hits) * math.log1p(-share)
    )
    return math.exp(min(log_evidence, 700.0))


def difference_interval(candidate: MetricSums, baseline: MetricSums, alpha: float) -> Interval:
    r"""Return an interval for the difference of two means, candidate minus baseline, that holds at every look.

    With :math:`V = s_1^2/n_1 + s_0^2/n_0` and a normal mixture of variance :math:`\tau^2` over the true difference,

    .. math:: \hat d \pm \sqrt{\frac{2 V (V + \tau^2)}{\tau^2}\,\ln\frac{\sqrt{(V + \tau^2)/V}}{\alpha}}

    :math:`\tau` is a small effect, a fifth of the pooled standard deviation. Zeros and ones (accuracy, conversion) get
    one success and one failure more per arm (Agresti and Caffo), so that ten out of ten is not taken for certain.

    References
    ----------
    R. Johari, P. Koomen, L. Pekelis, D. Walsh, "Always valid inference: continuous monitoring of A/B tests",
    Operations Research 70(3), 2022, section 4.
    A. Agresti, B. Caffo, "Simple and effective confidence intervals for proportions and differences of proportions",
    The American Statistician 54(4), 2000.

    Examples
    --------
    >>> good, poor = MetricSums(400, 320, 320), MetricSums(400, 220, 220)
    >>> [round(bound, 2) for bound in difference_interval(poor, good, alpha=0.05)]
    [-0.35, -0.15]
    >>> low, high = difference_interval(good, good, alpha=0.05)
    >>> low < 0 < high
    True
    """
    finite = all(math.isfinite(sums.squares) for sums in (candidate, baseline))
    if candidate.n < 2 or baseline.n < 2 or not finite:
        return Interval(-math.inf, math.inf)
    mean_1, variance_1 = _moments(candidate)
    mean_0, variance_0 = _moments(baseline)
    difference = mean_1 - mean_0
    variance = variance_1 / candidate.n + variance_0 / baseline.n
    if variance <= 0.0:
        return Interval(difference, difference)
    tau = SMALL_EFFECT**2 * (variance_1 + variance_0) / 2
    width = math.sqrt(2 * variance * (variance + tau) / tau * math.log(math.sqrt((variance + tau) / variance) / alpha))
    return Interval(difference - width, difference + width)


def analyse(
    criteria: Criteria,
    arm: str,
    candidate: ArmCounts,
    outcomes: ArmOutcomes | None = None,
    baseline_outcomes: ArmOutcomes | None = None,
) -> Verdict:
    """Judge one arm.

    Parameters
    ----------
    arm
        Its name, for the findings.
    candidate
        What the data planes counted since the present step began.
    outcomes, baseline_outcomes
        What became of its predictions and of the stable arm's since the rollout began.

    Examples
    --------
    >>> counts = [0] * N_BUCKETS
    >>> counts[40] = 100
    >>> fine = ArmCounts(requests=100, latency_counts=tuple(counts))
    >>> analyse(Criteria(), "canary", fine).decision
    'continue'
    >>> analyse(Criteria(), "canary", ArmCounts(requests=20, errors=20)).decision
    'rollback'
    >>> analyse(Criteria(), "canary", ArmCounts(requests=3, errors=1)).decision
    'wait'
    """
    findings = [_errors(criteria, arm, candidate)]
    findings += [
        _latency(criteria, arm, candidate, percent, limit)
        for percent, limit in ((95, criteria.latency_ms_p95), (99, criteria.latency_ms_p99))
        if limit > 0
    ]
    if candidate.blown:
        findings.append(_fuse(criteria, arm, candidate))
    findings += [
        _metric(criteria, arm, limit, outcomes or ArmOutcomes(), baseline_outcomes or ArmOutcomes())
        for limit in criteria.metrics
    ]
    if criteria.min_agreement_pct > 0:
        findings.append(_agreement(criteria, arm, candidate))
    if criteria.max_score_difference > 0:
        findings.append(_score_difference(criteria, arm, candidate))
    return conclude(findings)


def conclude(findings: Sequence[Finding]) -> Verdict:
    """Return ``rollback`` if one finding is breached, ``wait`` if one is open, else ``continue``."""
    breached = [finding.detail for finding in findings if finding.status == "breached"]
    waiting = [finding.detail for finding in findings if finding.status == "open"]
    if breached:
        return Verdict("rollback", " ".join(breached), tuple(findings))
    if waiting:
        return Verdict("wait", " ".join(waiting), tuple(findings))
    return Verdict("continue", "Every condition is met.", tuple(findings))


def _errors(criteria: Criteria, arm: str, counts: ArmCounts) -> Finding:
    allowed = criteria.error_rate_pct / 100
    evidence = evidence_against_share(counts.failed, counts.requests, allowed)
    fewest = min(criteria.min_requests, FEWEST_REQUESTS)
    status = _status(
        breached=counts.requests >= fewest and evidence >= 1 / criteria.alpha,
        enough=counts.requests >= criteria.min_requests,
        within=counts.failed <= allowed * counts.requests,
    )
    share = counts.failed / counts.requests if counts.requests else None
    bounds = _share_interval(counts.failed, counts.requests)
    return Finding(
        "error_rate_pct",
        arm,
        status,
        _percent(share),
        criteria.error_rate_pct,
        counts.requests,
        criteria.min_requests,
        f"{arm} failed {counts.failed} of {counts.requests} requests, {_shown(_percent(share))} %; "
        f"{criteria.error_rate_pct:g} % is allowed.",
        bounds.low * 100,
        bounds.high * 100,
    )


def _latency(criteria: Criteria, arm: str, counts: ArmCounts, percent: int, limit_ms: float) -> Finding:
    timed = counts.timed
    slow = counts.slower_than(limit_ms)
    allowed = 1 - percent / 100
    value = latency_percentile(counts.latency_counts, percent)
    # Neighbouring requests share a pause of the process, so a few slow ones in a row prove less than they seem to:
    # latency waits for min_requests where errors need not.
    enough = timed >= criteria.min_requests
    status = _status(
        breached=enough and evidence_against_share(slow, timed, allowed) >= 1 / criteria.alpha,
        enough=enough,
        within=slow <= allowed * timed,
    )
    bounds = _share_interval(slow, timed)
    return Finding(
        f"latency_ms_p{percent}",
        arm,
        status,
        None if math.isnan(value) else value,
        limit_ms,
        timed,
        criteria.min_requests,
        f"{arm} answered {slow} of {timed} requests slower than {limit_ms:g} ms (p{percent} "
        f"{_shown(None if math.isnan(value) else value)} ms); {100 - percent} % may be.",
        bounds.low * 100,
        bounds.high * 100,
    )


def _fuse(criteria: Criteria, arm: str, counts: ArmCounts) -> Finding:
    # Its limits are never tighter than these criteria (strategy.looser), so it is a breach of them too. What it saw may
    # be from before the control plane came back: no requests of this step are asked for.
    limits = [f"{criteria.error_rate_pct:g} % errors"]
    limits += [
        f"a p{percent} of {limit:g} ms"
        for percent, limit in ((95, criteria.latency_ms_p95), (99, criteria.latency_ms_p99))
        if limit > 0
    ]
    detail = (
        f"A data plane has taken {arm}'s traffic by itself: its fuse has blown, which allows at least "
        f"{' and '.join(limits)}."
    )
    return Finding("fuse", arm, "breached", 1.0, 0.0, counts.requests, 0, detail)


def _metric(criteria: Criteria, arm: str, limit: MetricLimit, outcomes: ArmOutcomes, baseline: ArmOutcomes) -> Finding:
    own = outcomes.metrics.get(limit.name, MetricSums())
    other = baseline.metrics.get(limit.name, MetricSums())
    sign = 1.0 if limit.higher_is_better else -1.0
    n = min(own.n, other.n)
    enough = n >= limit.min_outcomes
    bounds = difference_interval(own, other, criteria.alpha)
    better = Interval(bounds.low, bounds.high) if sign > 0 else Interval(-bounds.high, -bounds.low)
    difference = own.mean - other.mean
    status = _status(
        breached=enough and better.high < -limit.max_worse,
        enough=enough,
        within=sign * difference >= -limit.max_worse,
    )
    seen = (
        f"{limit.name} of {arm} is {own.mean:.4g} and of stable {other.mean:.4g}"
        if n
        else f"{limit.name} of {arm} cannot be compared yet"
    )
    return Finding(
        f"metric.{limit.name}",
        arm,
        status,
        difference if n else None,
        -sign * limit.max_worse,
        n,
        limit.min_outcomes,
        f"{seen}, on {own.n} and {other.n} outcomes; it may be worse by {limit.max_worse:g}.",
        bounds.low if math.isfinite(bounds.low) else None,
        bounds.high if math.isfinite(bounds.high) else None,
    )


def _agreement(criteria: Criteria, arm: str, counts: ArmCounts) -> Finding:
    allowed = 1 - criteria.min_agreement_pct / 100
    differing = counts.compared - counts.agreed
    enough = counts.compared >= criteria.min_requests
    status = _status(
        breached=enough and evidence_against_share(differing, counts.compared, allowed) >= 1 / criteria.alpha,
        enough=enough,
        within=differing <= allowed * counts.compared,
    )
    share = counts.agreed / counts.compared if counts.compared else None
    bounds = _share_interval(counts.agreed, counts.compared)
    return Finding(
        "agreement_pct",
        arm,
        status,
        _percent(share),
        criteria.min_agreement_pct,
        counts.compared,
        criteria.min_requests,
        f"{arm} agreed with the live answer on {counts.agreed} of {counts.compared} rows, {_shown(_percent(share))} %; "
        f"{criteria.min_agreement_pct:g} % is asked for.",
        bounds.low * 100,
        bounds.high * 100,
    )


def _score_difference(criteria: Criteria, arm: str, counts: ArmCounts) -> Finding:
    value = counts.difference_sum / counts.compared if counts.compared else None
    within = value is not None and value <= criteria.max_score_difference
    enough = counts.compared >= criteria.min_requests
    # A mean without its spread has no interval: it is taken at its word once there is enough of it.
    status: Status = "open" if not enough else ("met" if within else "breached")
    return Finding(
        "score_difference",
        arm,
        status,
        value,
        criteria.max_score_difference,
        counts.compared,
        criteria.min_requests,
        f"Scores of {arm} differ from the live ones by {_shown(value)} on average over {counts.compared} rows; "
        f"{criteria.max_score_difference:g} is allowed.",
    )


def _status(*, breached: bool, enough: bool, within: bool) -> Status:
    if breached:
        return "breached"
    return "met" if enough and within else "open"


def _moments(sums: MetricSums) -> tuple[float, float]:
    """Return the mean and the variance; zeros and ones with one success and one failure added."""
    n, total, squares = float(sums.n), sums.total, sums.squares
    if math.isclose(total, squares, rel_tol=1e-12, abs_tol=1e-12) and 0 <= total <= n:
        n, total, squares = n + 2, total + 1, squares + 1
    mean = total / n
    return mean, max(0.0, (squares - n * mean * mean) / (n - 1))


def _percent(share: float | None) -> float | None:
    return None if share is None else share * 100


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


prepared(Criteria)
