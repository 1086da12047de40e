"""Personal data out of what is stored: one redactor for ingest and for datasets."""
