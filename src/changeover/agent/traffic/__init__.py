"""What users get: the live colour, a canary, a page of maintenance, and the hosts behind a balancer."""
