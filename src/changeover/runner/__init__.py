"""Walk a plan: preview or apply its steps, journal them, and take them back when one is red."""
