"""Pictures and videos of policies."""
