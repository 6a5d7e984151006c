"""One module for each way in which an alarm leaves this machine."""
