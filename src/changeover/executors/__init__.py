"""One engine each: what a step kind does to hosts, databases and the world outside."""
