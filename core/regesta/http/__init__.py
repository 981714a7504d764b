"""Routes, bodies, conditional requests and problems: the only package that knows of HTTP."""

from regesta.http.callers import caller_of, request_id_of
from regesta.http.handwritten import (
    body_schema,
    document_answer,
    document_response,
    json_body,
    no_parameters,
    problem_answers,
)
from regesta.http.line_answers import LineResult, answer_lines
from regesta.http.problems import Problem, problem_answer, problem_response
from regesta.http.router import ResourceOptions, crud_router, registry_router
from regesta.http.routes import ProblemRoute

__all__ = [
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
    "problem_answer",
    "problem_answers",
    "problem_response",
    "registry_router",
    "request_id_of",
]
