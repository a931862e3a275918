"""Dialogs that lie over a screen for a moment: questions, choices, the help."""
