"""Archives, and an HTTPS server of this machine with a certificate that is made for it."""

from __future__ import annotations

import hashlib
import http.server
import io
import ssl
import subprocess
import tarfile
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

Files = Mapping[str, str | bytes]


@dataclass
class Served:
    """What a server of this machine gives: `pages` by path; a page that is text is where the client is sent to."""

    url: str
    certificate: Path
    pages: dict[str, bytes | str] = field(default_factory=dict)
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def put(self, path: str, content: bytes) -> tuple[str, str]:
        """Serve it; gives its URL and its hash."""
        self.pages[path] = content
        return f"{self.url}{path}", hashlib.sha256(content).hexdigest()


def tar_gz(files: Files) -> bytes:
    """A tar.gz of these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for this machine and its key."""
    directory = tmp_path_factory.mktemp("certificate")
    key, made = directory / "key.pem", directory / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", made],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return made, key


@pytest.fixture
def server(certificate: tuple[Path, Path]) -> Generator[Served]:
    """The server."""
    made, key = certificate
    served = Served("", made)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.seen.append((self.path, self.headers.get("Authorization")))
            page = served.pages.get(self.path)
            if isinstance(page, str):
                self.send_response(302)
                self.send_header("Location", page)
                self.end_headers()
                return
            self.send_response(200 if page is not None else 404)
            self.send_header("Content-Length", str(len(page or b"")))
            self.end_headers()
            if self.path == "/stall":
                self.wfile.write(b"begun")
                served.stalled.set()
                served.go_on.wait(60)
                return
            self.wfile.write(page or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
            """Say nothing."""

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    httpd.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that goes away is what a test does
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    served.url = f"https://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        served.go_on.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()


@pytest.fixture
def make_archive(tmp_path: Path) -> Callable[[bytes], tuple[str, str]]:
    """Writes an archive; gives its URL and its hash."""

    def make(content: bytes) -> tuple[str, str]:
        path = tmp_path / f"{hashlib.sha256(content).hexdigest()[:8]}.archive"
        path.write_bytes(content)
        return path.as_uri(), hashlib.sha256(content).hexdigest()

    return make
