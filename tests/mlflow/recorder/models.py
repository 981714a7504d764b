"""Calls about registered models, versions, tags, aliases and stages."""

import warnings
from collections.abc import Callable
from typing import Any

from recorder import Recorder

ARCHIVING = True
SOURCE = "s3://bucket/models/"


def record(to: Recorder) -> None:
    """All of them."""
    warnings.simplefilter("ignore")
    models(to)
    versions(to)
    model_tags(to)
    version_tags(to)
    aliases(to)
    stages(to)
    times(to)
    copies(to)
    removal(to)
    names(to)


def models(to: Recorder) -> None:
    client = to.client
    to.call("create a model", client.create_registered_model, "iris", {"team": "a", "k": 1}, "flowers")
    to.call("create a model without anything", client.create_registered_model, "bare")
    to.call("create a model that is there", client.create_registered_model, "iris")
    to.call("get a model", client.get_registered_model, "iris")
    to.call("get a bare model", client.get_registered_model, "bare")
    to.call("get an unknown model", client.get_registered_model, "nothing")
    to.call("describe a model", client.update_registered_model, "bare", "now described")
    to.call("describe a model with nothing", client.update_registered_model, "bare", None)
    to.call("describe an unknown model", client.update_registered_model, "nothing", "x")
    to.call("rename a model", client.rename_registered_model, "bare", "renamed")
    to.call("rename onto itself", client.rename_registered_model, "renamed", "renamed")
    to.call("rename onto another", client.rename_registered_model, "renamed", "iris")
    to.call("rename an unknown model", client.rename_registered_model, "nothing", "else")
    to.call("rename to blanks", client.rename_registered_model, "renamed", "  ")
    to.call("the old name is gone", client.get_registered_model, "bare")
    to.call("the old name is free", client.create_registered_model, "bare")
    to.call("delete a model", client.delete_registered_model, "bare")
    to.call("delete an unknown model", client.delete_registered_model, "bare")


def versions(to: Recorder) -> None:
    client = to.client
    to.call(
        "create a version",
        client.create_model_version,
        "iris",
        SOURCE + "1",
        tags={"k": "v", "n": 2},
        description="first",
        run_link="https://host/run",
    )
    to.call("create a second version", client.create_model_version, "iris", SOURCE + "2")
    to.call("create a version of a run", client.create_model_version, "iris", SOURCE + "3", "0123456789abcdef")
    to.call("create a version of nothing", client.create_model_version, "nothing", SOURCE)
    to.call("create a version without a source", client.create_model_version, "iris", "")
    to.call("create a version that climbs", client.create_model_version, "iris", "s3://bucket/a/../b")
    to.call("create a version that climbs encoded", client.create_model_version, "iris", "s3://bucket/a/%252e%252e/b")
    for version in ("1", "2", "01", "99", "-1", "1.0", "x", ""):
        to.call(f"get version {version!r}", client.get_model_version, "iris", version)
    to.call("get a version of an unknown model", client.get_model_version, "nothing", "1")
    to.call("describe a version", client.update_model_version, "iris", "2", "second")
    to.call("describe a version with blanks", client.update_model_version, "iris", "2", "")
    to.call("describe an unknown version", client.update_model_version, "iris", "99", "x")
    to.call("the download URI", client.get_model_version_download_uri, "iris", "1")
    to.call("the download URI of an unknown version", client.get_model_version_download_uri, "iris", "99")
    to.call("the stages", client.get_model_version_stages, "iris", "1")
    to.call("the latest versions", client.get_latest_versions, "iris")
    to.call("the latest versions of an unknown model", client.get_latest_versions, "nothing")
    to.call("a model with versions", client.get_registered_model, "iris")
    to.call("delete the highest version", client.delete_model_version, "iris", "3")
    to.call("delete a version again", client.delete_model_version, "iris", "3")
    to.call("no number is used again", client.create_model_version, "iris", SOURCE + "4")


def model_tags(to: Recorder) -> None:
    client = to.client
    _tags(to, "model", client.set_registered_model_tag, client.delete_registered_model_tag, "iris")
    to.call("the model's tags", client.get_registered_model, "iris")
    to.call("tag an unknown model", client.set_registered_model_tag, "nothing", "a", "b")
    to.call("untag an unknown model", client.delete_registered_model_tag, "nothing", "a")


def version_tags(to: Recorder) -> None:
    client = to.client
    _tags(to, "version", client.set_model_version_tag, client.delete_model_version_tag, "iris", "1")
    to.call("the version's tags", client.get_model_version, "iris", "1")
    to.call("tag an unknown version", client.set_model_version_tag, "iris", "99", "a", "b")
    to.call("untag an unknown version", client.delete_model_version_tag, "iris", "99", "a")
    to.call("tag without a version", client.set_model_version_tag, "iris", None, "a", "b")


