"""Local servers that answer as Reddit, Binance's announcements and X do: forms, tokens, limits.

Field names and nesting are the real ones; the texts are ours. `faults` makes a server misbehave.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class TextServer:
    """One running server.

    Attributes:
        url: where it listens. asked: (path, query, headers) of every request, in order.
        fault: `""`, or what it does instead of answering: `500`, `429`, `html`, `huge`, `other`,
            `redirect`, `cut`.
        things: what it has; what that is depends on the server.
    """

    def __init__(self, things: Any) -> None:
        self.things = things
        self.fault = ""
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.url = ""
        self.headers: dict[str, str] = {}

    def answer(self, method: str, path: str, query: dict[str, str], headers: Any) -> Any:
        raise LookupError(path)


class RedditServer(TextServer):
    """`things`: {subreddit: [(title, body, created s, score, [comment bodies])]}."""

    ID, SECRET, TOKEN = "an-id", "a-secret", "a-token"

    def answer(self, method: str, path: str, query: dict[str, str], headers: Any) -> Any:
        if path == "/api/v1/access_token":
            word = base64.b64encode(f"{self.ID}:{self.SECRET}".encode()).decode()
            if headers.get("Authorization") != f"Basic {word}" or method != "POST":
                raise PermissionError
            return {
                "access_token": self.TOKEN,
                "token_type": "bearer",
                "expires_in": 86_400,
                "scope": "*",
            }
        if headers.get("Authorization") != f"bearer {self.TOKEN}":
            raise PermissionError
        parts = path.strip("/").split("/")
        if parts[0] == "r" and parts[2] == "top":
            rows = self.things[parts[1]][: int(query["limit"])]
            return _listing([self._post(parts[1], n, row) for n, row in enumerate(rows)])
        if parts[0] == "comments":
            name, number = parts[1].split("0", 1)
            row = self.things[name][int(number)]
            bodies = row[4][: int(query.get("limit", 100))]
            post = self._post(name, int(number), row)
            comments = [_comment(name, int(number), n, body) for n, body in enumerate(bodies)]
            return [_listing([post]), _listing(comments)]
        raise LookupError(path)

    @staticmethod
    def _post(subreddit: str, number: int, row: Any) -> dict[str, Any]:
        title, body, created, score, comments = row
        key = f"{subreddit}0{number}"
        return {
            "kind": "t3",
            "data": {
                "id": key,
                "name": f"t3_{key}",
                "title": title,
                "selftext": body,
                "created_utc": float(created),
                "score": score,
                "num_comments": len(comments),
                "subreddit": subreddit,
                "permalink": f"/r/{subreddit}/comments/{key}/a_title/",
                "url": "https://www.reddit.com/",
                "author": "somebody",
                "is_self": True,
                "over_18": False,
            },
        }


def _comment(subreddit: str, post: int, number: int, body: str) -> dict[str, Any]:
    key = f"c{subreddit}{post}{number}"
    return {
        "kind": "t1",
        "data": {
            "id": key,
            "name": f"t1_{key}",
            "body": body,
            "created_utc": 1_774_000_100.0 + number,
            "score": 3,
            "replies": "",
            "author": "somebody",
            "link_id": f"t3_{subreddit}0{post}",
            "parent_id": f"t3_{subreddit}0{post}",
            "permalink": f"/r/{subreddit}/comments/x/a_title/{key}/",
        },
    }


def _listing(children: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "kind": "Listing",
        "data": {"after": None, "before": None, "dist": len(children), "children": children},
    }


class BinanceServer(TextServer):
    """`things`: {catalogue id: [(id, title, release ms)]}."""

    def answer(self, method: str, path: str, query: dict[str, str], headers: Any) -> Any:
        if path != "/bapi/composite/v1/public/cms/article/list/query" or query["type"] != "1":
            raise LookupError(path)
        catalogue = int(query["catalogId"])
        articles = [
            {"id": key, "code": f"{key:032x}", "title": title, "type": 1, "releaseDate": date}
            for key, title, date in self.things.get(catalogue, ())
        ]
        return {
            "code": "000000",
            "message": None,
            "messageDetail": None,
            "data": {
                "catalogs": [
                    {
                        "catalogId": catalogue,
                        "parentCatalogId": None,
                        "icon": "",
                        "catalogName": "News",
                        "description": None,
                        "catalogType": 1,
                        "total": len(articles),
                        "articles": articles[: int(query["pageSize"])],
                        "catalogs": [],
                    }
                ]
            },
            "success": True,
        }


class XServer(TextServer):
    """`things`: [(id, text, ISO time, language, likes)]."""

    TOKEN = "bearer-for-x"

    def answer(self, method: str, path: str, query: dict[str, str], headers: Any) -> Any:
        if headers.get("Authorization") != f"Bearer {self.TOKEN}":
            raise PermissionError
        if path != "/2/tweets/search/recent":
            raise LookupError(path)
        rows = [
            {
                "id": key,
                "text": text,
                "created_at": made,
                "lang": language,
                "edit_history_tweet_ids": [key],
                "public_metrics": {"retweet_count": 0, "reply_count": 0, "like_count": likes},
            }
            for key, text, made, language, likes in self.things
        ]
        meta = {"result_count": len(rows), "newest_id": "9", "oldest_id": "1"}
        return {"data": rows, "meta": meta} if rows else {"meta": {"result_count": 0}}


@contextmanager
def serving(server: TextServer) -> Iterator[TextServer]:
    """`server` on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._answer("POST")

        def _answer(self, method: str) -> None:
            where = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(where.query).items()}
            server.asked.append((where.path, query, dict(self.headers)))
            status, body = _body(server, method, where.path, query, self.headers)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body) + (server.fault == "cut")))
            if server.fault == "redirect":
                self.send_header("Location", "http://127.0.0.1:9/")
            for name, value in server.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            if server.fault == "cut":
                self.close_connection = True

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}"
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def _body(
    server: TextServer, method: str, path: str, query: dict[str, str], headers: Any
) -> tuple[int, bytes]:
    if server.fault in ("500", "429"):
        return int(server.fault), b"{}"
    if server.fault == "redirect":
        return 302, b"{}"
    if server.fault == "html":
        return 200, b"<html>Are you a robot?</html>"
    if server.fault == "huge":
        return 200, b'{"x": "' + b"x" * 5_000_000 + b'"}'
    if server.fault == "other":
        return 200, b'["something", {"else": null}]'
    try:
        return 200, json.dumps(server.answer(method, path, query, headers)).encode()
    except PermissionError:
        return 401, b'{"message": "Unauthorized", "error": 401}'
    except LookupError:
        return 404, b'{"message": "Not Found", "error": 404}'
