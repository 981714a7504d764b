"""Routes, bodies, conditional requests and problems: the only package that knows of HTTP."""

from regesta.http.accept import preferred
from regesta.http.callers import Callers, caller_of, request_id_of
from regesta.http.handwritten import (
    VALIDATE_ONLY_PARAMETER,
    body_schema,
    document_answer,
    document_response,
    json_body,
    no_parameters,
    only_validates,
    problem_answers,
    text_body,
)
from regesta.http.headers import precondition_of
from regesta.http.line_answers import LineResult, answer_lines
from regesta.http.problems import Problem, problem_answer, problem_response
from regesta.http.router import ResourceOptions, crud_router, registry_router
from regesta.http.routes import ProblemRoute

__all__ = [
    "VALIDATE_ONLY_PARAMETER",
    "Callers",
    "LineResult",
    "Problem",
    "ProblemRoute",
    "ResourceOptions",
    "answer_lines",
    "body_schema",
    "caller_of",
    "crud_router",
    "document_answer",
    "document_response",
    "json_body",
    "no_parameters",
    "only_validates",
    "precondition_of",
    "preferred",
    "problem_answer",
    "problem_answers",
    "problem_response",
    "registry_router",
    "request_id_of",
    "text_body",
]
