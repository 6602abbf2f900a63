"""A GStreamer RTSP server, run by the system's Python as a child process of the tests.

Usage: /usr/bin/python3 rtsp_server.py FILE PORT [USER PASSWORD]

Serves FILE's H.264 as it is, again and again and at its own pace, at rtsp://127.0.0.1:PORT/cam, and prints READY.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def main() -> None:
    file, port = sys.argv[1:3]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f"( multifilesrc location={file} loop=true ! decodebin ! videoconvert ! identity sync=true "
        "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 bitrate=2000 "
        "! rtph264pay name=pay0 pt=96 config-interval=1 )"
        if file.endswith(".ts")
        else f"( filesrc location={file} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1 )"
    )
    factory.set_shared(False)
    if len(sys.argv) > 3:
        user, password = sys.argv[3:5]
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_digest(user, password, token)
        auth.set_supported_methods(GstRtspServer.RTSPAuthMethod.DIGEST)
        server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("viewer", "media.factory.access", True)
        permissions.add_permission_for_role("viewer", "media.factory.construct", True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)
    print("READY", flush=True)
    GLib.MainLoop().run()


main()
