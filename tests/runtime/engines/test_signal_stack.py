"""The stack for signals is given back, whoever replaced it."""

from __future__ import annotations

import ctypes
import sys

import pytest

from yoga_live.runtime.engines.signal_stack import _find_call, _read_stack, _Stack, keep_signal_stack


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux alone")
@pytest.mark.parametrize("fails", [False, True])
def test_the_stack_for_signals_is_given_back(fails: bool) -> None:
    before = _read_stack()
    others = ctypes.create_string_buffer(1 << 16)
    try:
        with keep_signal_stack():
            assert _find_call()(ctypes.byref(_Stack(ctypes.addressof(others), 0, len(others))), None) == 0
            assert _read_stack().start == ctypes.addressof(others)
            if fails:
                raise OSError
    except OSError:
        assert fails
    after = _read_stack()
    assert (after.start, after.flags) == (before.start, before.flags)
    assert after.flags == 2 or after.size == before.size  # of a disabled one the size says nothing
