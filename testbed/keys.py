"""A signing key without openssl."""

import base64
import secrets
from pathlib import Path

# Order of the base point of the curve P-256 (FIPS 186-4, D.1.2.3).
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_OID_P256 = bytes.fromhex("06082a8648ce3d030107")


def write_signing_key(path: Path) -> Path:
    """Write a new P-256 private key (PEM, RFC 5915, mode 0600) and return ``path``.

    The public point is optional in RFC 5915 and left out: kube-apiserver computes it.
    """
    secret = (1 + secrets.randbelow(_P256_ORDER - 1)).to_bytes(32, "big")
    body = _der(0x02, b"\x01") + _der(0x04, secret) + _der(0xA0, _OID_P256)
    text = base64.encodebytes(_der(0x30, body)).decode()
    path.touch(mode=0o600)
    path.write_text(f"-----BEGIN EC PRIVATE KEY-----\n{text}-----END EC PRIVATE KEY-----\n")
    return path


def _der(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content  # all of ours are shorter than 128 bytes
