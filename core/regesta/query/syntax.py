"""The text of a filter expression as a tree, read by a grammar in the form of AIP-160."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import NoReturn

from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import VisitError

from regesta.errors import Invalid, Issue, Malformed

MAX_TERMS = 50
MAX_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Restriction:
    """One comparison as it stands in the text."""

    path: Token
    comparator: str
    value: Token


@dataclass(frozen=True, slots=True)
class Junction:
    """Several expressions, all or any of which must hold; or one that must not. `depth` counts what lies within."""

    operator: str
    parts: Sequence["Restriction | Junction"]
    depth: int
    terms: int


Node = Restriction | Junction


def parse(text: str) -> Node:
    """The expression as a tree. Raises Malformed with the position, Invalid where it is too large."""
    try:
        tree: Node = _parser().parse(text)  # type: ignore[assignment]
    except VisitError as error:
        raise error.orig_exc from None
    except UnexpectedInput as error:
        _refuse(error, text)
    if terms_in(tree) > MAX_TERMS:
        raise Invalid.of([Issue(("query", "filter"), f"has more than {MAX_TERMS} comparisons", "too_many_terms")])
    return tree


def terms_in(node: Node) -> int:
    """How many comparisons the tree has."""
    return node.terms if isinstance(node, Junction) else 1


@cache
def _parser() -> Lark:
    grammar = files(__package__).joinpath("grammar.lark").read_text("utf-8")
    return Lark(grammar, start="expression", parser="lalr", transformer=_Tree())


@v_args(inline=True)
class _Tree(Transformer[Token, Node]):
    """Builds the tree while the text is parsed, from the leaves up: a deep one takes no deep recursion."""

    def restriction(self, path: Token, comparator: Token, value: Token) -> Restriction:
        return Restriction(path, str(comparator), value)

    def all_of(self, *parts: Node) -> Junction:
        return _junction("$and", parts)

    def any_of(self, *parts: Node) -> Junction:
        return _junction("$or", parts)

    def negation(self, part: Node) -> Junction:
        return _junction("$nor", (part,))


def _junction(operator: str, parts: Sequence[Node]) -> Junction:
    depth = 1 + max(part.depth if isinstance(part, Junction) else 0 for part in parts)
    if depth > MAX_DEPTH:
        raise Invalid.of([Issue(("query", "filter"), f"is nested deeper than {MAX_DEPTH} levels", "too_deep")])
    return Junction(operator, parts, depth, sum(map(terms_in, parts)))


def _refuse(error: UnexpectedInput, text: str) -> NoReturn:
    """400, with where the text stops to make sense and what could stand there."""
    token = getattr(error, "token", None)
    at: int | None = getattr(error, "pos_in_stream", None)
    if at is None or (token is not None and token.type == "$END"):
        at = len(text)
    expected = getattr(error, "accepts", None) or getattr(error, "allowed", None) or ()
    following = text[at:]
    if not following.strip():
        said = "the expression ends too early"
    elif re.match(r"(?!AND|OR|NOT)(?i:and|or|not)\b", following):
        said = "AND, OR and NOT are written in capitals"
    elif "_AND" not in expected and "_OR" not in expected and re.match(r"(AND|OR)\b", following):
        said = "AND and OR stand between two comparisons"
    elif re.match(r"(AND|OR)\b", following):
        said = "AND and OR are mixed: put parentheses around one of them"
    elif "_AND" in expected and re.match(r"[\w(-]", following):
        said = "write AND or OR between two comparisons"
    elif "COMPARATOR" in expected:
        said = "a comparison such as year >= 2000 is wanted: a field, one of = != < <= > >= :, and a value"
    else:
        said = f"{following[0]!r} cannot stand here"
    raise Malformed(f"filter: at character {at + 1}: {said}", code="INVALID_FILTER")
