"""The extra networks of one job: found in its prompts, brought into force, told in the infotext."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.catalog.errors import ModelFileError, shown
from modules.engine.adapters.adapter_file import AdapterFile
from modules.engine.adapters.arguments import KNOWN, LoraArguments, read_arguments
from modules.engine.adapters.embeddings import Embedding, embedding_parts, read_embedding
from modules.engine.adapters.files import AdapterFiles
from modules.engine.adapters.fitting import FittedAdapter
from modules.engine.adapters.hypernetwork import Hypernetwork, read_hypernetwork
from modules.engine.adapters.merged import Use
from modules.engine.adapters.schedule import read_number
from modules.engine.adapters.words import WordBook
from modules.engine.conditioning import TextOptions
from modules.prompts.plan import PromptPlan

if TYPE_CHECKING:
    from modules.engine.checkpoints import LoadedModel

LORA_KINDS = ("lora", "lyco")
UNUSABLE = "<{kind}:{name}> was left out: {reason}."


@dataclass(frozen=True)
class Wanted:
    """What the prompt of one picture asks for."""

    loras: tuple[LoraArguments, ...] = ()
    hypernetworks: tuple[tuple[str, float], ...] = ()

    @property
    def key(self) -> Hashable:
        """Equal for pictures that can be made together."""
        return repr(self)


class JobNetworks:
    """Brings into force what each pass of a job wants, and takes away what it does not."""

    def __init__(
        self,
        resources: Mapping[str, Any],
        options: Mapping[str, Any],
        files: AdapterFiles,
        warn: Callable[..., None],
    ) -> None:
        """
        Args:
            resources: of the prepared job: `loras`, `hypernetworks`, `embeddings`.
            warn: told of what cannot be used, once per sentence; see `JobContext.warn`.
        """
        self._loras: Mapping[str, Mapping[str, Any]] = resources.get("loras") or {}
        self._hypernetworks: Mapping[str, Mapping[str, Any]] = resources.get("hypernetworks") or {}
        self._embeddings: Sequence[Mapping[str, Any]] = resources.get("embeddings") or ()
        self._options = options
        self._files = files
        self._warn = warn
        self._read_words: dict[str, Embedding | None] = {}
        self._read_hypernetworks: dict[str, Hypernetwork | None] = {}
        self._wanted = Wanted()
        self._second = False
        self._step = (0, 1)
        """The step that is to be made, from 0, and how many there are."""
        self._model: LoadedModel | None = None
        self._book: WordBook | None = None
        self._used: dict[str, str] = {}
        """Name of each LoRA in force to its hash."""
        self._hashes: dict[int, tuple[dict[str, str], dict[str, str]]] = {}
        """Of each picture: names and hashes of its LoRAs, and of its learned words."""

    def learn(self, resources: Mapping[str, Any]) -> None:
        """Further files, for prompts that have changed; as those given at the beginning."""
        self._loras = {**self._loras, **(resources.get("loras") or {})}
        self._hypernetworks = {**self._hypernetworks, **(resources.get("hypernetworks") or {})}
        known = {str(entry["name"]) for entry in self._embeddings}
        further = [e for e in resources.get("embeddings") or () if str(e["name"]) not in known]
        self._embeddings = [*self._embeddings, *further]

    def wanted(self, plan: PromptPlan) -> Wanted:
        """What a prompt asks for, as far as it can be read and was found."""
        loras: list[LoraArguments] = []
        hypernetworks: list[tuple[str, float]] = []
        for network in plan.extra_networks:
            name = network.name.strip()
            known = self._loras if network.kind in LORA_KINDS else self._hypernetworks
            if name not in known:
                self._tell_missing(network.kind, name)
                continue
            try:
                if network.kind in LORA_KINDS:
                    loras.append(read_arguments(network))
                    self._tell_unknown(loras[-1])
                else:
                    strength = read_number(network.args[0]) if network.args else 1.0
                    hypernetworks.append((name, strength))
            except ValueError as error:
                self._leave_out(network.kind, name, str(error))
        return Wanted(tuple(loras), tuple(hypernetworks))

    def begin(
        self, model: LoadedModel, wanted: Wanted, *, second: bool, quiet: bool = False
    ) -> None:
        """Bring everything into force for the first step of a pass.

        Args:
            second: it is the second pass of hires fix.
            quiet: nothing is said of what does not fit (the refiner gets what fits it).
        """
        self._model, self._wanted, self._second = model, wanted, second
        if not quiet:
            self._step, self._used = (0, 1), {}
        uses = self._uses(model, *self._step, quiet=quiet)
        bundled = self._bundled()
        model.adapters.apply(uses)
        self._apply_hypernetworks(model, wanted)
        self._book = WordBook(model.conditioner.towers, [*self._words(), *bundled])
        model.conditioner.weights_key = lambda: model.adapters.text_key
        model.conditioner.words = self._book if self._book else None
        self._files.keep(len(wanted.loras), int(self._options.get("lora_in_memory_limit", 0)))

    def begin_again(self, model: LoadedModel) -> None:
        """The same from the pass's first step on; a try before may have come further."""
        self._step = (0, 1)
        if model is not self._model:
            self.begin(model, self._wanted, second=self._second, quiet=True)
        else:
            self.at(model, 0, 1)

    def at(self, model: LoadedModel, step: int, steps: int) -> None:
        """Bring the strengths of a step (from 0) of ``steps`` into force."""
        if step >= steps or not any(lora.changes for lora in self._wanted.loras):
            return
        self._step = (step, steps)
        if model is self._model:
            model.adapters.apply(self._uses(model, step, steps, quiet=True))

    def note(self, index: int, texts: Sequence[str], options: TextOptions) -> None:
        """Remember what is in force for the picture ``index``, whose texts are given."""
        assert self._model is not None and self._book is not None
        hashes = self._hashes.setdefault(index, ({}, {}))
        hashes[0].update(self._used)
        hashes[1].update((one.name, one.hash) for one in self._book.used_in(texts, options))
        for word in self._book.misfits_in(texts):
            self._warn(
                f"The embedding {shown(word.name, 80)} was left out: its vectors of {word.width} "
                f"numbers do not fit the text encoder of {self._model.name}."
            )

    def infotext(self, index: int) -> dict[str, str]:
        """A1111's keys of a picture: hashes of its LoRAs and of the learned words in its texts."""
        loras, words = self._hashes.get(index, ({}, {}))
        extra = {"Lora hashes": _listed(loras), "TI hashes": _listed(words)}
        return {key: value for key, value in extra.items() if value}

    # -- LoRA -----------------------------------------------------------------------------------

    def _uses(self, model: LoadedModel, step: int, steps: int, *, quiet: bool) -> list[Use]:
        uses = []
        for lora in self._wanted.loras:
            fitted = self._fitted(model, lora, quiet=quiet)
            if fitted is not None:
                uses.append(Use(fitted, lora.strength(step, steps, second=self._second)))
        return uses

    def _fitted(
        self, model: LoadedModel, lora: LoraArguments, *, quiet: bool
    ) -> FittedAdapter | None:
        file = self._file(lora.name)
        if file is None:
            return None
        fitted = self._files.fitted(file, model.networks, model.name, model.family)
        if fitted.problem and not quiet:
            self._warn(f"<lora:{shown(lora.name, 80)}> {fitted.problem}.")
        if (fitted.parts or file.embeddings) and self._tells("lora_add_hashes_to_infotext"):
            self._used[lora.name] = self._files.hash_of(file)
        return fitted if fitted.parts else None

    def _file(self, name: str) -> AdapterFile | None:
        try:
            return self._files.read(Path(self._loras[name]["path"]))
        except ModelFileError as error:
            self._leave_out("lora", name, error.reason)
            return None

    def _bundled(self) -> list[Embedding]:
        """The textual inversions that come along with the LoRAs in force."""
        found = []
        for lora in self._wanted.loras:
            file = self._file(lora.name)
            for name, tensors in ({} if file is None else file.embeddings).items():
                try:
                    parts = embedding_parts(file.path, tensors)
                except ModelFileError as error:
                    self._leave_out("lora", lora.name, f"its word {shown(name, 40)} {error.reason}")
                    continue
                told = lora.name if self._tells("lora_bundled_ti_to_infotext") else ""
                found.append(Embedding(name, parts, (*file.stamp, name), told, bundled=True))
        return found

    # -- words and hypernetworks ----------------------------------------------------------------

    def _words(self) -> list[Embedding]:
        """The embeddings that the job's texts may use."""
        found = []
        for entry in self._embeddings:
            name = str(entry["name"])
            if name not in self._read_words:
                self._read_words[name] = self._read_word(name, Path(entry["path"]))
            word = self._read_words[name]
            if word is not None:
                found.append(word)
        return found

    def _read_word(self, name: str, path: Path) -> Embedding | None:
        try:
            word = read_embedding(path, name)
            if self._tells("textual_inversion_add_hashes_to_infotext"):
                word = replace(word, hash=self._files.whole_hash(path))
            return word
        except ModelFileError as error:
            self._warn(f"The embedding {error.sentence}.")
            return None

    def _apply_hypernetworks(self, model: LoadedModel, wanted: Wanted) -> None:
        pairs = []
        for name, strength in wanted.hypernetworks:
            if name not in self._read_hypernetworks:
                self._read_hypernetworks[name] = self._read_hypernetwork(name)
            found = self._read_hypernetworks[name]
            if found is not None:
                pairs.append((found, strength))
        model.adapters.set_hypernetworks(pairs)

    def _read_hypernetwork(self, name: str) -> Hypernetwork | None:
        try:
            return read_hypernetwork(Path(self._hypernetworks[name]["path"]))
        except ModelFileError as error:
            self._leave_out("hypernet", name, error.reason)
            return None

    def _tell_missing(self, kind: str, name: str) -> None:
        """A remark in any case; A1111's settings say where else a missing LoRA is told."""
        if kind not in LORA_KINDS:
            self._warn(f"Hypernetworks not found: {shown(name, 80)}.")
            return
        self._warn(
            f"Networks not found: {shown(name, 80)}.",
            popup=bool(self._options.get("lora_not_found_gradio_warning")),
            log=bool(self._options.get("lora_not_found_warning_console")),
        )

    def _tell_unknown(self, lora: LoraArguments) -> None:
        if lora.unknown:
            unknown = ", ".join(f"{shown(key, 20)}=" for key in lora.unknown[:5])
            allowed = ", ".join(f"{key}=" for key in sorted(KNOWN))
            self._warn(
                f"<lora:{shown(lora.name, 80)}>: {unknown} is not known; allowed: {allowed}."
            )

    def _tells(self, option: str) -> bool:
        return bool(self._options.get(option, True))

    def _leave_out(self, kind: str, name: str, reason: str) -> None:
        self._warn(UNUSABLE.format(kind=kind, name=shown(name, 80), reason=reason.rstrip(".")))


def _listed(hashes: Mapping[str, str]) -> str:
    """`name: hash` pairs; names lose the signs that separate them."""
    cleaned = {name.replace(":", "").replace(",", ""): one for name, one in hashes.items()}
    return ", ".join(f"{name}: {digest}" for name, digest in cleaned.items() if digest)
