"""The engine room: runs the lessons, makes reports and sweeps of them, and keeps their stored outputs up to date."""
