"""Who uses this installation: users, sessions, API tokens, and what each may see."""
