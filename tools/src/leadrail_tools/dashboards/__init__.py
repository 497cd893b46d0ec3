"""Grafana dashboards as code: written by ``python -m leadrail_tools.contracts``, provisioned from deploy/grafana."""
