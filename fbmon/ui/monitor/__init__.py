"""The screen of one run. app.py holds it together; feed.py is the thread that follows the run."""
