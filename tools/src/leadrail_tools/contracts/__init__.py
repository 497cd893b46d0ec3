"""Documents generated from the models: event schemas, examples, AsyncAPI, OpenAPI, the configuration reference.

``python -m leadrail_tools.contracts`` writes them; ``--check`` fails if one differs or breaks its readers.
"""
