"""nginx in front of several processes, with the configuration of docs/processes.md."""

import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

_PAGE = Path(__file__).parents[3] / "docs" / "processes.md"
_AROUND = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 1024; }}
http {{
access_log off;
client_body_temp_path {folder}/body;
proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/fastcgi;
uwsgi_temp_path {folder}/uwsgi;
scgi_temp_path {folder}/scgi;
{servers}
}}
"""


def documented(ports: Sequence[int], *, listen: int) -> str:
    """The blocks of the page, for these ports."""
    [blocks] = re.findall(r"^```nginx\n(.*?)^```$", _PAGE.read_text(), re.DOTALL | re.MULTILINE)
    line = re.compile(r"^ +server 127\.0\.0\.1:\d+ (.*);\n", re.MULTILINE)
    options = set(line.findall(blocks))
    assert len(options) == 1, options
    servers = "".join(f"    server 127.0.0.1:{port} {options.pop()};\n" for port in ports[:1])
    servers = "".join(servers.replace(str(ports[0]), str(port), 1) for port in ports)
    first = line.search(blocks)
    assert first is not None and "listen 8000;" in blocks
    blocks = blocks[: first.start()] + servers + line.sub("", blocks[first.start() :])
    return blocks.replace("listen 8000;", f"listen 127.0.0.1:{listen};")


@contextmanager
def proxy(folder: Path, ports: Sequence[int], *, listen: int) -> Iterator[str]:
    """The address of nginx, which runs as the user who calls this."""
    own = folder / "nginx.conf"
    user = "user root;\n" if Path("/root").owner() == Path(folder).owner() else ""
    own.write_text(user + _AROUND.format(folder=folder, servers=documented(ports, listen=listen)))
    process = subprocess.Popen(["nginx", "-p", folder, "-e", folder / "nginx.log", "-c", own])
    address = f"http://127.0.0.1:{listen}"
    try:
        for _ in range(600):
            with suppress(httpx.TransportError):
                httpx.get(address)
                break
            assert process.poll() is None, (folder / "nginx.log").read_text()
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(60)
