"""What an operator and an owner see over time: states, history, figures."""
