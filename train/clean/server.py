"""Serves the cleaning page on 127.0.0.1: photos by number, marks by POST, nothing without the token."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ...calibration.runs import SPLITS
from ...runtime.errors import OptionError, PhotoError, YogaLiveError
from ...runtime.serve.access import PageGuard, page_headers
from ...runtime.system.plain_text import show_name
from .journal import RELABEL
from .page_connections import IDLE_S, ConnectionLimiter, read_body
from .previews import PICTURE, THUMBNAIL, Previews
from .review_list import DOUBTED, LAZY, NO_SPLIT, SEEN_TRAINING, VIEWS, CleaningList

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOST = "127.0.0.1"
PAGES = Path(__file__).parent / "pages"
PAGE_FILES = {"": ("clean.html", "text/html"), "clean.js": ("clean.js", "text/javascript")}
PAGE_FILES["clean.css"] = ("clean.css", "text/css")
MOST_DECODED = 4  # photos decoded at once, because each may be large
MOST_PHOTOS = 200  # on one page of the list
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger(__name__)


class CleaningServer:
    """Serves one cleaning list.  Marks are made one after another on the event loop; an answered mark is saved."""

    def __init__(self, photos: CleaningList) -> None:
        self.token = secrets.token_urlsafe(24)
        self._list, self._cleaner = photos, photos.cleaner
        self._previews = Previews()
        self._making = {view: asyncio.Lock() for view in LAZY}
        self._hosts: frozenset[str] = frozenset()
        self._who = PageGuard(lambda host: host in self._hosts, HOST, self.token)

    @asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[str]:
        """Listen during the block.  Yields the page's address with its token.  Raises OptionError."""
        runner = web.AppRunner(
            self._make_app(), access_log=None, shutdown_timeout=1.0, keepalive_timeout=IDLE_S, lingering_time=1.0
        )
        await runner.setup()
        assert runner.server is not None
        self._door = ConnectionLimiter(runner.server)
        listener = None
        try:
            listener = await _listen(self._door, port)
            bound = listener.sockets[0].getsockname()[1]
            self._hosts = frozenset({f"{HOST}:{bound}", f"localhost:{bound}"})
            with ThreadPoolExecutor(MOST_DECODED, "preview") as self._pool:
                yield f"http://{HOST}:{bound}/{self.token}/"
        finally:
            self._list.stop()
            if listener is not None:
                listener.close()
            await runner.cleanup()

    def _make_app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=64_000)
        app.add_routes(
            [
                web.get("/{token}/api/session", self._answer_session),
                web.get("/{token}/api/photos", self._answer_photos),
                web.post("/{token}/api/mark", self._answer_mark),
                web.post("/{token}/api/undo", self._answer_undo),
                web.get("/{token}/thumbnail/{number}", self._answer_preview),
                web.get("/{token}/picture/{number}", self._answer_preview),
                web.get("/{token}/{name:[a-z.]*}", self._answer_page),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse other hosts (DNS rebinding), other origins and wrong tokens; send errors as JSON."""
        try:
            self._check(request)
            answer = await handler(request)
        except web.HTTPException as error:
            answer = web.json_response({"error": error.reason}, status=error.status)
        except (YogaLiveError, OSError) as error:
            status = 404 if isinstance(error, PhotoError) else 400 if isinstance(error, OptionError) else 500
            answer = web.json_response({"error": show_name(str(error))}, status=status)
        answer.headers.update(page_headers())
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer

    def _check(self, request: web.Request) -> None:
        self._door.note(request)
        hosts, origin = request.headers.getall("Host", [""]), request.headers.get("Origin")
        if len(hosts) > 1 or len(request.headers.getall("Content-Length", [])) > 1:
            raise web.HTTPBadRequest(reason="invalid request: it has the same header twice")
        if reason := self._who.refuse(hosts[0], origin, request.raw_path):
            raise web.HTTPForbidden(reason=reason)

    async def _answer_page(self, request: web.Request) -> web.StreamResponse:
        found = PAGE_FILES.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound(reason="no such page")
        return web.Response(body=(PAGES / found[0]).read_bytes(), content_type=found[1], charset="utf-8")

    async def _answer_session(self, request: web.Request) -> web.StreamResponse:
        """Send what the page shows around the photos.  conflicts, people: wait until these are counted too.

        start: find the view to open on, too.
        """
        for view in LAZY:
            if request.query.get(view):
                await self._complete(view)
        photos, start = self._list, ""
        if request.query.get("start"):
            async with self._making["conflicts"]:
                start = await asyncio.to_thread(photos.find_start)
        count = photos.errors.count_among(photos.unseen)
        notes = (
            "" if photos.predictions.out_of_fold else SEEN_TRAINING,
            "" if count.is_trusted else f"{DOUBTED}{count.describe_doubt()}.",
        )
        return web.json_response(
            {
                "folder": show_name(self._cleaner.folder.resolve().name),
                "run": show_name(photos.run.folder.name),
                "start": start,
                "poses": photos.poses,
                "splits": [*SPLITS, NO_SPLIT],
                "views": {view: len(photos.select(view)) for view in VIEWS if photos.knows(view)},
                "suspects": sum(map(photos.is_suspect, photos.select("likely"))),
                "missing": photos.missing,
                "trusted": count.is_trusted,
                "note": " ".join(filter(None, notes)),
                "people_note": photos.people_note,
                "summary": self._summarise(),
            }
        )

    async def _complete(self, view: str) -> None:
        """Make a view that takes a while, if there is none yet; marks are served meanwhile."""
        if view in LAZY:
            async with self._making[view]:
                await asyncio.to_thread(self._list.find_people if view == "people" else self._list.find_conflicts)

    async def _answer_photos(self, request: web.Request) -> web.StreamResponse:
        """Send one page of a view.  from: a position; open: continue from there to the first photo without a mark."""
        await self._complete(request.query.get("view", ""))
        numbers = self._select(request.query)
        start, count = _read_whole(request.query, "from", 0), _read_whole(request.query, "count", 60)
        if not 1 <= count <= MOST_PHOTOS:
            raise OptionError(f"count {count} is not a number from 1 to {MOST_PHOTOS}")
        focus = max(0, min(start, len(numbers) - 1))
        marked = [bool(self._list.entries[number].photo.marks) for number in numbers]
        if request.query.get("open"):
            focus = next((i for i in range(focus, len(numbers)) if not marked[i]), focus)
        first = focus - focus % count
        suspects = [done for number, done in zip(numbers, marked, strict=True) if self._list.is_suspect(number)]
        return web.json_response(
            {
                "total": len(numbers),
                "done": sum(marked),
                "suspects": len(suspects),
                "suspects_done": sum(suspects),
                "first": first,
                "focus": focus,
                "photos": [self._describe(number, request.query["view"]) for number in numbers[first : first + count]],
                "summary": self._summarise(),
            }
        )

    def _select(self, query: Any) -> list[int]:
        return self._list.select(*self._check_query(query))

    def _check_query(self, query: Any) -> tuple[str, str, str]:
        view, pose, split = (str(query.get(name, "")) for name in ("view", "pose", "split"))
        if view not in VIEWS or (pose and pose not in self._list.poses) or (split and split not in (*SPLITS, NO_SPLIT)):
            raise OptionError(f"no photos for view {view!r}, pose {pose!r}, split {split!r}")
        return view, pose, split

    def _describe(self, number: int, view: str = "") -> dict[str, Any]:
        entry = self._list.entries[number]
        photo, flag = entry.photo, self._list.find_flag(number)
        return {
            "number": number,
            "path": show_name(photo.path),
            "pose": photo.pose,
            "first_pose": photo.marks[0].pose if photo.marks else photo.pose,
            "split": entry.split,
            "group": self._list.find_group(number, view),
            "mark": photo.action,
            "by": photo.marks[-1].by if photo.marks else "",
            "removed": photo.is_removed,
            "suspect": self._list.is_suspect(number),
            "guesses": self._list.list_guesses(number),
            "probability": self._list.read_probability(number, photo.pose),
            "people": flag.describe() if flag else "",
            "boxes": flag.boxes if flag else (),
        }

    def _summarise(self) -> dict[str, Any]:
        counts = self._cleaner.count_marks()
        return {**counts, "removed": self._cleaner.count_removed(), "undo": self._cleaner.can_undo()}

    async def _answer_mark(self, request: web.Request) -> web.StreamResponse:
        content = await _read_json(request)
        number = self._read_number(content.get("photo"))
        entry = self._list.entries[number]
        action, pose = content.get("action"), content.get("pose", "")
        if action == RELABEL and pose not in self._list.poses:
            raise OptionError(f"{pose!r} is not a pose of this folder")
        self._cleaner.mark(entry.photo, str(action), str(pose))
        return web.json_response({"photo": self._describe(number), "summary": self._summarise()})

    async def _answer_undo(self, request: web.Request) -> web.StreamResponse:
        """Take back the newest mark.  Sends its photo and its position in the requested view."""
        content = await _read_json(request)
        self._check_query(content)
        photo = self._cleaner.undo()
        number = self._list.find_number(photo) if photo else None
        numbers = self._select(content)
        described = None if number is None else self._describe(number)
        position = numbers.index(number) if number in numbers else None
        return web.json_response({"photo": described, "position": position, "summary": self._summarise()})

    async def _answer_preview(self, request: web.Request) -> web.StreamResponse:
        number = self._read_number(request.match_info["number"])
        side = THUMBNAIL if "/thumbnail/" in request.path else PICTURE
        content = await self._read_preview(number, side)
        headers = {"Cache-Control": "private, max-age=3600"}
        return web.Response(body=content, content_type="image/jpeg", headers=headers)

    async def _read_preview(self, number: int, side: int) -> bytes:
        photo, loop = self._list.entries[number].photo, asyncio.get_running_loop()
        path = self._cleaner.locate(photo)
        try:
            return await loop.run_in_executor(self._pool, self._previews.read, number, path, side)
        except PhotoError:
            if (now := self._cleaner.locate(photo)) == path:
                raise
            return await loop.run_in_executor(self._pool, self._previews.read, number, now, side)  # a mark moved it

    def _read_number(self, value: object) -> int:
        with suppress(ValueError):
            number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
            if type(number) is int and 0 <= number < len(self._list.entries):
                return number
        raise PhotoError(f"no photo {str(value)[:40]!r}")


async def _listen(door: ConnectionLimiter, port: int) -> asyncio.Server:
    try:
        return await asyncio.get_running_loop().create_server(door, HOST, port)
    except (OSError, OverflowError) as error:
        raise OptionError(f"cannot listen on --port {port}: {error}; leave it out for a free one") from error


def _read_whole(query: Any, name: str, default: int) -> int:
    text = str(query.get(name, default))
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise OptionError(f"{name} {text[:40]!r} is not a whole number")
    return int(text)


async def _read_json(request: web.Request) -> dict[str, Any]:
    """Read the body, which must be a JSON object: a form of another page cannot send that."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(reason="send application/json")
    body = await read_body(request)
    try:
        content = json.loads(body)
    except ValueError as error:
        raise OptionError("the body is not JSON") from error
    if not isinstance(content, dict):
        raise OptionError("the body is not a JSON object")
    return content
