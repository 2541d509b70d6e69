"""The screen in a browser: textual-serve starts one dfmon for each page, and draws it with its own files alone.

The page, its fonts and its scripts come from this server, and its content policy lets a browser load nothing else. On
loopback only a Host of this machine and a websocket of the page itself are served, so that no page of another site can
read along; elsewhere a token is needed, which a link brings and a cookie keeps.
"""

from __future__ import annotations

import hmac
import html
import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
COOKIE: Final = "dfmon_token"
CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; font-src 'self'; "
    "img-src 'self' data:; connect-src 'self' {socket}; frame-ancestors 'none'; base-uri 'none'"
)
_PAGE: Final = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>dfmon</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="static/css/xterm.css">
<script src="static/js/textual.js"></script>
<script>
const focusing = setInterval(() => {{
  const input = document.querySelector(".xterm-helper-textarea");
  if (input) {{ input.focus(); clearInterval(focusing); }}
}}, 50);
</script>
<style>
@font-face {{
  font-family: "Roboto Mono"; src: url("static/fonts/RobotoMono-VariableFont_wght.ttf"); font-weight: 100 700;
}}
body {{ background: #121212; color: #d0d0d0; font-family: "Roboto Mono", monospace; margin: 0; overflow: hidden; }}
#closed {{ display: none; padding: 2em; }}
body.-closed #closed {{ display: block; }}
a {{ color: #ffffff; }}
</style></head>
<body><div id="closed">The session has ended. <a href="./">Start another</a></div>
<div id="terminal" class="textual-terminal" data-session-websocket-url="{socket}" data-font-size="{font_size}"></div>
</body></html>
"""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ScreenServer(Server):
    """Serves the screen that a command line of dfmon draws."""

    def __init__(self, arguments: Sequence[str], host: str, port: int, token: str) -> None:
        command = shlex.join([sys.executable, "-m", "dfmon", *arguments])
        super().__init__(f"COLORTERM=truecolor exec {command}", host, port, title="dfmon")
        self._token = token

    def initialize_logging(self) -> None:
        """Leaves the log as the command line has set it up."""

    async def on_startup(self, app: web.Application) -> None:
        sys.stderr.write(f"dfmon: the screen is at http://{self.host}:{self.port}/, ctrl+c ends it\n")
        sys.stderr.flush()

    async def _make_app(self) -> web.Application:
        app = web.Application(middlewares=[self._gate])
        app.add_routes(
            [
                web.get("/", self._page),
                web.get("/ws", self.handle_websocket),
                web.static("/static", self.statics_path),
            ]
        )
        app.on_startup.append(self.on_startup)
        return app

    async def _page(self, request: web.Request) -> web.Response:
        """The page, or with a token in the link the cookie and the page without it."""
        if "token" in request.query:
            response = web.Response(status=302, headers={"Location": "./"})
            response.set_cookie(COOKIE, self._token, httponly=True, samesite="Strict", secure=_is_secure(request))
            return response
        socket = f"{'wss' if _is_secure(request) else 'ws'}://{request.host}/ws"
        size = request.query.get("fontsize", "")
        text = _PAGE.format(socket=html.escape(socket), font_size=size if size.isdecimal() and len(size) < 3 else "16")
        return web.Response(text=text, content_type="text/html")

    @web.middleware
    async def _gate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Lets through who may see the screen; every response has the content policy."""
        if (refusal := self._refusal(request)) is not None:
            return refusal
        response = await handler(request)
        if not response.prepared:
            socket = f"{'wss' if _is_secure(request) else 'ws'}://{request.host}"
            response.headers["Content-Security-Policy"] = CONTENT_POLICY.format(socket=socket)
            response.headers["Referrer-Policy"] = "no-referrer"
        return response

    def _refusal(self, request: web.Request) -> web.Response | None:
        name = urlsplit(f"//{request.host}").hostname or ""
        if self._token:
            header = request.headers.get("Authorization", "").removeprefix("Bearer ")
            shown = (request.query.get("token", ""), request.cookies.get(COOKIE, ""), header)
            if not any(hmac.compare_digest(text.encode(), self._token.encode()) for text in shown):
                return web.Response(text="A token is needed: http://HOST:PORT/?token=TOKEN\n", status=401)
        elif name not in LOOPBACK:
            return web.Response(text="This host name is not served without a token.\n", status=421)
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            return web.Response(text="This origin is not served.\n", status=403)
        return None


def _is_secure(request: web.Request) -> bool:
    """True behind a proxy that speaks TLS."""
    return request.headers.get("X-Forwarded-Proto", request.scheme) == "https"
