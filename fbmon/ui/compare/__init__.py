"""The comparison on a screen: the table of the runs, their curves over one another, what differs, what happened.

app.py holds it together; board.py has the keys; sheet.py in fbmon/compare is what the table shows, traces.py what the
charts show; reader.py is the thread that reads the journals.
"""
