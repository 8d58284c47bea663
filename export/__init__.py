"""From a trained run to the one file that every device reads::

    from yoga_live.export import export_onnx
    export_onnx("runs/first", "yoga.onnx")

`export_onnx` is what `yoga-export onnx` does.  PyTorch is imported when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..runtime.system.public_names import offer

if TYPE_CHECKING:
    from .api import ExportedModel, export_onnx

__all__ = ["ExportedModel", "export_onnx"]
__version__: str

__getattr__, __dir__ = offer(__name__, {"ExportedModel": ".api", "export_onnx": ".api"})
