"""What is known about email providers without contacting a server."""
