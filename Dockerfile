# The worker's image: python -m worker run, migrate, settings. Two stages, so that the installer's leavings stay behind.
ARG PYTHON=python:3.13-slim-trixie

FROM ${PYTHON} AS build
RUN python -m venv /opt/venv
COPY requirements/base.txt /build/base.txt
# Every file is checked against its hash, and nothing is compiled: --only-binary refuses what would run a stranger's setup.
RUN /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary=:all: --require-hashes -r /build/base.txt
WORKDIR /app
COPY pyproject.toml ./
COPY migrations migrations
COPY noteflow noteflow
COPY jobs jobs
COPY worker worker
# As an ordinary user nobody could write bytecode later, and each start would compile anew.
RUN /opt/venv/bin/python -m compileall -q .

FROM ${PYTHON}
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin noteflow \
 && install --directory --owner noteflow --mode 0750 /var/lib/noteflow/meetings
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    MEETINGS_DIR=/var/lib/noteflow/meetings
# By number, so that an orchestrator can see that it is not root.
USER 10001
STOPSIGNAL SIGTERM
# Says 0 while a worker of the queue has lately written that it lives.
HEALTHCHECK --interval=60s --timeout=15s --start-period=30s --retries=3 CMD ["arq", "--check", "worker.WorkerSettings"]
CMD ["python", "-m", "worker", "run"]
