"""A page that shows trainings and their robots, live."""
