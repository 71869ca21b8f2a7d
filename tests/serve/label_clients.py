"""What the stock MONAI Label clients send, byte by byte, and how they read the answers."""

import email
import email.policy
import json
import mimetypes
from pathlib import Path
from urllib.parse import quote_plus

import httpx
import numpy as np
from serving import Running, read_nifti


def form_bytes(fields: dict[str, str], files: dict[str, Path]) -> tuple[bytes, str]:
    """The body as the Python client and Slicer write it: its boundary, its full local path as file name."""
    limit = "----------lImIt_of_THE_fIle_eW_$"
    body = bytearray()
    for key, value in fields.items():
        body += f'--{limit}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
    for key, path in files.items():
        kind = mimetypes.guess_type(str(path))[0] or "application/octet-stream"
        body += f'--{limit}\r\nContent-Disposition: form-data; name="{key}"; filename="{path}"\r\n'.encode()
        body += f"Content-Type: {kind}\r\n\r\n".encode() + path.read_bytes() + b"\r\n"
    body += f"--{limit}--\r\n\r\n".encode()
    return bytes(body), f"multipart/form-data; boundary={limit}"


def send(server: Running, method: str, address: str, params: dict | None, files: dict[str, Path] | None = None):
    body, media = form_bytes({} if params is None else {"params": json.dumps(params)}, files or {})
    return server.http.request(method, address, content=body, headers={"content-type": media})


def infer(server: Running, model: str, image: str, params: dict, **query: str):
    """What the Python client does: both parts of the answer, by its own rules."""
    address = f"/infer/{quote_plus(model)}?image={quote_plus(image)}"
    for key, value in query.items():
        address += f"&{key}={quote_plus(value)}"
    answer = send(server, "POST", address, params | {"client_id": "user-xyz"})
    assert answer.status_code == 200, answer.text
    return split(answer)


def split(answer: httpx.Response) -> tuple[dict, bytes]:
    assert answer.headers["content-type"].startswith("multipart/")
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.content, policy=email.policy.HTTP)
    params, label = {}, b""
    for part in message.iter_parts():
        name = part.get_filename()
        if name is None:
            params = json.loads(part.get_content())
        else:
            assert "/" not in name
            label = part.get_payload(decode=True)
    return params, label


def voxels(content: bytes) -> np.ndarray:
    return np.asarray(read_nifti(content).dataobj)
