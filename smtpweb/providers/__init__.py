"""What is known of email providers before a server is asked."""
