"""What a scoring model document must be beyond its shape, so that no version can go live that means nothing."""

from collections.abc import Iterable, Iterator
from typing import Final

from scoring.domain.fields import CUSTOM_PREFIX, FIELD_NAMES, find_field
from scoring.model_schema import (
    ConditionPart,
    EngagementPart,
    FitPart,
    ModelDocument,
    NegativePart,
    ScoredPart,
)

Finding = tuple[str, str]
"""A JSON pointer into the document, and what is wrong there."""

# The framework the product ships (design: domain): every model has these groups; it may add its own.
SEED_FIT: Final = ("job_title", "company_size", "industry_fit")
SEED_ENGAGEMENT: Final = (
    "website_visits", "content_downloads", "email_engagement", "webinar_attendance", "demo_requests", "trial_usage",
)  # fmt: skip
SEED_NEGATIVE: Final = ("competitor", "student_email", "unsubscribe")

DEEPEST_CONDITION: Final = 8  # levels of all/any/none; every level costs stack and time for each lead

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
    for name, fit in document.fit.items():
        yield from _fit_faults(f"/fit/{name}", fit)
    for name, engagement in document.engagement.items():
        yield from _engagement_faults(f"/engagement/{name}", engagement)
    for name, negative in document.negative.items():
        yield from _negative_faults(f"/negative/{name}", negative)
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
    seen: set[str] = set()
    for half, names in (
        ("fit", document.fit),
        ("engagement", document.engagement),
        ("negative", document.negative),
    ):
        for name in names:
            if name in seen:
                yield f"/{half}/{name}", "another half has a group of this name"
            seen.add(name)


def _fit_faults(pointer: str, group: FitPart) -> Iterator[Finding]:
    yield from _point_faults(f"{pointer}/cap", group.cap, lowest=0)
    yield from _repeated_ids(f"{pointer}/rules", group.rules)
    for index, rule in enumerate(group.rules):
        yield from _point_faults(f"{pointer}/rules/{index}/points", rule.points, lowest=0)
        yield from _condition_faults(f"{pointer}/rules/{index}/when", rule.when)
        if rule.points > group.cap:
            yield f"{pointer}/cap", f"the cap {group.cap:g} is below rule {rule.id} ({rule.points:g} points)"
    points = [rule.points for rule in group.rules]
    reachable = max(points) if group.choose == "best" else sum(points)
    if reachable < group.cap:
        yield f"{pointer}/cap", f"the cap {group.cap:g} cannot be reached: the rules give at most {reachable:g}"


def _engagement_faults(pointer: str, group: EngagementPart) -> Iterator[Finding]:
    yield from _point_faults(f"{pointer}/cap", group.cap, lowest=0)
    yield from _repeated_ids(f"{pointer}/signals", group.signals)
    for index, signal in enumerate(group.signals):
        yield from _point_faults(f"{pointer}/signals/{index}/points", signal.points, lowest=0)
        if signal.points > group.cap:
            yield f"{pointer}/cap", f"the cap {group.cap:g} is below signal {signal.id} ({signal.points:g} points)"
    if group.cap > 0 and all(signal.points == 0 for signal in group.signals):
        yield f"{pointer}/cap", f"the cap {group.cap:g} cannot be reached: no signal gives points"


def _negative_faults(pointer: str, group: NegativePart) -> Iterator[Finding]:
    yield from _point_faults(f"{pointer}/floor", group.floor, highest=0)
    yield from _repeated_ids(f"{pointer}/rules", group.rules)
    yield from _repeated_ids(f"{pointer}/signals", group.signals)
    for index, rule in enumerate(group.rules):
        yield from _point_faults(f"{pointer}/rules/{index}/points", rule.points, highest=0)
        yield from _condition_faults(f"{pointer}/rules/{index}/when", rule.when)
    for index, signal in enumerate(group.signals):
        yield from _point_faults(f"{pointer}/signals/{index}/points", signal.points, highest=0)
    parts: list[ScoredPart] = [*group.rules, *group.signals]
    points = [part.points for part in parts]
    if not points:
        yield pointer, "a negative group needs a rule or a signal"
    elif min(points) < group.floor:
        yield f"{pointer}/floor", f"the floor {group.floor:g} is above a rule of {min(points):g} points"


def _limit_faults(document: ModelDocument) -> Iterator[Finding]:
    grades, mql = document.grades, document.mql
    most_fit = sum(group.cap for group in document.fit.values())
    for letter, start in (("A", grades.A), ("B", grades.B), ("C", grades.C)):
        yield from _point_faults(f"/grades/{letter}", start, lowest=0)
        if start > most_fit:
            yield f"/grades/{letter}", f"grade {letter} cannot be reached: fit is at most {most_fit:g}"
    if not grades.A > grades.B > grades.C:
        yield "/grades", "the letters must start at falling points: A above B above C"
    yield from _point_faults("/mql/threshold", mql.threshold, lowest=0)
    yield from _point_faults("/mql/hysteresis", mql.hysteresis, lowest=0)
    if mql.threshold <= 0:
        yield "/mql/threshold", "must be above 0"
    if mql.hysteresis >= mql.threshold:
        yield "/mql/hysteresis", "must be below the threshold: a lead could never leave"
    most = min(100.0, most_fit + sum(group.cap for group in document.engagement.values()))
    if mql.threshold > most:
        yield "/mql/threshold", f"cannot be reached: a score is at most {most:g}"
    if len(set(mql.grades)) < len(mql.grades):
        yield "/mql/grades", "a letter stands twice"


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
    for index, value in enumerate(condition.is_in or ()):
        if field.choices and value not in field.choices:
            yield f"{pointer}/is_in/{index}", f"{field.name} is never this; known: {', '.join(sorted(field.choices))}"
    if condition.at_least is not None and condition.at_most is not None and condition.at_least > condition.at_most:
        yield f"{pointer}/at_most", "is below at_least: the rule can never apply"
