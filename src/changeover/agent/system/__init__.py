"""The system as the agent uses it: its clocks, files, locks, programs and systemd."""
