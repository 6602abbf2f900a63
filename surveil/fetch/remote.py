"""The servers that models come from: how they are asked, for how long, and in one line why one does not answer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from surveil import __version__
from surveil.assess.replies import tls_fault
from surveil.interfaces import SurveilError

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0
"""A server that sends nothing for so long has gone."""
DOCUMENT_SECONDS = 60.0
"""What is to be known before a download is small, and is here by then or not at all."""
_MAX_DOCUMENT_BYTES = 32_000_000


class FetchError(SurveilError):
    """A model cannot be fetched."""


class UnknownError(FetchError):
    """The server answers, and has no such thing."""


class ForbiddenError(FetchError):
    """The server answers, and wants to know who asks, or knows and refuses."""


@contextmanager
def client(silence: float = SILENCE_SECONDS) -> Iterator[httpx.Client]:
    """Yield a client that gives up after `silence` seconds without a byte; the proxy is the environment's.

    Raises FetchError where the environment's proxy or certificates cannot be used.
    """
    try:
        made = httpx.Client(
            timeout=httpx.Timeout(silence, connect=min(silence, CONNECT_SECONDS)),
            follow_redirects=True,
            # Packed on the way, a file's bytes could not be counted, nor a part of it asked for.
            headers={"User-Agent": f"surveil/{__version__}", "Accept-Encoding": "identity"},
        )
    except (httpx.InvalidURL, ValueError, ImportError):  # never its text: a proxy's address may hold a password
        raise FetchError("the proxy that HTTPS_PROXY or ALL_PROXY names cannot be used; mend or unset it") from None
    except OSError as error:
        raise FetchError(f"the certificates that SSL_CERT_FILE names cannot be read: {error.strerror}") from None
    with made:
        yield made


def document(client: httpx.Client, url: str, headers: Mapping[str, str], seconds: float = DOCUMENT_SECONDS) -> bytes:
    """Return what a server says under an address. Raises FetchError, of its kinds UnknownError and ForbiddenError."""
    until = time.monotonic() + seconds
    said = bytearray()
    try:
        with client.stream("GET", url, headers={**headers, "Accept": "application/json"}) as response:
            if not response.is_success:
                raise refusal(response)
            for chunk in response.iter_raw():
                said += chunk
                if len(said) > _MAX_DOCUMENT_BYTES or time.monotonic() > until:
                    raise FetchError(f"{host(url)} answers without end; try again later")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise fault(error, url) from None
    return bytes(said)


def host(url: str) -> str:
    """Return where an address leads, for people; what follows may be a signature."""
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2] or "nowhere"


def refusal(response: httpx.Response) -> FetchError:
    """Return what an answer other than success means."""
    where, status = host(str(response.url)), response.status_code
    if status == 429 or (status == 403 and response.headers.get("x-ratelimit-remaining") == "0"):
        return FetchError(f"{where} has answered this address too often; try again in an hour")
    if status in {401, 403}:
        return ForbiddenError(f"{where} refuses, with status {status}")
    if status in {404, 410}:
        return UnknownError(f"{where} has no such thing, with status {status}")
    return FetchError(f"{where} fails, with status {status}; try again later")


def fault(error: Exception, url: str) -> FetchError:
    """Return why a server was not heard, and what to do about it."""
    where = host(url)
    if isinstance(error, httpx.ProxyError):
        return FetchError(f"the proxy gives no way to {where}; look at HTTPS_PROXY")
    if isinstance(error, httpx.TimeoutException):
        return FetchError(f"{where} does not answer; look at the network, and try again")
    if isinstance(error, httpx.ConnectError):
        wrong = tls_fault(error)
        if wrong is not None:
            return FetchError(f"{where} {wrong}; a company's own certificate goes into SSL_CERT_FILE")
        return FetchError(
            f"{where} cannot be reached ({_reason(error)}); look at the network, or name a proxy in HTTPS_PROXY"
        )
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
        return FetchError(f"{where} broke the connection off; try again")
    # Not the error's own words, which may repeat a header.
    return FetchError(f"{where} cannot be asked ({type(error).__name__})")


def _reason(error: Exception) -> str:
    """Return an error's last words without its number."""
    return str(error).rpartition("]")[2].strip().lower() or "no connection"
