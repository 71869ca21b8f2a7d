"""Behind a real nginx (Debian's nginx-light): the example of docs/serving.md, on a free port, with a made-up key."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from serving import ct_file, make_model, process

ROOT = Path(__file__).parents[2]

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
SECRET = "only-for-those-who-know"
pytestmark = pytest.mark.skipif(
    not Path(NGINX).exists() or not shutil.which("openssl"), reason="needs nginx and openssl"
)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def certificate(folder: Path) -> tuple[Path, Path]:
    key, chain = folder / "key.pem", folder / "chain.pem"
    subject = ["-subj", "/CN=ct.hospital.example", "-addext", "subjectAltName=DNS:ct.hospital.example"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", key, "-out", chain], check=True, capture_output=True)
    return key, chain


@pytest.fixture(params=["path off, host on", "path on, host off"], scope="module")
def browser(request, tmp_path_factory) -> Iterator[httpx.Client]:
    """A client of the proxy that finds ct.hospital.example here; the server behind it."""
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    model = make_model(folder, "both", ("automatic", "point"))
    key, chain = certificate(folder)
    public = f"https://ct.hospital.example:{port}/openvista"
    options = ("--public-url", public, "--token", SECRET)
    with process(model, folder / "state", *options) as (_, server):
        example = (ROOT / "docker" / "nginx.conf").read_text(encoding="utf-8")
        example = example.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
        example = re.sub(r"ssl_certificate .*;", f"ssl_certificate {chain};", example)
        example = re.sub(r"ssl_certificate_key .*;", f"ssl_certificate_key {key};", example)
        example = example.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{server.base_url.port}")
        example = example.replace("Host $host;", "Host $http_host;")  # this port is not the usual one
        if request.param == "path on, host off":
            example = re.sub(r"(proxy_pass http://[\d.:]+)/;", r"\1;", example)
            example = example.replace("proxy_set_header Host $http_host;", "")
        temporary = [f"{name}_temp_path {folder}/{name};" for name in _TEMPORARY]
        inside = "\n".join(["access_log off;", *temporary, example])
        main = f"daemon off; pid {folder}/pid; error_log stderr; events {{}}\nhttp {{ {inside} }}\n"
        (folder / "nginx.conf").write_text(main)
        proxy = subprocess.Popen([NGINX, "-c", str(folder / "nginx.conf"), "-p", str(folder)], stderr=subprocess.PIPE)
        try:
            wait_for(port, proxy)
            here = httpx.HTTPTransport(verify=False)
            yield _Browser(public, port, here)
        finally:
            proxy.terminate()
            proxy.wait(20)


class _Browser(httpx.Client):
    """Asks this machine for the public name, as a browser does whose name server says so."""

    def __init__(self, public: str, port: int, transport: httpx.HTTPTransport) -> None:
        self.public, self.origin = public, public.rsplit("/", 1)[0]
        super().__init__(transport=transport, base_url=f"https://127.0.0.1:{port}/openvista", timeout=60)
        self.headers["Host"] = f"ct.hospital.example:{port}"


def wait_for(port: int, proxy: subprocess.Popen) -> None:
    for _ in range(200):
        assert proxy.poll() is None, proxy.stderr.read().decode()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("nginx did not start")


def test_a_day_behind_the_proxy(browser, tmp_path):
    """From the printed token to a label map, by the page's own addresses."""
    assert browser.get("/").status_code == 401
    welcome = browser.get("/", params={"token": SECRET})
    assert (welcome.status_code, welcome.headers["location"]) == (303, "/openvista/")
    assert "Secure" in welcome.headers["set-cookie"]
    token = welcome.headers["set-cookie"].split(";")[0]
    page = browser.get("/", headers={"Cookie": token})
    owner = page.headers["set-cookie"]
    assert "Secure" in owner
    assert "Path=/openvista/" in owner
    cookies = {"Cookie": f"{token}; {owner.split(';')[0]}", "Origin": browser.origin}
    for script in re.findall(r'src="\./([^"]+)"', page.text):
        assert browser.get(f"/{script}", headers=cookies).status_code == 200
    ct = ct_file(tmp_path / "ct.nii.gz")
    scan = browser.post("/api/v1/scans", headers=cookies, files={"file": ("ct.nii.gz", ct.read_bytes())})
    assert scan.status_code == 201, scan.text
    session = browser.post("/api/v1/sessions", headers=cookies, json={"scan_id": scan.json()["id"]}).json()["id"]
    asked = browser.post(f"/api/v1/sessions/{session}/classes", headers=cookies, json={"classes": ["liver"]})
    assert asked.status_code == 200, asked.text
    evil = browser.post("/api/v1/scans", headers=cookies | {"Origin": "https://evil.example"})
    assert (evil.status_code, evil.json()["code"]) == (403, "origin")


def test_who_guesses_through_the_proxy_cannot_say_that_he_is_another(browser):
    """nginx writes the address itself; what a client sends in its place is not passed on."""
    browser.cookies.clear()
    for number in range(31):
        lie = {"Authorization": "Bearer no", "X-Forwarded-For": f"203.0.113.{number}"}
        status = browser.get("/api/v1/info", headers=lie).status_code
    assert status == 429
