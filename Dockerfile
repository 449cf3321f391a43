FROM python:3.11-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY rag_bench rag_bench
COPY dagster.yaml workspace.yaml workspace.docker.yaml ./
RUN pip install --no-cache-dir -c constraints.txt uv torch \
    && uv pip install --system --no-cache --compile-bytecode -c constraints.txt -e '.[embed]'
COPY data data
