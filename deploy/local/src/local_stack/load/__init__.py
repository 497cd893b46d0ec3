"""Outside parties for demo, end-to-end tests and benchmarks: people, the senders they use, and a CRM."""
