"""One colour on a host: taken out of its bundle, placed, run and removed."""
