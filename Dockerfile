# Targets: service (CPU), service-gpu (CUDA), trainer. The base is an argument, so that any Debian
# image with Python 3.11 or newer and venv will do; service-gpu wants one with CUDA 13 and cuDNN 9.
ARG BASE=python:3.13-slim-bookworm
ARG GPU_BASE=nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04

# --- environments, built where a compiler would be allowed; only /opt/venv is copied on ----------
FROM ${BASE} AS service-environment
# service-media.lock adds video (FFmpeg, partly GPL) and Content Credentials.
ARG LOCK=service.lock
COPY ${LOCK} /build/service.lock
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes --no-deps -r /build/service.lock

FROM ${BASE} AS trainer-environment
COPY trainer.lock /build/
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --no-compile --require-hashes --no-deps -r /build/trainer.lock

FROM ${GPU_BASE} AS service-gpu-environment
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*
COPY service-gpu.lock /build/
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes --no-deps -r /build/service-gpu.lock

# --- trainer: data is mounted read-only at /data, runs are written to /runs ----------------------
FROM ${BASE} AS trainer
RUN useradd --uid 10001 --create-home app && mkdir /runs && chown app /runs
COPY --from=trainer-environment /opt/venv /opt/venv
COPY service /app/service
COPY trainer /app/trainer
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /runs
USER 10001
ENTRYPOINT ["python3", "-m", "trainer"]
CMD ["--help"]

# --- service on CUDA -----------------------------------------------------------------------------
FROM ${GPU_BASE} AS service-gpu
RUN apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home app
COPY --from=service-gpu-environment /opt/venv /opt/venv
COPY service /app/service
COPY models /app/models
RUN python3 -m compileall -q /app/service
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    SERVICE_HOST=0.0.0.0 SERVICE_PROVIDER=cuda
WORKDIR /app
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('SERVICE_PORT', '8000') + '/readyz', timeout=2)"]
ENTRYPOINT ["python3", "-m", "service"]

# --- service, the default target -----------------------------------------------------------------
FROM ${BASE} AS service
RUN useradd --uid 10001 --create-home app
COPY --from=service-environment /opt/venv /opt/venv
COPY service /app/service
COPY models /app/models
RUN python3 -m compileall -q /app/service
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    SERVICE_HOST=0.0.0.0
WORKDIR /app
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('SERVICE_PORT', '8000') + '/readyz', timeout=2)"]
ENTRYPOINT ["python3", "-m", "service"]
