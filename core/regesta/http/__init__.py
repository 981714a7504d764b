"""Routes, bodies, conditional requests and problems: the only package that knows of HTTP."""

from regesta.http.accept import preferred
from regesta.http.aliases import resolve_path_keys
from regesta.http.callers import Callers, caller_of, request_id_of
from regesta.http.digests import repr_digest, sent_digests
from regesta.http.handwritten import (
    VALIDATE_ONLY_PARAMETER,
    body_schema,
    document_answer,
    document_response,
    json_body,
    no_parameters,
    problem_answers,
    text_body,
)
from regesta.http.headers import check_path, has_condition, has_untyped_body, is_wanted, precondition_of
from regesta.http.idempotency import refuse_idempotency_key
from regesta.http.line_answers import LineResult, answer_lines
from regesta.http.methods import only_validates
from regesta.http.problems import Problem, problem_answer, problem_response
from regesta.http.ranges import byte_range
from regesta.http.received import whole_pieces
from regesta.http.revisions import client_has
from regesta.http.router import ResourceOptions, collection_path, crud_router, registry_router
from regesta.http.routes import ProblemRoute
from regesta.http.streams import STALLED, Streamed, surely
from regesta.http.tags import Tag

__all__ = [
    "STALLED",
    "VALIDATE_ONLY_PARAMETER",
    "Callers",
    "LineResult",
    "Problem",
    "ProblemRoute",
    "ResourceOptions",
    "Streamed",
    "Tag",
    "answer_lines",
    "body_schema",
    "byte_range",
    "caller_of",
    "check_path",
    "client_has",
    "collection_path",
    "crud_router",
    "document_answer",
    "document_response",
    "has_condition",
    "has_untyped_body",
    "is_wanted",
    "json_body",
    "no_parameters",
    "only_validates",
    "precondition_of",
    "preferred",
    "problem_answer",
    "problem_answers",
    "problem_response",
    "refuse_idempotency_key",
    "registry_router",
    "repr_digest",
    "request_id_of",
    "resolve_path_keys",
    "sent_digests",
    "surely",
    "text_body",
    "whole_pieces",
]
