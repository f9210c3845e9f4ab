"""The hosts of an app: what each says, what they agree on, and those that are away or caught up."""
