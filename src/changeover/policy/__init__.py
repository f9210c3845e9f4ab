"""What is declared of a deployment, and judged by it: hosts that are away, a canary, its gates. Pure."""
