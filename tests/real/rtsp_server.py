"""A GStreamer RTSP server, run by the system's Python as a child process of the tests.

Usage: /usr/bin/python3 rtsp_server.py FILE PORT [USER PASSWORD]

Serves FILE's H.264 as it is, at its own pace and from its beginning to each client, at rtsp://127.0.0.1:PORT/cam,
with digest authentication where a user is named; prints READY.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402


def main() -> None:
    """Serve until killed."""
    file, port = sys.argv[1:3]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f"( filesrc location={file} ! qtdemux ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=1 )"
    )
    if len(sys.argv) > 3:
        _protect(server, factory, *sys.argv[3:5])
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)
    print("READY", flush=True)
    GLib.MainLoop().run()


def _protect(server, factory, user, password) -> None:  # type: ignore[no-untyped-def]
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.add_digest(user, password, token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role("viewer", permission, True)
    factory.set_permissions(permissions)


if __name__ == "__main__":
    main()
