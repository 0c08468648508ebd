"""What every part uses: settings, errors, random numbers, statistics."""
