"""From the YAML text of a routing document to the compiled document, with a JSON pointer for everything wrong."""

from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, ValidationError
from pydantic import model_validator as validates

from routing.domain.document import Pool, RoutingDocument, Rule, Share, WhenClosed
from routing.domain.fields import FIELDS
from routing.domain.predicates import (
    MAX_DEPTH,
    MAX_NODES,
    All,
    AnyOf,
    Not,
    Operator,
    Predicate,
    Test,
    count_nodes,
    operand_problem,
)
from shared.documents import DocumentInvalid, load_yaml

Name = Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]
Text = Annotated[StrictStr, Field(max_length=200)]
Scalar = StrictBool | StrictInt | StrictFloat | Text
MAX_RULES = 300
MAX_CHOICES = 1000

_OPERATORS: tuple[Operator, ...] = ("eq", "in", "gt", "gte", "lt", "lte", "starts_with", "exists")
_KINDS = ("all", "any", "not", "field")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=False)


class PredicateText(_Part):
    """``all``, ``any``, ``not``, or one field with one operator."""

    all: list["PredicateText"] | None = Field(default=None, min_length=1, max_length=MAX_NODES)
    any: list["PredicateText"] | None = Field(default=None, min_length=1, max_length=MAX_NODES)
    negated: "PredicateText | None" = Field(default=None, alias="not")
    field: StrictStr | None = None
    eq: Scalar | None = None
    one_of: list[Scalar] | None = Field(default=None, alias="in", min_length=1, max_length=MAX_CHOICES)
    gt: StrictInt | StrictFloat | None = None
    gte: StrictInt | StrictFloat | None = None
    lt: StrictInt | StrictFloat | None = None
    lte: StrictInt | StrictFloat | None = None
    starts_with: Text | list[Text] | None = None
    exists: StrictBool | None = None

    @validates(mode="after")
    def _is_one_thing(self) -> Self:
        given = [kind for kind in _KINDS if self._value(kind) is not None]
        operators = [name for name in _OPERATORS if self._value(name) is not None]
        if len(given) != 1:
            message = f"give exactly one of {', '.join(_KINDS)}"
            raise ValueError(message)
        if self.field is None and operators:
            message = f"{operators[0]} needs a field"
            raise ValueError(message)
        if self.field is not None:
            self._check_test(self.field, operators)
        return self

    def _check_test(self, name: str, operators: list[Operator]) -> None:
        field = FIELDS.get(name)
        if field is None:
            message = f"unknown field; known: {', '.join(FIELDS)}"
            raise ValueError(message)
        if len(operators) != 1:
            message = f"a field needs exactly one of {', '.join(_OPERATORS)}"
            raise ValueError(message)
        if problem := operand_problem(field, operators[0], _operand(self._value(operators[0]))):
            raise ValueError(problem + " (YAML reads NO, YES, ON, OFF as true and false: quote them)")

    def _value(self, name: str) -> Any:
        return getattr(self, {"not": "negated", "in": "one_of"}.get(name, name))

    def predicate(self) -> Predicate:
        """Return the tree as the domain knows it."""
        if self.all is not None:
            return All(tuple(part.predicate() for part in self.all))
        if self.any is not None:
            return AnyOf(tuple(part.predicate() for part in self.any))
        if self.negated is not None:
            return Not(self.negated.predicate())
        operator = next(name for name in _OPERATORS if self._value(name) is not None)
        assert self.field is not None
        return Test(self.field, operator, _operand(self._value(operator)))


class MemberText(_Part):
    """A rep or a whole team, with a weight."""

    rep: Name | None = None
    team: Name | None = None
    weight: Annotated[StrictInt, Field(ge=1, le=1000)] = 1

    @validates(mode="after")
    def _is_rep_or_team(self) -> Self:
        if (self.rep is None) == (self.team is None):
            message = "give either rep or team"
            raise ValueError(message)
        return self


class PoolText(_Part):
    """Who a rule distributes among."""

    id: Name
    members: list[MemberText] = Field(min_length=1, max_length=200)
    when_closed: WhenClosed | None = None

    @validates(mode="after")
    def _names_each_once(self) -> Self:
        _refuse_doubles(member.rep or f"team {member.team}" for member in self.members)
        return self


class RuleText(_Part):
    """Leads that fulfil ``when`` (without it: all) go to ``pool``."""

    id: Name
    when: PredicateText | None = None
    pool: Name


class DocumentText(_Part):
    """The whole document."""

    nurture_below_mql: StrictBool = True
    account_owner: StrictBool = True
    when_closed: WhenClosed = "assign_anyway"
    pools: list[PoolText] = Field(default_factory=list, max_length=200)
    rules: list[RuleText] = Field(default_factory=list, max_length=MAX_RULES)


