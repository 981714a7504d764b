"""From a bundle into a registry. Nothing there is overwritten."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from regesta import Caller, Conflict, Forbidden, Invalid, Operations, Registry, Unavailable, Unit
from regesta.errors import TooLarge
from regesta.schemas import check_storable, dumps
from regesta_models.aliases import Aliases
from regesta_models.artifacts import Artifacts
from regesta_models.blobs import TOUCH
from regesta_models.bundle_archive import BadBundle
from regesta_models.bundle_documents import Descriptor, bad_member
from regesta_models.bundle_exports import identity_of
from regesta_models.bundles import Bundle, ModelEntry, VersionEntry
from regesta_models.cards import CARD, check_card
from regesta_models.documents import Version
from regesta_models.parts import VersionReference

# One transaction writes all documents; MongoDB ends any after 60.
SECONDS = 50.0


@dataclass(slots=True)
class Imported:
    """What an import did.

    `numbers` has for each number in the bundle the one here, `created` those here that are new. `cards` tells
    whose card is new. `left` are aliases that stand for another version here, or were refused, with the reason.
    """

    model: str
    new_model: bool = False
    numbers: dict[int, int] = field(default_factory=dict)
    created: list[int] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether anything is here now that was not."""
        return bool(self.new_model or self.created or self.cards or self.aliases)


