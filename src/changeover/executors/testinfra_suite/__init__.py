"""What must hold on the hosts of an environment, as pytest-testinfra checks.

Run by ``changeover.executors.verify``, which hands over the environment as JSON. A check that takes
``server`` looks as the deploy user; one that takes ``root`` looks as the administrator, and is left
out where this controller has no administrator's key.
"""
