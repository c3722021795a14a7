"""Takes what Harbor tells of pushes and scans, and has the hubs deployed that follow the tag."""
