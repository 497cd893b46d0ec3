"""`make demo`: real payloads and 200 leads through all five services, and proof of what became of each."""