def _tags(to: Recorder, noun: str, setting: Any, deleting: Any, *keys: str) -> None:
    to.call(f"tag a {noun}", setting, *keys, "a key/with.all-of_it: x", "some value")
    to.call(f"tag a {noun} again", setting, *keys, "k", "other")
    to.call(f"tag a {noun} with a number", setting, *keys, "number", 5)
    to.call(f"tag a {noun} with nothing", setting, *keys, "empty", "")
    to.call(f"tag a {noun} with much", setting, *keys, "much", "x" * 100_000)
    to.call(f"tag a {noun} with too much", setting, *keys, "more", "x" * 100_001)
    to.call(f"delete the {noun}'s tag", deleting, *keys, "much")
    to.call(f"delete the {noun}'s tag again", deleting, *keys, "much")
    for key in ("k" * 250, "k" * 251, "a//b", "a/", "../x", "/x", "..", ".", "", "a$b", "a\nb", "ключ"):
        to.call(f"tag a {noun} by {key[:10]!r} of {len(key)}", setting, *keys, key, "v")
    to.call(f"delete a long tag of a {noun}", deleting, *keys, "k" * 250)


def aliases(to: Recorder) -> None:
    client = to.client
    to.call("set an alias", client.set_registered_model_alias, "iris", "champion", "1")
    to.call("set another on the same version", client.set_registered_model_alias, "iris", "best", "1")
    to.call("set an alias by a number", client.set_registered_model_alias, "iris", "counted", 2)
    to.call("get by alias", client.get_model_version_by_alias, "iris", "champion")
    to.call("get a version with aliases", client.get_model_version, "iris", "1")
    to.call("get a model with aliases", client.get_registered_model, "iris")
    to.call("move an alias", client.set_registered_model_alias, "iris", "champion", "2")
    to.call("get by the moved alias", client.get_model_version_by_alias, "iris", "champion")
    to.call("aliases keep their case", client.get_model_version_by_alias, "iris", "Champion")
    to.call("the latest", client.get_model_version_by_alias, "iris", "latest")
    to.call("the LaTest", client.get_model_version_by_alias, "iris", "LaTest")
    to.call("the latest of none", client.get_model_version_by_alias, "renamed", "latest")
    to.call("get by an alias of an unknown model", client.get_model_version_by_alias, "nothing", "champion")
    to.call("set an alias of an unknown model", client.set_registered_model_alias, "nothing", "a", "1")
    to.call("set an alias of an unknown version", client.set_registered_model_alias, "iris", "a", "99")
    for alias in ("latest", "Latest", "v1", "V22", "v1a", "a" * 255, "a" * 256, "a b", "a.b", "a/b", "", "псевдоним"):
        to.call(f"set the alias {alias[:12]!r} of {len(alias)}", client.set_registered_model_alias, "iris", alias, "1")
    to.call("set an alias to no number", client.set_registered_model_alias, "iris", "a", "x")
    to.call("get by a bad alias", client.get_model_version_by_alias, "iris", "a b")
    to.call("get by a reserved alias", client.get_model_version_by_alias, "iris", "v1")
    to.call("delete an alias", client.delete_registered_model_alias, "iris", "champion")
    to.call("delete an alias again", client.delete_registered_model_alias, "iris", "champion")
    to.call("delete a bad alias", client.delete_registered_model_alias, "iris", "a b")
    to.call("delete an alias of an unknown model", client.delete_registered_model_alias, "nothing", "champion")
    to.call("get by the deleted alias", client.get_model_version_by_alias, "iris", "champion")


def stages(to: Recorder) -> None:
    client = to.client
    client.create_registered_model("staged")
    for _ in range(4):
        client.create_model_version("staged", SOURCE)
    move = client.transition_model_version_stage
    to.call("to Staging", move, "staged", "1", "staging")
    to.call("to Production", move, "staged", "2", "PRODUCTION")
    to.call("onto itself", move, "staged", "2", "Production")
    to.call("to Production, archiving", move, "staged", "3", "Production", archive_existing_versions=True)
    to.call("the archived one", client.get_model_version, "staged", "2")
    to.call("to an unknown stage", move, "staged", "3", "Nowhere")
    to.call("to a blank stage", move, "staged", "3", " ")
    to.call("an unknown version", move, "staged", "99", "Staging")
    to.call("to None", move, "staged", "1", "none")
    to.call("to Archived", move, "staged", "1", "Archived")
    to.call("latest of all stages", client.get_latest_versions, "staged")
    to.call("latest of some stages", client.get_latest_versions, "staged", ["production", "NONE"])
    to.call("latest of an empty stage", client.get_latest_versions, "staged", ["Staging"])
    to.call("latest of an unknown stage", client.get_latest_versions, "staged", ["Nowhere"])
    to.call("a model with stages", client.get_registered_model, "staged")


