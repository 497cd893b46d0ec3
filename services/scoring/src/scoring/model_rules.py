"""What a scoring model document must be beyond its shape, so that no version can go live that means nothing."""

from collections import Counter
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from math import ceil, inf, isinf
from typing import Final

from scoring.domain.fields import CUSTOM_PREFIX, FIELD_NAMES, Field, find_field
from scoring.domain.points import to_hundredths
from scoring.model_conditions import Reasoning, most_at_once
from scoring.model_schema import (
    ConditionPart,
    DecayPart,
    EngagementPart,
    FitPart,
    ModelDocument,
    NegativePart,
    NegativeSignalPart,
    RulePart,
    ScoredPart,
    SignalPart,
)
from scoring.outcomes.outcome import OUTCOME_KINDS

Finding = tuple[str, str]
"""A JSON pointer into the document, and what is wrong there."""

# The framework the product ships (design: domain): every model has these groups; it may add its own.
SEED_FIT: Final = ("job_title", "company_size", "industry_fit")
SEED_ENGAGEMENT: Final = (
    "website_visits", "content_downloads", "email_engagement", "webinar_attendance", "demo_requests", "trial_usage",
)  # fmt: skip
SEED_NEGATIVE: Final = ("competitor", "student_email", "unsubscribe")

ACCOUNT_GROUP: Final = "account"
"""What the lines of an explanation call the group that counts what colleagues did."""

DEEPEST_CONDITION: Final = 8  # levels of all/any/none; every level costs stack and time for each lead
MOST_TESTS: Final = 2000  # of fields, in all conditions: each is made for every lead, 0.2 µs
MOST_SIGNALS: Final = 500  # in all groups: each is asked about every activity of its kind
MOST_SIGNALS_OF_KIND: Final = 10  # of one activity, the lead's own and its colleagues' apart: a score asks them all
SHORTEST_DAYS: Final = 1 / 24  # a half-life or look-back window below: gone before anybody reads the score

_TESTS: Final = ("is_in", "has_words", "at_least", "at_most", "is_true", "is_set")
_COMBINATIONS: Final = ("all", "any", "none")
_TESTS_OF_SORT: Final = {
    "text": {"is_in", "has_words", "is_set"},
    "choice": {"is_in", "is_set"},
    "number": {"at_least", "at_most", "is_set"},
    "flag": {"is_true"},
}


def find_faults(document: ModelDocument) -> list[Finding]:
    """Return everything that is wrong with *document*; empty = it may go live."""
    return [*_faults(document)]


def _faults(document: ModelDocument) -> Iterator[Finding]:
    yield from _missing_groups(document)
    yield from _repeated_names(document)
    if too_large := [*_size_faults(document)]:
        yield from too_large
        return
    yield from _signal_faults(document)
    yield from _time_faults("/decay", document.decay)
    reasoning = Reasoning()
    for name, fit in document.fit.items():
        yield from _fit_faults(f"/fit/{name}", fit, reasoning)
    for name, engagement in document.engagement.items():
        yield from _engagement_faults(f"/engagement/{name}", engagement, document.decay)
    if document.account is not None:
        yield from _engagement_faults("/account", document.account, document.decay)
    for name, negative in document.negative.items():
        yield from _negative_faults(f"/negative/{name}", negative, reasoning)
    yield from _limit_faults(document)


def _missing_groups(document: ModelDocument) -> Iterator[Finding]:
    for half, wanted, present in (
        ("fit", SEED_FIT, document.fit),
        ("engagement", SEED_ENGAGEMENT, document.engagement),
        ("negative", SEED_NEGATIVE, document.negative),
    ):
        for name in wanted:
            if name not in present:
                yield f"/{half}/{name}", "this group of the scoring framework is missing"


def _repeated_names(document: ModelDocument) -> Iterator[Finding]:
    seen: set[str] = set() if document.account is None else {ACCOUNT_GROUP}
    for half, names in (
        ("fit", document.fit),
        ("engagement", document.engagement),
        ("negative", document.negative),
    ):
        for name in names:
            if name in seen:
                yield f"/{half}/{name}", "another half has a group of this name"
            seen.add(name)


