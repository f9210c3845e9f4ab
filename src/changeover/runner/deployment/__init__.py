"""A deployment on its way: what it would change, its steps walked, and what finalizes it."""
