"""The processes of a run: who starts, watches, records and stops them, and how they hear and are heard."""
