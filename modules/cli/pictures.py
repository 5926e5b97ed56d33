"""Input pictures on the command line: files and folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modules.cli.run import Note
from modules.cli.session import Session
from modules.imaging.reading import MAX_FILE_BYTES
from modules.jobs.inputs import StoredInput
from modules.requests.errors import RequestError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".gif")
"""What a folder is searched for."""


@dataclass(frozen=True)
class InputPicture:
    """A picture that is stored for jobs, and the file it came from."""

    path: Path
    stored: StoredInput


def read_pictures(
    sources: list[Path], flag: str, session: Session, note: Note
) -> tuple[list[InputPicture], int]:
    """The pictures of files and folders, and how many were skipped.

    What cannot be read in a folder, or among several files, is named and left out.

    Raises:
        RequestError: a single file cannot be read.
        ValueError: there is no picture at all.
    """
    pictures, skipped = [], 0
    files = list(_files(sources, flag))
    for path in files:
        try:
            pictures.append(InputPicture(path, read_picture(path, flag, session)))
        except RequestError as error:
            if len(files) == 1:
                raise
            note(f"Skipped {path}: {error.sentence.removeprefix(f'{flag}: ')}")
            skipped += 1
    if not pictures:
        raise ValueError(f"{flag}: there is nothing to work on")
    return pictures, skipped


def read_picture(path: Path, flag: str, session: Session) -> StoredInput:
    """Check one picture and keep it for a job.

    Raises:
        RequestError: it cannot be read, or is no picture.
    """
    try:
        if not path.is_file():
            raise RequestError(flag, path, f"there is no file {str(path)!r}.")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise RequestError(
                flag, path, f"{str(path)!r} is too large; allowed: {MAX_FILE_BYTES:,} bytes."
            )
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError(flag, path, f"{str(path)!r} cannot be read ({error}).") from error
    return session.jobs.keep_input(data, flag)


def _files(sources: list[Path], flag: str) -> Iterator[Path]:
    for source in sources:
        if not source.is_dir():
            yield source
            continue
        found = sorted(
            path for path in source.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()
        )
        if not found:
            raise ValueError(
                f"{flag}: the folder {str(source)!r} holds no picture; "
                f"looked for: {', '.join(SUFFIXES)}"
            )
        yield from found
