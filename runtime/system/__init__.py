"""The user's machine: files, locks, the terminal, what a command prints and how it ends."""
