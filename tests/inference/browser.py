"""A headless Chromium, driven through its debugging pipe, which needs no other program."""

import json
import os
import shutil
import subprocess
import tempfile
from base64 import b64decode
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def program() -> str | None:
    """Where a Chromium is, if one is installed."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


LOW_CONTRAST = """
(() => {
  const colour = text => text.match(/[\\d.]+/g).map(Number);
  const linear = level => level / 255 <= 0.04045 ? level / 255 / 12.92 : ((level / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  const page = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
  const behind = element => {
    for (let one = element; one; one = one.parentElement) {
      const own = colour(getComputedStyle(one).backgroundColor);
      if (own.length < 4 || own[3] === 1) return own;
    }
    return page;
  };
  const found = [];
  for (const element of document.querySelectorAll("body *:not(svg *, script, style)")) {
    if (![...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim())) continue;
    const pair = [luminance(colour(getComputedStyle(element).color)), luminance(behind(element))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    const text = element.textContent.trim().slice(0, 60);
    if (ratio < 4.5) found.push(element.tagName + " " + ratio.toFixed(2) + ": " + text);
  }
  return found;
})()
"""
"""By the formula of the guidelines; backgrounds are plain colours or left to those behind them."""


class Browser:
    """One page in a Chromium of its own."""

    def __init__(self) -> None:
        self._place = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        ours, theirs = os.pipe(), os.pipe()

        # Chromium reads commands from descriptor 3 and answers to 4.
        connect = f'exec "$0" "$@" 3<&{ours[0]} 4>&{theirs[1]}'
        self._process = subprocess.Popen(
            ["bash", "-c", connect, str(program()), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--remote-debugging-pipe", f"--user-data-dir={self._place.name}", "--disable-background-networking"],
            pass_fds=(ours[0], theirs[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(ours[0])
        os.close(theirs[1])
        self._in, self._out, self._rest, self._number = ours[1], theirs[0], b"", 0
        self.requests: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "DOM", "Runtime", "Network"):
            self._call(f"{domain}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        self._place.cleanup()

    def open(self, url: str) -> None:
        """Go to an address, and wait until it is loaded."""
        self._call("Page.navigate", url=url)
        self._wait("Page.loadEventFired")

    def choose(self, selector: str, file: Path) -> None:
        """Choose a file in an input."""
        root = self._call("DOM.getDocument")["root"]["nodeId"]
        node = self._call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._call("DOM.setFileInputFiles", files=[str(file)], nodeId=node)

    def press(self, key: str) -> None:
        """Press a key: Tab, Enter or ArrowRight."""
        code = {"Tab": 9, "Enter": 13, "ArrowRight": 39}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            more = text if kind == "keyDown" else {}
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)

    def wait_loaded(self) -> None:
        """Wait for the next page."""
        self._wait("Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives."""
        made = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return made["result"].get("value")

    def accessible(self) -> list[tuple[str, str]]:
        """Role and accessible name of everything on the page that a screen reader is told of, in order."""
        nodes = self._call("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]

    def low_contrast(self) -> list[str]:
        """The texts outside of pictures whose contrast with their background is below 4.5 (WCAG 2.2, level AA)."""
        return list(self.value(LOW_CONTRAST))

    def prefer(self, scheme: str) -> None:
        """Prefer colours: light or dark."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, file: Path) -> None:
        """Write a picture of the whole page."""
        made = self._call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(b64decode(made["data"]))

    def _call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if hasattr(self, "_session"):
            message["sessionId"] = self._session
        os.write(self._in, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _wait(self, event: str) -> None:
        if event in self._seen:
            self._seen.remove(event)
            return
        while self._next().get("method") != event:
            pass
        self._seen.clear()

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._out, 1 << 16)
            if not part:
                raise RuntimeError("Chromium ended")
            self._rest += part
        line, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        if message.get("method") == "Page.loadEventFired":
            self._seen.append("Page.loadEventFired")
        return message

    @property
    def _seen(self) -> list[str]:
        events: list[str] = self.__dict__.setdefault("_events", [])
        return events
