"""``python -m leadrail_tools.compose_env``: write .env for Docker Compose or a Kubernetes secret, secrets fresh."""

import argparse
import base64
import os
import secrets
import sys
from pathlib import Path

from leadrail_tools.checkout import repository_root
from shared.provision import SERVICES, role_url, schema_of

ADMINISTRATOR = "leadrail_admin"
DATABASE = "leadrail"


def environment(host: str) -> dict[str, str]:
    """Return fresh values of every variable, with databases on *host* (``name:port``). No two calls agree."""
    secret_key, password = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    admin_url = f"postgresql://{ADMINISTRATOR}:{password}@{host}/{DATABASE}"
    urls = {f"{schema_of(name).upper()}_DATABASE_URL": role_url(admin_url, name, secret_key) for name in SERVICES}
    return {
        "LEADRAIL_SECRET_KEY": secret_key,
        "POSTGRES_PASSWORD": password,
        **urls,
        "METRICS_KEY": secrets.token_urlsafe(24),
        "GRAFANA_ADMIN_PASSWORD": secrets.token_urlsafe(18),
        "KAFKA_CLUSTER_ID": base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("="),
    }


def filled(example: str, values: dict[str, str]) -> str:
    """Return *example* with its empty variables set. Errors: `KeyError` for a variable that nothing fills."""
    return "".join(f"{line}{values[line[:-1]] if _is_empty(line) else ''}\n" for line in example.splitlines())


def _is_empty(line: str) -> bool:
    return line.endswith("=") and not line.startswith("#")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m leadrail_tools.compose_env", description=__doc__)
    parser.add_argument("--host", default="postgres:5432", help="host:port of PostgreSQL as the services see it")
    parser.add_argument("--output", type=Path, default=repository_root() / ".env")
    arguments = parser.parse_args()
    text = filled((repository_root() / ".env.example").read_text(), environment(arguments.host))
    try:
        # Never overwritten: the old secret key is the only way to the sealed secrets and to the roles' passwords.
        descriptor = os.open(arguments.output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.stderr.write(f"{arguments.output} exists and is kept: its key seals what the database holds\n")
        return 1
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    print(f"wrote {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
