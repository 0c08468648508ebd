"""Policies in formats of other programs: a C header, an npz file, ONNX and torch.export."""