def times(to: Recorder) -> None:
    """What changes `last_updated_timestamp` of a model and of its versions."""
    client = to.client
    client.create_registered_model("timed")
    for _ in range(3):
        client.create_model_version("timed", SOURCE)
    changes: dict[str, Callable[[], Any]] = {
        "a new version": lambda: client.create_model_version("timed", SOURCE),
        "a deleted version": lambda: client.delete_model_version("timed", "4"),
        "a transition": lambda: client.transition_model_version_stage("timed", "2", "Staging"),
        "an archiving transition": lambda: client.transition_model_version_stage("timed", "1", "Staging", ARCHIVING),
        "a version's description": lambda: client.update_model_version("timed", "1", "x"),
        "a model's description": lambda: client.update_registered_model("timed", "x"),
        "a model's tag": lambda: client.set_registered_model_tag("timed", "a", "b"),
        "a version's tag": lambda: client.set_model_version_tag("timed", "1", "a", "b"),
        "an alias": lambda: client.set_registered_model_alias("timed", "a", "1"),
        "an alias less": lambda: client.delete_registered_model_alias("timed", "a"),
        "a tag less": lambda: client.delete_model_version_tag("timed", "1", "a"),
        "a rename": lambda: client.rename_registered_model("timed", "timed"),
    }
    for label, change in changes.items():
        before = to.later()
        change()
        model = client.get_registered_model("timed")
        later = [client.get_model_version("timed", str(number)) for number in (1, 2, 3)]
        to.fact(
            f"the times after {label}",
            [model.last_updated_timestamp > before, *(one.last_updated_timestamp > before for one in later)],
        )
    one, two = (client.get_model_version("timed", number) for number in ("1", "2"))
    model = client.get_registered_model("timed")
    to.fact("one time for a rename", len({one.last_updated_timestamp, two.last_updated_timestamp}))
    by_alias = {one.version: dict(one) for one in model.latest_versions}
    same = [by_alias[found.version] == dict(found) for found in (one, two) if found.version in by_alias]
    to.fact("the same version everywhere", same)


def copies(to: Recorder) -> None:
    client = to.client
    client.set_registered_model_alias("iris", "copied", "1")
    to.call("copy a version", client.copy_model_version, "models:/iris/1", "copy")
    to.call("copy by alias", client.copy_model_version, "models:/iris@copied", "copy")
    to.call("copy a copy", client.copy_model_version, "models:/copy/1", "copy of copy")
    to.call("copy into itself", client.copy_model_version, "models:/iris/1", "iris")
    to.call("copy the latest of a stage", client.copy_model_version, "models:/staged/Production", "copy")
    to.call("where the copy's files are", client.get_model_version_download_uri, "copy", "1")
    to.call("where the copy's copy's files are", client.get_model_version_download_uri, "copy of copy", "1")
    to.call("copy an unknown version", client.copy_model_version, "models:/iris/99", "copy")
    to.call("copy by an unknown alias", client.copy_model_version, "models:/iris@nobody", "copy")
    to.call("copy no model", client.copy_model_version, "s3://bucket/x", "copy")
    to.call("a source that is not there", client.create_model_version, "copy", "models:/iris/99")
    to.call("a source by alias", client.create_model_version, "copy", "models:/iris@copied")
    to.call("a source of an unknown alias", client.create_model_version, "copy", "models:/iris@nobody")
    to.call("a source of an unknown model", client.create_model_version, "copy", "models:/nothing/1")


def removal(to: Recorder) -> None:
    client = to.client
    client.set_registered_model_alias("copy", "one", "1")
    client.set_registered_model_alias("copy", "two", "1")
    to.call("delete a version with aliases", client.delete_model_version, "copy", "1")
    to.call("its alias is gone", client.get_model_version_by_alias, "copy", "one")
    to.call("its copy's files stay where they are", client.get_model_version_download_uri, "copy of copy", "1")
    to.call("delete a model with versions", client.delete_registered_model, "copy")
    to.call("its versions are gone", client.get_model_version, "copy", "2")
    client.create_registered_model("copy")
    to.call("numbers start again", client.create_model_version, "copy", SOURCE)
    to.call("the new life has no old tags and aliases", client.get_registered_model, "copy")


def names(to: Recorder) -> None:
    client = to.client
    for name in ("", "  ", "a/b", "a:b", ".", "..", " lead and trail ", "a@b%20c", "模型", "...", "x" * 250, "a\tb"):
        label = f"{name[:16]!r} of {len(name)}"
        to.call(f"a model named {label}", client.create_registered_model, name)
        to.call(f"get the model named {label}", client.get_registered_model, name)
        to.call(f"version of the model named {label}", client.create_model_version, name, SOURCE)
        to.call(f"delete the model named {label}", client.delete_registered_model, name)
