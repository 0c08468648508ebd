"""What runs came to: read from their folders, grouped, compared, drawn and printed."""
