"""The page of `ctwatch history --html`: whole in itself, and nothing in it acts.

It is read by a parser of HTML in any case. Where a browser is on the PATH, that opens it, too: then
there is one test more, which sees what is shown, and that nothing is asked of the network.
"""

import functools
import http.server
import json
import random
import re
import subprocess
import threading
from datetime import timedelta
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import past
import pytest
from browser import BROWSER

from ctwatch.cli import main

RNG = random.Random("page")
EVIL = '"><script>document.title="owned"</script><img src=http://127.0.0.1:PORT/x onerror=alert(1)>'
VOID = {"meta"}


class Page(HTMLParser):
    """What is in a page; a tag that is not closed in its turn is an error."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts, self._open = [], [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Ten days of stops, by somebody whose name is an attack, and a page of them."""
    folder = tmp_path_factory.mktemp("page")
    stop = (1, "cloudtrail", "StopLogging", False, "role")
    several = [
        past.record(RNG, stop, past.BEGIN + timedelta(days=day, minutes=minute), "us-east-1")
        for day in range(10)
        for minute in range(day)
    ]
    for one in several:
        one["userIdentity"] = {"type": "IAMUser", "arn": f"arn:aws:iam::{past.ACCOUNT}:user/{EVIL}"}
        one["errorCode"] = EVIL
        one["requestParameters"] = {"name": "the-trail<b>"}
        one["sourceIPAddress"] = "\u202e\x1b[2J"
    (folder / "one.json").write_text(json.dumps({"Records": several}))
    html = folder / "page.html"
    words = ["history", "--from", str(folder / "one.json"), "--html", str(html)]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*words, "--language", "en", "-q"]) == 0
    return html


@pytest.fixture(scope="module")
def page(made):
    return Page(made.read_text("utf-8"))


def test_it_tells_what_would_have_fired(page):
    assert "What would have fired" in page.text
    assert "CloudTrail trail tampering" in page.text
    assert "45 times" in page.text
    assert page.text.index("trail-tampering") < page.text.index("root-login")


def test_its_timeline_has_a_bar_for_each_day(made):
    [svg] = re.findall(r"<svg.*?</svg>", made.read_text("utf-8"), re.DOTALL)
    bars = ET.fromstring(svg).findall("rect")
    told = [bar.find("title").text for bar in bars]
    assert told == [f"2026-11-{day + 1:02}: {day}" for day in range(1, 10)]
    heights = [float(bar.get("height")) for bar in bars]
    assert heights == sorted(heights)
    assert float(bars[-1].get("x")) + float(bars[-1].get("width")) <= 960


def test_it_needs_nothing_but_itself(made, page):
    assert {tag for tag, _ in page.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "section", "ul", "li"),
        *("code", "svg", "rect", "line", "text"),
    }
    names = {name for _, attributes in page.tags for name in attributes}
    assert not {one for one in names if one.startswith("on")}
    assert not names & {"src", "href", "style", "srcset", "action", "data"}
    [policy] = [one["content"] for tag, one in page.tags if tag == "meta" and "http-equiv" in one]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "url(" not in made.read_text("utf-8")


def test_what_a_stranger_chose_is_text(made, page):
    assert "<script>document.title" in page.text
    assert "the-trail<b>" in page.text
    assert "\u202e" not in made.read_text("utf-8")
    assert "\x1b" not in made.read_text("utf-8")


def test_it_speaks_korean(made, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["history", "--from", str(made.with_name("one.json")), "--html", "ko.html"]
    assert main([*words, "--language", "ko", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["records"] == 45
    assert "울렸을 경보" in Page((tmp_path / "ko.html").read_text("utf-8")).text


def test_a_page_that_cannot_be_written_is_told(made, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["history", "--from", str(made.with_name("one.json")), "--html", "gone/page.html"]
    assert main(words) == 1
    assert "--html: gone/page.html cannot be written" in capsys.readouterr().err


class Asked(http.server.BaseHTTPRequestHandler):
    """Notes whatever is asked of this machine."""

    def __init__(self, found, *rest):
        self.found = found
        super().__init__(*rest)

    def do_GET(self):
        self.found.append(self.path)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


if BROWSER:

    def test_a_browser_shows_it_and_asks_nobody(made, tmp_path):
        found = []
        handler = functools.partial(Asked, found)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            html = tmp_path / "page.html"
            text = made.read_text("utf-8").replace("PORT", str(server.server_port))
            html.write_text(text, "utf-8")
            shown = subprocess.run(
                [
                    *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
                    *(f"--user-data-dir={tmp_path / 'profile'}", html.as_uri()),
                ],
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            ).stdout
            server.shutdown()
        assert "<title>ctwatch: What would have fired</title>" in shown
        assert shown.count("<rect") == 9
        assert "<script" not in shown
        assert "<img" not in shown
        assert found == []
