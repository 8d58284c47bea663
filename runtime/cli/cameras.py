"""`yoga-live cameras`: the cameras of this machine."""

from __future__ import annotations

import argparse

from ..sources.camera_list import list_cameras
from ..system.plain_text import print


def print_cameras(_: argparse.Namespace) -> None:
    """Print each camera's device, name and stable path."""
    cameras = list_cameras()
    if not cameras:
        print("no camera found (there is no /dev/video*); plug one in, or watch a network camera: yoga-live rtsp://...")
        return
    width = max(len(camera.name) for camera in cameras)
    for camera in cameras:
        print(f"{f'/dev/video{camera.number}':12}  {camera.name:{width}}  {camera.stable_path}".rstrip())
