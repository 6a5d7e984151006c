"""What DNS says about a sender domain and about our own address. Time-outs are never an alarm."""
