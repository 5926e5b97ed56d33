"""What an extension's code would do here, read from its text without running any of it.

This is advice for the person who decides, not a gate: code can hide what it does. Only one finding
refuses an extension: that it cannot work, because loading it imports the insides of A1111's own
networks (``ldm``, ``sgm``, ``k_diffusion``), which Easel does not have.
"""

from __future__ import annotations

import ast
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

INTERNALS = {
    "ldm": "the networks of Stable Diffusion's first code",
    "sgm": "the networks of SDXL's first code",
    "k_diffusion": "the samplers of k-diffusion",
    "ldm_patched": "Forge's copy of ComfyUI's networks",
    "modules_forge": "Forge's own modules",
    "backend": "Forge's backend",
    "lora": "A1111's built-in extension Lora",
    "networks": "A1111's built-in extension Lora",
}
"""Packages whose insides extensions patch, and what they are."""

REPLACEMENTS = (
    (r"tile.?vae|tiled.?vae|multidiffusion", "the setting “VAE in parts” decodes large pictures"),
    (r"lora|lycoris|additional.?networks|locon", "Easel loads LoRA, LyCORIS and DoRA itself"),
    (r"block.?weight", "write `<lora:name:1:lbw=…>`: block weights are built in"),
    (r"ultimate|sd.?upscale", "the script SD upscale, and Extras with tiles"),
    (r"model.?toolkit|merger|merge", "the tab Checkpoint Merger and Convert"),
    (r"outpaint", "the tab Outpaint"),
    (r"openpose|controlnet", "nothing yet: Easel has no ControlNet"),
)
"""Patterns over an extension's name → what Easel has instead."""

CALLS = {
    "eval": "evaluates text as code",
    "exec": "runs text as code",
    "os.system": "starts other programs",
    "os.popen": "starts other programs",
    "subprocess.run": "starts other programs",
    "subprocess.Popen": "starts other programs",
    "subprocess.call": "starts other programs",
    "subprocess.check_call": "starts other programs",
    "subprocess.check_output": "starts other programs",
    "launch.run": "starts other programs",
    "launch.run_pip": "installs packages",
    "pickle.load": "reads pickles, which can run code",
    "pickle.loads": "reads pickles, which can run code",
    "torch.load": "reads pickles, which can run code",
    "socket.socket": "opens network connections",
    "requests.get": "asks other machines",
    "requests.post": "sends to other machines",
    "urllib.request.urlopen": "asks other machines",
    "urllib.request.urlretrieve": "downloads files",
    "torch.hub.download_url_to_file": "downloads files",
    "torch.hub.load_state_dict_from_url": "downloads files",
    "huggingface_hub.hf_hub_download": "downloads files",
    "hf_hub_download": "downloads files",
    "snapshot_download": "downloads files",
    "ctypes.CDLL": "calls native libraries",
    "shutil.rmtree": "deletes folders",
    "marshal.loads": "runs hidden code",
}
"""Calls worth knowing of, by the name they are written with."""

MOST_FILES = 20_000
MOST_BYTES = 512 * 1024 * 1024
SOURCE_LIMIT = 2 * 1024 * 1024
"""Bytes of one source file that is read; larger ones are named as unread."""


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing."""

    kind: str
    """``internals``, ``guarded``, ``calls``, ``install``, ``files``, ``syntax``."""
    sentence: str
    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class Scan:
    """All that was found in one folder."""

    files: tuple[str, ...] = ()
    """Relative paths, as they will lie in ``extensions/<name>``."""
    size: int = 0
    """Bytes."""
    requirements: tuple[str, ...] = ()
    """Lines of ``requirements.txt``."""
    findings: tuple[Finding, ...] = ()
    refused: str = ""
    """Why it cannot work here, with what Easel has instead; empty otherwise."""
    counts: dict[str, int] = field(default_factory=dict)


def scan(folder: Path, name: str = "") -> Scan:
    """Look through a folder.

    Raises:
        ValueError: it has more files or bytes than any extension needs.
    """
    listed, size, findings = _walk(folder)
    sources = {path: _parsed(folder, path, findings) for path in listed if path.endswith(".py")}
    trees = {path: tree for path, tree in sources.items() if tree is not None}
    for path, tree in trees.items():
        findings += _calls(path, tree)
    blocking = list(_internals(trees, findings))
    if "install.py" in listed:
        findings.append(Finding("install", "has an install.py, which runs at each start."))
    if "preload.py" in listed:
        findings.append(Finding("install", "has a preload.py, which adds command-line flags."))
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding.kind] = counts.get(finding.kind, 0) + 1
    return Scan(
        tuple(listed),
        size,
        _requirements(folder),
        tuple(findings),
        _refusal(name or folder.name, blocking),
        counts,
    )


def _walk(folder: Path) -> tuple[list[str], int, list[Finding]]:
    listed: list[str] = []
    findings: list[Finding] = []
    size = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if one != ".git")
        for name in sorted([*names, *(one for one in folders if (Path(place) / one).is_symlink())]):
            path = Path(place) / name
            relative = path.relative_to(folder).as_posix()
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                findings.append(Finding("files", "is a link to another place.", relative))
                continue
            if not stat.S_ISREG(status.st_mode):
                if not stat.S_ISDIR(status.st_mode):
                    findings.append(Finding("files", "is no ordinary file.", relative))
                continue
            listed.append(relative)
            size += status.st_size
            if path.suffix.lower() in (".exe", ".dll", ".so", ".dylib", ".pyd", ".pyc", ".bat"):
                findings.append(Finding("files", "is a program in machine code.", relative))
        if len(listed) > MOST_FILES or size > MOST_BYTES:
            raise ValueError(
                f"more than {MOST_FILES} files or {MOST_BYTES // 1024 // 1024} MB; "
                "that is no extension."
            )
    return sorted(listed), size, findings


def _parsed(folder: Path, path: str, findings: list[Finding]) -> ast.Module | None:
    source = folder / path
    if source.stat().st_size > SOURCE_LIMIT:
        findings.append(Finding("files", "is too long to be looked at.", path))
        return None
    try:
        return ast.parse(source.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", 0) or 0
        findings.append(Finding("syntax", f"is not Python that runs here: {error}", path, line))
        return None


def _calls(path: str, tree: ast.Module) -> Iterator[Finding]:
    names = _imported_names(tree)
    seen = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        written = _dotted(node.func)
        first, _, rest = written.partition(".")
        full = ".".join(filter(None, (names.get(first, first), rest)))
        told = CALLS.get(full) or CALLS.get(written)
        if told and told not in seen:
            seen.add(told)
            yield Finding("calls", f"{told} ({full})", path, node.lineno)


def _imported_names(tree: ast.Module) -> dict[str, str]:
    """Name in the file → what it stands for."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    found[alias.asname] = alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


