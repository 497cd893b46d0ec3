"""The rules that neither ruff nor import-linter can state. Run: ``python -m leadrail_tools.architecture``."""