def parse_document(text: str) -> RoutingDocument:
    """Return the compiled document. Errors: `DocumentInvalid`, with a JSON pointer for each fault."""
    loaded = load_yaml(text)
    if not isinstance(loaded, dict):
        raise DocumentInvalid([{"pointer": "", "detail": "a mapping is expected"}])
    _refuse_deep_rules(loaded)
    try:
        document = DocumentText.model_validate(loaded)
    except ValidationError as error:
        raise DocumentInvalid(
            [
                {"pointer": _pointer(item["loc"], loaded), "detail": item["msg"].removeprefix("Value error, ")}
                for item in error.errors()
            ]
        ) from error
    if errors := list(_cross_faults(document)):
        raise DocumentInvalid(errors)
    return _compiled(document)


def default_document_text() -> str:
    """Return the document that is live on first start."""
    return files("routing").joinpath("defaults/routing.yaml").read_text(encoding="utf-8")


def _compiled(document: DocumentText) -> RoutingDocument:
    pools = {
        pool.id: Pool(
            pool.id,
            tuple(Share(member.weight, member.rep, member.team) for member in pool.members),
            pool.when_closed or document.when_closed,
        )
        for pool in document.pools
    }
    rules = tuple(
        Rule(rule.id, rule.pool, rule.when.predicate() if rule.when is not None else All(())) for rule in document.rules
    )
    return RoutingDocument(
        rules=rules,
        pools=pools,
        has_nurture=document.nurture_below_mql,
        has_account_owner=document.account_owner,
        when_closed=document.when_closed,
    )


def _cross_faults(document: DocumentText) -> Iterable[dict[str, str]]:
    """Yield what is wrong between parts that are each right on their own."""
    pools: set[str] = set()
    for number, pool in enumerate(document.pools):
        if pool.id in pools:
            yield {"pointer": f"/pools/{number}/id", "detail": f"a second pool {pool.id}"}
        pools.add(pool.id)
    rules: set[str] = set()
    catch_all: str | None = None
    for number, rule in enumerate(document.rules):
        if rule.id in rules:
            yield {"pointer": f"/rules/{number}/id", "detail": f"a second rule {rule.id}"}
        rules.add(rule.id)
        if rule.pool not in pools:
            yield {"pointer": f"/rules/{number}/pool", "detail": f"there is no pool {rule.pool}"}
        if catch_all is not None:
            yield {"pointer": f"/rules/{number}", "detail": f"never reached: {catch_all} takes every lead before it"}
        if rule.when is None:
            catch_all = catch_all or rule.id
        elif (nodes := count_nodes(rule.when.predicate())) > MAX_NODES:
            yield {"pointer": f"/rules/{number}/when", "detail": f"{nodes} nodes; at most {MAX_NODES} are allowed"}


def _refuse_deep_rules(loaded: dict[str, Any]) -> None:
    """Look at the depth before anything recursive does: the text comes from outside."""
    rules = loaded.get("rules")
    for number, rule in enumerate(rules if isinstance(rules, list) else ()):
        level = [rule.get("when")] if isinstance(rule, dict) else []
        depth = 0
        while level:
            depth += 1
            if depth > MAX_DEPTH:
                detail = f"nested deeper than {MAX_DEPTH}"
                raise DocumentInvalid([{"pointer": f"/rules/{number}/when", "detail": detail}])
            level = [part for node in level for part in _parts_of(node)]


def _parts_of(node: Any) -> Sequence[Any]:
    if not isinstance(node, dict):
        return ()
    parts = [part for kind in ("all", "any") if isinstance(node.get(kind), list) for part in node[kind]]
    return [*parts, *([node["not"]] if "not" in node else [])]


def _refuse_doubles(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            message = f"{name} is named twice"
            raise ValueError(message)
        seen.add(name)


def _operand(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _pointer(location: Sequence[int | str], loaded: Any) -> str:
    """Return *location* as a JSON pointer. pydantic adds the tried type of a union ("str", "list[str]") to its
    locations: what is neither in the document nor a key that is missing there is left out."""
    keys, node = [], loaded
    for part in location:
        is_there = part in node if isinstance(node, dict) else isinstance(node, list) and isinstance(part, int)
        if is_there or part in _DOCUMENT_KEYS:
            keys.append(str(part).replace("~", "~0").replace("/", "~1"))
            node = node[part] if is_there else None
    return "".join("/" + key for key in keys)


def _keys_of(*models: type[BaseModel]) -> frozenset[str]:
    return frozenset(field.alias or name for model in models for name, field in model.model_fields.items())


_DOCUMENT_KEYS = _keys_of(PredicateText, MemberText, PoolText, RuleText, DocumentText)
