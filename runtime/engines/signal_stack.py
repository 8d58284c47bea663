"""Keeps the stack that signals are handled on, where a package replaces it.

OpenVINO (seen in 2026.4.1) gives the calling thread an alternate stack of its own, and frees it with its model.  Python
handles signals on that stack: a Ctrl-C after that is a segmentation fault.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

DISABLED = 2  # SS_DISABLE of Linux


class _Stack(ctypes.Structure):
    """`stack_t` of Linux's <signal.h>."""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def keep_signal_stack() -> Iterator[None]:
    """Give the calling thread its alternate signal stack back at the end.  Does nothing but on Linux."""
    if sys.platform != "linux":
        yield
        return
    before = _read_stack()
    try:
        yield
    finally:
        if (after := _read_stack()).start != before.start:
            before.flags &= DISABLED  # SS_ONSTACK can't be set
            if before.flags and not before.size:
                before.size = after.size  # musl refuses to disable a stack of no size
            _find_call()(ctypes.byref(before), None)


def _read_stack() -> _Stack:
    stack = _Stack()
    _find_call()(None, ctypes.byref(stack))
    return stack


@cache
def _find_call() -> Any:
    return ctypes.CDLL(None).sigaltstack
