"""The people of a folder's photos.  Needs ONNX Runtime, and no PyTorch."""
