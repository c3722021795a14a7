"""Prefect knows an installation's work pools, deployments and automations: `python -m deployments.register`."""
