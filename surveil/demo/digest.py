"""User name and password as RTSP cameras ask for them: digest authentication (RFC 2069, as RFC 2326 refers to it)."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

REALM = "surveil demo"
_FIELD = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))')


class Digest:
    """One connection's guard: its nonce is asked for by nobody else."""

    def __init__(self, user: str, password: str) -> None:
        self._user = user
        self._secret = _hashed(f"{user}:{REALM}:{password}")
        self._nonce = secrets.token_hex(16)

    @property
    def challenge(self) -> str:
        """What a client that has not proved itself is told."""
        return f'Digest realm="{REALM}", nonce="{self._nonce}"'

    def proves(self, authorization: str, method: str, url: str) -> bool:
        """Return whether a client that sends this for a request knows the password."""
        scheme, _, told = authorization.partition(" ")
        if scheme.lower() != "digest":
            return False
        given = {name.lower(): quoted or plain for name, quoted, plain in _FIELD.findall(told)}
        if (given.get("username"), given.get("nonce"), given.get("uri")) != (self._user, self._nonce, url):
            return False
        right = _hashed(f"{self._secret}:{self._nonce}:{_hashed(f'{method}:{url}')}")
        return hmac.compare_digest(right, given.get("response", "").lower())


def _hashed(text: str) -> str:
    # MD5 is what the standard says and cameras do; it guards a drawn yard on loopback.
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
