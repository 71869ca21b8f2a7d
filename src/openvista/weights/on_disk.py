"""What weights files are called, and their checksum. Needs no torch."""

import hashlib
from pathlib import Path

PICKLES = (".pt", ".pth", ".ckpt")
SAFETENSORS = ".safetensors"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
