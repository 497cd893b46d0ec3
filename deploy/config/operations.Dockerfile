# The `leadrail` command with every service's migrations: provisions roles, schemas and topics, manages API keys.
# Build from the repository root: docker build -f deploy/config/operations.Dockerfile .
FROM python:3.13-slim-trixie AS build
RUN pip install --no-cache-dir uv==0.13.9
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_CACHE_DIR=/uv-cache UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=/app
WORKDIR /src
COPY pyproject.toml uv.lock ./
COPY shared shared
COPY services services
RUN --mount=type=cache,target=/uv-cache \
    uv sync --frozen --no-dev --no-editable --package leadrail-shared --package leadrail-ingest \
    --package leadrail-scoring --package leadrail-consent --package leadrail-routing --package leadrail-sla-monitor

FROM python:3.13-slim-trixie
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin leadrail
COPY --from=build --chown=root:root /app /app
ENV PATH=/app/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001
ENTRYPOINT ["leadrail"]
