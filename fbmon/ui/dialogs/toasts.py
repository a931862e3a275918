"""The place of short messages: at the top right, in one line, over neither events nor curves."""

CSS = """
ToastRack { dock: top; align: right top; margin: 0; overflow: hidden; }
Toast { width: auto; max-width: 100%; margin: 0; padding: 0 1; }
"""
