"""Ask a colour what users would ask it, through an Nginx of its own."""
