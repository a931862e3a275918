"""The screen: the only room that knows Textual; it is shown a store and never touches a run but through a Source."""
