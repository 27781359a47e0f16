"""Seeds derived from names, so that nothing depends on the order in which things happen."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: object) -> int:
    """Return a 63-bit seed: the head of SHA-256 over the parts' text, each ended by a zero byte."""
    digest = hashlib.sha256(b"".join(str(part).encode() + b"\0" for part in parts)).digest()
    return int.from_bytes(digest[:8], "big") >> 1
