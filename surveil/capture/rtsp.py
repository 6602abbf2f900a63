"""An RTSP camera, over TCP or UDP, with its user name and password kept out of every text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import av.error
from av.container import InputContainer

from surveil.capture.decoding import IN_SOFTWARE, Decoder, Decoding, full, opened, reason
from surveil.clock import Clock
from surveil.interfaces import AuthFailed, CaptureError
from surveil.messages import Frame

OPEN_SECONDS = 5.0
READ_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class RtspAddress:
    """Where a stream is and how it is opened. The credentials meet the URL only inside `opened`.

    Args:
        url: without credentials, though there are cameras that want a password in its path: never told.
        credentials: user name and password.
        transport: tcp or udp.
    """

    url: str = field(repr=False)
    credentials: tuple[str, str] | None = field(repr=False)
    transport: str

    def opened(self) -> InputContainer:
        """Connect; raises AuthFailed, or CaptureError with the camera's host in it."""
        try:
            return opened(
                self._with_credentials(),
                "gives no answer that an RTSP camera would give",
                timeout=(OPEN_SECONDS, READ_SECONDS),
                options={
                    "rtsp_transport": self.transport,
                    # Only the picture: sound that goes on must not hide a picture that does not.
                    "allowed_media_types": "video",
                    # SDP and key frames say enough: FFmpeg's default of 5 s would only delay the first picture. No
                    # `nobuffer`: it throws away what is read meanwhile, and the next key frame may be 10 s away.
                    "analyzeduration": "500000",
                    "flags": "low_delay",
                    "max_delay": "500000",
                    "timeout": str(int(OPEN_SECONDS * 1e6)),
                },
            )
        except CaptureError as error:
            raise self.explained(str(error)) from None

    def explained(self, why: str) -> CaptureError:
        """Return what to raise for a fault: host and port in it, never path or credentials."""
        parts = urlsplit(self.url)
        place = f"{parts.hostname}:{parts.port or 554}"
        if "401" in why or "unauthorized" in why or "403" in why:
            asked = "refuses this user name or password" if self.credentials else "wants a user name and a password"
            return AuthFailed(f"{place} {asked}")
        if "404" in why:
            return CaptureError(f"{place} has no stream at the path that the config names")
        return CaptureError(f"{place}: {why}")

    def _with_credentials(self) -> str:
        if self.credentials is None:
            return self.url
        user, password = (quote(part, safe="") for part in self.credentials)
        parts = urlsplit(self.url)
        return parts._replace(netloc=f"{user}:{password}@{parts.netloc}").geturl()


class RtspSource:
    """Reads one RTSP stream on the grabber's thread."""

    def __init__(
        self,
        camera: str,
        address: RtspAddress,
        input_size: tuple[int, int],
        clock: Clock,
        decoding: Decoding = IN_SOFTWARE,
    ) -> None:
        self._camera = camera
        self._address = address
        self._input_size = input_size
        self._clock = clock
        self._decoding = decoding
        self._container: InputContainer | None = None

    def open(self) -> None:
        """Connect; raises AuthFailed, or CaptureError with the camera's host in it."""
        self._container = self._address.opened()

    def frames(self) -> Iterator[Frame]:
        """Yield every frame; raises CaptureError when the stream ends or breaks."""
        if self._container is None:
            raise CaptureError("frames() before open()")
        decoder = Decoder(
            self._container,
            self._input_size,
            lambda: (self._clock.monotonic(), self._clock.wall()),
            live=True,
            decoding=self._decoding,
        )
        captured = (0.0, 0.0)
        try:
            for index, (picture, read) in enumerate(decoder.frames()):
                # Where frames were reordered, one counts as captured when all that is shown before it was read.
                captured = max(captured, read, key=lambda moment: moment[0])
                if self._clock.monotonic() - captured[0] > READ_SECONDS - 0.5:
                    continue  # held back by a camera that stopped, and given out by the time-out: long ago
                yield Frame(self._camera, index, *captured, decoder.small(picture), full(picture))
        except (av.error.FFmpegError, OSError) as error:
            raise self._address.explained(reason(error)) from None
        raise self._address.explained("the camera ended the stream")

    def close(self) -> None:
        """Hang up."""
        container, self._container = self._container, None
        if container is not None:
            container.close()