def _size_faults(document: ModelDocument) -> Iterator[Finding]:
    """Yield the first rule and the first signal that are too many."""
    tests = signals = 0
    for half, groups in (("fit", document.fit), ("negative", document.negative)):
        for name, rules in ((name, group.rules) for name, group in groups.items()):
            for index, rule in enumerate(rules):
                before, tests = tests, tests + _count_tests(rule.when)
                if before <= MOST_TESTS < tests:
                    yield f"/{half}/{name}/rules/{index}", f"the document has more than {MOST_TESTS} tests of fields"
    for pointer, group in _groups_of_signals(document):
        before, signals = signals, signals + len(group.signals)
        if before <= MOST_SIGNALS < signals:
            yield f"{pointer}/signals", f"the document has more than {MOST_SIGNALS} signals"


def _groups_of_signals(document: ModelDocument) -> Iterator[tuple[str, EngagementPart | NegativePart]]:
    for name, engagement in document.engagement.items():
        yield f"/engagement/{name}", engagement
    if document.account is not None:
        yield "/account", document.account
    for name, negative in document.negative.items():
        yield f"/negative/{name}", negative


def _signal_faults(document: ModelDocument) -> Iterator[Finding]:
    """Yield the signals of what no signal may count, and of each activity the first signal that is too many."""
    counts: Counter[tuple[bool, str]] = Counter()
    for pointer, group in _groups_of_signals(document):
        signals: Sequence[SignalPart | NegativeSignalPart] = group.signals
        for index, signal in enumerate(signals):
            kind, is_colleagues = signal.activity, group is document.account
            counts[is_colleagues, kind] += 1
            if counts[is_colleagues, kind] == MOST_SIGNALS_OF_KIND + 1:
                whose = "of colleagues" if is_colleagues else "of the lead's own"
                detail = f"{kind} has more than {MOST_SIGNALS_OF_KIND} signals {whose}"
                yield f"{pointer}/signals/{index}/activity", detail
            if kind in OUTCOME_KINDS:
                yield f"{pointer}/signals/{index}/activity", f"{kind} is what scores are judged by: it gives no points"


def _time_faults(pointer: str, part: DecayPart | SignalPart) -> Iterator[Finding]:
    for name, days in (("half_life_days", part.half_life_days), ("look_back_days", part.look_back_days)):
        if days is not None and days < SHORTEST_DAYS:
            yield f"{pointer}/{name}", "is below an hour (1/24): nothing would count by the time a score is read"


def _count_tests(condition: ConditionPart) -> int:
    parts = [*(condition.all or ()), *(condition.any or ()), *(condition.none or ())]
    return sum(map(_count_tests, parts)) if parts else 1


def _fit_faults(pointer: str, group: FitPart, reasoning: Reasoning) -> Iterator[Finding]:
    yield from _point_faults(f"{pointer}/cap", group.cap, lowest=0)
    yield from _repeated_ids(f"{pointer}/rules", group.rules)
    sound = yield from _rule_faults(pointer, group.rules, reasoning)
    for index, rule in enumerate(group.rules):
        yield from _point_faults(f"{pointer}/rules/{index}/points", rule.points, lowest=0)
        if rule.points > group.cap:
            yield f"{pointer}/cap", f"the cap {group.cap:g} is below rule {rule.id} ({rule.points:g} points)"
    if group.choose == "best":
        yield from _outbid_rules(f"{pointer}/rules", group.rules, sound, reasoning)
        reachable = max(rule.points for rule in group.rules)
    else:
        # A rule that is not sound may be worth all its points once it is.
        reachable = sum(rule.points for index, rule in enumerate(group.rules) if index not in sound)
        reachable += most_at_once([(group.rules[index].when, group.rules[index].points) for index in sorted(sound)])
    if _is_less(reachable, group.cap):
        yield f"{pointer}/cap", f"the cap {group.cap:g} cannot be reached: the rules give at most {reachable:g}"


def _rule_faults(
    pointer: str, rules: Sequence[RulePart], reasoning: Reasoning
) -> Generator[Finding, None, frozenset[int]]:
    """Yield what is wrong with the conditions; return the places of those that are sound."""
    sound = set()
    for index, rule in enumerate(rules):
        faults = [*_condition_faults(f"{pointer}/rules/{index}/when", rule.when)]
        if not faults and reasoning.is_impossible(rule.when):
            faults = [(f"{pointer}/rules/{index}/when", "its tests exclude each other: the rule can never apply")]
        yield from faults
        if not faults:
            sound.add(index)
    return frozenset(sound)


