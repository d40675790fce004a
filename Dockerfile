# The service with the embedded default index. Research use only.
#   docker build -t grounded-cxr .
#   docker compose up
FROM python:3.11-slim-bookworm

RUN useradd --create-home --uid 10001 reader
WORKDIR /app
COPY --chown=reader:reader . .
RUN mkdir -p /app/data && chown reader:reader /app /app/data
# By its number: a host that runs nobody as root can tell then that this is not root.
USER 10001

RUN python scripts/install demo openai postgres \
    && .venv/bin/python -m indexer build --source openi --vectors pretrained/openi --out data/index

VOLUME /app/data/kept
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD [".venv/bin/python", "-c", \
    "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
# Another than the loopback address needs an API key; see compose.yaml.
ENTRYPOINT [".venv/bin/python", "-m", "api"]
CMD ["serve", "data/index", "--host", "0.0.0.0", "--database", "data/kept/app.sqlite3"]
