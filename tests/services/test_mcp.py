"""``openvista mcp`` in processes of its own, by both transports; and the skill's commands as they stand there."""

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from serving import free_port

from small_kidneys import kidneys_RAS, make_kidney_model, save_as

ROOT = Path(__file__).parents[2]
SKILL = ROOT / "skills" / "openvista" / "SKILL.md"
BLOCKS = re.findall(r"```bash\n(.*?)```", SKILL.read_text(), re.DOTALL)
SECONDS = 300.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("agents")
    (made / "scans").mkdir()
    save_as(made / "scans" / "ct.nii.gz", kidneys_RAS()[0], "LPS")
    make_kidney_model(made / "kidneys")
    return made


def command(folder: Path) -> list[str]:
    options = ["--root", str(folder / "scans"), "--model", str(folder / "kidneys"), "--device", "cpu"]
    return [sys.executable, "-m", "openvista", "mcp", *options]


async def segment_left_kidney(client: Client, output: str) -> None:
    asked = {"path": "ct.nii.gz", "output": output, "classes": ["left kidney"]}
    job = (await client.call_tool("segment", asked)).structured_content
    waiting = {"job_id": job["id"], "wait_seconds": SECONDS}
    done = (await client.call_tool("job_status", waiting)).structured_content
    (found,) = done["result"]["structures"]
    assert (found["name"], found["side"]) == ("left kidney", "left")


def test_a_client_starts_it_and_ends_it(folder):
    """As docs/agents.md registers it."""
    settings = json.loads(re.search(r"```json\n(.*?)```", (ROOT / "docs" / "agents.md").read_text(), re.DOTALL)[1])
    assert settings["mcpServers"]["openvista"]["args"][:2] == ["mcp", "--root"]
    program, *arguments = command(folder)

    async def talk() -> None:
        started = StdioServerParameters(command=program, args=arguments, env=dict(os.environ))
        async with Client(started) as client:
            await segment_left_kidney(client, "stdio.nii.gz")

    asyncio.run(asyncio.wait_for(talk(), SECONDS))
    assert (folder / "scans" / "stdio.nii.gz").is_file()


def test_http_listens_here_and_refuses_other_hosts(folder):
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    with subprocess.Popen([*command(folder), "--http", "--port", str(port)], stderr=subprocess.PIPE) as server:
        try:
            wait_until_open(port)

            async def talk() -> None:
                async with Client(url) as client:
                    await segment_left_kidney(client, "http.nii.gz")

            asyncio.run(asyncio.wait_for(talk(), SECONDS))
            for header in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
                asked = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **header}
                assert httpx.post(url, json={}, headers=asked).status_code in (403, 421)
        finally:
            server.terminate()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_it_though_nothing_comes_in(folder):
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
    hello["params"] = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command(folder), text=True, **pipes) as server:
        server.stdin.write(json.dumps(hello) + "\n")
        server.stdin.flush()
        assert "openvista" in server.stdout.readline()
        server.send_signal(signal.SIGINT)
        assert server.wait(SECONDS) == 130
        assert server.stderr.read().endswith("openvista: stopped; nothing half-written was left behind\n")


def wait_until_open(port: int) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the server did not start")


def test_every_command_of_the_skill_works(tmp_path):
    shutil.copy(ROOT / "examples" / "data" / "head_neck_ct.nii.gz", tmp_path / "ct.nii.gz")
    lines = [line for block in BLOCKS for line in block.splitlines()]
    assert len(lines) >= 6
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "openvista"
        called = [sys.executable, "-m", "openvista", *arguments]
        done = subprocess.run(called, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"ct_seg.nii.gz", "ct_seg.json", "ct_seg.csv", "ct_seg.png"}
