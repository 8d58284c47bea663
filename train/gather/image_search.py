"""Image search: finds the addresses of pictures for a few words, page by page.

Uses the engines of ddgs (MIT, maintained since 2022), which need no key.  Its own `DDGS().images` reports "No results
found" for a refusal, and sometimes for a time-out; so each engine is called directly, and the HTTP status read.
Search engines' terms and the photographers' rights apply to the user.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ...runtime.errors import MissingPackageError, YogaLiveError
from ...runtime.system.item_failures import explain

ENGINES = ("bing", "duckduckgo")
MOST_PAGES = 20
PAUSE_S = 1.0
"""Seconds between pages: slow enough not to be blocked at the third page."""

REFUSALS = {202, 401, 403, 429}  # duckduckgo answers 202 to those whom it takes for a robot
ROBOT_CHECKS = ("captcha", "unusual traffic", "are you a robot", "verify you are human")


class SearchError(YogaLiveError):
    """A search that was blocked, timed out or failed."""


class SearchBlocked(SearchError):
    """The engine refuses; searching again soon makes it worse."""


class Searcher(Protocol):
    """One engine: the pictures on one page of a query's results."""

    def search(self, query: str, page: int) -> list[str]:
        """Find the addresses on `page` (from 1), [] after the last one.  Raises SearchError."""
        ...


@dataclass(frozen=True)
class SearchOutcome:
    """The result of one query on one engine.  pages: number received; reason: why it ended early."""

    query: str
    engine: str
    urls: tuple[str, ...]
    pages: int
    reason: str = ""


class DdgsSearcher:
    """One of ddgs's image engines."""

    def __init__(self, engine: str, timeout_s: int = 15) -> None:
        from ddgs.engines import ENGINES as DDGS_ENGINES

        if engine not in DDGS_ENGINES.get("images", {}):
            raise MissingPackageError(
                f"the installed ddgs has no image engine {engine!r}; run: pip install --upgrade ddgs, or use another"
            )
        self._name = engine
        self._engine: Any = DDGS_ENGINES["images"][engine](timeout=timeout_s)
        self._client = _AnswerKeeper(self._engine.http_client)
        self._engine.http_client = self._client

    def search(self, query: str, page: int) -> list[str]:
        """Find the addresses on one page."""
        from ddgs.exceptions import DDGSException, TimeoutException
        from lxml.etree import LxmlError

        self._client.forget()
        try:
            rows = self._engine.search(query, page=page) or []
        except TimeoutException as error:
            raise SearchError(f"{self._name} did not answer in time") from error
        except DDGSException as error:
            self._check_answer()
            reason = str(error).partition("\n")[0][:160]
            raise SearchError(f"{self._name} could not be reached: {reason}") from error
        except (LxmlError, ValueError, KeyError, AttributeError, TypeError) as error:
            self._check_answer()
            raise SearchError(f"{self._name} sent an unreadable page; it may have changed its format") from error
        urls = [str(row.image) for row in rows if getattr(row, "image", "")]
        if not urls:
            self._check_answer()
        return urls

    def _check_answer(self) -> None:
        """Distinguish a refusal from an empty page."""
        status, text = self._client.status, self._client.text.lower()
        if status in REFUSALS or (status == 200 and any(sign in text for sign in ROBOT_CHECKS)):
            how = f"HTTP {status}" if status != 200 else "a robot check"
            raise SearchBlocked(f"{self._name} refuses further searches for now ({how}); wait an hour")
        if status not in {0, 200}:
            raise SearchError(f"{self._name} answered HTTP {status}")


class _AnswerKeeper:
    """Wraps an engine's HTTP client, to remember the worst status, which ddgs drops, and the last page."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.forget()

    def forget(self) -> None:
        self.status, self.text = 0, ""

    def request(self, *arguments: Any, **options: Any) -> Any:
        answer = self._client.request(*arguments, **options)
        self.status, self.text = max(self.status, int(answer.status_code)), str(answer.text)
        return answer


class ImageSearch:
    """Runs every query on every engine, except on engines that have refused."""

    def __init__(
        self,
        searchers: Mapping[str, Searcher],
        most: int,
        on_page: Callable[[int], None] = lambda found: None,
        pause_s: float | None = None,
    ) -> None:
        self._searchers, self._most, self._on_page = searchers, most, on_page
        self._pause_s = PAUSE_S if pause_s is None else pause_s
        self._refusals: dict[str, str] = {}
        self._asked: set[str] = set()
        self._seen: set[str] = set()

    def run(self, queries: list[str]) -> Iterator[SearchOutcome]:
        """Yield outcomes as they arrive, with up to `most` different addresses for each query."""
        for query in queries:
            wanted = self._most
            for engine in self._searchers:
                if engine in self._refusals:
                    yield SearchOutcome(query, engine, (), 0, f"skipped: {self._refusals[engine]}")
                elif wanted > 0:
                    outcome = self._read_pages(engine, query, wanted)
                    wanted -= len(outcome.urls)
                    yield outcome

    def _read_pages(self, engine: str, query: str, most: int) -> SearchOutcome:
        """Read pages until there are enough addresses, or a page only repeats earlier ones."""
        urls: list[str] = []
        own: set[str] = set()
        for page in range(1, MOST_PAGES + 1):
            if engine in self._asked:
                time.sleep(self._pause_s)
            self._asked.add(engine)
            try:
                found = self._searchers[engine].search(query, page)
            except SearchError as error:
                if isinstance(error, SearchBlocked):
                    self._refusals[engine] = str(error)
                return SearchOutcome(query, engine, tuple(urls), page - 1, str(error))
            except Exception as error:  # noqa: BLE001 - whatever happens in one search, the others continue
                reason = explain(error, f"{engine}, {query!r}").reason
                return SearchOutcome(query, engine, tuple(urls), page - 1, reason)
            new = [url for url in dict.fromkeys(found) if url not in self._seen][: most - len(urls)]
            urls += new
            self._seen.update(new)
            self._on_page(len(new))
            if len(urls) >= most or own.issuperset(found):
                return SearchOutcome(query, engine, tuple(urls), page)
            own.update(found)
        return SearchOutcome(query, engine, tuple(urls), MOST_PAGES)
