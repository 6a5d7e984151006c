"""The tables, the sessions that read and write them, and the sealing of secrets."""
