"""Prompts: models that a tag calls so. Whoever sets the tag makes a prompt, and a new prompt gets the tag."""

from regesta import Change
from regesta_mlflow.searches import PROMPT
from regesta_models import Kind, Model, Registered, Tag, Version


def keep_kind(change: Change[Registered]) -> None:
    """Keep the tag and the kind the same: of new documents the kind tells, then the tag does."""
    after = change.after
    if after is None:
        return
    tagged = any(tag.key == PROMPT and tag.value.lower() == "true" for tag in after.tags)
    if change.before is None and isinstance(after, Model | Version) and after.kind == Kind.PROMPT and not tagged:
        after.tags = [*(tag for tag in after.tags if tag.key != PROMPT), Tag(key=PROMPT, value="true")]
    elif isinstance(after, Model):
        after.kind = Kind.PROMPT if tagged else Kind.MODEL
