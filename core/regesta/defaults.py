"""Gives document classes the defaults back that Beanie took from them."""

from beanie import Document
from beanie.odm.fields import ExpressionField
from pydantic import BaseModel


def restore_defaults(document: type[Document]) -> None:
    """Let the fields of a document have the defaults that its bases declare.

    `init_beanie` puts an expression in place of each field of a class. Pydantic takes that for the default of the
    field in every class that is made from it afterwards: new documents would have the id "_id".
    """
    fields = document.model_fields
    lost = [name for name, info in fields.items() if isinstance(info.default, ExpressionField)]
    for name in lost:
        bases = (base.model_fields for base in document.__mro__[1:] if issubclass(base, BaseModel))
        declared = (known[name] for known in bases if name in known)
        fields[name] = next(info for info in declared if not isinstance(info.default, ExpressionField))
    if lost:
        document.model_rebuild(force=True)
