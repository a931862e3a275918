"""Runs in the formats of other tools: TensorBoard, CSV, JSON lines, SVG, and a report as one HTML file."""

from fbmon.export.write import Kind, export

__all__ = ["Kind", "export"]
