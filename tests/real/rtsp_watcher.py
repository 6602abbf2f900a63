"""GStreamer's RTSP client, run by the system's Python as a child process of the tests.

Usage: /usr/bin/python3 rtsp_watcher.py URL FRAMES

Decodes so many pictures of the URL's H.264 over TCP, and prints how many, their width and height.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402


def main() -> int:
    """Watch, and say what was seen; 1 where there is an error."""
    url, frames = sys.argv[1:3]
    Gst.init(None)
    pipeline = Gst.parse_launch(
        f"rtspsrc location={url} protocols=tcp latency=0 ! rtph264depay ! h264parse ! avdec_h264 ! "
        f"videoconvert ! fakesink name=sink signal-handoffs=true sync=false num-buffers={frames}"
    )
    sizes = []

    def seen(_sink, _buffer, pad) -> None:  # type: ignore[no-untyped-def]
        shape = pad.get_current_caps().get_structure(0)
        sizes.append((shape.get_value("width"), shape.get_value("height")))

    pipeline.get_by_name("sink").connect("handoff", seen)
    pipeline.set_state(Gst.State.PLAYING)
    kinds = Gst.MessageType.EOS | Gst.MessageType.ERROR
    message = pipeline.get_bus().timed_pop_filtered(30 * Gst.SECOND, kinds)
    failed = message is None or message.type == Gst.MessageType.ERROR
    if failed and message is not None:
        print(message.parse_error(), file=sys.stderr)
    pipeline.set_state(Gst.State.NULL)
    print(len(sizes), *(sizes[-1] if sizes else ()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
