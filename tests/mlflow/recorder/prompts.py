"""The prompt registry, which rides on models and versions."""

from typing import Any

from mlflow.exceptions import MlflowException
from recorder import Recorder

MESSAGES = [{"role": "system", "content": "You are {{style}}."}, {"role": "user", "content": "{{question}}"}]
PROMPT_TAG = "mlflow.prompt.is_prompt"


def record(to: Recorder) -> None:
    """Register, load, search, tag, alias and delete prompts."""
    client = to.client
    client.create_registered_model("a model")
    client.create_model_version("a model", "s3://bucket/x")
    to.call("register a prompt", _register, to, "greeting", "Hello {{name}}", "first", {"lang": "en"})
    to.call("register its second version", _register, to, "greeting", "Hi {{name}}", "second", {"lang": "de"})
    to.call("load a version", client.load_prompt, "greeting", 1)
    to.call("load the uri of a version", client.load_prompt, "prompts:/greeting/2")
    to.call("load an unknown version", _missing, client.load_prompt, "greeting", 9)
    to.call("load an unknown prompt", _missing, client.load_prompt, "nothing", 1)
    to.call("set an alias of a prompt", client.set_prompt_alias, "greeting", "production", 2)
    to.call("load by alias", client.load_prompt, "prompts:/greeting@production")
    to.call("load by an unknown alias", _missing, client.load_prompt, "prompts:/greeting@nobody")
    to.call("delete an alias of a prompt", client.delete_prompt_alias, "greeting", "production")
    to.call("a prompt is no model", client.get_registered_model, "greeting")
    to.call("a prompt is not listed", client.search_registered_models)
    to.call("a prompt's versions are not listed", client.search_model_versions)
    for text in (
        f"tags.`{PROMPT_TAG}` = 'true'",
        f"tags.`{PROMPT_TAG}` = 'TRUE'",
        f"tags.`{PROMPT_TAG}` != 'true'",
        f"tags.`{PROMPT_TAG}` != 'false'",
        f"tags.`{PROMPT_TAG}` = 'false'",
        f"tags.`{PROMPT_TAG}` LIKE 'tr%'",
        f"tags.`{PROMPT_TAG}` = 'true' AND name = 'greeting'",
    ):
        to.call(f"versions where {text}", client.search_model_versions, text)
        to.raw(f"models where {text}", "GET", "/registered-models/search", params={"filter": text})
    to.call("a model under a prompt's name", client.create_registered_model, "greeting")
    to.call("a prompt under a model's name", _register, to, "a model", "x")
    to.call("a bad name", _register, to, "a/b", "x")
    to.call("too long a text", _register, to, "long", "x" * 100_001)
    to.call("a model's function on a prompt", client.update_registered_model, "greeting", "x")
    to.call("a model's tag on a prompt", client.set_registered_model_tag, "greeting", "a", "b")
    to.call("a stage of a prompt", client.get_latest_versions, "greeting")
    if hasattr(client, "search_prompts"):
        _modern(to)


def _modern(to: Recorder) -> None:
    """What came with MLflow 3."""
    client = to.client
    to.call("register a chat prompt", client.register_prompt, "chat", MESSAGES, response_format={"type": "object"})
    to.call("load a chat prompt", client.load_prompt, "chat", 1)
    to.call("load the latest", client.load_prompt, "prompts:/greeting@latest")
    to.call("load what is missing", client.load_prompt, "nothing", 1, allow_missing=True)
    to.call("load a missing alias", client.load_prompt, "prompts:/greeting@nobody", allow_missing=True)
    to.call("create a prompt", client.create_prompt, "empty", "described", {"team": "a"})
    to.call("create a prompt that is there", client.create_prompt, "empty")
    to.call("get a prompt", client.get_prompt, "empty")
    to.call("get an unknown prompt", client.get_prompt, "nothing")
    to.call("a model as a prompt", client.get_prompt, "a model")
    to.call("create a version", client.create_prompt_version, "empty", "{{x}}", "why", {"k": "v"})
    to.call("get a version", client.get_prompt_version, "empty", "1")
    to.call("get an unknown version", client.get_prompt_version, "empty", "9")
    to.call("search prompts", client.search_prompts)
    to.call("search prompts by name", client.search_prompts, "name LIKE 'gr%'")
    to.call("search prompts by tag", client.search_prompts, "tags.team = 'a'")
    to.call("search prompts, a page", client.search_prompts, max_results=2)
    to.call("search versions of a prompt", client.search_prompt_versions, "greeting")
    to.call("tag a prompt", client.set_prompt_tag, "greeting", "team", "b")
    to.call("tag a version of a prompt", client.set_prompt_version_tag, "greeting", "1", "team", "b")
    to.call("the tagged prompt", client.get_prompt, "greeting")
    to.call("the tagged version", client.get_prompt_version, "greeting", "1")
    to.call("untag a prompt", client.delete_prompt_tag, "greeting", "team")
    to.call("untag a version of a prompt", client.delete_prompt_version_tag, "greeting", "1", "team")
    to.call("tag an unknown prompt", client.set_prompt_tag, "nothing", "a", "b")
    to.call("delete a version of a prompt", client.delete_prompt_version, "empty", "1")
    to.call("delete a prompt", client.delete_prompt, "empty")
    to.call("delete a prompt with versions", client.delete_prompt, "greeting")
    to.call("delete an unknown prompt", client.delete_prompt, "nothing")


def _register(to: Recorder, name: str, template: str, message: str = "", tags: Any = None) -> Any:
    return to.client.register_prompt(name, template, commit_message=message, tags=tags)


def _missing(load: Any, *arguments: Any) -> Any:
    """Clients word this in many ways: that it is an error, and its code, is what counts."""
    try:
        return load(*arguments)
    except MlflowException as error:
        return error.error_code
