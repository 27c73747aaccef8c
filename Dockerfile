# syntax=docker/dockerfile:1
#
# docker build --target cpu .     a machine without a GPU
# docker build --target cuda .    an NVIDIA GPU, through the NVIDIA Container Toolkit
#
# Which build of torch goes in is decided as in `make install`: with no TORCH_INDEX pip's usual index
# is asked; name an index of CPU wheels for a much smaller `cpu` image.

FROM python:3.11-slim AS base
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
ENV LANG=C.UTF-8 PYTHONUNBUFFERED=1

FROM base AS build
ARG TORCH_INDEX=""
# what others wrote comes first: it stays in the cache while only Verso changes
COPY Makefile requirements.lock ./
RUN make libraries TORCH_INDEX="${TORCH_INDEX}"
COPY . .
RUN make install compile TORCH_INDEX="${TORCH_INDEX}"

FROM base AS runtime
ENV VERSO_DATA_DIR=/data
RUN useradd --system --uid 10001 --home-dir /data verso && install --directory --owner=verso --mode=0700 /data
COPY --from=build /app /app
USER verso
VOLUME /data
HEALTHCHECK --interval=60s --timeout=20s --start-period=90s --retries=3 CMD [".venv/bin/verso", "doctor", "--health"]
STOPSIGNAL SIGTERM
CMD ["make", "serve"]

FROM runtime AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility VERSO_ENGINE__DEVICE=cuda

FROM runtime AS cpu
ENV VERSO_ENGINE__DEVICE=cpu
