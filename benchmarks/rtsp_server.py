"""A camera on the network: `/usr/bin/python3 rtsp_server.py PORT WIDTH HEIGHT RATE [clock]`.

GStreamer's own RTSP server (Debian: gir1.2-gst-rtsp-server-1.0, python3-gi, gstreamer1.0-plugins-{base,good,ugly}); run
by the system's Python, which has its bindings.  It shows a moving ball, for rtsp_soak.py, or with `clock` the time at
which each picture was made, for live_lag.py: milliseconds of the machine's steady clock as 24 stripes, black or white.
"""

# pyright: reportMissingImports=false

import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

BITS = 24
ENCODE = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96"


def draw_clock(width: int, height: int) -> bytes:
    """Now, as an I420 picture."""
    now_ms = int(time.monotonic() * 1000) % 2**BITS
    stripes = b"".join((b"\xeb" if now_ms >> bit & 1 else b"\x10") * (width // BITS) for bit in reversed(range(BITS)))
    return (stripes + b"\x10" * (width - len(stripes))) * height + b"\x80" * (width * height // 2)


def feed_clock(media, width: int, height: int, rate: int) -> None:
    """Give a stream its pictures until it is closed."""
    source = media.get_element().get_by_name("clock")

    def push() -> bool:
        return source.emit("push-buffer", Gst.Buffer.new_wrapped(draw_clock(width, height))) == Gst.FlowReturn.OK

    GLib.timeout_add(round(1000 / rate), push)


def main() -> None:
    """Serve until killed."""
    port = sys.argv[1]
    width, height, rate = map(int, sys.argv[2:5])
    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_shared(True)
    if sys.argv[5:] == ["clock"]:
        told = f"video/x-raw,format=I420,width={width},height={height},framerate={rate}/1"
        pictures = f'appsrc name=clock is-live=true do-timestamp=true format=time caps="{told}"'
        factory.connect("media-configure", lambda _, media: feed_clock(media, width, height, rate))
    else:
        pictures = f"videotestsrc is-live=true pattern=ball ! video/x-raw,width={width},height={height}"
        pictures += f",framerate={rate}/1"
    factory.set_launch(f"( {pictures} ! {ENCODE} )")
    server.get_mount_points().add_factory("/camera", factory)
    if not server.attach(None):
        sys.exit(f"port {port} is taken")
    print("serving", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
