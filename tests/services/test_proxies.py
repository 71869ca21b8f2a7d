"""Behind a real nginx and a real Caddy (Debian's): the examples of docs/serving.md, on a free port, with our key."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from serving import ct_file, free_port, make_model, process

ROOT = Path(__file__).parents[2]

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
CADDY = shutil.which("caddy")
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
SECRET = "only-for-those-who-know"
needs_nginx = pytest.mark.skipif(not Path(NGINX).exists(), reason="needs nginx")
needs_caddy = pytest.mark.skipif(CADDY is None, reason="needs caddy")
pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")


def certificate(folder: Path) -> tuple[Path, Path]:
    key, chain = folder / "key.pem", folder / "chain.pem"
    subject = ["-subj", "/CN=ct.hospital.example", "-addext", "subjectAltName=DNS:ct.hospital.example"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", key, "-out", chain], check=True, capture_output=True)
    return key, chain


@pytest.fixture(
    params=[
        pytest.param("nginx: path off, host on", marks=needs_nginx),
        pytest.param("nginx: path on, host off", marks=needs_nginx),
        pytest.param("caddy", marks=needs_caddy),
    ],
    scope="module",
)
def browser(request, tmp_path_factory) -> Iterator[httpx.Client]:
    """A client of the proxy that finds ct.hospital.example here; the server behind it."""
    folder, port = tmp_path_factory.mktemp("proxy"), free_port()
    model = make_model(folder, "both", ("automatic", "point"))
    public = f"https://ct.hospital.example:{port}/openvista"
    options = ("--public-url", public, "--token", SECRET)
    with process(model, folder / "state", *options) as (_, server):
        write = write_caddy if request.param == "caddy" else write_nginx
        command = write(folder, port, server.base_url.port, request.param)
        environment = os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        with (folder / "errors").open("wb") as errors:
            proxy = subprocess.Popen(command, stderr=errors, env=environment)
        try:
            wait_for(port, proxy, folder / "errors")
            yield _Browser(public, port)
        finally:
            proxy.terminate()
            proxy.wait(20)


def write_nginx(folder: Path, port: int, behind: int, variant: str) -> list[str]:
    """docker/nginx.conf with these ports and our key; the command that runs it."""
    key, chain = certificate(folder)
    example = (ROOT / "docker" / "nginx.conf").read_text(encoding="utf-8")
    example = example.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    example = re.sub(r"ssl_certificate .*;", f"ssl_certificate {chain};", example)
    example = re.sub(r"ssl_certificate_key .*;", f"ssl_certificate_key {key};", example)
    example = example.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{behind}")
    example = example.replace("Host $host;", "Host $http_host;")  # this port is not the usual one
    if variant.endswith("path on, host off"):
        example = re.sub(r"(proxy_pass http://[\d.:]+)/;", r"\1;", example)
        example = example.replace("proxy_set_header Host $http_host;", "")
    temporary = [f"{name}_temp_path {folder}/{name};" for name in _TEMPORARY]
    inside = "\n".join(["access_log off;", *temporary, example])
    main = f"daemon off; pid {folder}/pid; error_log stderr; events {{}}\nhttp {{ {inside} }}\n"
    (folder / "nginx.conf").write_text(main)
    return [NGINX, "-c", str(folder / "nginx.conf"), "-p", str(folder)]


def write_caddy(folder: Path, port: int, behind: int, _: str) -> list[str]:
    """docker/Caddyfile with these ports and our key, instead of one from a certificate authority."""
    key, chain = certificate(folder)
    example = (ROOT / "docker" / "Caddyfile").read_text(encoding="utf-8")
    example = example.replace("ct.hospital.example {", f"https://ct.hospital.example:{port} {{\n\ttls {chain} {key}")
    example = example.replace("127.0.0.1:8000", f"127.0.0.1:{behind}")
    options = "{\n\tadmin off\n\tauto_https disable_redirects\n\tdefault_bind 127.0.0.1\n}\n"
    (folder / "Caddyfile").write_text(options + example)
    return [str(CADDY), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


class _Browser(httpx.Client):
    """Asks this machine for the public name, as a browser does whose name server says so."""

    def __init__(self, public: str, port: int) -> None:
        self.public, self.origin = public, public.rsplit("/", 1)[0]
        super().__init__(verify=False, base_url=f"https://127.0.0.1:{port}/openvista", timeout=60)
        self.headers["Host"] = f"ct.hospital.example:{port}"

    def build_request(self, *arguments: Any, **choices: Any) -> httpx.Request:
        request = super().build_request(*arguments, **choices)
        request.extensions["sni_hostname"] = "ct.hospital.example"
        return request


def wait_for(port: int, proxy: subprocess.Popen, errors: Path) -> None:
    for _ in range(200):
        assert proxy.poll() is None, errors.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the proxy did not start: {errors.read_text()}")


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
    """The proxy writes the address itself; what a client sends in its place is not passed on."""
    browser.cookies.clear()
    for number in range(31):
        lie = {"Authorization": "Bearer no", "X-Forwarded-For": f"203.0.113.{number}"}
        status = browser.get("/api/v1/info", headers=lie).status_code
    assert status == 429


# --- how it is started --------------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_systemd_takes_the_unit(tmp_path):
    unit = (ROOT / "docker" / "openvista.service").read_text(encoding="utf-8")
    (tmp_path / "openvista.service").write_text(unit.replace("/opt/openvista/bin/openvista", sys.executable))
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "openvista.service")]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    assert {"MemoryMax=16G", "MemorySwapMax=0", "TasksMax=512", "NoNewPrivileges=yes"} <= set(unit.splitlines())


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="needs docker-compose")
def test_compose_takes_its_file():
    command = ["docker-compose", "-f", str(ROOT / "docker" / "compose.yaml"), "config"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "at least 8 characters" in refused.stderr, "no server without a token"
    environment = os.environ | {"OPENVISTA_SERVE_TOKEN": SECRET, "OPENVISTA_MEMORY": "8g"}
    taken = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert taken.returncode == 0, taken.stderr
    service = yaml.safe_load(taken.stdout)["services"]["openvista"]
    assert (service["mem_limit"], service["memswap_limit"], service["pids_limit"]) == ("8g", "8g", 512)
    assert service["read_only"] is True
    assert service["ports"] == ["127.0.0.1:8000:8000/tcp"]
