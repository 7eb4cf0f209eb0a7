# hwnas with CUDA. CI does not build this image.
#   docker build -t hwnas .
#   docker run --rm --gpus all -v "$PWD:/work" hwnas run pipelines/quickstart.yaml
# Without --gpus it runs on the CPU. The mounted folder must be writable by user 1000.
ARG BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04
FROM ${BASE}

ENV PYTHONUNBUFFERED=1 PATH=/opt/hwnas/bin:$PATH
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/hwnas

# Dependencies (gigabytes) change seldom, so they are a layer of their own: a package with nothing
# in it brings them, and the real one replaces it below.
WORKDIR /src
COPY pyproject.toml constraints.txt LICENSE ./
RUN touch README.md && mkdir hwnas && touch hwnas/__init__.py \
    && pip install --no-cache-dir -c constraints.txt .

COPY README.md ./
COPY hwnas ./hwnas
RUN pip install --no-cache-dir --no-deps --force-reinstall .

# The base image has a user of this number: ubuntu.
USER 1000:1000
ENV HOME=/tmp
WORKDIR /work
ENTRYPOINT ["hwnas"]
CMD ["--help"]
