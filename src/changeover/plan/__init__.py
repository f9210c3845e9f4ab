"""What a plan is made from, and the order of its steps. Pure."""
