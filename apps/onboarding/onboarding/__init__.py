"""Onboarding: the steps that users go through, and the progress that they make."""
