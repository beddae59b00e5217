# docker build --target cpu --build-arg TORCH_INDEX_URL=<the CPU index that pytorch.org's install page names> -t signclip .
# docker build --target cuda -t signclip:cuda .
# Collections in PostgreSQL and traces: --build-arg EXTRAS="postgres tracing"
# A build that is the same tomorrow: --build-arg PYTHON_IMAGE=python@sha256:<digest of python:3.11-slim-bookworm>
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG NODE_IMAGE=node:20-bookworm-slim

FROM ${PYTHON_IMAGE} AS base
# What MediaPipe's OpenCV loads: OpenGL and GLib. The README names the same packages. Their versions are those of the base
# image's Debian, whose archive keeps no older ones.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

# Each stage below makes the whole environment; pip itself stays behind, in the stage.
FROM base AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv --without-pip /opt/signclip
WORKDIR /build
COPY requirements.txt requirements-postgres.txt requirements-tracing.txt constraints.txt requirements.lock ./
# Every file by its SHA-256, and nothing that the list does not name. torch follows, in one of its builds.
RUN pip --python /opt/signclip/bin/python install --require-hashes --no-deps --requirement requirements.lock
# What only some services need: --build-arg EXTRAS="postgres tracing". These files pin versions, without digests.
ARG EXTRAS=""
RUN for extra in $EXTRAS; do \
      pip --python /opt/signclip/bin/python install --requirement "requirements-$extra.txt" --constraint constraints.txt \
        || exit 1; \
    done

FROM packages AS packages-cpu
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ARG TORCH_INDEX_URL=""
# torch alone comes from the other index: that index offers copies of other projects, too. TORCH_SHA256 pins its file.
ARG TORCH_SHA256=""
RUN { grep '^torch==' requirements.txt; [ -z "$TORCH_SHA256" ] || echo " --hash=sha256:$TORCH_SHA256"; } \
      | paste -s -d ' ' > torch.txt \
    && pip --python /opt/signclip/bin/python install --no-deps ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} \
         --requirement torch.txt

FROM packages AS packages-cuda
RUN pip --python /opt/signclip/bin/python install --requirement requirements.txt --constraint constraints.txt

# The playground's pose estimator for browsers, by the digests of package-lock.json.
FROM ${NODE_IMAGE} AS playground
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev
COPY app/playground/copy_vendor.mjs app/playground/
RUN node app/playground/copy_vendor.mjs

FROM base AS service
ENV PATH=/opt/signclip/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    SIGNCLIP_WEIGHTS_DIR=/var/lib/signclip/weights SIGNCLIP_SEARCH_DIR=/var/lib/signclip/search WEB_CONCURRENCY=4
# By number, because Kubernetes' runAsNonRoot knows no names, and volumes keep their owner from image to image.
RUN mkdir -p /var/lib/signclip/weights && chown 10001:10001 /var/lib/signclip /var/lib/signclip/weights
WORKDIR /srv/signclip
# .dockerignore lists what comes along. All of it belongs to root: a process that is taken over cannot replace the code or
# the model that ships.
COPY . .
COPY --from=playground /build/app/playground/vendor app/playground/vendor
USER 10001:10001
VOLUME /var/lib/signclip
EXPOSE 3030
STOPSIGNAL SIGTERM
# Whether the process answers. Readiness is /readyz: a container whose weights are still fetched is healthy.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["bash", "-c", "host=${SIGNCLIP_HOST:-127.0.0.1}; host=${host//[][]/}; [ \"$host\" = 0.0.0.0 ] && host=127.0.0.1; exec 3<>\"/dev/tcp/$host/${SIGNCLIP_PORT:-3030}\"; printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' >&3; read -r line <&3; [[ $line == *' 200 '* ]]"]
# A stop answers what was admitted: docker stop --time 620. Counters need --shm-size=128m, because Docker's default of 64 MB
# is shared by whatever else uses it.
CMD ["gunicorn", "app:app"]

FROM service AS cuda
COPY --from=packages-cuda /opt/signclip /opt/signclip

# The last stage is what a build without --target makes.
FROM service AS cpu
COPY --from=packages-cpu /opt/signclip /opt/signclip
