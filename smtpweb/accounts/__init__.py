"""Users, browser sessions, API tokens, and what each user may see."""
