"""Things that the system gives to a process: cores, memory, files and locks that hold, folders, signals."""