class Importer:
    """Reads bundles on behalf of a caller, into the workspace of its scope."""

    def __init__(self, registry: Registry, artifacts: Artifacts, caller: Caller) -> None:
        self._artifacts, self._caller = artifacts, caller
        self._models, self._versions = registry["models"], registry["versions"]
        self._model_cards, self._version_cards = registry["model-cards"], registry["version-cards"]
        self._aliases = Aliases(registry)
        self._workspace: str = caller.scope["workspace"]
        self._touched = time.monotonic()
        self._taken: set[str] = set()

    async def read(self, bundle: Bundle) -> Imported:
        """Take in what is missing: bytes first, then all documents and cards in one transaction, then missing aliases.

        A version that is here already, with its number or another, is left as it is. A new one keeps its number where
        no version ever had it, else it gets the next one. Raises BadBundle, Invalid, Conflict, Unavailable.
        """
        model, versions = bundle.model, bundle.versions
        name = model.document.name
        self._check(bundle)
        missing = [entry for entry in versions if await self._known(name, entry) is None]
        for entry in missing:
            await self._take_bytes(bundle, entry)

        async def work(unit: Unit) -> Imported:
            done = Imported(name)
            needed: set[str] = set()
            with _of(model.member):
                await self._write_model(unit, done, model)
            await self._write_card(unit, done, model.card)
            for entry in versions:
                with _of(entry.member):
                    if await self._write_version(unit, done, entry):
                        needed |= {_content(layer) for layer in entry.files.values()}
                await self._write_card(unit, done, entry.card, done.numbers[entry.document.number])
            await self._check_bytes(unit, needed)
            return done

        done = await self._models.run(work, (name,), seconds=SECONDS)
        for entry in versions:
            await self._set_aliases(done, entry)
        return done

    def _check(self, bundle: Bundle) -> None:
        """Everything that can be checked before bytes are taken and documents are written. Raises BadBundle."""
        with _of(bundle.model.member):
            self._build(self._models, bundle.model.document.model)()
            if bundle.model.document.model.get("name") != bundle.model.document.name:
                raise Invalid("model.name", "is another name than the model has")
            _check_card(bundle.model, "the model")
        for entry in bundle.versions:
            with _of(entry.member):
                self._build(self._versions, entry.document.version)()
                _check_card(entry, f"version {entry.document.number}")

    def _build(self, operations: Operations[Any], body: dict[str, Any]) -> Callable[[], Any]:
        check_storable(body)
        return operations.bodies.builder(dumps(body), body)

    # bytes

    async def _take_bytes(self, bundle: Bundle, entry: VersionEntry) -> None:
        """Keep the bytes of a version; they are no artifacts yet."""
        kept = self._artifacts.blobs
        for path, layer in entry.files.items():
            sha256 = _content(layer)
            if sha256 in self._taken:
                continue
            if await kept.whole(self._workspace, sha256) is not None:
                await kept.records.touch(self._workspace, [sha256])
            else:
                await kept.receive(self._workspace, self._each(bundle.pieces(layer.digest)), {path: sha256})
            self._taken.add(sha256)
            await self._sign_of_life()

    async def _each(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        for piece in pieces:
            await self._sign_of_life()
            yield piece

    async def _sign_of_life(self) -> None:
        """Once a minute: a sweep leaves those alone that came before."""
        if time.monotonic() - self._touched > TOUCH:
            await self._artifacts.blobs.records.touch(self._workspace, self._taken)
            self._touched = time.monotonic()

    async def _check_bytes(self, unit: Unit, contents: set[str]) -> None:
        if contents - (await self._artifacts.blobs.sizes(self._workspace, contents, unit.session)).keys():
            raise Unavailable("bytes were swept before they were used: import the bundle again")

    # documents

    async def _known(self, name: str, entry: VersionEntry, unit: Unit | None = None) -> int | None:
        """The number that a version of a bundle has here, None where it is not here."""
        session = unit.session if unit else None
        if await self._models.find(self._caller, (name,), session) is None:
            return None
        identity = entry.document.identity
        came = await self._versions.find_where(self._caller, (name,), {"origin": identity}, session=session)
        if came is not None:
            return int(came.document.number)
        number = entry.document.number
        same = await self._versions.find_where(self._caller, (name,), {"number": number}, session=session)
        return number if same is not None and identity_of(same) == identity else None

    async def _write_model(self, unit: Unit, done: Imported, entry: ModelEntry) -> None:
        if await self._models.find(self._caller, (done.model,), unit.session) is None:
            await self._models.create(self._caller, (), self._build(self._models, entry.document.model), unit)
            done.new_model = True

    async def _write_version(self, unit: Unit, done: Imported, entry: VersionEntry) -> bool:
        """Write a version that is not here yet; whether it was."""
        number = entry.document.number
        known = await self._known(done.model, entry, unit)
        if known is not None:
            done.numbers[number] = known
            return False
        build = self._build(self._versions, entry.document.version)

        def made() -> Version:
            version: Version = build()
            version.origin = entry.document.identity
            version.lineage.parents = [_moved(one, done) for one in version.lineage.parents]
            return version

        await self._versions.skip_to(self._caller, (done.model,), number, unit)
        written = await self._versions.create(self._caller, (done.model,), made, unit)
        done.numbers[number] = written.document.number
        done.created.append(written.document.number)
        return True

    async def _write_card(self, unit: Unit, done: Imported, text: str | None, number: int = 0) -> None:
        """The card of a version, or of the model, where there is none here."""
        cards = self._version_cards if number else self._model_cards
        keys = (done.model, str(number)) if number else (done.model,)
        if text is None or await cards.find(self._caller, (*keys, CARD), unit.session) is not None:
            return
        document = cards.resource.document
        await cards.create(self._caller, keys, lambda: document.model_construct(text=text), unit)
        done.cards.append(f"version {number}" if number else "the model")

    async def _set_aliases(self, done: Imported, entry: VersionEntry) -> None:
        """Aliases that are missing, by the rules that every alias is set by."""
        number = done.numbers[entry.document.number]
        for alias in entry.document.aliases:
            holder = await self._versions.find_where(self._caller, (done.model,), {"aliases": alias})
            if holder is not None:
                if holder.document.number != number:
                    done.left[alias] = f"stands for version {holder.document.number}"
                continue
            try:
                await self._aliases.set(self._caller, done.model, alias, number)
            except (Conflict, Invalid, Forbidden) as refusal:
                done.left[alias] = refusal.detail
            else:
                done.aliases.append(alias)


@contextmanager
def _of(member: str) -> Iterator[None]:
    """Let what is wrong with a document name the member of the bundle that has it."""
    try:
        yield
    except (Invalid, TooLarge) as error:
        raise bad_member(member, error) from error


def _check_card(entry: ModelEntry | VersionEntry, of: str) -> None:
    if entry.card is None:
        return
    try:
        check_card(entry.card)
    except (Invalid, TooLarge) as error:
        raise BadBundle(f"{entry.member}: the card of {of} is none: {error}") from error


def _content(layer: Descriptor) -> str:
    return layer.digest.removeprefix("sha256:")


def _moved(parent: VersionReference, done: Imported) -> VersionReference:
    """A parent among the versions of this bundle, by its number here."""
    if parent.model != done.model or parent.version not in done.numbers:
        return parent
    return VersionReference(model=parent.model, version=done.numbers[parent.version])
