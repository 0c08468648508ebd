"""Policies of other projects: read without running anything that their files hold."""