# -- imports of insides -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Import:
    module: str
    line: int
    guarded: bool
    """Inside of a ``try`` or a function: loading goes on without it."""


def _internals(trees: dict[str, ast.Module], findings: list[Finding]) -> Iterator[str]:
    """Insides that loading the scripts needs; others are noted as findings."""
    own = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in trees}
    tops = {name.partition(".")[0] for name in own}
    imports = {path: list(_imports(tree, path)) for path, tree in trees.items()}
    needed = _reached(trees, imports)
    for path, found in imports.items():
        for one in found:
            top = one.module.partition(".")[0]
            if top not in INTERNALS or top in tops:
                continue
            if one.guarded or path not in needed:
                sentence = f"uses {one.module} where it is there; Easel has no such module."
                findings.append(Finding("guarded", sentence, path, one.line))
            else:
                sentence = f"needs {one.module}: {INTERNALS[top]}."
                findings.append(Finding("internals", sentence, path, one.line))
                yield top


def _imports(tree: ast.Module, path: str) -> Iterator[_Import]:
    package = path.split("/")[:-1]

    def walk(nodes: list[ast.stmt], guarded: bool) -> Iterator[_Import]:
        for node in nodes:
            if isinstance(node, ast.Import):
                yield from (_Import(alias.name, node.lineno, guarded) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else []
                module = ".".join([*base, *filter(None, [node.module])])
                yield _Import(module, node.lineno, guarded)
                yield from (
                    _Import(f"{module}.{alias.name}", node.lineno, guarded)
                    for alias in node.names
                    if module and module.partition(".")[0] not in INTERNALS
                )
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from walk(node.body, True)
            elif isinstance(node, ast.Try):
                yield from walk(node.body, guarded or bool(node.handlers))
                for handler in node.handlers:
                    yield from walk(handler.body, True)
                yield from walk([*node.orelse, *node.finalbody], guarded)
            elif isinstance(node, ast.If):
                yield from walk([*node.body, *node.orelse], True)
            elif isinstance(node, (ast.ClassDef, ast.With, ast.For, ast.While)):
                yield from walk(node.body, guarded)

    yield from walk(tree.body, False)


def _reached(trees: dict[str, ast.Module], imports: dict[str, list[_Import]]) -> set[str]:
    """Files that are executed when the scripts are loaded."""
    waiting = [path for path in trees if path.startswith("scripts/") and path.count("/") == 1]
    waiting += [path for path in ("preload.py", "install.py") if path in trees]
    reached: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        for one in imports[path]:
            if not one.guarded:
                waiting += _files_of(one.module, trees)
    return reached


def _files_of(module: str, trees: dict[str, ast.Module]) -> list[str]:
    """The extension's own files that importing a name executes, its packages included."""
    parts = module.split(".")
    found = []
    for length in range(1, len(parts) + 1):
        stem = "/".join(parts[:length])
        found += [path for path in (f"{stem}.py", f"{stem}/__init__.py") if path in trees]
    return found


def _refusal(name: str, blocking: list[str]) -> str:
    if not blocking:
        return ""
    insides = ", ".join(dict.fromkeys(blocking))
    replacement = next(
        (told for pattern, told in REPLACEMENTS if re.search(pattern, name.lower())), ""
    )
    sentence = f"It cannot work in Easel: it is built into {insides}, which Easel does not have."
    return f"{sentence} Instead: {replacement}." if replacement else sentence


def _requirements(folder: Path) -> tuple[str, ...]:
    try:
        text = (folder / "requirements.txt").read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ()
    lines = (line.split("#")[0].strip() for line in text[:65536].splitlines())
    return tuple(line for line in lines if line)