def _outbid_rules(
    pointer: str, rules: Sequence[RulePart], sound: Collection[int], reasoning: Reasoning
) -> Iterator[Finding]:
    """Yield the rules that are never the best: whoever meets one meets one that comes before it, too."""
    by_points = sorted(sound, key=lambda index: (-rules[index].points, index))
    for place, index in enumerate(by_points):
        better = [rules[each] for each in by_points[:place]]
        if reasoning.is_covered(rules[index].when, [rule.when for rule in better]):
            yield f"{pointer}/{index}", f"rule {rules[index].id} can never count: broader rules give at least as much"


def _engagement_faults(pointer: str, group: EngagementPart, decay: DecayPart) -> Iterator[Finding]:
    yield from _point_faults(f"{pointer}/cap", group.cap, lowest=0)
    yield from _repeated_ids(f"{pointer}/signals", group.signals)
    for index, signal in enumerate(group.signals):
        yield from _point_faults(f"{pointer}/signals/{index}/points", signal.points, lowest=0)
        yield from _time_faults(f"{pointer}/signals/{index}", signal)
        if signal.points > group.cap:
            yield f"{pointer}/cap", f"the cap {group.cap:g} is below signal {signal.id} ({signal.points:g} points)"
    reachable = sum(_most_of_signal(signal, decay) for signal in group.signals)
    if _is_less(reachable, group.cap):
        yield f"{pointer}/cap", f"the cap {group.cap:g} cannot be reached: the signals give at most {reachable:.4g}"


def _most_of_signal(signal: SignalPart, decay: DecayPart) -> float:
    """Return an upper bound of what a signal can give at one instant, with its limits used up in every window of its
    frequency cap: the present one, the one that just ended, and those before, each a window older."""
    if signal.points == 0:
        return 0.0
    if signal.at_most is None:
        return inf
    days, half_life = signal.at_most.days, signal.half_life_days or decay.half_life_days
    left = 2 ** (-days / half_life)
    look_back = signal.look_back_days or decay.look_back_days
    ended = 1 / (1 - left) if look_back is None else (1 - left ** ceil(look_back / days)) / (1 - left)
    return signal.points * signal.at_most.times * (1 + ended)


def _negative_faults(pointer: str, group: NegativePart, reasoning: Reasoning) -> Iterator[Finding]:
    yield from _point_faults(f"{pointer}/floor", group.floor, highest=0)
    yield from _repeated_ids(f"{pointer}/rules", group.rules)
    yield from _repeated_ids(f"{pointer}/signals", group.signals)
    yield from _rule_faults(pointer, group.rules, reasoning)
    for index, rule in enumerate(group.rules):
        yield from _point_faults(f"{pointer}/rules/{index}/points", rule.points, highest=0)
    for index, signal in enumerate(group.signals):
        yield from _point_faults(f"{pointer}/signals/{index}/points", signal.points, highest=0)
    parts: list[ScoredPart] = [*group.rules, *group.signals]
    points = [part.points for part in parts]
    if not points:
        yield pointer, "a negative group needs a rule or a signal"
    elif min(points) < group.floor:
        yield f"{pointer}/floor", f"the floor {group.floor:g} is above a rule of {min(points):g} points"
    elif not any(signal.points < 0 for signal in group.signals) and _is_less(group.floor, sum(points)):
        yield (
            f"{pointer}/floor",
            f"the floor {group.floor:g} cannot be reached: the rules take at most {-sum(points):g}",
        )


def _limit_faults(document: ModelDocument) -> Iterator[Finding]:
    grades, mql = document.grades, document.mql
    most_fit = sum(group.cap for group in document.fit.values())
    for letter, start in (("A", grades.A), ("B", grades.B), ("C", grades.C)):
        yield from _point_faults(f"/grades/{letter}", start, lowest=0)
        if _is_less(most_fit, start):
            yield f"/grades/{letter}", f"grade {letter} cannot be reached: fit is at most {most_fit:g}"
    if not grades.A > grades.B > grades.C:
        yield "/grades", "the letters must start at falling points: A above B above C"
    yield from _point_faults("/mql/threshold", mql.threshold, lowest=0)
    yield from _point_faults("/mql/hysteresis", mql.hysteresis, lowest=0)
    if mql.threshold <= 0:
        yield "/mql/threshold", "must be above 0"
    if mql.hysteresis >= mql.threshold:
        yield "/mql/hysteresis", "must be below the threshold: a lead could never leave"
    most_engagement = sum(group.cap for group in document.engagement.values())
    most_engagement += 0 if document.account is None else document.account.cap
    most = min(100.0, most_fit + most_engagement)
    if _is_less(most, mql.threshold):
        yield "/mql/threshold", f"cannot be reached: a score is at most {most:g}"
    else:
        below = {"A": most_fit, "B": grades.A, "C": grades.B, "D": grades.C}
        most = max(min(most_fit, below[letter]) for letter in mql.grades) + most_engagement
        if _is_less(most, mql.threshold):
            yield "/mql/grades", f"with these grades a score is at most {most:g}: no lead can reach the threshold"
    if len(set(mql.grades)) < len(mql.grades):
        yield "/mql/grades", "a letter stands twice"
    if set(mql.grades) == {"D"} and grades.C <= 0:
        yield "/mql/grades", "no lead is ever D: grade C starts at 0"


