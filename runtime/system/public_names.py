"""What a room offers to programs: imported when it is first named, so that importing a room costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from ..errors import MissingPackageError


def read_version() -> str:
    """The version of the package that is installed, such as `0.2.0`."""
    from importlib.metadata import version

    return version("yoga-live")


def offer(room: str, places: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A room's `__getattr__` and `__dir__`.  places: name -> module that it is imported from when it is first named.

    `__version__` is offered besides.
    """

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return read_version()
        if name not in places:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(import_module(places[name], room), name)

    def __dir__() -> list[str]:
        return sorted({*vars(import_module(room)), *places, "__version__"})

    return __getattr__, __dir__


@contextmanager
def name_missing_package(extra: str) -> Iterator[None]:
    """Import what a function of a room needs.  extra: what it is installed with.  Raises MissingPackageError."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("yoga_live"):
            raise
        raise MissingPackageError(
            f'the package {error.name!r} is not installed; run in the folder of yoga-live: pip install ".[{extra}]"'
        ) from error
