"""Pictures, videos and figures."""