def _is_less(points: float, others: float) -> bool:
    """Say if *points* are fewer than *others*, as they are scored: sums of floats are off by less than a hundredth."""
    if isinf(points) or isinf(others):
        return points < others
    return to_hundredths(points) < to_hundredths(others)


def _point_faults(pointer: str, points: float, *, lowest: float = -1000, highest: float = 1000) -> Iterator[Finding]:
    if not lowest <= points <= highest:
        yield pointer, "must not be negative" if lowest == 0 else "must not be positive"
    if abs(points * 100 - round(points * 100)) > 1e-6:
        yield pointer, "points have at most two decimals"


def _repeated_ids(pointer: str, parts: Iterable[ScoredPart]) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, part in enumerate(parts):
        if part.id in seen:
            yield f"{pointer}/{index}/id", f"{part.id} stands twice in this group"
        seen.add(part.id)


def _condition_faults(pointer: str, condition: ConditionPart, depth: int = 1) -> Iterator[Finding]:
    if depth > DEEPEST_CONDITION:
        yield pointer, f"conditions are nested deeper than {DEEPEST_CONDITION} levels"
        return
    combinations = [name for name in _COMBINATIONS if getattr(condition, name) is not None]
    tests = [name for name in _TESTS if getattr(condition, name) is not None]
    if combinations:
        if len(combinations) > 1 or tests or condition.field is not None:
            yield pointer, "give one test of a field, or one of all, any, none"
            return
        parts: list[ConditionPart] = getattr(condition, combinations[0])
        for index, part in enumerate(parts):
            yield from _condition_faults(f"{pointer}/{combinations[0]}/{index}", part, depth + 1)
        return
    yield from _test_faults(pointer, condition, tests)


def _test_faults(pointer: str, condition: ConditionPart, tests: list[str]) -> Iterator[Finding]:
    if condition.field is None:
        yield pointer, "field is missing"
        return
    field = find_field(condition.field)
    if field is None:
        known = ", ".join((*FIELD_NAMES, f"{CUSTOM_PREFIX}<field>"))
        yield f"{pointer}/field", f"no such field; known: {known}"
        return
    if not tests or (len(tests) > 1 and tests != ["at_least", "at_most"]):
        yield pointer, f"give exactly one of {', '.join(_TESTS)} (at_least and at_most may stand together)"
        return
    if wrong := [name for name in tests if name not in _TESTS_OF_SORT[field.sort]]:
        fitting = ", ".join(sorted(_TESTS_OF_SORT[field.sort]))
        yield f"{pointer}/{wrong[0]}", f"does not fit {field.name}, which takes {fitting}"
        return
    yield from _value_faults(pointer, condition, field)


def _value_faults(pointer: str, condition: ConditionPart, field: Field) -> Iterator[Finding]:
    for index, phrase in enumerate(condition.has_words or ()):
        if phrase != phrase.strip():
            yield f"{pointer}/has_words/{index}", "has spaces around it, so that it is hardly ever found"
    for index, value in enumerate(condition.is_in or ()):
        if field.choices and value not in field.choices:
            yield f"{pointer}/is_in/{index}", f"{field.name} is never this; known: {', '.join(sorted(field.choices))}"
        elif value != value.strip():
            yield f"{pointer}/is_in/{index}", "has spaces around it, so that it is hardly ever found"
        elif field.name == "lead.country" and not (len(value) == 2 and value.isascii() and value.isalpha()):
            yield f"{pointer}/is_in/{index}", f"{field.name} is never this: it has two letters (ISO 3166-1 alpha-2)"
    if condition.at_most is not None and condition.at_most < 0:
        yield f"{pointer}/at_most", f"{field.name} is never below 0: the rule can never apply"
    elif condition.at_least is not None and condition.at_most is not None and condition.at_least > condition.at_most:
        yield f"{pointer}/at_most", "is below at_least: the rule can never apply"
