"""Browser: a headless Chromium, asked over its own protocol what it made of a page."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BINARY = next((found for name in NAMES if (found := shutil.which(name))), None)
_PATIENCE = 60.0

OVERFLOWS = """(() => {
  const found = [], root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`the page: ${root.scrollWidth} > ${root.clientWidth}`);
  for (const element of document.querySelectorAll("h1, h2, p, li, dd, td, th, caption, figcaption"))
    if (element.scrollWidth > element.clientWidth + 1)
      found.push(`${element.tagName}: ${element.textContent.slice(0, 60)}`);
  return found;
})()"""
"""What is wider than the place that it has."""
OVERLAPS = """(() => {
  const found = [], texts = [...document.querySelectorAll("svg.plot text")].filter(text => text.textContent.trim());
  const boxes = texts.map(text => text.getBBox());
  for (let a = 0; a < boxes.length; a++) for (let b = a + 1; b < boxes.length; b++) {
    const x = Math.min(boxes[a].x + boxes[a].width, boxes[b].x + boxes[b].width) - Math.max(boxes[a].x, boxes[b].x);
    const y = Math.min(boxes[a].y + boxes[a].height, boxes[b].y + boxes[b].height) - Math.max(boxes[a].y, boxes[b].y);
    if (x > 1 && y > 3) found.push(`${texts[a].textContent} / ${texts[b].textContent}`);
  }
  return found;
})()"""
"""Texts of the drawing that lie on each other."""


@dataclass
class Seen:
    """What happened when a page was opened."""

    asked_for: list[str] = field(default_factory=list)
    """What it wanted to load beside itself."""
    dialogs: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    pdf: str = ""
    """Base64."""


class Browser:
    """A running Chromium; it ends with the block."""

    def __init__(self, profile: Path) -> None:
        self._profile = profile

    def __enter__(self) -> Self:
        assert BINARY is not None
        quiet = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
        where = (f"--user-data-dir={self._profile}", "--remote-debugging-port=0", "about:blank")
        self._process = subprocess.Popen([BINARY, *quiet, *where], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def look(self, page: Path, *, widths: tuple[int, ...] = (1280,), print_it: bool = False) -> Seen:
        """Open a page at some widths, and as it is printed on A4."""
        return asyncio.run(asyncio.wait_for(self._look(page, widths, print_it=print_it), _PATIENCE * 3))

    async def _port(self) -> str:
        file = self._profile / "DevToolsActivePort"
        for _ in range(int(_PATIENCE / 0.1)):
            if file.exists() and (lines := file.read_text().splitlines()):
                return lines[0]
            await asyncio.sleep(0.1)
        raise TimeoutError("Chromium did not start")

    async def _look(self, page: Path, widths: tuple[int, ...], *, print_it: bool) -> Seen:
        port, seen = await self._port(), Seen()
        async with aiohttp.ClientSession() as http:
            async with http.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
                tab = await answer.json(content_type=None)
            async with http.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                talk = _Talk(socket, seen)
                for domain in ("Page", "Network", "Log", "Runtime"):
                    await talk.ask(f"{domain}.enable")
                for width in widths:
                    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
                    await talk.ask("Emulation.setDeviceMetricsOverride", size)
                    await talk.open(page)
                    seen.answers[f"overflows at {width}"] = await talk.evaluate(OVERFLOWS)
                seen.answers["overlaps"] = await talk.evaluate(OVERLAPS)
                if print_it:
                    size = {"width": 680, "height": 960, "deviceScaleFactor": 1, "mobile": False}  # A4 without margins
                    await talk.ask("Emulation.setDeviceMetricsOverride", size)
                    await talk.ask("Emulation.setEmulatedMedia", {"media": "print"})
                    seen.answers["overflows in print"] = await talk.evaluate(OVERFLOWS)
                    printed = await talk.ask("Page.printToPDF", {"preferCSSPageSize": True})
                    seen.pdf = printed["data"]
        return seen


class _Talk:
    """One conversation with one tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, seen: Seen) -> None:
        self._socket = socket
        self._seen = seen
        self._number = 0
        self._loaded = False

    async def ask(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters or {}})
        while True:
            said = await self._hear()
            if said.get("id") == self._number:
                assert "error" not in said, said
                result: dict[str, Any] = said["result"]
                return result

    async def open(self, page: Path) -> None:
        self._loaded = False
        await self.ask("Page.navigate", {"url": page.as_uri()})
        while not self._loaded:
            await self._hear()

    async def evaluate(self, expression: str) -> Any:
        found = await self.ask("Runtime.evaluate", {"expression": expression, "returnByValue": True})
        return found["result"]["value"]

    async def _hear(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(await self._socket.receive_str(timeout=_PATIENCE))
        parameters = said.get("params") or {}
        match said.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Page.javascriptDialogOpening":
                self._seen.dialogs.append(parameters["message"])
            case "Network.requestWillBeSent" if parameters["type"] != "Document":
                self._seen.asked_for.append(parameters["request"]["url"])
            case "Log.entryAdded":
                self._seen.complaints.append(parameters["entry"]["text"])
        return said
